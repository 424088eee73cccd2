"""Administrators, tokens, the audit log, and the account of the one who asks."""

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

    role: str = Field(default=UNSET, description="global: of everything. domains: of some domains.")
    domains: list[str] = Field(
        default=UNSET, max_length=MAX_DOMAINS, description="Domains of theirs."
    )
    enabled: bool = Field(default=UNSET, description="Whether they may log in.")


class AdministratorAdd(AdministratorChange):
    """A new administrator, of some domains unless another role is given."""

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
    """A change that may leave nobody to administer everything."""

    last: bool = Field(
        default=False, description="Also of the last global administrator who is enabled."
    )


class OwnTokenAdd(RequestModel):
    """A new token for oneself."""

    name: str = Field(description="The program that it is for.")
    scopes: list[str] = Field(
        max_length=MAX_SCOPES,
        description="As domains:read; none that the giver does not have.",
    )
    expires: TimeField | None = Field(default=UNSET, description="It is worth nothing after it.")


class TokenAdd(OwnTokenAdd):
    """A new token, of an administrator, of a mailbox, or of a program (neither is given)."""

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

    administrator: str = Field(default=UNSET, description="Those of an administrator.")
    mailbox: str = Field(default=UNSET, description="Those of a mailbox.")


class OwnAuditQuery(RequestModel):
    """The part of the audit log about oneself, the latest entries first."""

    before: int = Field(default=UNSET, ge=0, description="Entries before the one with this id.")
    since: int = Field(default=UNSET, ge=0, description="Entries from this time on.")
    limit: int = Field(default=100, ge=1, le=MAX_LIMIT)


class AuditQuery(OwnAuditQuery):
    """The part of the audit log, the latest entries first."""

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
    """The one who asks."""

    name: str
    role: str = Field(description="global, domains or mailbox.")
    domains: list[str]
    mailbox: str | None
    scopes: list[str] | None = Field(description="Those of the token; null for a password.")


class OwnPassword(RequestModel):
    """Another password for oneself."""

    current_password: str
    password: str = Field(description="The new password, in clear text.")
