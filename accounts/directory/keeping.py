"""Records of mailboxes that are removed, written before their rows go."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Table, insert, select

from accounts.store import schema
from accounts.store.columns import OctetsColumn
from accounts.store.noted import clean
from accounts.store.transaction import Write

AT_ONCE = 500
"""Mailboxes that are recorded at once: a domain may have a million."""

BELONGINGS: tuple[Table, ...] = (
    schema.forward,
    schema.sender_right,
    schema.app_password,
    schema.sieve_rule,
    schema.preference,
    schema.listed_sender,
    schema.remote_account,
    schema.totp,
    schema.passkey,
    schema.recovery_code,
)
"""The tables whose rows a restore writes again. API tokens are gone for good."""

_BOX = schema.mailbox
_KEPT = schema.deleted_mailbox
_OWN = (
    *("display_name", "password", "quota", "enabled", "may_login", "may_send", "may_receive"),
    *("keep_copy", "store", "created", "password_changed", "last_login"),
)


def keep(write: Write, which: ColumnElement[bool]) -> int:
    """Record the mailboxes that meet a condition, and return their number."""
    count, last = 0, -1
    while True:
        statement = select(_BOX).where(which, _BOX.c.id > last).order_by(_BOX.c.id).limit(AT_ONCE)
        boxes = write.connection.execute(statement).mappings().all()
        if not boxes:
            return count
        last = boxes[-1]["id"]
        count += len(boxes)
        parts = dict(_belongings(write, [box["id"] for box in boxes]))
        write.connection.execute(
            insert(_KEPT),
            [
                {
                    "address": box["address"],
                    "domain_id": box["domain_id"],
                    "home": box["home"],
                    "store": box["store"],
                    "display_name": box["display_name"],
                    "removed": write.now,
                    "removed_by": clean(write.actor.name),
                    "belongings": {
                        "mailbox": _values(_BOX, {name: box[name] for name in _OWN}),
                        **parts[box["id"]],
                    },
                }
                for box in boxes
            ],
        )


def rows_of(belongings: Mapping[str, Any], table: Table) -> list[dict[str, Any]]:
    """Return the rows of a table as they are written.

    Columns that the table no longer has are left out; new ones get their defaults.
    """
    found = belongings.get(table.name) or []
    rows = found if isinstance(found, list) else [found]
    return [
        {
            name: base64.b64decode(value) if _is_binary(table, name) else value
            for name, value in row.items()
            if name in table.c
        }
        for row in rows
    ]


def _belongings(write: Write, ids: list[int]) -> Iterator[tuple[int, dict[str, Any]]]:
    found: dict[int, dict[str, list[Any]]] = {number: {} for number in ids}
    for table in BELONGINGS:
        statement = select(table).where(table.c.mailbox_id.in_(ids))
        ordered = statement.order_by(*table.primary_key)
        for row in write.connection.execute(ordered).mappings():
            values = {
                str(name): value for name, value in row.items() if name not in ("id", "mailbox_id")
            }
            of_box = found[row["mailbox_id"]].setdefault(table.name, [])
            of_box.append(_values(table, values))
    yield from found.items()


def _values(table: Table, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as JSON has them."""
    return {
        name: base64.b64encode(value).decode() if _is_binary(table, name) else value
        for name, value in values.items()
    }


def _is_binary(table: Table, column: str) -> bool:
    return isinstance(table.c[column].type, type(OctetsColumn))
