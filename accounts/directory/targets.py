"""Targets of aliases and mailboxes: ordered addresses."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Table, delete, insert, select

from accounts.address import fold_local_part
from accounts.store import schema
from accounts.store.transaction import Write


def fold(connection: Connection, targets: Sequence[str]) -> tuple[str, ...]:
    """Return targets, with addresses in our domains spelled like their names."""
    parted = [target.rpartition("@") for target in targets]
    asked = sorted({domain for _, _, domain in parted})
    statement = select(schema.domain.c.name).where(schema.domain.c.name.in_(asked))
    ours = set(connection.scalars(statement))
    folded = (
        f"{fold_local_part(local)}@{domain}" if domain in ours else f"{local}@{domain}"
        for local, _, domain in parted
    )
    return tuple(dict.fromkeys(folded))


def put(write: Write, table: Table, owner: str, row: int, targets: Sequence[str]) -> None:
    """Replace the targets of an alias or a mailbox; `owner` is the column with its id."""
    write.connection.execute(delete(table).where(table.c[owner] == row))
    if targets:
        write.connection.execute(
            insert(table),
            [
                {owner: row, "position": position, "target": target}
                for position, target in enumerate(targets)
            ],
        )


def of_rows(
    connection: Connection, table: Table, owner: str, rows: Sequence[int]
) -> dict[int, tuple[str, ...]]:
    """Return the targets of several aliases or mailboxes, by their ids."""
    if not rows:
        return {}
    column = table.c[owner]
    statement = select(column, table.c.target).where(column.in_(rows))
    found: dict[int, list[str]] = {}
    for row, target in connection.execute(statement.order_by(column, table.c.position)):
        found.setdefault(row, []).append(target)
    return {row: tuple(targets) for row, targets in found.items()}
