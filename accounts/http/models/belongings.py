"""The things that belong to a mailbox: rights, app passwords, filters, preferences and so on."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from accounts.directory.app_passwords import PROTOCOLS
from accounts.http.models.base import UNSET, RequestModel, ResponseModel, TimeField
from accounts.sieve import MAX_RULES


class SenderRightAdd(RequestModel):
    """A right to send."""

    sender: str = Field(description="An address, or @ and a domain.")


class SenderRightOut(ResponseModel):
    """A right to send."""

    id: int
    mailbox: str
    sender: str


class AppPasswordAdd(RequestModel):
    """A new app password. The service draws it."""

    name: str = Field(description="The program that it is for.")
    protocols: list[str] = Field(
        default=UNSET,
        max_length=len(PROTOCOLS),
        description=f"Some of {', '.join(PROTOCOLS)}.",
    )
    expires: TimeField | None = Field(default=UNSET, description="It lets nobody in after it.")


class AppPasswordOut(ResponseModel):
    """An app password, without the password."""

    mailbox: str
    name: str
    protocols: list[str]
    expires: TimeField | None
    created: TimeField
    last_used: TimeField | None
    last_client: str | None = Field(description="The address that it was last used from.")


class AppPasswordNew(AppPasswordOut):
    """A new app password, with the password, which is never shown again."""

    password: str


class RuleAdd(RequestModel):
    """A new filter, behind the others."""

    name: str
    rule: dict[str, Any] = Field(
        description="match, conditions and actions, as docs/rules.md has them."
    )
    enabled: bool = UNSET


class RuleChange(RequestModel):
    """The fields of a filter that can be changed."""

    name: str = UNSET
    rule: dict[str, Any] = UNSET
    enabled: bool = UNSET


class RuleOrder(RequestModel):
    """The filters in their new order."""

    names: list[str] = Field(
        max_length=MAX_RULES, description="The name of each filter of the mailbox, once."
    )


class RuleOut(ResponseModel):
    """A filter."""

    mailbox: str
    name: str
    position: int
    enabled: bool
    rule: Any
    version: int


class PreferencesChange(RequestModel):
    """The preferences that are to change."""

    greylist: bool = Field(default=UNSET, description="Whether unknown senders have to try again.")
    spam_check: bool = Field(default=UNSET, description="Whether its mail is checked for spam.")
    spam_junk_score: float | None = Field(
        default=UNSET, description="From this score on mail goes to Junk."
    )
    spam_reject_score: float | None = Field(
        default=UNSET, description="From this score on mail is refused."
    )
    virus_check: bool = Field(default=UNSET, description="Whether its mail is checked for viruses.")


class PreferencesOut(ResponseModel):
    """Preferences. A score of null is that of the service."""

    greylist: bool
    spam_check: bool
    spam_junk_score: float | None
    spam_reject_score: float | None
    virus_check: bool
    version: int


class ListedSenderAdd(RequestModel):
    """A sender to allow past the spam filter, or to block."""

    kind: str = Field(description="allow or block.")
    pattern: str = Field(description="An address, or @ and a domain.")


class ListedSenderOut(ResponseModel):
    """A sender that is allowed past the spam filter, or blocked."""

    mailbox: str
    kind: str
    pattern: str


class RemoteAccountChange(RequestModel):
    """The fields of a remote account that can be changed."""

    port: int = Field(default=UNSET, description="The port; by default the usual one.")
    tls: str = Field(default=UNSET, description="implicit, or starttls.")
    folder: str = Field(default=UNSET, description="The folder there.")
    destination: str | None = Field(
        default=UNSET, description="The folder here; without one, the filters decide."
    )
    interval: int = Field(default=UNSET, description="The time between two looks, in seconds.")
    keep: bool = Field(default=UNSET, description="Whether mail stays there.")
    enabled: bool = Field(default=UNSET, description="Whether mail is fetched.")


class RemoteAccountAdd(RemoteAccountChange):
    """A new remote account."""

    protocol: str = Field(description="imap or pop3.")
    host: str
    login: str
    secret: str = Field(description="The password there.")


class RemoteSecret(RequestModel):
    """Another password."""

    secret: str = Field(description="The password there.")


class RemoteAccountOut(ResponseModel):
    """A remote account, without its password."""

    id: int
    mailbox: str
    protocol: str
    host: str
    port: int
    tls: str
    login: str
    folder: str
    destination: str | None
    interval: int
    keep: bool
    enabled: bool
    version: int
    created: TimeField
    changed: TimeField
