"""Changes that an import plans: one for each object, with the fields that differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from accounts.exchange.document import DocumentPart

PlanAction: TypeAlias = Literal["add", "change", "keep", "conflict"]
ObjectKind: TypeAlias = Literal[
    "domain",
    "mailbox",
    "alias",
    "catch-all",
    "sender right",
    "app password",
    "rule",
    "order of rules",
    "preferences",
    "allowed sender",
    "blocked sender",
    "remote account",
    "domain preferences",
    "domain allowed sender",
    "domain blocked sender",
    "DKIM key",
    "administrator",
]


@dataclass(frozen=True, slots=True)
class Difference:
    """A field that changes. A secret has neither value."""

    field: str
    before: Any = None
    after: Any = None
    is_secret: bool = False


@dataclass(frozen=True, slots=True)
class PlannedChange:
    """One object: what is to be done with it, and why not if it is a conflict.

    `owner` is the mailbox or the domain of a part, such as an app password. `wanted` is the object
    of the document, for rights and listed senders the address.
    """

    action: PlanAction
    kind: ObjectKind
    name: str
    owner: str = ""
    differences: tuple[Difference, ...] = ()
    reason: str = ""
    wanted: DocumentPart | str | None = None


def counts(changes: Iterable[PlannedChange]) -> Mapping[PlanAction, int]:
    """Return how many changes there are of each action."""
    found: dict[PlanAction, int] = {"add": 0, "change": 0, "keep": 0, "conflict": 0}
    for change in changes:
        found[change.action] += 1
    return found
