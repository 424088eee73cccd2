"""Meaning of a login name: a mailbox, in an alias domain that of the domain it stands for.

There are no extensions, aliases and catch-alls here: nobody logs in by them.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias, cast

from accounts.address import AccountAddress, AccountAddressError, parse_mailbox_address
from accounts.lookup.ask import Ask, DomainRow, RowAnswer, RowLookup

OfMailboxes: TypeAlias = Literal["name", "login", "rules"]
"""The tables that know mailboxes by their addresses."""


class ParsedLogin(NamedTuple):
    """Result: the address that was meant, its row, and whether its domains are in force."""

    address: str
    row: RowAnswer
    in_force: bool = True


def read_login_name(text: str, default_domain: str = "") -> AccountAddress | None:
    """Return a login name as an address, without a domain in the default one; None for no address.

    `default_domain` may be empty: then such a name is none.
    """
    if default_domain and "@" not in text:
        text = f"{text}@{default_domain}"
    try:
        return parse_mailbox_address(text)
    except AccountAddressError:
        return None


def find_login_name(address: AccountAddress, table: OfMailboxes) -> RowLookup[ParsedLogin]:
    """Find the row that a table has for a login name."""
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
