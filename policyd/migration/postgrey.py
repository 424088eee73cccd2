"""Converter of postgrey's databases and options to Gatepost's records and settings.

In postgrey.db a key is a triplet, ``network/sender/recipient``, and its value is ``first,last``. In
postgrey_clients.db a key is an address, and its value is ``count,last``. In postgrey's privacy mode
the keys are hashes, which cannot be converted.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from policyd.bounces import stable_sender
from policyd.greylisting import ClientRecord, GreylistRules, TripletRecord
from policyd.identity import network_identity
from policyd.match import parse_address

_HASH = re.compile(r"[0-9a-f]{40}\Z")


@dataclass
class Taken:
    """The contents of postgrey's files."""

    triplets: list[tuple[tuple[str, str, str], TripletRecord]] = field(default_factory=list)
    """(identity, sender, recipient), each with its record."""
    clients: list[tuple[str, ClientRecord]] = field(default_factory=list)
    """Identities, each with its record."""
    hidden: int = 0
    """Keys that are hashes (--privacy)."""
    unreadable: int = 0
    """Number of entries that postgrey cannot have written."""


Prefixes: TypeAlias = tuple[int, int]
"""Prefix lengths of the networks that count as one client, for IPv4 and IPv6."""


def take_triplets(
    pairs: Iterable[tuple[bytes, bytes]],
    rules: GreylistRules,
    taken: Taken,
    prefixes: Prefixes = (24, 64),
) -> None:
    """Add the triplets of postgrey.db; `rules` decide whether a triplet has passed."""
    for raw_key, raw_value in pairs:
        key, value = _text(raw_key), _text(raw_value)
        if _HASH.match(key):
            taken.hidden += 1
            continue
        network, _, rest = key.partition("/")
        sender, _, recipient = rest.rpartition("/")
        identity = network_identity(parse_address(network), *prefixes)
        times = value.split(",")
        if not identity or not recipient or len(times) < 2 or not _numbers(times[:2]):
            taken.unreadable += 1
            continue
        first, last = int(times[0]), int(times[1])
        # postgrey decides by the time between the two whether it has passed
        passed = first + rules.delay if last - first >= rules.delay else 0
        parts = (identity, stable_sender(sender), recipient.lower())
        taken.triplets.append((parts, TripletRecord(first, last if passed else first, passed)))


def take_clients(
    pairs: Iterable[tuple[bytes, bytes]], taken: Taken, prefixes: Prefixes = (24, 64)
) -> None:
    """Add the clients of postgrey_clients.db."""
    best: dict[str, ClientRecord] = {}
    for raw_key, raw_value in pairs:
        key, value = _text(raw_key), _text(raw_value)
        if _HASH.match(key):
            taken.hidden += 1
            continue
        numbers = value.split(",")
        identity = network_identity(parse_address(key), *prefixes)
        if not identity or len(numbers) < 2 or not _numbers(numbers[:2]):
            taken.unreadable += 1
            continue
        client = ClientRecord(int(numbers[0]), int(numbers[1]))
        known = best.get(identity)
        if known is None or client.returns > known.returns:
            best[identity] = client
    taken.clients += best.items()


def _text(raw: bytes) -> str:
    return raw.rstrip(b"\0").decode("utf-8", "backslashreplace")


def _numbers(texts: Iterable[str]) -> bool:
    return all(text.isascii() and text.isdecimal() and len(text) < 12 for text in texts)


@dataclass
class Options:
    """postgrey's options as lines of gatepost.toml, and those that have no counterpart."""

    greylist: dict[str, str] = field(default_factory=dict)
    """Keys of `[policyd.greylist]` and their values in TOML."""
    listen: str = ""
    notes: list[str] = field(default_factory=list)


def read_options(text: str) -> Options:
    """Read a command line, or a file /etc/default/postgrey with POSTGREY_OPTS."""
    options = Options()
    for name, value in _split(text):
        _take_option(options, name, value)
    return options


_SHORT = {"-i": "--inet", "-u": "--unix"}


def _split(text: str) -> list[tuple[str, str]]:
    text = text.replace("\\\n", " ")  # a line that continues on the next one
    found: list[tuple[str, str]] = []
    words_of_line: list[str] = []
    if re.search(r"^\s*POSTGREY_(OPTS|TEXT)=", text, re.MULTILINE):
        # as in a shell, quoted values may span lines, and the last assignment counts
        values = dict(
            word.split("=", 1) for word in shlex.split(text, comments=True) if "=" in word
        )
        if "POSTGREY_TEXT" in values:
            found.append(("greylist-text", values["POSTGREY_TEXT"]))
        words_of_line = shlex.split(values.get("POSTGREY_OPTS", ""))
    elif "--" in text or "=" not in text:
        words_of_line = shlex.split(text, comments=True)
    while words_of_line:
        word = words_of_line.pop(0)
        word = _SHORT.get(word, word)
        if not word.startswith("--"):
            continue
        name, equals, value = word[2:].partition("=")
        if not equals and words_of_line and not words_of_line[0].startswith("-"):
            value = words_of_line.pop(0)
        found.append((name, value))
    return found


_SECONDS = {
    "delay": ("delay", "s"),
    "max-age": ("max_age", "d"),
    "retry-window": ("retry_window", "d"),
}
_PREFIXES = {"ipv4cidr": "ipv4_prefix", "ipv6cidr": "ipv6_prefix"}
_FIELDS = {"%s": "{seconds}", "%r": "{domain}"}


def _take_option(options: Options, name: str, value: str) -> None:
    if name in _SECONDS:
        key, unit = _SECONDS[name]
        if name == "retry-window" and value.endswith("h"):
            value, unit = value[:-1], "h"
        options.greylist[key] = f'"{value}{unit}"'
    elif name in _PREFIXES:
        options.greylist[_PREFIXES[name]] = value.lstrip("/")
    elif name == "auto-whitelist-clients":
        options.greylist["auto_allow_clients"] = value or "5"
    elif name == "greylist-text":
        for old, new in _FIELDS.items():
            value = value.replace(old, new)
        options.greylist["text"] = '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    elif name == "unix":
        options.listen = f"unix:{value}"
    elif name == "inet":
        # for postgrey, a port alone means loopback; for Gatepost, it means every address
        options.listen = f"inet:127.0.0.1:{value}" if value.isdecimal() else f"inet:{value}"
    elif name == "lookup-by-host":
        options.greylist["ipv4_prefix"] = "32"
        options.greylist["ipv6_prefix"] = "128"
    elif name == "x-greylist-header":
        options.notes.append("--x-greylist-header: the field is X-Greylist, its text is fixed")
    elif name == "greylist-action":
        if value.upper() == "DEFER_IF_PERMIT":
            return
        options.greylist["action"] = '"defer"'
    elif name == "privacy":
        options.notes.append("--privacy: set privacy_key_file to a file with a secret")
    elif name in ("whitelist-clients", "whitelist-recipients"):
        key = "allow_clients_files" if name == "whitelist-clients" else "allow_recipients_files"
        before = options.greylist.get(key, "")[:-1]  # this option may be repeated
        options.greylist[key] = f'{before}, "{value}"]' if before else f'["{value}"]'
    elif name not in ("lookup-by-subnet", "pidfile", "daemonize", "verbose", "quiet", "dbdir"):
        options.notes.append(f"--{name}: has no counterpart")
