"""The principals of requests: administrators, owners of mailboxes, and programs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

AREAS = (
    "domains",
    "mailboxes",
    "aliases",
    "sender-rights",
    "app-passwords",
    "rules",
    "preferences",
    "listed-senders",
    "dkim-keys",
    "remote-accounts",
    "administrators",
    "tokens",
    "audit",
    "me",
)
"""The kinds of objects that a scope opens: ``AREA:read``, or ``AREA:write``, which also reads."""
ALL = "all"
"""The area that stands for all others, in ``all:read`` and ``all:write``."""
SCOPES = tuple(f"{area}:{verb}" for area in (*AREAS, ALL) for verb in ("read", "write"))
"""The scopes of the API."""
PROGRAM_SCOPES = ("logins:check", "snapshots:read")
"""Scopes for daemons, which are no part of the API."""


class Role(StrEnum):
    """The role of a principal."""

    GLOBAL = "global"
    DOMAINS = "domains"
    MAILBOX = "mailbox"


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody who was authenticated.

    `scopes` is None for a login with a password, which may do all that its role may. `domains` are
    those of an administrator of some, whose id is `administrator`. `mailbox` is the address of the
    role `mailbox`. `token` is the id of the token that was shown.
    """

    name: str
    role: Role
    domains: frozenset[str] = frozenset()
    administrator: int | None = None
    mailbox: str | None = None
    scopes: frozenset[str] | None = None
    token: int | None = None

    @property
    def key(self) -> str:
        """The name under which its requests are counted."""
        return self.name if self.token is None else f"token {self.token}"

    def has_scope(self, area: str, *, write: bool) -> bool:
        """Return whether it may read, or write, objects of an area."""
        if self.scopes is None:
            return True
        verbs = ("write",) if write else ("read", "write")
        return any(f"{one}:{verb}" in self.scopes for one in (area, ALL) for verb in verbs)

    def covers(self, scope: str) -> bool:
        """Return whether it may do all that a scope opens, so that it may give that away."""
        if scope in PROGRAM_SCOPES and self.role is not Role.GLOBAL:
            return False  # they are for the data of everybody
        if self.scopes is None or scope in self.scopes:
            return True
        area, _, verb = scope.partition(":")
        return scope in SCOPES and self.has_scope(area, write=verb == "write")
