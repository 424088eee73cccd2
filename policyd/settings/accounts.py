"""The sections `[policyd.accounts]`, `[policyd.ownership]` and `[policyd.compromised]`."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from gatepost.config import AT_START, Duration, WatchedPath
from gatepost.ownership import OwnerSettings
from gatepost.snapshots.settings import AccountsSource
from policyd.settings.base import CheckSection
from policyd.template import check_template

TEXT_FIELDS = frozenset({"user", "client", "sender", "recipient", "hostname"})
_FIELDS = "may use {user}, {client}, {sender}, {recipient} and {hostname}"


class AccountsForPolicyd(AccountsSource):
    """Data of `gatepost accounts` that the policy server works with."""

    senders: bool = Field(
        default=False,
        json_schema_extra=AT_START,
        description="Let logins use the senders that they may send as by accounts, beside those of "
        "the tables in `[policyd.ownership]`, which has to be `enabled`. Until accounts has sent "
        "them for the first time, the check has no result: see its `failure_mode`.",
    )
    greylist: bool = Field(
        default=False,
        json_schema_extra=AT_START,
        description="Do not delay mail for mailboxes whose preferences say so, nor what "
        "administrators have exempted, and let them search and forget records through accounts.",
    )

    @model_validator(mode="after")
    def _check_use(self) -> Self:
        if self.url is None and (self.senders or self.greylist):
            raise ValueError("senders and greylist need url")
        if self.url is not None and not (self.senders or self.greylist or self.journal):
            raise ValueError("url needs one of senders, greylist and journal")
        return self


class OwnershipSettings(OwnerSettings, CheckSection):
    """Whether a login may use the sender it uses (SASL user against MAIL FROM)."""

    enabled: bool = Field(default=False, description="Whether the check runs.")
    null_sender: bool = Field(
        default=True, description="A login may use the null sender, for example for receipts."
    )
    strangers: Literal["allow", "reject"] = Field(
        default="allow",
        description="`reject`: a client that has not logged in may not use a sender from the "
        "tables, nor one without a domain, which Postfix completes. This also refuses mail from "
        "your own users that comes back through a forwarder.",
    )
    text: str = Field(
        default="Sender address rejected: not owned by user {user}",
        description=f"Text after `553 5.7.1` for a client that has logged in; {_FIELDS}.",
    )
    strangers_text: str = Field(
        default="This sender needs a login",
        description=f"Text after `553 5.7.1` for a client that has not logged in; {_FIELDS}.",
    )

    @field_validator("text", "strangers_text")
    @classmethod
    def _check_text(cls, text: str) -> str:
        return check_template(text, TEXT_FIELDS)


class CompromisedSettings(CheckSection):
    """Signs that somebody else has a user's password. 0 turns a sign off."""

    max_networks: int = Field(
        default=0,
        ge=0,
        le=200,
        description="A login is used from more different networks (/24, /64) than this.",
    )
    max_countries: int = Field(
        default=0,
        ge=0,
        le=50,
        description="A login is used from more different countries than this; needs "
        "`countries_file`.",
    )
    countries_file: WatchedPath | None = Field(
        default=None,
        description="A file with one network and its country per line, such as `192.0.2.0/24 DE`.",
    )
    period: Duration = Field(
        default=86400.0, gt=0, description="The period in which networks and countries count."
    )
    bounces: int = Field(
        default=0,
        ge=0,
        description="More bounces than this came back to a sender within `bounce_period`, and",
    )
    bounce_rate: float = Field(
        default=0.2,
        gt=0,
        le=1,
        description="more than this fraction of the login's messages bounced.",
    )
    bounce_period: Duration = Field(
        default=86400.0, gt=0, description="The period in which bounces count."
    )
    bounces_at: Literal["RCPT", "DATA", "END-OF-MESSAGE"] = Field(
        default="RCPT",
        description="The protocol state at which bounces are counted; main.cf has to query the "
        "policy server there. At RCPT, every attempt counts as a bounce, and so does a "
        "server that only checks whether the sender exists (a callout). At DATA "
        "(smtpd_data_restrictions) and END-OF-MESSAGE, only real bounces count.",
    )
    action: Literal["note", "hold", "defer", "reject"] = Field(
        default="hold",
        description="What happens to mail from such a login; an alert is logged in any case.",
    )
    exempt_users: tuple[str, ...] = Field(
        default=(), description="Logins that are not watched, such as that of a webmail server."
    )
    text: str = Field(
        default="This account is being used in an unusual way, please contact your postmaster",
        description=f"Text after `450 4.7.1` or `554 5.7.1`; {_FIELDS}.",
    )

    @field_validator("text")
    @classmethod
    def _check_text(cls, text: str) -> str:
        return check_template(text, TEXT_FIELDS)

    @model_validator(mode="after")
    def _check_countries(self) -> CompromisedSettings:
        if self.max_countries and self.countries_file is None:
            raise ValueError("max_countries needs countries_file")
        return self
