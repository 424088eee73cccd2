"""Lists of clients and addresses in the syntax of postgrey's whitelist files.

One entry per line; ``#`` begins a comment. In a list of clients:

* ``example.org``: a host with that name or a name below it, by its verified name (FCrDNS);
* ``192.0.2.7``, ``192.0.2.0/24``, ``192.0.2`` (/24), ``192.0`` (/16), ``2001:db8::/32``;
* ``/regex/``: searched in the name, ignoring case; the syntax is Perl's (see `policyd.perlre`),
without flags after the last slash.

In a list of senders or recipients:

* ``user@example.org``, also with an extension (``user+ext@example.org``);
* ``user@``: that user in every domain; ``example.org``: all addresses there and below it;
``@example.org``: all addresses there and none below it, as in Postfix's tables;
* ``/regex/``: searched in the address, ignoring case.

A lookup costs the same for ten entries and for a hundred thousand, except that each regex is tried.
It raises `policyd.errors.CheckError` if a regex takes too long.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Self

import msgauth.address
from gatepost.config.networks import require_own
from gatepost.list_file import BLANKS, ListFileError, read_lines
from msgauth.address import AddressError, IpAddress, plain
from msgauth.mail_address import MailAddress
from policyd.errors import PolicydError
from policyd.perlre import PerlRegex, PerlRegexError

_IPV4 = re.compile(r"\d{1,3}(?:\.\d{1,3}){1,3}(?:/\d{1,2})?\Z")
_REGEX = re.compile(r"/(\S+)/\Z")
MAX_ADDRESS = 45
"""Characters of an IP address, written in full as IPv6 with an IPv4 address at its end."""


class MatchError(PolicydError, ValueError):
    """An entry is invalid; the message says where it is and what is allowed."""


class ClientTable:
    """A set of clients."""

    def __init__(self, entries: Iterable[str] = ()) -> None:
        self._names: set[str] = set()
        self._regexes: list[PerlRegex] = []
        self._networks: dict[tuple[int, int], set[int]] = {}
        for entry in entries:
            self.add(entry)

    def add(self, entry: str) -> None:
        """Add one entry; raises `MatchError`."""
        if regex := _regex(entry):
            self._regexes.append(regex)
        elif _IPV4.match(entry) or ":" in entry:
            network = _network(entry)
            self._networks.setdefault((network.version, network.prefixlen), set()).add(
                int(network.network_address)
            )
        elif entry and not re.search(r"[\s/@]", entry):
            self._names.add(entry.lower().strip("."))
        else:
            raise MatchError(
                f"{entry!r} is not a client: write a host or domain name, an address, a network or "
                "/regex/"
            )

    def __bool__(self) -> bool:
        return bool(self._names or self._regexes or self._networks)

    def match(self, address: IpAddress | None, name: str) -> str:
        """Return the entry that matches a client, empty if none does.

        `address` is None if unknown; `name` is the verified host name, or empty.
        """
        if self._networks and address is not None and (found := self._match_address(address)):
            return found
        if name:
            if self._names and (found := _match_domain(name.lower(), self._names)):
                return found
            for regex in self._regexes:
                if regex.search(name):
                    return f"/{regex.pattern}/"
        return ""

    def require_own(self) -> Self:
        """Return this table; raises `MatchError` if its networks cover nearly the whole
        Internet."""
        if all(prefix > 16 for _, prefix in self._networks):
            return (
                self  # a list of single hosts may have a million entries, but never covers so much
            )
        networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
        for (version, prefix), starts in self._networks.items():
            if version == 4:
                networks += [ipaddress.IPv4Network((start, prefix)) for start in starts]
            else:
                networks += [ipaddress.IPv6Network((start, prefix)) for start in starts]
        try:
            require_own(tuple(networks))
        except ValueError as error:
            raise MatchError(str(error)) from None
        return self

    def _match_address(self, address: IpAddress) -> str:
        number, bits = int(address), address.max_prefixlen
        for (version, prefix), networks in self._networks.items():
            if version != address.version:
                continue
            start = number >> (bits - prefix) << (bits - prefix)
            if start in networks:
                kind = ipaddress.IPv4Network if version == 4 else ipaddress.IPv6Network
                return str(kind((start, prefix)))
        return ""


class AddressTable:
    """A set of mail addresses, for senders or recipients."""

    def __init__(self, entries: Iterable[str] = ()) -> None:
        self._addresses: set[str] = set()
        self._users: set[str] = set()
        self._domains: set[str] = set()
        self._regexes: list[PerlRegex] = []
        for entry in entries:
            self.add(entry)

    def add(self, entry: str) -> None:
        """Add one entry; raises `MatchError`."""
        if regex := _regex(entry):
            self._regexes.append(regex)
            return
        if not entry or re.search(r"\s", entry):
            raise MatchError(
                f"{entry!r} is not an address: write user@domain, user@, a domain or /regex/"
            )
        user, at, domain = entry.lower().rpartition("@")
        domain = MailAddress.parse(f"@{domain if at else domain.strip('.')}").host
        if entry.startswith(("/", "!/")) and (not at or "/" in domain):
            raise MatchError(f"{entry!r} is not a regular expression: write /regex/, without flags")
        if not at:
            self._domains.add(domain)
        elif domain:
            self._addresses.add(f"{user}@{domain}")
        else:
            self._users.add(user)

    def __bool__(self) -> bool:
        return bool(self._addresses or self._users or self._domains or self._regexes)

    def match(self, address: MailAddress) -> str:
        """Return the entry that matches an address, empty if none does.

        No entry matches the null sender.
        """
        if not address.text:
            return ""
        user, domain = address.local.lower(), address.host
        if "@" not in address.text:
            user, domain = "", address.text.lower()
        plain = user.partition("+")[0]
        if self._addresses:
            if (full := f"{user}@{domain}") in self._addresses:
                return full
            for entry in (f"{plain}@{domain}", f"@{domain}"):
                if entry in self._addresses:
                    return entry
        if self._users and (user in self._users or plain in self._users):
            return f"{plain if plain in self._users else user}@"
        if self._domains and (found := _match_domain(domain, self._domains)):
            return found
        for regex in self._regexes:
            if regex.search(address.text):
                return f"/{regex.pattern}/"
        return ""


class NameTable:
    """A set of words: HELO names (including names below them) or login names (exact match)."""

    def __init__(self, entries: Iterable[str] = (), *, domains: bool) -> None:
        self._domains = domains
        self._words: set[str] = set()
        self._regexes: list[PerlRegex] = []
        for entry in entries:
            if regex := _regex(entry):
                self._regexes.append(regex)
            elif entry.startswith(("/", "!/")):
                raise MatchError(
                    f"{entry!r} is not a regular expression: write /regex/, without flags"
                )
            else:
                self._words.add(entry.lower().strip(".") if domains else entry.lower())

    def __bool__(self) -> bool:
        return bool(self._words or self._regexes)

    def match(self, word: str) -> str:
        """Return the entry that matches, empty if none does."""
        if not word:
            return ""
        lower = word.lower()
        if self._words:
            if lower in self._words:
                return lower
            if self._domains and (found := _match_domain(lower, self._words)):
                return found
        for regex in self._regexes:
            if regex.search(word):
                return f"/{regex.pattern}/"
        return ""


def read_entries(path: Path) -> list[tuple[int, str]]:
    """Return the entries of a list file with their line numbers; raises `MatchError`.

    A file whose name ends in ``.local`` may be missing, as with postgrey.
    """
    try:
        return [(number, line.lstrip(BLANKS)) for number, line in read_lines(path)]
    except ListFileError as error:
        raise MatchError(str(error)) from None


def read_clients(path: Path, table: ClientTable) -> None:
    """Add the clients of a list file; raises `MatchError` with file and line."""
    _fill(table, path)


def read_addresses(path: Path, table: AddressTable) -> None:
    """Add the addresses of a list file; raises `MatchError` with file and line."""
    _fill(table, path)


def _fill(table: ClientTable | AddressTable, path: Path) -> None:
    for number, entry in read_entries(path):
        try:
            table.add(entry)
        except MatchError as error:
            raise MatchError(f"{path}:{number}: {error}") from None


def _regex(entry: str) -> PerlRegex | None:
    match = _REGEX.match(entry)
    if match is None:
        return None
    try:
        return PerlRegex(match[1])
    except PerlRegexError as error:
        raise MatchError(f"{entry!r} is not a usable regular expression: {error}") from None


def _network(entry: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    text = entry
    if ":" not in entry and "/" not in entry and entry.count(".") < 3:
        octets = entry.count(".") + 1
        text = entry + ".0" * (4 - octets) + f"/{8 * octets}"
    try:
        # host bits are cleared, as postgrey does
        return ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise MatchError(f"{entry!r} is not a network: {error}") from None


def _pack_ipv4(text: str) -> bytes | None:
    """Pack a dotted quad into four bytes, or None: ten times cheaper than `ipaddress`."""
    try:
        return socket.inet_pton(socket.AF_INET, text)
    except (OSError, UnicodeEncodeError, ValueError):
        return None


def _match_domain(name: str, domains: set[str]) -> str:
    """Return `name` or its nearest parent that is in `domains`, or the empty string."""
    while name:
        if name in domains:
            return name
        name = name.partition(".")[2]
    return ""


def parse_address(text: str) -> IpAddress | None:
    """Parse an IP address; None if it is invalid. An IPv4-mapped one becomes the IPv4 address."""
    return _parse_address(text) if len(text) <= MAX_ADDRESS else None


@lru_cache(maxsize=16384)
def _parse_address(text: str) -> IpAddress | None:
    if (packed := _pack_ipv4(text)) is not None:
        return ipaddress.IPv4Address(packed)
    try:
        address = msgauth.address.parse_address(text)
    except AddressError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id:
        return None
    return plain(address)
