"""Models of administrators, tokens, the audit log, and the caller's own account."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from accounts.directory.administrators import MAX_DOMAINS
from accounts.directory.tokens import MAX_SCOPES
from accounts.http.models.base import (
    MAX_LIMIT,
    UNSET,
    HasPassword,
    NumberedPageQuery,
    PageQuery,
    RequestModel,
    ResponseModel,
    TimeField,
)


class AdministratorChange(RequestModel):
    """The fields of an administrator that can be changed."""

    role: str = Field(default=UNSET, description="global: all domains. domains: some domains.")
    domains: list[str] = Field(
        default=UNSET, max_length=MAX_DOMAINS, description="The domains that they manage."
    )
    enabled: bool = Field(default=UNSET, description="Whether they may log in.")


class AdministratorAdd(AdministratorChange):
    """A new administrator; by default of some domains."""

    login: str
    password: str = Field(default=UNSET, description="The first password, in clear text.")


class AdministratorOut(ResponseModel):
    """An administrator."""

    login: str
    role: str
    domains: list[str]
    has_password: HasPassword
    enabled: bool
    version: int
    created: TimeField
    changed: TimeField


class AdministratorQuery(PageQuery):
    """A search for administrators."""

    text: str = Field(default=UNSET, description="Text in the login.")


class LastQuery(RequestModel):
    """A change that may affect the last global administrator."""

    last: bool = Field(
        default=False, description="Allow it for the last enabled global administrator, too."
    )


class OwnTokenAdd(RequestModel):
    """A new token for the caller."""

    name: str = Field(description="The program that it is for.")
    scopes: list[str] = Field(
        max_length=MAX_SCOPES,
        description="Scopes such as domains:read; only those that the caller has.",
    )
    expires: TimeField | None = Field(default=UNSET, description="When it expires.")


class TokenAdd(OwnTokenAdd):
    """A new token for an administrator, a mailbox, or a program (if neither is given)."""

    administrator: str | None = UNSET
    mailbox: str | None = UNSET


class TokenOut(ResponseModel):
    """A token, without its text."""

    id: int
    name: str
    scopes: list[str]
    administrator: str | None
    mailbox: str | None
    expires: TimeField | None
    created: TimeField
    last_used: TimeField | None


class TokenNew(TokenOut):
    """A new token, with its text, which is never shown again."""

    token: str


class TokenQuery(NumberedPageQuery):
    """A search for tokens."""

    administrator: str = Field(default=UNSET, description="Only those of this administrator.")
    mailbox: str = Field(default=UNSET, description="Only those of this mailbox.")


class OwnAuditQuery(RequestModel):
    """A search in the audit log about the caller, the latest entries first."""

    before: int = Field(default=UNSET, ge=0, description="Entries before the one with this id.")
    since: int = Field(default=UNSET, ge=0, description="Entries from this time on.")
    limit: int = Field(default=100, ge=1, le=MAX_LIMIT)


class AuditQuery(OwnAuditQuery):
    """A search in the audit log, the latest entries first."""

    object: str = Field(default=UNSET, description="A domain, an address or a login.")
    actor: str = Field(default=UNSET, description="The login that did it.")


class AuditOut(ResponseModel):
    """An entry of the audit log."""

    id: int
    at: TimeField
    actor: str
    client: str | None
    action: str
    object: str
    details: dict[str, Any]


class MeOut(ResponseModel):
    """The caller."""

    name: str
    role: str = Field(description="global, domains or mailbox.")
    domains: list[str]
    mailbox: str | None
    scopes: list[str] | None = Field(description="The scopes of the token; null for a password.")


class OwnPassword(RequestModel):
    """Another password for the caller."""

    current_password: str
    password: str = Field(description="The new password, in clear text.")
