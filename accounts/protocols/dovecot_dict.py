"""Dovecot's dict protocol, the server side, for look-ups and iteration.

The first octet of a line is the command; its fields are separated by tabs. Versions 2 (Dovecot
2.2), 3 (2.3) and 4 (2.4) are supported: since 3 each request names its user, before that the
greeting does. The dictionary is read-only: a transaction is read to its end and then fails. A
failing look-up is ``F`` and never ``N``: Sieve would read "not found" as "no rules", and deliver
mail as if there were none.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag
from typing import Final, TypeAlias

from accounts.protocols.lines import LineReader
from accounts.protocols.table import MAX_KEY, reason_text
from accounts.protocols.tabs import escape, fields
from gatepost.conversation import Answered, StreamError

VERSIONS: Final = range(2, 5)
"""The major versions of the protocol that are supported."""
MAX_LINE: Final = 64 * 1024
"""Octets of a line: Dovecot's own bound (DICT_CLIENT_MAX_LINE_LENGTH)."""
MAX_VALUE: Final = 16 * 1024 * 1024
"""Octets of a value: a Sieve script is at most 1 MB by default (sieve_max_script_size)."""
MAX_ROWS: Final = 10_000
"""Rows of one iteration."""

_USER_IN_REQUESTS: Final = 3
_IGNORED: Final = frozenset(b"BSUATRV")  # the parts of a transaction, and a switch of logging
_READ_ONLY: Final = "this dictionary is read-only"


class Iterate(IntFlag):
    """Flags of an iteration, in the numbers of the protocol; others are ignored."""

    RECURSE = 0x01
    """Include keys that are more than one ``/`` below the path."""
    SORT_BY_KEY = 0x02
    SORT_BY_VALUE = 0x04
    NO_VALUE = 0x08
    """Return only the keys."""
    EXACT_KEY = 0x10
    """The path is itself a key."""


@dataclass(frozen=True, slots=True)
class DictLookup:
    """A question for the value of a key such as ``priv/sieve/name/active``."""

    dictionary: str
    user: str
    """The owner of ``priv/``; empty if Dovecot named none."""
    key: str


@dataclass(frozen=True, slots=True)
class DictIterate:
    """A question for the keys that begin with one of these paths."""

    dictionary: str
    user: str
    paths: tuple[str, ...]
    flags: Iterate
    max_rows: int
    """0: all."""


@dataclass(frozen=True, slots=True)
class DictValue:
    """The answer to a look-up."""

    value: str


@dataclass(frozen=True, slots=True)
class Missing:
    """Nothing is stored under this key."""


@dataclass(frozen=True, slots=True)
class DictRows:
    """The answer to an iteration: keys and values."""

    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Failed:
    """The request failed for now; Dovecot logs the reason and defers the message."""

    reason: str


DictRequest: TypeAlias = DictLookup | DictIterate
DictReply: TypeAlias = DictValue | Missing | DictRows | Failed


