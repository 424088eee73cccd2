"""Signing keys from accounts: the snapshot `dkim_keys`.

Its keys are ``key:DOMAIN/SELECTOR``. A value has the key in PEM as `private`, or says in `problem`
why accounts cannot read it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gatepost.snapshots.form import SnapshotData, SnapshotError
from milters.key_table import DomainKey
from milters.keys.errors import KeysError
from milters.keys.names import parse_domain, parse_selector, record_name
from milters.keys.stored import StoredKey
from msgauth.keys import BadKeyError, SigningKey

DKIM_KEYS = "dkim_keys"
"""The name of the snapshot."""

Parsed = dict[bytes, SigningKey]


@dataclass(frozen=True, slots=True)
class AccountKeySet:
    """The keys of a snapshot.

    `unreadable` are the domains that may have a key which cannot be read; the empty name stands for
    any. `problems` are pairs of a domain and a line for the log.
    """

    by_domain: Mapping[str, tuple[StoredKey, ...]] = field(default_factory=dict)
    unreadable: frozenset[str] = frozenset()
    problems: tuple[tuple[str, str], ...] = ()
    domain_keys: Mapping[tuple[str, str, bytes], DomainKey] = field(default_factory=dict)

    def all_keys(self) -> tuple[StoredKey, ...]:
        """Return all keys."""
        return tuple(key for keys in self.by_domain.values() for key in keys)


UNUSED = AccountKeySet()
"""No keys come from accounts."""
MISSING = AccountKeySet(unreadable=frozenset({""}))
"""Keys are to come from accounts, and none ever came."""


class AccountKeys:
    """The keys from accounts that this process signs with."""

    def __init__(self, current: AccountKeySet = UNUSED) -> None:
        self.current = current


def read_account_keys(snapshot: SnapshotData, parsed: Parsed) -> AccountKeySet:
    """Return the keys of a snapshot; raises `SnapshotError` when it has not their form.

    `parsed` are keys by their digests, which are not parsed again; it is brought up to date.
    """
    by_domain: dict[str, list[StoredKey]] = {}
    problems: list[tuple[str, str]] = []
    unreadable: set[str] = set()
    kept: Parsed = {}
    for name, value in snapshot.items():
        if not name.startswith("key:"):
            continue  # of a later version
        domain, selector, private, problem = _read(name, value)
        if problem:
            problems.append((domain, problem))
            unreadable.add(domain)
            continue
        digest = hashlib.sha256(private).digest()
        try:
            key = parsed.get(digest) or SigningKey.parse(private)
        except BadKeyError as error:
            problems.append((domain, f"{record_name(domain, selector)}: {error}"))
            continue
        kept[digest] = key
        # `active` in accounts means that somebody has seen its record
        stored = StoredKey(domain, selector, key, FROM_ACCOUNTS, was_activated=True, digest=digest)
        by_domain.setdefault(domain, []).append(stored)
    parsed.clear()
    parsed.update(kept)
    frozen = {domain: tuple(keys) for domain, keys in by_domain.items()}
    domain_keys = {
        key.identity: DomainKey(key.domain, key.selector, key.key)
        for keys in frozen.values()
        for key in keys
    }
    return AccountKeySet(frozen, frozenset(unreadable), tuple(problems), domain_keys)


FROM_ACCOUNTS = Path("accounts")
"""The `path` of a key from accounts, in the place of a file."""


def _read(name: str, value: Any) -> tuple[str, str, bytes, str]:
    """Return domain, selector, private key and problem of a record."""
    domain_text, _, selector_text = name.removeprefix("key:").partition("/")
    try:
        domain, selector = parse_domain(domain_text), parse_selector(selector_text)
        record_name(domain, selector)
    except KeysError as error:
        raise SnapshotError(f"{name[:80]!a} is not the name of a key: {error}") from None
    if isinstance(value, dict):
        private, problem = value.get("private"), value.get("problem")
        if isinstance(private, str) and private.isascii():
            return domain, selector, private.encode(), ""
        if isinstance(problem, str):
            return domain, selector, b"", problem
    raise SnapshotError(f"the record of {name[:80]!a} has another form")
