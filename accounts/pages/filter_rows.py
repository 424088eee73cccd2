"""Rows of the filter builder, and the rules of `accounts.sieve` that they stand for.

A rule that was made elsewhere may say more than rows can. Then there are no rows, and the pages
leave it as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from accounts.sieve import parse_rule

FIELDS: Final = ("from", "to", "subject", "list-id", "larger", "smaller", "spam")
COMPARISONS: Final = ("contains", "is", "starts", "ends")
MAX_ROWS: Final = 20

_HEADERS: Final = {
    "from": ["From"],
    "to": ["To", "Cc"],
    "subject": ["Subject"],
    "list-id": ["List-Id"],
}


@dataclass(frozen=True, slots=True)
class FilterRow:
    """A condition. A size is in kB. `negate`: the condition is that it is not so."""

    field: str = "from"
    comparison: str = "contains"
    value: str = ""
    negate: bool = False

    @property
    def is_empty(self) -> bool:
        """Return whether nothing was typed."""
        return not self.value and self.field != "spam"


@dataclass(frozen=True, slots=True)
class FilterActions:
    """The actions of a filter; empty text is none."""

    folder: str = ""
    forward: str = ""
    reject: str = ""
    read: bool = False
    flag: bool = False
    discard: bool = False
    stop: bool = False


def to_rule(match: str, rows: list[FilterRow], actions: FilterActions) -> dict[str, Any]:
    """Return the rule of the API for rows and actions; the API checks it.

    Without a row, the rule has no condition, which the API refuses unless `match` is ``always``.
    """
    conditions = [] if match == "always" else [_condition(row) for row in rows if not row.is_empty]
    return {"match": match, "conditions": conditions, "actions": _actions(actions)}


def from_rule(rule: Any) -> tuple[str, list[FilterRow], FilterActions] | None:
    """Return the match, rows and actions of a rule; None if they would say something else."""
    try:
        rows = [_row(one) for one in rule["conditions"]]
        actions = _read_actions(rule["actions"])
        match = str(rule["match"])
        is_same = _meaning(to_rule(match, rows, actions)) == _meaning(rule)
    except (AttributeError, LookupError, StopIteration, TypeError, ValueError):
        return None
    return (match, rows, actions) if is_same else None


def _condition(row: FilterRow) -> dict[str, Any]:
    condition: dict[str, Any]
    if row.field == "spam":
        condition = {"kind": "spam"}
    elif row.field in ("larger", "smaller"):
        digits = row.value if row.value.isascii() and row.value.isdecimal() else ""
        octets: Any = int(digits) * 1000 if digits and len(digits) <= 9 else row.value
        compare = "over" if row.field == "larger" else "under"
        condition = {"kind": "size", "compare": compare, "octets": octets}
    else:
        condition = {
            "kind": "header",
            "names": _HEADERS[row.field],
            "match": row.comparison,
            "values": [row.value],
        }
    return condition | ({"negate": True} if row.negate else {})


def _row(condition: dict[str, Any]) -> FilterRow:
    negate = bool(condition.get("negate", False))
    if condition["kind"] == "spam":
        return FilterRow("spam", "is", "", negate)
    if condition["kind"] == "size":
        name = {"over": "larger", "under": "smaller"}[condition["compare"]]
        return FilterRow(name, "is", str(condition["octets"] // 1000), negate)
    names = list(condition["names"])
    name = next(key for key, value in _HEADERS.items() if value == names)
    (value,) = condition["values"]
    return FilterRow(name, condition["match"], value, negate)


def _actions(actions: FilterActions) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    if actions.read:
        made.append({"kind": "mark_read"})
    if actions.flag:
        made.append({"kind": "add_flags", "flags": ["\\Flagged"]})
    if actions.folder:
        made.append({"kind": "fileinto", "mailbox": actions.folder})
    if actions.forward:
        made.append({"kind": "redirect", "address": actions.forward})
    if actions.reject:
        made.append({"kind": "reject", "text": actions.reject})
    if actions.discard:
        made.append({"kind": "discard"})
    if actions.stop:
        made.append({"kind": "stop"})
    return made


def _read_actions(actions: list[dict[str, Any]]) -> FilterActions:
    by_kind = {action["kind"]: action for action in actions}
    return FilterActions(
        folder=by_kind.get("fileinto", {}).get("mailbox", ""),
        forward=by_kind.get("redirect", {}).get("address", ""),
        reject=by_kind.get("reject", {}).get("text", ""),
        read="mark_read" in by_kind,
        flag="add_flags" in by_kind,
        discard="discard" in by_kind,
        stop="stop" in by_kind,
    )


def _meaning(rule: Any) -> dict[str, Any]:
    """Return a rule with all defaults; raises `RuleError`."""
    return parse_rule({**rule, "name": "-"}).body()
