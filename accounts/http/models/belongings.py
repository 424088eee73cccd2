"""Models of the belongings of a mailbox: rights, app passwords, filters, preferences and so on."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from accounts.directory.app_passwords import PROTOCOLS
from accounts.http.models.base import UNSET, RequestModel, ResponseModel, TimeField
from accounts.sieve import MAX_RULES as MAX_FILTERS
from gatepost.filter_preferences import LANGUAGES, MAX_RULES


class SenderRightAdd(RequestModel):
    """A right to send."""

    sender: str = Field(description="An address, or @ and a domain.")


class SenderRightOut(ResponseModel):
    """A right to send."""

    id: int
    mailbox: str
    sender: str


class AppPasswordAdd(RequestModel):
    """A new app password. The service generates it."""

    name: str = Field(description="The program that it is for.")
    protocols: list[str] = Field(
        default=UNSET,
        max_length=len(PROTOCOLS),
        description=f"Some of {', '.join(PROTOCOLS)}.",
    )
    expires: TimeField | None = Field(default=UNSET, description="When it expires.")


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
    """A new filter, after the others."""

    name: str
    rule: dict[str, Any] = Field(
        description="match, conditions and actions; docs/rules.md describes them."
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
        max_length=MAX_FILTERS, description="The name of each filter of the mailbox, once."
    )


class RuleOut(ResponseModel):
    """A filter."""

    mailbox: str
    name: str
    position: int
    enabled: bool
    rule: Any
    version: int


class DomainPreferencesChange(RequestModel):
    """The preferences of a domain to change: the defaults of its mailboxes."""

    spam_junk_score: float | None = Field(
        default=UNSET, description="Score from which mail goes to Junk."
    )
    languages: list[str] = Field(
        default=UNSET,
        max_length=len(LANGUAGES) + 1,
        description="Languages that mail may have, by their codes, such as en; all for any.",
    )
    subject_tag: str | None = Field(
        default=UNSET, description="Text to put before the subject of mail that goes to Junk."
    )
    rule_scores: dict[str, float] = Field(
        default=UNSET,
        max_length=MAX_RULES,
        description="Scores of rules of the spam filter; they replace all.",
    )


class PreferencesChange(DomainPreferencesChange):
    """The preferences to change."""

    greylist: bool = Field(
        default=UNSET, description="Whether mail from unknown senders is delayed by greylisting."
    )
    spam_check: bool = Field(default=UNSET, description="Whether its mail is checked for spam.")
    spam_reject_score: float | None = Field(
        default=UNSET, description="Score from which mail is refused."
    )
    virus_check: bool = Field(default=UNSET, description="Whether its mail is checked for viruses.")


class DomainPreferencesOut(ResponseModel):
    """Preferences of a domain; null, and no languages or rules, mean the default of the service."""

    spam_junk_score: float | None
    languages: list[str]
    subject_tag: str | None
    rule_scores: dict[str, float]
    version: int


class PreferencesOut(DomainPreferencesOut):
    """Preferences; null, no languages and rules without a score are as in the domain."""

    greylist: bool
    spam_check: bool
    spam_reject_score: float | None
    virus_check: bool


class ListedSenderAdd(RequestModel):
    """A sender to accept without the spam filter, or to block."""

    kind: str = Field(description="allow or block.")
    pattern: str = Field(description="An address, or @ and a domain.")


class DomainListedSenderOut(ResponseModel):
    """A sender that is accepted or blocked for all mailboxes of a domain."""

    domain: str
    kind: str
    pattern: str


class ListedSenderOut(ResponseModel):
    """A sender that is accepted without the spam filter, or blocked."""

    mailbox: str
    kind: str
    pattern: str


class RemoteAccountChange(RequestModel):
    """The fields of a remote account that can be changed."""

    port: int = Field(default=UNSET, description="The port; by default the usual one.")
    tls: str = Field(default=UNSET, description="implicit, or starttls.")
    folder: str = Field(default=UNSET, description="The remote folder.")
    destination: str | None = Field(
        default=UNSET, description="The local folder; without one, the filters decide."
    )
    interval: int = Field(default=UNSET, description="The time between two checks, in seconds.")
    keep: bool = Field(default=UNSET, description="Whether mail stays on the remote server.")
    enabled: bool = Field(default=UNSET, description="Whether mail is fetched.")


class RemoteAccountAdd(RemoteAccountChange):
    """A new remote account."""

    protocol: str = Field(description="imap or pop3.")
    host: str
    login: str
    secret: str = Field(description="The password of the remote account.")


class RemoteSecret(RequestModel):
    """Another password."""

    secret: str = Field(description="The password of the remote account.")


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
