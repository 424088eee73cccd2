"""opendkim's tables as a daemon uses them: from the address of an author to loaded keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from milters.opendkim.dataset import read_dataset
from milters.opendkim.errors import OpendkimError, Place
from milters.opendkim.expand import ANY_DOMAIN, Expanded, expand, is_aligned
from milters.opendkim.tables import SigningTable, parse_key_table, parse_signing_table

if TYPE_CHECKING:
    from milters.keys.store import StoredKey

_SETTING = Place("[milters]")


@dataclass(frozen=True, slots=True)
class Tables:
    """Both tables as they were read; `problems` are lines that are not used."""

    signing: SigningTable
    expanded: Expanded
    problems: tuple[str, ...]


def read_tables(key_table: str, signing_table: str, base: Path) -> Tables:
    """Read a KeyTable and a SigningTable (data sets of opendkim); raises `OpendkimError`.

    Relative key files start from `base`.
    """
    keys, key_problems = parse_key_table(read_dataset(key_table, _SETTING))
    signing, signing_problems = parse_signing_table(read_dataset(signing_table, _SETTING))
    expanded = expand(keys, signing, base)
    found = (*key_problems, *signing_problems, *expanded.problems, *expanded.unaligned)
    return Tables(signing, expanded, tuple(map(str, found)))


@dataclass(frozen=True, slots=True)
class AuthorTable:
    """Finds the loaded keys for an author. Immutable."""

    signing: SigningTable
    keys: Mapping[tuple[str, str], StoredKey]
    take_all: bool
    """Whether every entry that matches signs (MultipleSignatures), or the first alone."""
    files: tuple[Path, ...] = ()
    """Every key file that the tables lead to, also those that cannot be used."""

    def keys_for(self, address: str, domain: str) -> tuple[StoredKey, ...] | None:
        """The keys for the author `address`, whose domain in A-labels is `domain`.

        None when the table says nothing of it; empty when it names keys that cannot be used, or
        that are not aligned.
        """
        local_part = address.rpartition("@")[0]
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


__all__ = ["AuthorTable", "OpendkimError", "Tables", "read_tables"]
