"""Text of a plan: the diff that a dry run prints. It never has a secret."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from accounts.exchange.planned import Difference, PlannedChange, counts
from gatepost.printable import escape

LONGEST_VALUE = 120
"""Characters of a value; a rule can be long."""

_SIGNS = {"add": "+", "change": "~", "keep": "=", "conflict": "!"}


def plan_lines(changes: Sequence[PlannedChange], *, kept: bool = False) -> Iterator[str]:
    """Yield a line for each change and each field of it, and the counts at the end.

    `+` is added, `~` is changed, `!` is a conflict; `=` stays and is shown only if `kept` is true.
    """
    for change in changes:
        if change.action == "keep" and not kept:
            continue
        yield f"{_SIGNS[change.action]} {title(change)}"
        if change.reason:
            yield f"    {escape(change.reason)}"
        for one in change.differences:
            yield f"    {_difference(one, added=change.action == 'add')}"
    found = counts(changes)
    yield (
        f"{found['add']} to add, {found['change']} to change, {found['keep']} unchanged, "
        f"{found['conflict']} in conflict"
    )


def title(change: PlannedChange) -> str:
    """Return the object of a change in words."""
    text = f"{change.kind} {change.name}".strip()
    return escape(f"{text} of {change.owner}" if change.owner else text)


def _difference(one: Difference, *, added: bool) -> str:
    if one.is_secret:
        return f"{one.field} {'is set' if added else 'changes'}"
    if added:
        return f"{one.field}: {_value(one.after)}"
    return f"{one.field}: {_value(one.before)} -> {_value(one.after)}"


def _value(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, tuple):
        text = ", ".join(map(str, value)) or "none"
    elif isinstance(value, bool):
        text = "yes" if value else "no"
    else:
        text = str(value)
    text = escape(text)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}..."
