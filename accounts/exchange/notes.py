"""Notes about a source of accounts, and the result of reading one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from accounts.exchange.document import Document

NoteKind: TypeAlias = Literal["left out", "changed", "decide"]
"""`left out`: it is not in the document. `changed`: the document has it in another form than the
source. `decide`: it was imported unchanged, and an administrator should check it."""


class SourceError(ValueError):
    """A source cannot be read at all; the message is the one line that the administrator reads."""


@dataclass(frozen=True, slots=True)
class SourcePlace:
    """A line of a file, counted from 1; 0 if the source has no lines."""

    file: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Note:
    """One thing that differs between the source and the document. It never has a secret in it."""

    kind: NoteKind
    text: str
    place: SourcePlace

    def __str__(self) -> str:
        return f"{self.place}: {self.kind}: {self.text}"


@dataclass(frozen=True, slots=True)
class Script:
    """A Sieve script of a mailbox. The datastore has rules only: it is uploaded by hand."""

    mailbox: str
    name: str
    active: bool
    text: str


@dataclass(frozen=True, slots=True)
class Reading:
    """Everything that a reader found: the document, the notes, and the Sieve scripts."""

    document: Document
    notes: tuple[Note, ...]
    scripts: tuple[Script, ...] = ()
