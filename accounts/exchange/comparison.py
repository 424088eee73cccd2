"""Comparison of an object of a document with the one in the datastore, field by field."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Set
from typing import Any, Literal, TypeAlias

from accounts.address import fold_local_part
from accounts.exchange.document import DocumentPart, Secret, set_fields
from accounts.exchange.hashes import plain_text
from accounts.exchange.planned import Difference, ObjectKind, PlanAction, PlannedChange

Passwords: TypeAlias = Literal["source", "datastore"]
"""The side whose password counts if the object exists and has one."""

PlanCheck: TypeAlias = Callable[[str, str], bool]
"""Function that returns whether a stored password and one in clear text are the same."""

TIMES = frozenset(
    {"created", "changed", "password_changed", "last_login", "last_used", "last_client"}
    | {"activated", "retired"}
)
"""Fields that are imported when an object is added, and count as no difference afterwards."""

_SECRET = frozenset({"password", "secret", "private"})

FIXED = frozenset({"home"})
"""Fields that only a new object takes."""


class Comparison:
    """Comparison of objects. `ours` are the domains that exist after the import."""

    def __init__(self, ours: Set[str], passwords: Passwords, check: PlanCheck) -> None:
        self._ours = ours
        self._passwords = passwords
        self._check = check

    def change(
        self,
        kind: ObjectKind,
        name: str,
        wanted: DocumentPart,
        present: DocumentPart | None,
        parts: frozenset[str] | set[str],
        owner: str = "",
    ) -> PlannedChange:
        """Return the change that makes `present` what is wanted; None is added.

        `parts` are fields that are changes of their own. The first field names the object.
        """
        fields = [one for one in set_fields(wanted) if one not in parts and one not in TIMES]
        if present is None:
            added = tuple(_shown(field, wanted) for field in fields[1:])
            return PlannedChange("add", kind, name, owner, added, wanted=wanted)
        differences = tuple(
            _difference(field, wanted, present)
            for field in fields
            if field not in FIXED
            and not self.is_same(field, getattr(wanted, field), getattr(present, field))
        )
        action: PlanAction = "change" if differences else "keep"
        return PlannedChange(action, kind, name, owner, differences, wanted=wanted)

    def is_same(self, field: str, wanted: Any, present: Any) -> bool:
        """Return whether a field has the value that is wanted."""
        if field == "password":
            return self._is_same_password(wanted, present)
        if isinstance(wanted, Secret):
            return is_empty(wanted) or wanted == present
        if field in ("targets", "forwards"):
            return self._folded(wanted) == self._folded(present)
        if field == "catch_all" and wanted is not None and present is not None:
            return self._folded((wanted,)) == self._folded((present,))
        if field == "domains":
            return sorted(wanted) == sorted(present)
        return bool(wanted == present)

    def _is_same_password(self, wanted: str | None, present: str | None) -> bool:
        if wanted == present or (present is not None and self._passwords == "datastore"):
            return True
        clear = plain_text(wanted)
        return clear is not None and present is not None and self._check(present, clear)

    def _folded(self, targets: Iterable[str]) -> tuple[str, ...]:
        """Return targets as the datastore spells them: those in our domains in lower case."""
        found: dict[str, None] = {}
        for target in targets:
            local, _, domain = target.rpartition("@")
            spelled = f"{fold_local_part(local)}@{domain}" if domain in self._ours else target
            found[spelled] = None
        return tuple(found)


def _shown(field: str, one: DocumentPart) -> Difference:
    if field in _SECRET:
        return Difference(field, is_secret=True)
    return Difference(field, None, getattr(one, field))


def _difference(field: str, wanted: DocumentPart, present: DocumentPart) -> Difference:
    if field in _SECRET:
        return Difference(field, is_secret=True)
    return Difference(field, getattr(present, field), getattr(wanted, field))


def is_empty(secret: Secret) -> bool:
    """Return whether the document lacks a secret."""
    return secret.clear is None and secret.sealed is None
