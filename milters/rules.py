"""The rules of one configuration, prepared as far as possible without a message."""

from __future__ import annotations

from dataclasses import dataclass

from gatepost.config import GroundSettings
from gatepost.snapshots.senders import AccountRights
from milters.guard import Guard
from milters.key_table import KeyTable
from milters.ownership import FromOwnership
from milters.policy import PolicyTable, table
from milters.settings import MiltersSettings
from milters.signing import Signing
from msgauth.dkim import VerifierLimits


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules for one message. Immutable; a reload makes a new one."""

    settings: MiltersSettings
    hostname: str
    authserv_id: str
    own_ids: frozenset[str]
    """The authserv-ids whose fields are removed, in lower case."""
    guard: Guard
    signing: Signing
    ownership: FromOwnership
    table: PolicyTable
    dkim_limits: VerifierLimits

    @classmethod
    def prepare(
        cls,
        ground: GroundSettings,
        settings: MiltersSettings,
        keys: KeyTable,
        rights: AccountRights | None = None,
    ) -> Rules:
        """Prepare the rules; `rights` are those from accounts, if they are to count.

        Raises `MsgauthError` for header fields that cannot be signed, and `OwnershipError` for a
        table of owners that cannot be read.
        """
        actions = table(settings.policy)
        authserv_id = settings.authserv_id or ground.hostname
        return cls(
            settings,
            ground.hostname,
            authserv_id,
            frozenset({authserv_id, *settings.strip_authserv_ids}),
            Guard(settings, ground.proxy_networks),
            Signing(settings, keys),
            FromOwnership(settings.ownership, rights),
            actions,
            VerifierLimits(
                settings.verify.max_signatures,
                # otherwise nobody acts on a failure, and the query is saved
                learn_testing=any(
                    method == "dkim" and action != "accept"
                    for (method, _), action in actions.items()
                ),
            ),
        )
