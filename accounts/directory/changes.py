"""Changes of rows by version, and their entries in the audit log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Table, update

from accounts.store.errors import Conflict
from accounts.store.transaction import Write

HIDDEN = frozenset({"password", "rule"})
"""Fields whose values are kept out of the audit log: secrets, and long or private values."""


def expect(found: int, version: int | None) -> None:
    """Raise `Conflict` unless the caller saw the current version, or named none."""
    if version is not None and version != found:
        raise Conflict(
            f"It was changed meanwhile: it has version {found}, and the change is made from "
            f"{version}."
        )


def differences(before: object, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that differ from those of the object."""
    return {field: value for field, value in values.items() if getattr(before, field) != value}


def told(before: object, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a change for the audit log: the values of each field before and after."""
    return {
        field: "changed" if field in HIDDEN else [_plain(getattr(before, field)), _plain(value)]
        for field, value in values.items()
    }


def change_row(
    write: Write, table: Table, row: int, values: Mapping[str, Any], *, is_dated: bool = True
) -> None:
    """Change a row and raise its version; `is_dated`: it records the time of the last change."""
    dated = {"changed": write.now} if is_dated else {}
    write.connection.execute(
        update(table)
        .where(table.c.id == row)
        .values(**values, **dated, version=table.c.version + 1)
    )


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
