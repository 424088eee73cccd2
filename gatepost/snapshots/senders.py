"""Sender rights from accounts: the `SenderRights` of the snapshot `senders`.

They give the same answers as the map `senders` of accounts. The records in addition to those of
`gatepost.snapshots.names`:

* ``name:ADDRESS``: the logins that may use a mailbox or an alias, as itself or as its members;
* ``right:SENDER``: those with a right to an address, or to ``@`` and a domain;
* ``wildcards:DOMAIN``: pairs of a pattern for local parts and the logins, the most exact one first.

In place of logins, ``false`` says that accounts could not determine them.
"""

from __future__ import annotations

from typing import Any

from gatepost.ownership import (
    OwnerSettings,
    OwnerTable,
    RightsUnknownError,
    SenderRights,
    login_key,
    read_owner_lines,
    routed,
)
from gatepost.snapshots.form import SnapshotData, SnapshotError
from gatepost.snapshots.names import (
    LocalNames,
    check_common,
    delimiter_of,
    domains_of,
    read_local_part,
)
from gatepost.wildcard import matches
from msgauth.mail_address import MailAddress

SENDERS = "senders"
"""The name of the snapshot."""


class AccountOwners:
    """The `SenderRights` of a snapshot that `check_senders` has passed. Immutable."""

    def __init__(self, snapshot: SnapshotData) -> None:
        self._snapshot = snapshot
        self._delimiter = delimiter_of(snapshot)

    def may_use(self, login: str, sender: MailAddress) -> bool:
        """Answer as `SenderRights` describes."""
        return bool(login) and login_key(login) in self.logins(sender)

    def is_owned(self, sender: MailAddress) -> bool:
        """Answer as `SenderRights` describes."""
        return bool(self.logins(sender))

    def has_domain(self, domain: str) -> bool:
        """Return whether accounts has the domain, even if it is disabled."""
        return domains_of(self._snapshot, domain) != ()

    def lacks(self, login: str) -> bool:
        """Return whether a login is an address in a domain of accounts that is not in the snapshot.

        Such a mailbox was made after the snapshot, because accounts has accepted the login.
        """
        local, _, domain = login_key(login).rpartition("@")
        through = domains_of(self._snapshot, domain) if local else None
        if not through:
            return False
        return all(self._snapshot.get(f"name:{local}@{each}") is None for each in through)

    def logins(self, sender: MailAddress) -> frozenset[str]:
        """Return the logins that may send as `sender`; raises `RightsUnknownError`."""
        if not sender.domain:
            return frozenset()
        through = domains_of(self._snapshot, sender.domain)
        if through is None:
            return frozenset()
        domains = through or (sender.domain,)
        rights = [f"@{domain}" for domain in domains]
        found: list[Any] = []
        if local := routed(sender).unquoted_local:
            names = read_local_part(local, self._delimiter)
            rights += [f"{name}@{domain}" for domain in domains for name in names.names]
            found.append(self._own(names, through))
        found += [self._snapshot.get(f"right:{right}") for right in rights]
        if False in found:
            raise RightsUnknownError(f"accounts cannot determine who may send as {sender.text!a}")
        return frozenset(login for logins in found if logins for login in logins)

    def _own(self, names: LocalNames, through: tuple[str, ...]) -> Any:
        """Return the logins of the mailbox or alias of an address."""
        for domain in through:
            for name in names.names:
                logins = self._snapshot.get(f"name:{name}@{domain}")
                if logins is not None:
                    return logins
        for domain in through:
            patterns = self._snapshot.get(f"wildcards:{domain}")
            if patterns is False:
                return False
            for local in dict.fromkeys((names.folded, *names.names)):
                for pattern, logins in patterns or ():
                    if matches(pattern, local):
                        return logins
        return None


class AccountRights:
    """Sender rights in use in this process; there are none before the first snapshot."""

    def __init__(self) -> None:
        self._owners: AccountOwners | None = None

    def take(self, snapshot: SnapshotData) -> None:
        """Take a snapshot into use."""
        self._owners = AccountOwners(snapshot)

    @property
    def owners(self) -> AccountOwners:
        """The rights in use; raises `RightsUnknownError` while there are none."""
        if self._owners is None:
            raise RightsUnknownError("accounts has not sent the sender rights yet")
        return self._owners


class JoinedRights:
    """Rights from accounts, joined with those of a table.

    `login_owns_itself` applies to domains that accounts does not have: in the others, accounts says
    whether a mailbox may send.
    """

    def __init__(self, accounts: AccountRights, table: OwnerTable, itself: OwnerTable) -> None:
        self._accounts = accounts
        self._table = table
        self._itself = itself

    def may_use(self, login: str, sender: MailAddress) -> bool:
        """Answer as `SenderRights` describes."""
        if self._table.may_use(login, sender):
            return True
        owners = self._accounts.owners
        if owners.may_use(login, sender):
            return True
        if self._itself.may_use(login, sender) and not owners.has_domain(sender.domain):
            return True
        if owners.lacks(login):
            raise RightsUnknownError(f"accounts has not sent the rights of {login!a} yet")
        return False

    def is_owned(self, sender: MailAddress) -> bool:
        """Answer as `SenderRights` describes."""
        return self._table.is_owned(sender) or self._accounts.owners.is_owned(sender)


def join_rights(settings: OwnerSettings, accounts: AccountRights) -> SenderRights:
    """Return the rights of the settings and their files, joined with those from accounts.

    Raises `OwnershipError`.
    """
    itself = OwnerTable(
        delimiters=settings.recipient_delimiter, login_owns_itself=settings.login_owns_itself
    )
    return JoinedRights(accounts, read_owner_lines(settings), itself)


def check_senders(snapshot: SnapshotData) -> None:
    """Raise `SnapshotError` unless all records have the form that this module reads."""
    for key, value in snapshot.items():
        if check_common(key, value):
            continue
        if key.startswith(("name:", "right:")):
            is_right = _are_logins(value)
        elif key.startswith("wildcards:"):
            is_right = value is False or (
                isinstance(value, list)
                and all(
                    isinstance(pair, list)
                    and len(pair) == 2  # a pair
                    and isinstance(pair[0], str)
                    and _are_logins(pair[1])
                    for pair in value
                )
            )
        else:
            is_right = True  # of a later version
        if not is_right:
            raise SnapshotError(f"the record of {key[:80]!a} is malformed")


def _are_logins(value: Any) -> bool:
    return value is False or (
        isinstance(value, list) and all(isinstance(login, str) for login in value)
    )
