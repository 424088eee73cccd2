"""Rules for Dovecot's questions: where a mailbox is, and what happens to new mail."""

from __future__ import annotations

from typing import NamedTuple

from accounts.lookup.ask import LoginRow, MailboxRow, RowLookup, RulesRow
from accounts.lookup.login_name import find_login_name, read_login_name

QUOTA = "quota_storage_size"
"""Dovecot's field for the quota of a mailbox in octets; without a limit it is absent."""

HOME = "home_folder"
"""The field for the folder of a mailbox below the root of the mail store. Dovecot does not know it:
its setting `mail_home` refers to it."""

DELIVERY = ("", "lmtp", "lda")
"""The protocols that deliver mail; empty if Dovecot named none."""


class Home(NamedTuple):
    """A mailbox as Dovecot opens it. `quota` is in octets, None for no limit.

    `folder` is the path of its mail below the root of the mail store. `store` and `locked_until` as
    in `MailboxRow`.
    """

    address: str
    quota: int | None
    folder: str = ""
    store: str | None = None
    locked_until: int | None = None

    def fields(self, prefix: str = "") -> dict[str, str]:
        """Return the extra fields of Dovecot's user database; all but `user` get the prefix."""
        fields = {"user": self.address}
        if self.folder:
            fields[f"{prefix}{HOME}"] = self.folder
        if self.quota is not None:
            fields[f"{prefix}{QUOTA}"] = str(self.quota)
        return fields


def home_of(row: LoginRow) -> Home:
    """Return the home of the mailbox of a login."""
    return Home(row.address, row.quota, row.home)


def userdb(login: str, protocol: str, default_domain: str = "") -> RowLookup[Home | None]:
    """Find a mailbox by a login name; None if it does not exist.

    A disabled mailbox is found: mail that Postfix has accepted is delivered, and the administrator
    can manage it. A mailbox that may not receive is not found for a delivery.
    """
    address = read_login_name(login, default_domain)
    if address is None:
        return None
    found = yield from find_login_name(address, "name")
    row = found.row
    if not isinstance(row, MailboxRow) or (protocol in DELIVERY and not row.may_receive):
        return None
    return Home(row.address, row.quota, row.home, row.store, row.locked_until)


def rules(login: str, default_domain: str = "") -> RowLookup[RulesRow | None]:
    """Find the rules of a mailbox by a login name; None if it does not exist."""
    address = read_login_name(login, default_domain)
    if address is None:
        return None
    found = yield from find_login_name(address, "rules")
    return found.row if isinstance(found.row, RulesRow) else None
