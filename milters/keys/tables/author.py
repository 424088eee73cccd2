"""Lookup in opendkim's tables from the address of an author to loaded keys."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from milters.keys.stored import StoredKey
from milters.keys.tables.dataset import read_dataset
from milters.keys.tables.errors import Place
from milters.keys.tables.expand import ANY_DOMAIN, MAX_EXPANSION, Expanded, expand, is_aligned
from milters.keys.tables.parse import (
    AUTHOR_DOMAIN,
    SigningTable,
    parse_key_table,
    parse_signing_table,
)
from msgauth.mail_address import MailAddress

_SETTING = Place("[milters]")


@dataclass(frozen=True, slots=True)
class AuthorTables:
    """Both tables. `problems` are unused lines; `closed` are folders that may have key files for
    ``%`` and that this user cannot list."""

    signing: SigningTable
    expanded: Expanded
    problems: tuple[str, ...]
    closed: tuple[str, ...] = ()


def read_tables(key_table: str, signing_table: str, base: Path) -> AuthorTables:
    """Read a KeyTable and a SigningTable (data sets of opendkim); raises `OpendkimError`.

    Relative key files start from `base`.
    """
    keys, key_problems = parse_key_table(read_dataset(key_table, _SETTING))
    signing, signing_problems = parse_signing_table(read_dataset(signing_table, _SETTING))
    expanded = expand(keys, signing, base)
    found = (*key_problems, *signing_problems, *expanded.problems, *expanded.unaligned)
    used = {entry.key_name for entry in signing.entries}
    closed = [
        f"{key.place}: {name}: {folder}: permission denied for uid {os.geteuid()}"
        for name, key in keys.items()
        if name in used and AUTHOR_DOMAIN in key.file
        for folder in _closed_folders(str(base / key.file))
    ]
    return AuthorTables(signing, expanded, tuple(map(str, found)), tuple(closed))


def _closed_folders(path: str) -> Iterator[str]:
    """Yield folders on the path to the files for ``%`` that this user cannot list; a search skips
    them silently."""
    above, _, rest = path.partition(AUTHOR_DOMAIN)
    folder = above.rpartition("/")[0] or "/"
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in itertools.islice(entries, MAX_EXPANSION)]
    except PermissionError:
        yield folder
        return
    except OSError:
        return  # there is none: missing files are reported when the table is expanded
    if not above.endswith("/") or not rest.startswith("/"):
        return
    for name in names:
        try:
            os.stat(f"{above}{name}{rest.replace(AUTHOR_DOMAIN, name)}")
        except PermissionError:
            yield f"{above}{name}"
        except OSError:
            continue


@dataclass(frozen=True, slots=True)
class AuthorTable:
    """Finds the loaded keys for an author. Immutable."""

    signing: SigningTable
    keys: Mapping[tuple[str, str], StoredKey]
    take_all: bool
    """Whether every matching entry signs (MultipleSignatures), or only the first."""
    files: tuple[Path, ...] = ()
    """Every key file that the tables name, including unusable ones."""

    def keys_for(self, author: MailAddress) -> tuple[StoredKey, ...] | None:
        """Return the keys for an author.

        None if the table has no entry for it; empty if its keys are unusable or not aligned.
        """
        domain = author.domain
        local_part = author.local
        entries = self.signing.lookup(f"{local_part}@{domain}")
        if not entries:
            return None
        found: dict[tuple[str, str], StoredKey] = {}
        for entry in entries if self.take_all else entries[:1]:
            key = self.keys.get((entry.key_name, ANY_DOMAIN)) or self.keys.get(
                (entry.key_name, domain)
            )
            if key is not None and is_aligned(domain, key.domain):
                found[key.domain, key.selector] = key
        return tuple(found.values())
