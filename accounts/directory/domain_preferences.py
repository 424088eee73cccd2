"""Preferences of a domain about spam: the defaults of its mailboxes."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TypedDict, Unpack

from sqlalchemy import Connection

from accounts.directory import domains, fields, preferences
from accounts.directory.changes import differences, expect, told
from accounts.store import schema
from accounts.store.transaction import Write

_TABLE = schema.domain_preference


@dataclass(frozen=True, slots=True)
class DomainPreferences:
    """Preferences. Each applies to the mailboxes that have none of their own; None, and no language
    and no rule, mean the default of the service; version 0 was never changed."""

    spam_junk_score: float | None = None
    languages: tuple[str, ...] = ()
    subject_tag: str | None = None
    rule_scores: dict[str, float] = field(default_factory=dict)
    version: int = 0


class DomainPreferenceFields(TypedDict, total=False):
    """The fields that `change` sets."""

    spam_junk_score: float | None
    languages: tuple[str, ...]
    subject_tag: str | None
    rule_scores: dict[str, float]


def get(connection: Connection, domain: str) -> DomainPreferences:
    """Return the preferences of a domain; raises `NoSuchObject`."""
    return _get(connection, domains.get(connection, domain).id)


def change(
    write: Write, domain: str, version: int | None, /, **values: Unpack[DomainPreferenceFields]
) -> DomainPreferences:
    """Change preferences."""
    with write.attempt("domain-preferences.change", domain):
        owner = domains.get(write.connection, domain)
        before = _get(write.connection, owner.id)
        expect(before.version, version)
        checked = differences(before, fields.checked(values, preferences.SHARED_CHECKS))
        if not checked:
            return before
        after = asdict(before) | checked | {"version": before.version + 1}
        preferences.store(write, _TABLE, {"domain_id": owner.id}, after)
        write.audit("domain-preferences.change", owner.name, **told(before, checked))
        return DomainPreferences(**after)


def _get(connection: Connection, domain: int) -> DomainPreferences:
    return DomainPreferences(**preferences.fetch(connection, _TABLE, "domain_id", domain))
