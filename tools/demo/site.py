"""Postfix's configuration in the demonstration: that of docs/install.md and docs/accounts.md."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from tests.testbed.postfix_files import Service, default_services


@dataclass(frozen=True, slots=True)
class Maps:
    """Addresses of accounts in the form of main.cf: for the maps, and for logins."""

    listen: str
    logins: str

    def table(self, name: str) -> str:
        """Return the map with this name."""
        return f"socketmap:{self.listen}:{name}"


def services(policy: str, milters: str) -> tuple[Service, ...]:
    """Return the service for mail from outside and the service for our users.

    Addresses have the form of main.cf; an empty one omits the part.
    """
    mx, submission = default_services(policy=policy, milters=milters)
    login_rule = {"smtpd_sender_restrictions": "reject_authenticated_sender_login_mismatch"}
    return mx, dataclasses.replace(submission, settings={**submission.settings, **login_rule})


def settings(maps: Maps | None, next_hop: str) -> dict[str, str]:
    """Return the lines of main.cf for accounts; empty if Postfix shall not ask it."""
    if maps is None:
        return {}
    return {
        "recipient_delimiter": "+",
        "virtual_mailbox_domains": maps.table("domains"),
        "virtual_mailbox_maps": maps.table("mailboxes"),
        "virtual_alias_maps": maps.table("aliases"),
        "transport_maps": maps.table("transport"),
        "smtpd_sender_login_maps": maps.table("senders"),
        "smtpd_sasl_path": maps.logins,
        "virtual_transport": next_hop,
    }
