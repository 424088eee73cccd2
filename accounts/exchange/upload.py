"""Import of a table in two steps: what would be done, and then exactly that."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass

from accounts.directory import domains
from accounts.exchange.apply import ImportOutcome, import_document
from accounts.exchange.csv_table import CsvTable
from accounts.exchange.plan_text import plan_lines
from accounts.exchange.planned import PlannedChange
from accounts.store import schema
from accounts.store.errors import Conflict, Invalid, NoSuchObject
from accounts.store.seal import SecretSeal
from accounts.store.transaction import Write

MOST_PRESENT = 20_000
"""Mailboxes and aliases in the domains of a table: the import reads them all."""


@dataclass(frozen=True, slots=True)
class ShownChange:
    """A change in words, with the line of the table. `action` is add, change or conflict."""

    line: int
    action: str
    kind: str
    name: str
    reason: str
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Preview:
    """The changes of an import, and a digest of them and of what is left out."""

    changes: tuple[ShownChange, ...]
    kept: int
    digest: str

    @property
    def refused(self) -> int:
        """The number of changes that cannot be made."""
        return sum(one.action == "conflict" for one in self.changes)


def carry_out(
    write: Write,
    table: CsvTable,
    seal: SecretSeal,
    hash_password: Callable[[str], str],
    expected: str | None = None,
) -> Preview:
    """Do what a table says, but for refused lines; existing mailboxes keep their passwords.

    `expected` is the digest of a preview; raises `Conflict` if the changes are others by now, and
    `Invalid` for domains that are too large. Use `Database.rehearse` for a preview.
    """
    with write.attempt("accounts.import", "table"):
        _check_size(write, table)
        outcome = import_document(
            write, table.reading.document, seal, hash_password, passwords="datastore", partly=True
        )
        made = _preview(table, outcome)
        if expected is not None and made.digest != expected:
            raise Conflict("The accounts have changed since the preview: look at the new one.")
        return made


def _check_size(write: Write, table: CsvTable) -> None:
    named = {address.rpartition("@")[2] for address in table.lines}
    present = 0
    for name in sorted(named):
        try:
            found = domains.get(write.connection, name)
        except NoSuchObject:
            continue  # each of its lines is refused
        for kind in (schema.mailbox, schema.alias):
            present += domains.count(write.connection, kind, found.id)
    if present > MOST_PRESENT:
        raise Invalid(
            "table",
            f"The domains have more than {MOST_PRESENT} mailboxes and aliases: use `gatepost "
            "accounts import csv`.",
        )


def _preview(table: CsvTable, outcome: ImportOutcome) -> Preview:
    changes = [_shown(table, one) for one in (*outcome.done, *outcome.refused)]
    changes.sort(key=lambda one: (one.line, one.kind, one.name))
    parts = [
        repr((one.action, one.kind, one.name, one.owner, one.differences, one.reason))
        for one in (*outcome.done, *outcome.refused)
    ]
    parts += [str(note) for note in table.reading.notes]
    octets = json.dumps([outcome.kept, *parts]).encode("utf-8", "surrogatepass")
    return Preview(tuple(changes), outcome.kept, hashlib.sha256(octets).hexdigest())


def _shown(table: CsvTable, one: PlannedChange) -> ShownChange:
    _, *lines, _ = plan_lines([one])
    fields = () if one.reason else tuple(line.strip() for line in lines)
    line = table.lines.get(one.name) or table.lines.get(one.owner) or 0
    return ShownChange(line, one.action, one.kind, one.name, one.reason, fields)
