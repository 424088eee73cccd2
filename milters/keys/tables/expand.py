"""Expansion of the two tables to key files: the meaning of ``%``, and lines that sign unaligned.

opendkim replaces ``%`` by the author's domain when a message arrives. Gatepost reads keys together
with its configuration, so it determines the possible domains: from the existing files, or from the
domains in the SigningTable.
"""

from __future__ import annotations

import glob
import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from milters.keys.errors import KeysError
from milters.keys.names import parse_domain, parse_selector, record_name
from milters.keys.tables.errors import Place
from milters.keys.tables.parse import (
    AUTHOR_DOMAIN,
    KeyTableEntry,
    SigningEntry,
    SigningTable,
    TableProblem,
)
from msgauth.domain import is_at_or_below

MAX_EXPANSION = 50_000
"""Maximum key files for one line of a KeyTable."""

ANY_DOMAIN = ""


@dataclass(frozen=True, slots=True)
class TableKey:
    """One key file of a KeyTable and the domain that it signs for."""

    place: Place
    domain: str
    selector: str
    path: Path


@dataclass(frozen=True, slots=True)
class Expanded:
    """Every key of the tables: by its name in the KeyTable and, if that has ``%``, by the author's
    domain, otherwise by `ANY_DOMAIN`."""

    keys: Mapping[tuple[str, str], TableKey]
    problems: tuple[TableProblem, ...]
    unaligned: tuple[TableProblem, ...]
    """Lines of the SigningTable that would sign for a domain unrelated to From."""


def find_files(pattern: str) -> Iterator[str]:
    """Yield the files that match a `glob` pattern."""
    return glob.iglob(pattern)


def expand(
    key_table: Mapping[str, KeyTableEntry],
    signing_table: SigningTable,
    base: Path = Path("/"),
    find: Callable[[str], Iterator[str]] = find_files,
) -> Expanded:
    """Determine every key that the SigningTable can use; paths are relative to `base`."""
    keys: dict[tuple[str, str], TableKey] = {}
    problems: list[TableProblem] = []
    unaligned: list[TableProblem] = []
    by_name: dict[str, list[SigningEntry]] = {}
    for line in signing_table.entries:
        if line.key_name in key_table:
            by_name.setdefault(line.key_name, []).append(line)
        else:
            problems.append(TableProblem(line.place, f"{line.key_name} is not in the KeyTable"))
    for name, lines in by_name.items():
        entry = key_table[name]
        try:
            if entry.domain != AUTHOR_DOMAIN:
                keys[name, ANY_DOMAIN] = key = _fixed(entry, base)
                unaligned.extend(_unaligned(key, lines))
            else:
                found = _author_domains(entry, lines, base, find, problems)
                keys.update({(name, key.domain): key for key in found})
        except KeysError as error:
            problems.append(TableProblem(entry.place, f"{name}: {error}"))
    return Expanded(keys, tuple(problems), tuple(unaligned))


def _fixed(entry: KeyTableEntry, base: Path) -> TableKey:
    domain, selector = parse_domain(entry.domain), parse_selector(entry.selector)
    record_name(domain, selector)
    # only an author of this domain is aligned, so % stands for it
    return TableKey(entry.place, domain, selector, base / entry.file.replace(AUTHOR_DOMAIN, domain))


def _author_domains(
    entry: KeyTableEntry,
    lines: list[SigningEntry],
    base: Path,
    find: Callable[[str], Iterator[str]],
    problems: list[TableProblem],
) -> list[TableKey]:
    selector = parse_selector(entry.selector)
    path = str(base / entry.file)
    if AUTHOR_DOMAIN in path:
        names = list(itertools.islice(_names_of_files(path, find), MAX_EXPANSION + 1))
        if len(names) > MAX_EXPANSION:
            raise KeysError(f"more than {MAX_EXPANSION} files match {path}")
        if not names:
            raise KeysError(f"no file matches {path}")
    else:
        names = [line.domain for line in lines if line.domain]
        problems.extend(
            TableProblem(
                line.place,
                f"{line.pattern}: {entry.name} signs for the author's domain, but it is unknown "
                "which domains have its record; list each of them",
            )
            for line in lines
            if not line.domain
        )
    keys = []
    for name in sorted(set(names)):
        try:
            domain = parse_domain(name)
            record_name(domain, selector)
        except KeysError as error:
            problems.append(TableProblem(entry.place, f"{entry.name}: {error}"))
            continue
        file = Path(path.replace(AUTHOR_DOMAIN, name))
        keys.append(TableKey(entry.place, domain, selector, file))
    return keys


def _names_of_files(path: str, find: Callable[[str], Iterator[str]]) -> Iterator[str]:
    first, *rest = (re.escape(part) for part in path.split(AUTHOR_DOMAIN))
    # a file name may contain ** or anything: the domain is one component of the path
    pattern = re.compile(f"{first}(?P<domain>[^/]+)" + "(?P=domain)".join(rest) + r"\Z", re.DOTALL)
    escaped = "*".join(glob.escape(part) for part in path.split(AUTHOR_DOMAIN))
    for file in find(escaped):
        if match := pattern.match(file):
            yield match["domain"]


def _unaligned(key: TableKey, lines: list[SigningEntry]) -> Iterator[TableProblem]:
    for line in lines:
        tail = line.pattern.lower().rpartition("@")[2].rpartition("*")[2]
        domain = tail.removeprefix(".")
        is_whole = "*" not in line.pattern.rpartition("@")[2] or tail.startswith(".")
        if is_whole and domain and is_aligned(domain, key.domain):
            continue
        yield TableProblem(
            line.place,
            f"{line.pattern} would sign mail of any matching domain with d={key.domain}: such a "
            "signature is not aligned with From and does not make DMARC pass; only mail of "
            f"{key.domain} and its subdomains gets it",
        )


def is_aligned(author_domain: str, signing_domain: str) -> bool:
    """Return whether a signature of `signing_domain` can be aligned with From (RFC 9989 section
    4.4).

    It does not query DNS for the organizational domain: one must be equal to or below the other.
    """
    return is_at_or_below(author_domain, signing_domain) or is_at_or_below(
        signing_domain, author_domain
    )
