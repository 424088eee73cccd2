"""Models of mailboxes and aliases."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import Field

from accounts.directory.fields import MAX_TARGETS
from accounts.http.models.base import (
    UNSET,
    HasPassword,
    NumberedPageQuery,
    OctetField,
    PageQuery,
    RequestModel,
    ResponseModel,
    TimeField,
)

HomeField: TypeAlias = Annotated[
    str, Field(description="The folder of its mail below the root of the mail store.")
]


class MailboxChange(RequestModel):
    """The fields of a mailbox that can be changed."""

    display_name: str = Field(default=UNSET, description="The name of the person.")
    quota: OctetField | None = Field(
        default=UNSET, description="Maximum size; without one there is no limit."
    )
    enabled: bool = Field(default=UNSET, description="Whether it is enabled.")
    may_login: bool = Field(
        default=UNSET, description="Whether logins with its password and app passwords are allowed."
    )
    may_send: bool = Field(default=UNSET, description="Whether it may send mail.")
    may_receive: bool = Field(default=UNSET, description="Whether it may receive mail.")
    forwards: list[str] = Field(
        default=UNSET,
        max_length=MAX_TARGETS,
        description="Addresses that its mail is forwarded to.",
    )
    keep_copy: bool = Field(default=UNSET, description="Whether forwarded mail is also kept.")
    store: str | None = Field(
        default=UNSET, description="The mail store of the mailbox, if there are several."
    )


class MailboxAdd(MailboxChange):
    """A new mailbox. Without a password nobody can log in to it."""

    address: str
    password: str = Field(default=UNSET, description="The first password, in clear text.")


class MailboxOut(ResponseModel):
    """A mailbox."""

    address: str
    domain: str
    display_name: str
    has_password: HasPassword
    quota: OctetField | None
    enabled: bool
    may_login: bool
    may_send: bool
    may_receive: bool
    forwards: list[str]
    keep_copy: bool
    store: str | None
    version: int
    created: TimeField
    changed: TimeField
    password_changed: TimeField | None
    last_login: TimeField | None
    home: HomeField


class UsageOut(ResponseModel):
    """The use of a mailbox. What it holds is null while its server does not answer."""

    address: str
    octets: OctetField | None
    messages: int | None
    quota: OctetField | None = Field(description="Its maximum size; null if there is no limit.")
    last_login: TimeField | None


class MailboxQuery(PageQuery):
    """A search for mailboxes."""

    domain: str = Field(default=UNSET, description="Only those of this domain.")
    text: str = Field(default=UNSET, description="Text in the address or the name.")


class MailboxRename(RequestModel):
    """Another address."""

    address: str = Field(description="The new address.")
    keep_alias: bool = Field(
        default=UNSET, description="Leave an alias from the old address to the new one."
    )


class DeletedMailboxOut(ResponseModel):
    """A mailbox that was removed, whose mail is still there."""

    number: int
    address: str
    display_name: str
    home: HomeField
    store: str | None
    octets: OctetField | None = Field(description="Size of the mail; null if it is not known.")
    removed: TimeField
    removed_by: str
    kept_until: TimeField
    is_due: bool = Field(description="Whether the mail goes as soon as possible.")
    is_claimed: bool = Field(
        description="Whether the removal of the mail has begun: it cannot be restored."
    )


class DeletedMailboxQuery(NumberedPageQuery):
    """A search for deleted mailboxes."""

    address: str = Field(default=UNSET, description="Only those of this address.")
    text: str = Field(default=UNSET, description="Text in the address or the name.")


class DeletedMailboxPick(RequestModel):
    """One of the deleted mailboxes of an address."""

    number: int | None = Field(
        default=UNSET, ge=0, description="Its number; by default the one that was removed last."
    )


class NewPassword(RequestModel):
    """A password that an administrator sets. null disables logins with the password of the
    mailbox."""

    password: str | None = Field(description="The password in clear text.")


class AliasChange(RequestModel):
    """The fields of an alias that can be changed."""

    targets: list[str] = Field(
        default=UNSET, max_length=MAX_TARGETS, description="Addresses that it leads to."
    )
    enabled: bool = Field(default=UNSET, description="Whether it is enabled.")
    expires: TimeField | None = Field(default=UNSET, description="When it expires.")
    members_may_send: bool = Field(
        default=UNSET, description="Whether its targets that are mailboxes may send as it."
    )
    description: str = Field(default=UNSET, description="Its purpose.")


class AliasPatch(AliasChange):
    """A change of an alias. `targets` replaces all targets, and excludes the other two."""

    add_targets: list[str] = Field(
        default=UNSET, max_length=MAX_TARGETS, description="Addresses to add to its targets."
    )
    remove_targets: list[str] = Field(
        default=UNSET, max_length=MAX_TARGETS, description="Addresses to remove from its targets."
    )


class AliasAdd(AliasChange):
    """A new alias."""

    address: str = Field(description="Its address; a * stands for any text.")
    targets: list[str] = Field(max_length=MAX_TARGETS, description="Addresses that it leads to.")


class AliasOut(ResponseModel):
    """An alias."""

    address: str
    domain: str
    is_wildcard: bool
    targets: list[str]
    enabled: bool
    expires: TimeField | None
    members_may_send: bool
    description: str
    personal: str | None = Field(
        description="named or disposable, if the owner of its only target made it."
    )
    is_locked: bool = Field(
        description="Whether an administrator has switched off an alias that an owner made."
    )
    version: int
    created: TimeField
    changed: TimeField


class AliasQuery(PageQuery):
    """A search for aliases."""

    domain: str = Field(default=UNSET, description="Only those of this domain.")
    text: str = Field(default=UNSET, description="Text in the address or the description.")
    target: str = Field(default=UNSET, description="Only those that lead directly to this address.")


class AliasRename(RequestModel):
    """Another address."""

    address: str = Field(description="The new address.")


class PersonalAliasChange(RequestModel):
    """The fields of an own alias that its owner can change."""

    enabled: bool = Field(default=UNSET, description="Whether it receives mail.")
    description: str = Field(default=UNSET, description="Its purpose.")
    expires: TimeField | None = Field(default=UNSET, description="When it expires.")


class PersonalAliasAdd(RequestModel):
    """A new alias of the owner of a mailbox, in the domain of the mailbox."""

    name: str | None = Field(
        default=None,
        description="The part before the @; without one, the alias is disposable, and its name is "
        "drawn.",
    )
    description: str = Field(default=UNSET, description="Its purpose.")
    expires: TimeField | None = Field(default=UNSET, description="When it expires.")


class PersonalAliasOut(ResponseModel):
    """An alias that the owner of a mailbox made."""

    mailbox: str
    address: str
    kind: str = Field(description="named or disposable.")
    enabled: bool
    is_locked: bool = Field(
        description="Whether an administrator has switched it off; its owner can neither switch it "
        "on nor remove it."
    )
    expires: TimeField | None
    description: str
    version: int
    created: TimeField
    changed: TimeField


class AliasAllowanceOut(ResponseModel):
    """The aliases that the owner of a mailbox may have, and has."""

    domain: str
    disposable: int
    disposable_most: int
    named: int
    named_most: int
    named_pattern: str | None = Field(
        description="Pattern of the names for this mailbox; null allows any."
    )
