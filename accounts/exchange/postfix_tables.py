"""Postfix lookup tables in their text form, as `postmap` reads them (virtual(5), postconf(5))."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from accounts.address import AccountAddressError, parse_domain
from accounts.exchange.gathering import Gathering
from accounts.exchange.lines import logical_lines
from accounts.exchange.notes import SourcePlace

_SEPARATOR = re.compile(r"[\s,]+")
_QUOTED_KEY = re.compile(r'("(?:[^"\\]|\\.)*"\S*)\s*')
_PATTERN = re.compile(r"[/!]|if\s+/|endif\b", re.IGNORECASE)


class TableLine(NamedTuple):
    """A key, its value, and where they stand."""

    key: str
    value: str
    place: SourcePlace


def read_entries(gathering: Gathering, file: str, data: bytes) -> Iterator[TableLine]:
    """Yield the entries of a table; note lines of regular expressions and keys without a value."""
    for line in logical_lines(file, data, gathering.left_out):
        if _PATTERN.match(line.text):
            text = "a regular expression cannot be imported: use aliases with * instead"
            gathering.note("left out", text, line.place)
            continue
        quoted = _QUOTED_KEY.match(line.text)
        if quoted:
            key, value = quoted[1], line.text[quoted.end() :]
        else:
            key, _, value = line.text.replace("\t", " ").partition(" ")
        if value.strip():
            yield TableLine(key, value.strip(), line.place)
        else:
            gathering.note("left out", f"{key[:100]!r} has no value", line.place)


def addresses(value: str) -> list[str]:
    """Return the addresses of a list with commas or blanks between them; quotes may have either."""
    if '"' not in value:
        return [one for one in _SEPARATOR.split(value) if one]
    return [one.strip() for one in re.findall(r'(?:"(?:[^"\\]|\\.)*"|[^\s,"])+', value)]


def read_virtual(gathering: Gathering, file: str, data: bytes) -> None:
    """Add the routes of virtual_alias_maps. `example.org anything` declares a domain."""
    for entry in read_entries(gathering, file, data):
        if "@" not in entry.key and "@" not in entry.value and _is_domain(entry.key):
            gathering.domain(entry.key, entry.place)
        else:
            gathering.route(entry.key, addresses(entry.value), entry.place)


def read_mailbox_map(gathering: Gathering, file: str, data: bytes, known: set[str]) -> None:
    """Add the mailboxes of virtual_mailbox_maps that have no password elsewhere."""
    for entry in read_entries(gathering, file, data):
        if entry.key.startswith("@"):
            text = f"{entry.key}: a mailbox for a whole domain is not supported"
            gathering.note("left out", text, entry.place)
        elif "@" not in entry.key and _is_domain(entry.key):
            gathering.domain(entry.key, entry.place)
        elif (address := gathering.own_address(entry.key, entry.place, "mailbox")) not in (
            None,
            *known,
        ):
            if address in gathering.mailboxes:
                gathering.note("left out", f"mailbox {address} appears twice", entry.place)
            elif gathering.mailbox(entry.key, entry.place) is not None:
                text = f"mailbox {address} has no password in the files; nobody can log in"
                gathering.note("changed", text, entry.place)


def read_sender_map(gathering: Gathering, file: str, data: bytes) -> None:
    """Add the sender rights of smtpd_sender_login_maps."""
    for entry in read_entries(gathering, file, data):
        for owner in addresses(entry.value):
            gathering.right(owner, entry.key, entry.place)


def read_domain_list(gathering: Gathering, file: str, data: bytes) -> None:
    """Add the domains of virtual_mailbox_domains, with or without a value behind them."""
    for line in logical_lines(file, data, gathering.left_out):
        gathering.domain(line.text.split()[0], line.place)


def _is_domain(text: str) -> bool:
    try:
        return "." in parse_domain(text)
    except AccountAddressError:
        return False
