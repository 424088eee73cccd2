"""Principals of requests: administrators, owners of mailboxes, and programs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from accounts.directory.owner import OwnerName

AREAS = (
    "domains",
    "mailboxes",
    "aliases",
    "sender-rights",
    "app-passwords",
    "second-factors",
    "rules",
    "preferences",
    "listed-senders",
    "dkim-keys",
    "remote-accounts",
    "administrators",
    "tokens",
    "audit",
    "trace",
    "quarantine",
    "overview",
    "greylist",
    "me",
)
"""The areas of scopes: ``AREA:read``, or ``AREA:write``, which includes reading."""
ALL = "all"
"""The area that stands for all others, in ``all:read`` and ``all:write``."""
SCOPES = tuple(f"{area}:{verb}" for area in (*AREAS, ALL) for verb in ("read", "write"))
"""The scopes of the API."""
PROGRAM_SCOPES = ("logins:check", "snapshots:read")
"""Scopes for daemons, which are not part of the API."""


class Role(StrEnum):
    """The role of a principal."""

    GLOBAL = "global"
    DOMAINS = "domains"
    MAILBOX = "mailbox"


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated principal.

    `scopes` is None for a login with a password, which has all permissions of its role. `domains`
    and the id `administrator` are set for an administrator of some domains. `mailbox` is the
    address for the role `mailbox`. `token` is the id of the token of the request, and `expires` the
    end of its validity in seconds since the epoch; None is never.
    """

    name: str
    role: Role
    domains: frozenset[str] = frozenset()
    administrator: int | None = None
    mailbox: str | None = None
    scopes: frozenset[str] | None = None
    token: int | None = None
    expires: int | None = None

    @property
    def is_unlimited(self) -> bool:
        """True for a global administrator, and for a token that has all rights of one for good."""
        return (
            self.role is Role.GLOBAL
            and self.expires is None
            and (self.scopes is None or f"{ALL}:write" in self.scopes)
        )

    @property
    def owner(self) -> str | None:
        """The mailbox or the administrator; None for the token of a program."""
        if self.mailbox is not None:
            return self.mailbox
        return None if self.administrator is None else self.name

    @property
    def login_owner(self) -> OwnerName:
        """The owner of its login, as `accounts.directory.owner` takes it."""
        if self.role is Role.MAILBOX:
            return {"mailbox": self.mailbox}
        return {"administrator": self.name}

    @property
    def key(self) -> str:
        """The key under which its requests are counted."""
        return self.name if self.token is None else f"token {self.token}"

    def has_scope(self, area: str, *, write: bool) -> bool:
        """Return whether it may read, or write, objects of an area."""
        if self.scopes is None:
            return True
        verbs = ("write",) if write else ("read", "write")
        return any(f"{one}:{verb}" in self.scopes for one in (area, ALL) for verb in verbs)

    def covers(self, scope: str) -> bool:
        """Return whether it has all permissions of a scope, so that it may grant it."""
        if scope in PROGRAM_SCOPES and self.role is not Role.GLOBAL:
            return False  # they are for the data of everybody
        if self.scopes is None or scope in self.scopes:
            return True
        area, _, verb = scope.partition(":")
        return scope in SCOPES and self.has_scope(area, write=verb == "write")
