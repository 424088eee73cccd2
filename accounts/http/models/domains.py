"""Models of domains and their DKIM keys."""

from __future__ import annotations

from pydantic import Field

from accounts.http.models.base import (
    UNSET,
    OctetField,
    PageQuery,
    RequestModel,
    ResponseModel,
    TimeField,
)


class DomainChange(RequestModel):
    """The fields of a domain that can be changed."""

    description: str = Field(default=UNSET, description="Its purpose.")
    alias_of: str | None = Field(
        default=UNSET, description="The domain that this one is an alias of."
    )
    catch_all: str | None = Field(
        default=UNSET, description="The address that receives mail for unknown addresses."
    )
    enabled: bool = Field(default=UNSET, description="Whether it receives mail.")
    max_mailboxes: int | None = Field(default=UNSET, description="Maximum number of mailboxes.")
    max_aliases: int | None = Field(default=UNSET, description="Maximum number of aliases.")
    max_quota: OctetField | None = Field(default=UNSET, description="Largest quota of a mailbox.")
    default_quota: OctetField | None = Field(
        default=UNSET, description="Default quota of a mailbox."
    )
    transport: str | None = Field(
        default=UNSET, description="Postfix's transport, such as smtp:[mx.example.org]:25."
    )
    is_relay: bool = Field(default=UNSET, description="Whether its mailboxes are on another host.")
    disposable_aliases: int = Field(
        default=UNSET,
        description="Aliases with a random name that the owner of each mailbox may have.",
    )
    named_aliases: int = Field(
        default=UNSET,
        description="Aliases with a chosen name that the owner of each mailbox may have.",
    )
    named_alias_pattern: str | None = Field(
        default=UNSET,
        description="Pattern of the chosen names, such as {name}-*; {name} is the mailbox.",
    )


class DomainAdd(DomainChange):
    """A new domain."""

    name: str = Field(description="Its name, in any script.")


class DomainOut(ResponseModel):
    """A domain."""

    name: str = Field(description="Its name in A-labels.")
    description: str
    alias_of: str | None
    catch_all: str | None
    enabled: bool
    max_mailboxes: int | None
    max_aliases: int | None
    max_quota: OctetField | None
    default_quota: OctetField | None
    transport: str | None
    is_relay: bool
    disposable_aliases: int
    named_aliases: int
    named_alias_pattern: str | None
    version: int
    created: TimeField
    changed: TimeField


class DomainDetail(DomainOut):
    """A domain, and how many objects it has."""

    mailboxes: int
    aliases: int
    dkim_keys: int


class DomainQuery(PageQuery):
    """A search for domains."""

    text: str = Field(default=UNSET, description="Text in the name or the description.")


class DkimKeyAdd(RequestModel):
    """A new DKIM key. Without `private`, the service generates one, whose private part never leaves
    it."""

    selector: str
    algorithm: str | None = Field(default=UNSET, description="rsa, or ed25519.")
    private: str | None = Field(
        default=UNSET, description="The private part of an existing key, in PEM."
    )


class DkimKeyOut(ResponseModel):
    """A DKIM key, without its private part."""

    domain: str
    selector: str
    algorithm: str = Field(description="rsa or ed25519.")
    public_record: str = Field(description="The TXT record to publish.")
    record_name: str = Field(description="The name of that record.")
    state: str = Field(description="new, active or retired.")
    version: int
    created: TimeField
    activated: TimeField | None
    retired: TimeField | None


class DkimKeyQuery(RequestModel):
    """A search for DKIM keys."""

    state: str = Field(default=UNSET, description="new, active or retired.")
