"""The key folder: its contents, and the changes by `gatepost keys`.

Two layouts, which may be mixed::

    KEYS/example.org/202611r.pem       a folder a domain, as `gatepost keys new` makes it
    KEYS/example.org/202611r.txt       its key record, for people
    KEYS/example.org/keys.toml         the life of these keys; without it, all of them are active
    KEYS/example.org.202611r.pem       flat, as the keys of a Kubernetes Secret are mounted

`.private`, the suffix of opendkim-genkey, is read like `.pem`. Hidden names are skipped: in a
mounted Secret, the visible links point to `..data`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from types import MappingProxyType

from gatepost.folder import OpenFolder
from gatepost.printable import escape
from milters.keys import files
from milters.keys.errors import is_unreadable
from milters.keys.files import KeyFileError
from milters.keys.names import KeyNameError, parse_domain, parse_selector, record_name
from milters.keys.record import present
from milters.keys.state import (
    MAX_STATE_FILE,
    KeyLife,
    KeyState,
    KeyStateError,
    parse_states,
    print_states,
)
from msgauth.keys import SigningKey

SUFFIXES = (".pem", ".private")
STATE_FILE = "keys.toml"
RECORD_SUFFIX = ".txt"

MAX_ENTRIES = 100_000
"""Maximum entries of one folder: one with more is not a key folder."""


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A private key in the folder; `life` is None if the folder has no states."""

    domain: str
    selector: str
    path: Path
    life: KeyLife | None = None

    @property
    def state(self) -> KeyState:
        """Its state; a key without a state is active."""
        return KeyState.ACTIVE if self.life is None else self.life.state

    @property
    def was_activated(self) -> bool:
        """Return whether every name server had its record before it became active."""
        return self.life is not None and KeyState.PUBLISHED in self.life.since


@dataclass(frozen=True, slots=True)
class FolderProblem:
    """An unused file or folder; `domain` is empty if it does not concern a single domain.

    `is_serious` says that a key which should sign cannot, `is_unreadable` that there may be a key
    that this user cannot read.
    """

    domain: str
    text: str
    is_serious: bool = False
    is_unreadable: bool = False


@dataclass(frozen=True, slots=True)
class FolderContents:
    """The contents of a key folder, in the order of names."""

    keys: tuple[KeyFile, ...]
    problems: tuple[FolderProblem, ...]


