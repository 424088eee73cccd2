"""Answers to Postfix's maps: domains, mailboxes, aliases, senders, transport, relay and srs.

Postfix asks for a full address only, so extensions, alias domains, wildcards and catch-alls are
resolved here. A rule returns the text for Postfix, or one of two kinds of "not found":

* `Nothing.UNKNOWN`: there is no such object. The mail may be refused for it.
* `Nothing.NO_ENTRY`: the object is known, or is none of ours, and this map has no entry for it. No
  mail is refused for it.

To Postfix both are the same. They differ while the database is away: see `accounts.answers`.

Raises `Unresolvable` for rows that contradict one another; the answer is a temporary error.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import TypeAlias, cast

from accounts.address import AccountAddressError, parse_domain
from accounts.lookup.ask import Ask, RowLookup
from accounts.lookup.find import AddressKind, AddressMeaning, Domains, find, find_domain
from accounts.lookup.key import MAX_KEY, AddressKey, read_key
from accounts.lookup.spread import members, spread
from accounts.lookup.terms import LookupTerms


class Nothing(enum.Enum):
    """The two kinds of "not found"."""

    UNKNOWN = "unknown"
    NO_ENTRY = "no entry"


MapText: TypeAlias = str | Nothing
MapRule: TypeAlias = Callable[[str, LookupTerms], RowLookup[MapText]]
"""A rule takes the key as Postfix has sent it, decoded."""


def domains(key: str, terms: LookupTerms) -> RowLookup[MapText]:
    """Answer virtual_mailbox_domains: the name of a domain whose mailboxes are here.

    The domain of bounce addresses is always one of them.
    """
    found = yield from _domain_of(key)
    if found is None and terms.srs is not None and _parsed(key) == terms.srs.domain:
        return terms.srs.domain
    if found is None or not found.in_force:
        return Nothing.UNKNOWN
    return Nothing.NO_ENTRY if found.final.is_relay else found.own.name


def relay(key: str, terms: LookupTerms) -> RowLookup[MapText]:
    """Answer relay_domains and relay_recipient_maps: the name of a domain that we relay.

    All addresses of such a domain are recipients: the host behind it knows them.
    """
    del terms
    found = yield from _domain_of(key)
    if found is None or not found.in_force:
        return Nothing.UNKNOWN
    return found.own.name if found.final.is_relay else Nothing.NO_ENTRY


def transport(key: str, terms: LookupTerms) -> RowLookup[MapText]:
    """Answer transport_maps: the transport of the domain of an address, in any case of letters.

    An alias domain has the transport of the domain that it stands for, unless it has its own.
    ``*``, which Postfix asks for at its start, has no entry.
    """
    del terms
    if key == "*":
        return Nothing.NO_ENTRY
    found = yield from _domain_of(key)
    if found is None or not found.in_force:
        return Nothing.NO_ENTRY
    return found.own.transport or found.final.transport or Nothing.NO_ENTRY


def mailboxes(key: str, terms: LookupTerms) -> RowLookup[MapText]:
    """Answer virtual_mailbox_maps: the address of the mailbox that `key` means."""
    address = read_key(key, terms.delimiter)
    if address is None:
        return Nothing.UNKNOWN
    if _is_bounce_address(address, terms):
        return Nothing.UNKNOWN if _restored(address, terms) is None else Nothing.NO_ENTRY
    found = yield from find(address, terms)
    match found.kind:
        case AddressKind.MAILBOX if found.mailbox is not None and found.mailbox.may_receive:
            return found.mailbox.address
        case AddressKind.ALIAS | AddressKind.CATCH_ALL | AddressKind.RELAYED:
            return Nothing.NO_ENTRY
        case _:
            return Nothing.UNKNOWN


def aliases(key: str, terms: LookupTerms) -> RowLookup[MapText]:
    """Answer virtual_alias_maps: the addresses that mail for `key` goes to, separated by commas.

    A mailbox without forwarding has no entry. One that forwards and keeps a copy is among its own
    targets, spelled as in the question, so that Postfix does not ask for it again. A bounce address
    that `srs` has made leads to the sender that it stands for.
    """
    address = read_key(key, terms.delimiter)
    if address is None:
        return Nothing.UNKNOWN
    if _is_bounce_address(address, terms):
        return _restored(address, terms) or Nothing.UNKNOWN
    found = yield from find(address, terms)
    if found.kind is AddressKind.FOREIGN:
        return Nothing.NO_ENTRY
    if _delivers_to_itself(found):
        return Nothing.NO_ENTRY
    targets = yield from spread(address, found, terms)
    if not targets:
        return Nothing.UNKNOWN
    if len(targets) == 1 and _is_same(address, targets[0]):
        return Nothing.NO_ENTRY
    return ", ".join(targets)


def senders(key: str, terms: LookupTerms) -> RowLookup[MapText]:
    """Answer smtpd_sender_login_maps: the logins that may send as `key`, separated by commas.

    These are the mailbox itself, the members of an alias whose members may send, and the mailboxes
    with a right to the address, to the address without its extension, or to its domain. A mailbox
    that is disabled or may not send is never among them.
    """
    address = read_key(key, terms.delimiter)
    if address is None:
        return Nothing.UNKNOWN
    found = yield from find(address, terms)
    if found.kind is AddressKind.OFF and found.mailbox is None and found.alias is None:
        return Nothing.UNKNOWN  # the domain is disabled
    logins: dict[str, None] = {}
    if found.kind is AddressKind.MAILBOX and found.mailbox is not None and found.mailbox.may_send:
        logins[found.mailbox.address] = None
    elif (
        found.kind is AddressKind.ALIAS and found.alias is not None and found.alias.members_may_send
    ):
        boxes = yield from members(found, terms)
        logins |= {box.address: None for box in boxes if box.enabled and box.may_send}
    rights = yield tuple(Ask("rights", sender) for sender in _rights_of(address, found))
    for answer in rights:
        logins |= dict.fromkeys(cast(tuple[str, ...], answer))
    if logins:
        return ", ".join(logins)
    known = found.mailbox is not None or found.alias is not None
    return Nothing.NO_ENTRY if known else Nothing.UNKNOWN


def srs(key: str, terms: LookupTerms) -> RowLookup[MapText]:
    """Answer sender_canonical_maps for forwarded mail: the bounce address that replaces a sender.

    A sender in a domain of ours has no entry, even if the domain is disabled. Neither has a sender
    with a quoted local part.
    """
    address = read_key(key, terms.delimiter)
    if terms.srs is None or address is None or address.typed is None:
        return Nothing.NO_ENTRY
    if address.domain == terms.srs.domain:
        return Nothing.NO_ENTRY
    if (yield from find_domain(address.domain)) is not None:
        return Nothing.NO_ENTRY
    rewritten = terms.srs.rewrite(address.typed, address.domain, terms.now)
    return Nothing.NO_ENTRY if rewritten is None else rewritten


MAPS: Mapping[str, MapRule] = {
    "domains": domains,
    "mailboxes": mailboxes,
    "aliases": aliases,
    "senders": senders,
    "transport": transport,
    "relay": relay,
    "srs": srs,
}
"""The rules by their names in socketmap and in the metrics."""


def _domain_of(key: str) -> RowLookup[Domains | None]:
    name = _parsed(key)
    return None if name is None else (yield from find_domain(name))


def _parsed(key: str) -> str | None:
    """Return the domain of an address, or `key` itself if it is a domain; None if it is neither."""
    if len(key) > MAX_KEY:
        return None
    try:
        return parse_domain(key.rpartition("@")[2])
    except AccountAddressError:
        return None


def _is_bounce_address(address: AddressKey, terms: LookupTerms) -> bool:
    return terms.srs is not None and terms.srs.is_ours(address.folded, address.domain)


def _restored(address: AddressKey, terms: LookupTerms) -> str | None:
    if terms.srs is None or address.typed is None:
        return None
    return terms.srs.restore(address.typed, terms.now)


def _delivers_to_itself(found: AddressMeaning) -> bool:
    """Return whether the address is that of a mailbox without forwarding, in its own domain."""
    return (
        found.kind is AddressKind.MAILBOX
        and found.mailbox is not None
        and found.mailbox.may_receive
        and not found.mailbox.forwards
        and len(found.through) == 1
    )


def _is_same(key: AddressKey, target: str) -> bool:
    """Return whether Postfix treats `target` as the address that it asked for."""
    return target.lower() == f"{key.typed}@{key.domain}".lower()


def _rights_of(key: AddressKey, found: AddressMeaning) -> list[str]:
    domains = found.through or (key.domain,)
    addresses = [f"{local}@{domain}" for domain in domains for local in key.names]
    return addresses + [f"@{domain}" for domain in domains]
