"""Lists in pages: each page begins after the last key of the previous one."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, or_, select

from accounts.directory import fields
from accounts.store import schema

PAGE = 100
"""Default number of rows of a page."""
MAX_PAGE = 1000
"""Maximum number of rows of a page."""
MAX_SEARCH = 254
"""Maximum number of characters of a search text."""


def page(
    statement: Select[Any], key: ColumnElement[Any], after: str | int | None, limit: int
) -> Select[Any]:
    """Return the statement for one page, in the order of `key`."""
    fields.number("limit", limit, 1, MAX_PAGE)
    if after is not None:
        is_number = key.type.python_type is int
        checked = fields.number("after", after) if is_number else fields.text("after", after)
        statement = statement.where(key > checked)
    return statement.order_by(key).limit(limit)


def having(text: str | None, *columns: ColumnElement[str]) -> list[ColumnElement[bool]]:
    """Return the conditions for rows with the text in one of the columns, ignoring case."""
    if not text:
        return []
    sought = fields.text("text", text, MAX_SEARCH)
    return [or_(*(column.icontains(sought, autoescape=True) for column in columns))]


def within(administrator: int | None, domain_id: ColumnElement[int]) -> list[ColumnElement[bool]]:
    """Return the conditions for rows in the domains of an administrator; None for all rows.

    `administrator` is the id of an administrator with the role ``domains``.
    """
    if administrator is None:
        return []
    table = schema.administrator_domain
    owned = select(table.c.domain_id).where(table.c.administrator_id == administrator)
    return [domain_id.in_(owned)]
