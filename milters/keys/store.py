"""An immutable snapshot of all configured signing keys of a daemon.

A snapshot is built completely and then swapped in. An unusable key is a problem of its domain,
never an exception: the other domains keep signing. If a reload finds a problem in a domain that
signed before, that domain keeps its previous keys, except revoked ones.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from milters.keys.errors import KeysError, is_unreadable
from milters.keys.files import read_private, to_key
from milters.keys.folder import FolderContents, KeyFolder
from milters.keys.names import record_name
from milters.keys.settings import KeySettings
from milters.keys.state import KeyState
from milters.keys.stored import StoredKey
from milters.keys.tables.author import AuthorTable, AuthorTables, read_tables
from milters.keys.tables.errors import OpendkimError
from msgauth.mail_address import MailAddress


class Harm(enum.Enum):
    """The effect of a problem on the mail of its domain."""

    NONE = "none"
    """None: a stray file, or an unused line of a table."""
    KEY = "key"
    """A key that should sign is unusable."""
    SOURCE = "source"
    """The key folder or a table is unusable: none of its keys signs."""
    UNREADABLE = "unreadable"
    """A key, the folder or a table may exist but cannot be read: mail that it would sign is
    deferred.
    """


@dataclass(frozen=True, slots=True)
class KeyProblem:
    """A problem, as a line for the log. `domain` is empty if it does not concern a single domain;
    `kept` says that the previous keys stay in use."""

    domain: str
    text: str
    kept: bool = False
    harm: Harm = Harm.NONE


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All active keys, and the problems. `by_domain` has the keys of the key folder and of
    `[[milters.key]]`, `table` those of opendkim's tables."""

    by_domain: Mapping[str, tuple[StoredKey, ...]]
    table: AuthorTable | None = None
    problems: tuple[KeyProblem, ...] = ()

    @property
    def unreadable(self) -> tuple[KeyProblem, ...]:
        """Return the unreadable sources without earlier content in their place."""
        return self._with(Harm.UNREADABLE)

    @property
    def serious(self) -> tuple[KeyProblem, ...]:
        """Return the problems that prevent the milter from signing.

        These are unreadable sources and an unusable folder or table, unless earlier content is used
        in their place.
        """
        return self._with(Harm.UNREADABLE, Harm.SOURCE)

    def _with(self, *harms: Harm) -> tuple[KeyProblem, ...]:
        return tuple(one for one in self.problems if one.harm in harms and not one.kept)

    def keys_of(self, domain: str) -> tuple[StoredKey, ...]:
        """Return the keys of exactly this domain (A-labels)."""
        return self.by_domain.get(domain, ())

    def keys_for(self, author: MailAddress) -> tuple[StoredKey, ...] | None:
        """Return the keys of a SigningTable for this author; None if it has no entry for it."""
        return None if self.table is None else self.table.keys_for(author)

    def all_keys(self) -> tuple[StoredKey, ...]:
        """Return all keys, each once."""
        keys = {key.identity: key for keys in self.by_domain.values() for key in keys}
        if self.table is not None:
            keys.update({key.identity: key for key in self.table.keys.values()})
        return tuple(keys.values())


EMPTY = Snapshot({})


@dataclass(frozen=True, slots=True)
class _Source:
    domain: str
    selector: str
    path: Path
    was_activated: bool = False


class _Reader:
    """Reads key files. A file that has not changed since `previous` is not parsed again, because
    OpenSSL needs some 30 ms to check an RSA key."""

    def __init__(self, previous: Snapshot) -> None:
        self._known = {key.digest: key.key for key in previous.all_keys()}

    def read(self, source: _Source) -> StoredKey:
        """Read one key; raises `KeysError`."""
        data = read_private(source.path)
        digest = hashlib.sha256(data).digest()
        key = self._known.get(digest) or to_key(source.path, data)
        self._known[digest] = key
        return StoredKey(
            source.domain, source.selector, key, source.path, source.was_activated, digest
        )


def _of_key(error: Exception) -> Harm:
    return Harm.UNREADABLE if is_unreadable(error) else Harm.KEY


def _of_source(error: Exception) -> Harm:
    return Harm.UNREADABLE if is_unreadable(error) else Harm.SOURCE


def load(settings: KeySettings, previous: Snapshot = EMPTY) -> Snapshot:
    """Read every key that `settings` names; never raises for an unusable key or folder."""
    reader = _Reader(previous)
    problems: list[KeyProblem] = []
    by_domain = _load_folder(settings, reader, problems, previous)
    table = _load_table(settings, reader, problems, previous.table)
    return Snapshot(by_domain, table, tuple(problems))