class DictConnection(LineReader[DictRequest | Answered]):
    """One connection of Dovecot."""

    __slots__ = ("_dictionary", "_lines", "_user", "_version")

    greeting = b""

    def __init__(self) -> None:
        super().__init__(MAX_LINE)
        self._version = 0  # no HELLO has been read yet
        self._user = ""
        self._dictionary = ""

    def _read(self, line: bytes) -> DictRequest | Answered | None:
        command, words = line[:1], fields(line[1:])
        if not self._version:
            self._hello(command, words)
            return None
        if command == b"L":
            return self._lookup(words)
        if command == b"I":
            return self._iterate(words)
        if command == b"C":
            return Answered(_failed(_transaction(words[0]), _READ_ONLY), _READ_ONLY)
        if command == b"D":
            return Answered(b"A" + _failed(_transaction(words[0]), _READ_ONLY), _READ_ONLY)
        if command and command[0] in _IGNORED:
            return None
        raise StreamError("unknown command of the dict protocol")

    def _hello(self, command: bytes, words: list[bytes]) -> None:
        if command != b"H" or len(words) < 5:
            raise StreamError("the first line is not a greeting of the dict protocol")
        version = words[0]
        if not (version.isdigit() and len(version) < 4 and int(version) in VERSIONS):
            raise StreamError("another version of the dict protocol")
        user, dictionary = _text(words[3]), _text(words[4])
        if user is None or dictionary is None:
            raise StreamError("a name in the greeting of the dict protocol is not text")
        self._version, self._user, self._dictionary = int(version), user, dictionary

    def _split_user(self, words: list[bytes]) -> tuple[list[bytes], str | None]:
        """Return the fields of a request without the user, and the user."""
        if self._version < _USER_IN_REQUESTS:
            return words, self._user
        return words[:-1], _text(words[-1])

    def _lookup(self, words: list[bytes]) -> DictRequest | Answered:
        words, user = self._split_user(words)
        if len(words) != 1:
            raise StreamError("a look-up without a key")
        key = _text(words[0])
        if key is None or user is None:
            return Answered(b"N\n", "a key or a user is not text")
        return DictLookup(self._dictionary, user, key)

    def _iterate(self, words: list[bytes]) -> DictRequest | Answered:
        words, user = self._split_user(words)
        if len(words) < 3:
            raise StreamError("an iteration without a path")
        paths = tuple(path for path in map(_text, words[2:]) if path is not None)
        if len(paths) != len(words) - 2 or user is None:
            return Answered(b"\n", "a path or a user is not text")
        flags = Iterate(_number(words[0]) & sum(Iterate))
        return DictIterate(self._dictionary, user, paths, flags, _number(words[1]))

    def encode(self, event: DictRequest, reply: DictReply) -> bytes:
        """Return the lines of an answer."""
        if isinstance(reply, Failed):
            return _failed(b"", reply.reason)
        if isinstance(event, DictIterate):
            return _rows(event, reply) if isinstance(reply, DictRows) else _failed(b"", "no rows")
        if isinstance(reply, Missing):
            return b"N\n"
        if not isinstance(reply, DictValue):
            return _failed(b"", "no value")
        value = escape(reply.value)
        if len(value) > MAX_VALUE:
            return _failed(b"", "the value is too large")
        return b"O%b\n" % value

    def failure(self, event: DictRequest, *, expired: bool) -> bytes:  # noqa: ARG002
        """Return the line for a request that could not be answered."""
        return _failed(b"", "no answer in time" if expired else "internal error")


def _rows(event: DictIterate, reply: DictRows) -> bytes:
    rows = reply.rows[: event.max_rows] if event.max_rows else reply.rows
    if len(rows) > MAX_ROWS:
        return _failed(b"", "too many rows")
    keys_only = Iterate.NO_VALUE in event.flags
    lines = [
        b"O%b\t%b\n" % (escape(key), b"" if keys_only else escape(value)) for key, value in rows
    ]
    if sum(map(len, lines)) > MAX_VALUE:
        return _failed(b"", "the rows are too large")
    return b"".join(lines) + b"\n"


def _failed(before: bytes, reason: str) -> bytes:
    tab = b"\t" if before else b""
    return b"F%b%b%b\n" % (before, tab, escape(reason_text(reason)))


def _transaction(field: bytes) -> bytes:
    """Return the number of a transaction, as an answer repeats it."""
    return field if field.isdigit() and len(field) <= 20 else b"0"


def _text(field: bytes) -> str | None:
    """Return a name as text; None if it cannot be a key."""
    if len(field) > MAX_KEY or b"\0" in field:
        return None
    try:
        return field.decode()
    except UnicodeDecodeError:
        return None


def _number(field: bytes) -> int:
    if not (field.isdigit() and len(field) <= 19):
        raise StreamError("an iteration without its numbers")
    return int(field)
