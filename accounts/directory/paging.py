"""Lists in pages: each page begins behind the last key of the one before."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, or_, select

from accounts.directory import fields
from accounts.store import schema

PAGE = 100
"""Rows of a page, unless another number is asked for."""
MAX_PAGE = 1000
"""Rows of a page at most."""
MAX_SEARCH = 254
"""Characters of a text that is looked for."""


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
    """Return the conditions for rows that have the text, in any case, in one of the columns."""
    if not text:
        return []
    sought = fields.text("text", text, MAX_SEARCH)
    return [or_(*(column.icontains(sought, autoescape=True) for column in columns))]


def within(administrator: int | None, domain_id: ColumnElement[int]) -> list[ColumnElement[bool]]:
    """Return the conditions for rows of the domains that an administrator has; None for all rows.

    `administrator` is the id of one of some domains.
    """
    if administrator is None:
        return []
    table = schema.administrator_domain
    owned = select(table.c.domain_id).where(table.c.administrator_id == administrator)
    return [domain_id.in_(owned)]