def _load_folder(
    settings: KeySettings, reader: _Reader, problems: list[KeyProblem], previous: Snapshot
) -> dict[str, tuple[StoredKey, ...]]:
    sources, bad = _entries(settings)
    revoked: frozenset[tuple[str, str]] = frozenset()
    folder_is_lost = False
    try:
        listing = _scan(settings)
    except KeysError as error:
        problems.append(KeyProblem("", str(error), bool(previous.by_domain), _of_source(error)))
        folder_is_lost = True
    else:
        bad.extend(
            (found.domain, found.text, Harm.UNREADABLE if found.is_unreadable else Harm.KEY)
            for found in listing.problems
            if found.is_serious
        )
        problems.extend(
            KeyProblem(found.domain, found.text)
            for found in listing.problems
            if not found.is_serious
        )
        sources = _with_listing(sources, listing, problems)
        revoked = frozenset(
            (key.domain, key.selector) for key in listing.keys if key.state is KeyState.REVOKED
        )
    keys: dict[str, list[StoredKey]] = {}
    for source in sources.values():
        try:
            keys.setdefault(source.domain, []).append(reader.read(source))
        except KeysError as error:
            bad.append((source.domain, str(error), _of_key(error)))
    by_domain = {domain: tuple(of_domain) for domain, of_domain in keys.items() if of_domain}
    lost = set(previous.by_domain) if folder_is_lost else {domain for domain, _, _ in bad}
    kept = _keep(previous.by_domain, lost, revoked)
    problems.extend(KeyProblem(domain, text, domain in kept, harm) for domain, text, harm in bad)
    return {**by_domain, **kept}


def _scan(settings: KeySettings) -> FolderContents:
    if "keys" not in settings.model_fields_set and _is_missing(settings.keys):
        return FolderContents((), ())  # not configured: this daemon does not sign
    return KeyFolder(settings.keys).scan()


def _is_missing(folder: Path) -> bool:
    try:
        folder.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        pass  # it may exist: this user may not enter a parent folder
    return False


def _entries(
    settings: KeySettings,
) -> tuple[dict[tuple[str, str], _Source], list[tuple[str, str, Harm]]]:
    """Return the keys of `[[milters.key]]` and their problems: domain, text, harm."""
    sources: dict[tuple[str, str], _Source] = {}
    bad: list[tuple[str, str, Harm]] = []
    for entry in settings.key:
        name = entry.domain, entry.selector
        try:
            record_name(*name)
        except KeysError as error:
            bad.append((entry.domain, str(error), Harm.KEY))
            continue
        if name in sources:
            text = f"[[milters.key]] has {name[1]} of {name[0]} twice"
            bad.append((entry.domain, text, Harm.KEY))
            continue
        sources[name] = _Source(*name, entry.file)
    return sources, bad


def _with_listing(
    sources: dict[tuple[str, str], _Source], listing: FolderContents, problems: list[KeyProblem]
) -> dict[tuple[str, str], _Source]:
    """Add the active keys of the folder; `[[milters.key]]` takes precedence."""
    merged = dict(sources)
    for file in listing.keys:
        name = file.domain, file.selector
        if file.state is not KeyState.ACTIVE:
            continue
        if name in merged:
            text = f"{file.path}: not used, [[milters.key]] names another file"
            problems.append(KeyProblem(file.domain, text))
            continue
        merged[name] = _Source(*name, file.path, file.was_activated)
    return merged


def _keep(
    before: Mapping[str, tuple[StoredKey, ...]],
    lost: Iterable[str],
    revoked: frozenset[tuple[str, str]],
) -> dict[str, tuple[StoredKey, ...]]:
    kept = {}
    for domain in lost:
        keys = tuple(key for key in before.get(domain, ()) if key.name not in revoked)
        if keys:
            kept[domain] = keys
    return kept


def _load_table(
    settings: KeySettings,
    reader: _Reader,
    problems: list[KeyProblem],
    before: AuthorTable | None,
) -> AuthorTable | None:
    if settings.opendkim_key_table is None or settings.opendkim_signing_table is None:
        return None
    try:
        tables = read_tables(
            settings.opendkim_key_table, settings.opendkim_signing_table, settings.opendkim_base
        )
    except OpendkimError as error:
        problems.append(KeyProblem("", str(error), before is not None, _of_source(error)))
        return before
    problems.extend(KeyProblem("", text) for text in tables.problems)
    problems.extend(KeyProblem("", text, harm=Harm.UNREADABLE) for text in tables.closed)
    keys = _table_keys(tables, reader, problems, before)
    files = tuple(sorted({key.path for key in tables.expanded.keys.values()}))
    return AuthorTable(tables.signing, keys, settings.opendkim_multiple_signatures, files)


def _table_keys(
    tables: AuthorTables,
    reader: _Reader,
    problems: list[KeyProblem],
    before: AuthorTable | None,
) -> dict[tuple[str, str], StoredKey]:
    keys: dict[tuple[str, str], StoredKey] = {}
    for name, found in tables.expanded.keys.items():
        old = before.keys.get(name) if before is not None else None
        try:
            keys[name] = reader.read(_Source(found.domain, found.selector, found.path))
        except KeysError as error:
            text = f"{found.place}: {error}"
            problems.append(KeyProblem(found.domain, text, old is not None, _of_key(error)))
            if old is not None:
                keys[name] = old
    return keys
