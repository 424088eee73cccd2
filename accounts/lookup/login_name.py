"""Meaning of a login name: a mailbox, which may be named by an alias domain.

There are no extensions, aliases and catch-alls here: nobody logs in with them.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias, cast

from accounts.address import AccountAddress, AccountAddressError, parse_mailbox_address
from accounts.lookup.ask import Ask, DomainRow, RowAnswer, RowLookup

OfMailboxes: TypeAlias = Literal["name", "login", "rules"]
"""The tables whose keys are the addresses of mailboxes."""


class ParsedLogin(NamedTuple):
    """Result of a search: the address of the mailbox, its row, and whether its domains are in
    force."""

    address: str
    row: RowAnswer
    in_force: bool = True


def read_login_name(text: str, default_domain: str = "") -> AccountAddress | None:
    """Return a login name as an address, or None if it is not one.

    A name without a domain is in `default_domain`; if that is empty, it is not an address.
    """
    if default_domain and "@" not in text:
        text = f"{text}@{default_domain}"
    try:
        return parse_mailbox_address(text)
    except AccountAddressError:
        return None


def find_login_name(address: AccountAddress, table: OfMailboxes) -> RowLookup[ParsedLogin]:
    """Find the row of a table for a login name."""
    text = str(address)
    domain, row = yield (Ask("domain", address.domain), Ask(table, text))
    own = cast(DomainRow | None, domain)
    if own is None:
        return ParsedLogin(text, None)
    if own.alias_of is None:
        return ParsedLogin(text, row, own.enabled)
    text = f"{address.local}@{own.alias_of}"
    domain, row = yield (Ask("domain", own.alias_of), Ask(table, text))
    final = cast(DomainRow | None, domain)
    in_force = own.enabled and final is not None and final.enabled
    return ParsedLogin(text, row, in_force)
