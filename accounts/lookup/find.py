"""Meaning of an address: a mailbox, an alias, the catch-all of its domain, or none of ours.

The order is: the name itself, the name without its extension, the same two in the target of an
alias domain, wildcards, the catch-all. A disabled or expired name ends the search, so its mail does
not go to the catch-all.
"""

from __future__ import annotations

import enum
from typing import NamedTuple, cast

from accounts.lookup import wildcard
from accounts.lookup.ask import AliasRow, Ask, DomainRow, MailboxRow, RowLookup
from accounts.lookup.key import AddressKey
from accounts.lookup.terms import LookupTerms


class AddressKind(enum.Enum):
    """Kind of object that an address means."""

    MAILBOX = enum.auto()
    ALIAS = enum.auto()
    """An alias in force, perhaps one with a wildcard."""
    CATCH_ALL = enum.auto()
    FOREIGN = enum.auto()
    """The address is in no domain of ours."""
    RELAYED = enum.auto()
    """The address is in a domain that we relay; another host knows its addresses."""
    OFF = enum.auto()
    """The name or its domain is disabled or expired."""
    NOBODY = enum.auto()
    """The address is in a domain of ours that has no such name."""


class AddressMeaning(NamedTuple):
    """Result of a search, with a `row` for a mailbox and an alias.

    `target` is the address that a catch-all leads to, and for `FOREIGN` and `RELAYED` the address
    itself, in the domain that an alias domain stands for, or empty when its local part must not be
    repeated. `extension` is that of the address asked
    for, when the row has the name without it. `through` are the domains of the address that
    are ours: its own, and the one that it stands for.
    """

    kind: AddressKind
    mailbox: MailboxRow | None = None
    alias: AliasRow | None = None
    target: str = ""
    extension: str = ""
    through: tuple[str, ...] = ()


class Domains(NamedTuple):
    """A domain and, for an alias domain, its target; `final` is the last of the two.

    `in_force`: both are enabled.
    """

    own: DomainRow
    final: DomainRow
    in_force: bool


def find(key: AddressKey, terms: LookupTerms) -> RowLookup[AddressMeaning]:
    """Find the meaning of an address."""
    asks = tuple(Ask("name", f"{local}@{key.domain}") for local in key.names)
    first, *names = yield (Ask("domain", key.domain), *asks)
    own = cast(DomainRow | None, first)
    if own is None:
        return AddressMeaning(AddressKind.FOREIGN, target=_typed(key, key.domain))
    if not own.enabled:
        return AddressMeaning(AddressKind.OFF, through=(key.domain,))
    final = own
    through: tuple[str, ...] = (key.domain,)
    if own.alias_of is not None:
        through = (key.domain, own.alias_of)
        asks = tuple(Ask("name", f"{local}@{own.alias_of}") for local in key.names)
        second, *more = yield (Ask("domain", own.alias_of), *asks)
        if second is None or not cast(DomainRow, second).enabled:
            return AddressMeaning(AddressKind.OFF, through=through)
        final = cast(DomainRow, second)
        names += more
    for place, row in enumerate(names):
        if row is not None:
            with_extension = key.extension and place % len(key.names) == len(key.names) - 1
            extension = key.extension if with_extension else ""
            return _named(cast(MailboxRow | AliasRow, row), extension, through, terms.now)
    return (yield from _unnamed(key, own, final, through, terms.now))


def find_domain(name: str) -> RowLookup[Domains | None]:
    """Find a domain of ours and the target of an alias domain; None if it is not ours."""
    (answer,) = yield (Ask("domain", name),)
    own = cast(DomainRow | None, answer)
    if own is None:
        return None
    if own.alias_of is None:
        return Domains(own, own, own.enabled)
    (answer,) = yield (Ask("domain", own.alias_of),)
    final = cast(DomainRow | None, answer)
    if final is None:
        return Domains(own, own, in_force=False)
    return Domains(own, final, own.enabled and final.enabled)


def _named(
    row: MailboxRow | AliasRow, extension: str, through: tuple[str, ...], now: int
) -> AddressMeaning:
    if isinstance(row, MailboxRow):
        kind = AddressKind.MAILBOX if row.enabled else AddressKind.OFF
        return AddressMeaning(kind, mailbox=row, extension=extension, through=through)
    kind = AddressKind.ALIAS if wildcard.is_in_force(row, now) else AddressKind.OFF
    return AddressMeaning(kind, alias=row, extension=extension, through=through)


def _unnamed(
    key: AddressKey, own: DomainRow, final: DomainRow, through: tuple[str, ...], now: int
) -> RowLookup[AddressMeaning]:
    answers = yield tuple(Ask("wildcards", name) for name in through)
    for rows in answers:
        if rows:
            for local in dict.fromkeys((key.folded, *key.names)):
                alias = wildcard.choose(cast(tuple[AliasRow, ...], rows), local, now)
                if alias is not None:
                    return AddressMeaning(AddressKind.ALIAS, alias=alias, through=through)
    if final.is_relay:
        return AddressMeaning(AddressKind.RELAYED, target=_typed(key, final.name), through=through)
    catch_all = own.catch_all or final.catch_all
    if catch_all:
        return AddressMeaning(AddressKind.CATCH_ALL, target=catch_all, through=through)
    return AddressMeaning(AddressKind.NOBODY, through=through)


def _typed(key: AddressKey, domain: str) -> str:
    return "" if key.typed is None else f"{key.typed}@{domain}"
