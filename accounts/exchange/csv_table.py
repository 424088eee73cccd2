"""Table of mailboxes and aliases as comma-separated values (RFC 4180), as spreadsheets write it.

The first line names the columns. A line with `targets` is an alias, each other one a mailbox.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from accounts.exchange.document import AliasEntry, Document, DocumentPart, MailboxEntry, problems
from accounts.exchange.hashes import plain_text, take_hash
from accounts.exchange.notes import Note, Reading, SourceError, SourcePlace
from accounts.exchange.sizes import parse_size

_MAILBOX: Final = ("display_name", "password", "quota", "forwards", "keep_copy")
_ALIAS: Final = ("targets", "description", "members_may_send")
COLUMNS: Final = ("address", *_MAILBOX, *_ALIAS, "enabled")
"""The columns, in any order; `address` is required."""
LONGEST_LINE: Final = 20_000
"""Characters of a line."""

_FLAGS: Final = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}

CheckClear = Callable[[str, str], str | None]
"""Function of an address and its new password in clear text, which returns what is wrong."""

_P = TypeVar("_P", bound=DocumentPart)


@dataclass(frozen=True, slots=True)
class CsvTable:
    """A table that was read: what it says, what is left out, and the line of each address."""

    reading: Reading
    lines: dict[str, int]


class _LineError(ValueError):
    """A line cannot be taken; the message has no secret."""


def read(file: str, data: bytes) -> Reading:
    """Return the accounts of a table; raises `SourceError`."""
    return read_table(file, data).reading


def read_table(
    file: str, data: bytes, *, most: int | None = None, check: CheckClear | None = None
) -> CsvTable:
    """Return a table of at most `most` lines; raises `SourceError`.

    Lines that cannot be taken are notes. `check` is asked about passwords in clear text.
    """
    rows = _rows(file, data)
    columns = _columns(file, next(rows, (1, []))[1])
    mailboxes: list[MailboxEntry] = []
    aliases: list[AliasEntry] = []
    notes: list[Note] = []
    lines: dict[str, int] = {}
    for count, (line, cells) in enumerate(rows):
        if most is not None and count >= most:
            raise SourceError(f"{file}: the table has more than {most} lines")
        try:
            entry = _entry(columns, cells, check)
            _insist_on_new(entry.address, lines)
        except _LineError as error:
            notes.append(Note("left out", str(error), SourcePlace(file, line)))
            continue
        lines[entry.address] = line
        if isinstance(entry, MailboxEntry):
            mailboxes.append(entry)
        else:
            aliases.append(entry)
    document = Document(mailboxes=tuple(mailboxes), aliases=tuple(aliases))
    return CsvTable(Reading(document, tuple(notes)), lines)


def _rows(file: str, data: bytes) -> Iterator[tuple[int, list[str]]]:
    """Yield the lines that are not empty, each with its number."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise SourceError(f"{file}: the table is not UTF-8") from None
    physical = text.splitlines()
    head = next((one for one in physical if one.strip()), "")
    # spreadsheets of some languages write semicolons
    separator = ";" if head.count(";") > head.count(",") else ","
    # a value never has a line break: a quote that is never closed must not take the rest
    for number, line in enumerate(physical, start=1):
        if not line.strip():
            continue
        if len(line) > LONGEST_LINE:
            raise SourceError(f"{file}:{number}: the line is longer than {LONGEST_LINE} characters")
        try:
            (cells,) = csv.reader([line], delimiter=separator, strict=True)
        except (csv.Error, ValueError):
            raise SourceError(f"{file}:{number}: the quotes of this line do not match") from None
        yield number, [cell.strip() for cell in cells]


def _columns(file: str, head: list[str]) -> list[str]:
    named = [one.lower().replace(" ", "_").replace("-", "_") for one in head]
    unknown = [one for one in named if one not in COLUMNS]
    if "address" not in named or unknown or len(set(named)) != len(named):
        raise SourceError(
            f"{file}: the first line has to name the columns, each once: {', '.join(COLUMNS)}; "
            "address is required"
        )
    return named


def _entry(
    columns: list[str], cells: list[str], check: CheckClear | None
) -> MailboxEntry | AliasEntry:
    if len(cells) > len(columns):
        raise _LineError("it has more values than there are columns")
    given = {name: cell for name, cell in zip(columns, cells, strict=False) if cell}
    is_alias = "targets" in given
    foreign = [name for name in (_MAILBOX if is_alias else _ALIAS) if name in given]
    if foreign:
        kind = "an alias" if is_alias else "a mailbox"
        raise _LineError(f"{kind} has no {', '.join(foreign)}")
    values: dict[str, Any] = {name: _value(name, text) for name, text in given.items()}
    if is_alias:
        return _made(AliasEntry, values)
    entry = _made(MailboxEntry, values)
    clear = plain_text(entry.password)
    if check is not None and clear is not None and (reason := check(entry.address, clear)):
        raise _LineError(reason)
    return entry


def _insist_on_new(address: str, lines: dict[str, int]) -> None:
    if (first := lines.get(address)) is not None:
        raise _LineError(f"{address} is in line {first} already")


def _value(name: str, text: str) -> Any:
    if name in ("forwards", "targets"):
        return tuple(text.replace(";", " ").replace(",", " ").split())
    if name in ("keep_copy", "enabled", "members_may_send"):
        if text.lower() not in _FLAGS:
            raise _LineError(f"{name} has to be yes or no")
        return _FLAGS[text.lower()]
    if name == "quota":
        try:
            return parse_size(text)
        except ValueError as error:
            raise _LineError(f"quota: {error}") from None
    if name == "password":
        if text[:1] not in ("{", "$"):
            return "{PLAIN}" + text
        taken = take_hash(text)
        if taken.hash is None:
            raise _LineError(taken.reason)
        return taken.hash
    return text


def _made(kind: type[_P], values: dict[str, Any]) -> _P:
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise _LineError("; ".join(problems(error))) from None