class KeyFolder:
    """One key folder; every method reads the disk again."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def scan(self) -> FolderContents:
        """List every key in the folder; raises `KeyFileError` if the folder cannot be read.

        An unusable file is a problem of its domain and does not affect the others.
        """
        keys: dict[tuple[str, str], KeyFile] = {}
        problems: list[FolderProblem] = []
        for entry in _entries(self.path):
            try:
                if entry.suffix in SUFFIXES:
                    found = [_flat(entry)]
                elif files.is_folder(entry):
                    found = self._list_domain(entry, problems)
                else:
                    continue
            except (KeyFileError, KeyNameError, KeyStateError) as error:
                is_serious = entry.suffix not in SUFFIXES
                problems.append(
                    FolderProblem(_domain_of(entry), str(error), is_serious, is_unreadable(error))
                )
                continue
            for key in found:
                before = keys.setdefault((key.domain, key.selector), key)
                if before is not key:
                    problems.append(
                        FolderProblem(key.domain, f"{key.path}: not used, {before.path} is its key")
                    )
        return FolderContents(tuple(keys.values()), tuple(problems))

    def _list_domain(self, folder: Path, problems: list[FolderProblem]) -> list[KeyFile]:
        try:
            domain = parse_domain(folder.name)
        except KeyNameError as error:
            raise KeyFileError(f"{folder}: {error}") from error
        names = [entry for entry in _entries(folder) if entry.suffix in SUFFIXES]
        states = self.states(domain) if names or (folder / STATE_FILE).exists() else None
        found: list[KeyFile] = []
        for path in names:
            try:
                selector = parse_selector(path.stem)
                record_name(domain, selector)
            except KeyNameError as error:
                problems.append(FolderProblem(domain, escape(f"{path}: {error}")))
                continue
            life = None if states is None else states.get(selector)
            if states is not None and life is None:
                life = KeyLife(KeyState.NEW)  # copying a file is not a decision to sign with it
            found.append(KeyFile(domain, selector, path, life))
        have = {key.selector for key in found}
        problems.extend(
            FolderProblem(
                domain, f"{folder}: {selector} is active but its key file is missing", True
            )
            for selector, life in (states or {}).items()
            if life.state is KeyState.ACTIVE and selector not in have
        )
        return found

    def states(self, domain: str) -> dict[str, KeyLife] | None:
        """Return the states of a domain; None without a state file. Raises `KeyFileError`."""
        path = self.path / domain / STATE_FILE
        text = files.read_text(path, MAX_STATE_FILE)
        if text is None:
            return None
        try:
            return parse_states(text)
        except KeyStateError as error:
            raise KeyFileError(f"{path}: {error}") from error

    def create(self, group: int | None = None) -> None:
        """Create the folder itself if missing; raises `KeyFileError`.

        `group` is the id of the group that may read the keys.
        """
        with files.naming(self.path):
            if self.path.is_dir():
                return
            with OpenFolder.make(self.path.parent) as above:
                files.add_folder(above, self.path.name, group).close()

    def taken_selectors(self, domain: str) -> frozenset[str]:
        """Return every selector that a key of the domain has or had; raises `KeyFileError`."""
        listed = {key.selector for key in self.of_domain(domain).keys}
        return frozenset(listed | set(self.states(domain) or ()))

    def of_domain(self, domain: str) -> FolderContents:
        """Return the part of `scan` for `domain`."""
        listing = self.scan()
        return FolderContents(
            tuple(key for key in listing.keys if key.domain == domain),
            tuple(problem for problem in listing.problems if problem.domain == domain),
        )

    def add(
        self, domain: str, keys: Mapping[str, bytes], state: KeyState, now: datetime
    ) -> list[KeyFile]:
        """Store new private keys (PEM by selector) of a domain; never overwrites.

        Raises `KeyFileError`; then none of them is stored.
        """
        records = {
            selector: present(
                record_name(domain, selector), SigningKey.parse(pem).public_record(), "bind"
            )
            for selector, pem in keys.items()
        }
        path = self.path / domain
        with (
            files.open_to_change(self.path) as above,
            files.enter_folder(above, domain) as folder,
        ):
            before = self._states_to_change(domain)
            for selector in keys:
                names = [f"{selector}{suffix}" for suffix in (*SUFFIXES, RECORD_SUFFIX)]
                if selector in before or any(map(folder.find, names)):
                    raise KeyFileError(f"{domain} already has a key {selector}")
            added = {selector: KeyLife.begin(state, now) for selector in keys}
            # the states first: a key file without them would count as active
            _write_states(folder, {**before, **added})
            written: list[str] = []
            try:
                for selector, pem in keys.items():
                    name = f"{selector}.pem"
                    files.create_file(folder, name, pem, files.key_mode(folder))
                    written.append(name)
                    name = f"{selector}{RECORD_SUFFIX}"
                    files.create_file(folder, name, f"{records[selector]}\n".encode(), 0o644)
                    written.append(name)
            except KeyFileError:
                for name in written:
                    files.remove_file(folder, name)
                _write_states(folder, before)
                raise
        return [
            KeyFile(domain, selector, path / f"{selector}.pem", life)
            for selector, life in added.items()
        ]

    def enter(
        self,
        domain: str,
        selectors: Mapping[str, KeyState],
        now: datetime,
        *,
        was_seen: bool = False,
        also: Mapping[str, KeyState] = MappingProxyType({}),
    ) -> None:
        """Change the states of keys of a domain, all of `selectors` and `also` or none.

        `was_seen`: every name server has the records of `selectors`. Raises `KeyFileError` and
        `KeyStateError`.
        """
        with files.open_to_change(self.path):
            states = self._states_to_change(domain)
            for selector, state in {**selectors, **also}.items():
                if selector not in states:
                    raise KeyFileError(f"{domain} has no key {selector} in {self.path / domain}")
                life = states[selector]
                try:
                    if was_seen and selector in selectors:
                        life = life.mark_seen(now)
                    states[selector] = life.enter(state, now)
                except KeyStateError as error:
                    raise KeyStateError(f"{selector} of {domain}: {error}") from error
            with self._open(domain) as folder:
                _write_states(folder, states)

    def discard(self, domain: str, selectors: Sequence[str]) -> None:
        """Remove keys that nobody can have used: they never signed and were never seen in DNS.

        All of them or none; raises `KeyFileError` and `KeyStateError`.
        """
        with files.open_to_change(self.path) as above:
            states = self._states_to_change(domain)
            for selector in selectors:
                if selector not in states:
                    raise KeyFileError(f"{domain} has no key {selector} in {self.path / domain}")
                life = states.pop(selector)
                if life.state is not KeyState.NEW or life.since.keys() != {KeyState.NEW}:
                    was = life.state if life.since else "copied here by hand"
                    raise KeyStateError(
                        f"{selector} of {domain} is {was}; discard only deletes keys created by "
                        "gatepost keys new that were never published or active"
                    )
            with self._open(domain) as folder:
                # the states first: without them a key file is new again, and does not sign
                _write_states(folder, states)
                for selector in selectors:
                    for suffix in (*SUFFIXES, RECORD_SUFFIX):
                        files.remove_file(folder, f"{selector}{suffix}")
                if not states:
                    files.remove_file(folder, STATE_FILE)
            if not states:
                with suppress(OSError):  # something else exists there
                    above.remove_folder(domain)

    def write_record(self, domain: str, selector: str, text: str) -> None:
        """Replace the record file beside a key, for people; raises `KeyFileError`."""
        record = present(record_name(domain, selector), text, "bind")
        with self._open(domain) as folder:
            files.replace_file(folder, f"{selector}{RECORD_SUFFIX}", f"{record}\n", 0o644)

    def _open(self, domain: str) -> OpenFolder:
        with files.naming(self.path / domain):
            return OpenFolder.open(self.path / domain)

    def _states_to_change(self, domain: str) -> dict[str, KeyLife]:
        """Return the states of all key files; a key older than the state file is active."""
        states = self.states(domain)
        unknown = KeyState.ACTIVE if states is None else KeyState.NEW
        known = dict(states or {})
        for path in _entries(self.path / domain) if (self.path / domain).is_dir() else ():
            if path.suffix in SUFFIXES:
                try:
                    known.setdefault(parse_selector(path.stem), KeyLife(unknown))
                except KeyNameError:
                    continue
        return known


def _write_states(folder: OpenFolder, states: Mapping[str, KeyLife]) -> None:
    files.replace_file(folder, STATE_FILE, print_states(states), 0o644)


def _entries(folder: Path) -> list[Path]:
    try:
        with OpenFolder.open(folder) as opened:
            names = list(islice(opened.names(), MAX_ENTRIES + 1))
    except OSError as error:
        raise KeyFileError(f"{folder}: cannot be read: {error.strerror}") from error
    if len(names) > MAX_ENTRIES:
        raise KeyFileError(f"{folder}: more than {MAX_ENTRIES} entries")
    return [folder / name for name in sorted(names) if not name.startswith(".")]


def _flat(path: Path) -> KeyFile:
    """Read a key whose file name has domain and selector: the selector is the last label."""
    domain, _, selector = path.stem.rpartition(".")
    try:
        name = parse_domain(domain), parse_selector(selector)
        record_name(*name)
    except KeyNameError:
        raise KeyFileError(
            f"{path}: not a name of a key: use DOMAIN.SELECTOR{path.suffix}, or "
            f"SELECTOR{path.suffix} in a folder named after the domain"
        ) from None
    return KeyFile(*name, path)


def _domain_of(entry: Path) -> str:
    """Guess the domain that a file or folder belongs to; empty if impossible."""
    name = entry.stem.rpartition(".")[0] if entry.suffix in SUFFIXES else entry.name
    try:
        return parse_domain(name)
    except KeyNameError:
        return ""
