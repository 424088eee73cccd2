"""The section `[policyd.limits]`."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator, model_validator

from gatepost.config import Duration, Section
from gatepost.config.types import parse_size
from policyd.settings.base import CheckSection
from policyd.template import check_template

TEXT_FIELDS = frozenset(
    {"rule", "key", "limit", "seconds", "user", "client", "sender", "recipient", "hostname"}
)
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,40}\Z")

Per = Literal["user", "client", "network", "sender", "sender_domain", "recipient"]
Counted = Literal["messages", "recipients", "distinct_recipients", "bytes"]
At = Literal["RCPT", "DATA", "END-OF-MESSAGE"]


class LimitSettings(Section):
    """One limit: so much of something, in a period, for each of something."""

    name: str = Field(
        description="A short word; the reason id of a refusal is `limit-` and the word."
    )
    per: Per = Field(
        description="What has the limit, each by itself: `user` (SASL login; clients without one "
        "are not limited), `client` (address), `network` (/24 or /64), `sender`, `sender_domain` "
        "or `recipient`."
    )
    count: Counted = Field(
        description="What is counted: `messages`, `recipients`, `distinct_recipients` (those that "
        "were not written to within the period) or `bytes`."
    )
    limit: int = Field(
        gt=0, description='How many in a period; for bytes also as "500M". Also the largest burst.'
    )
    period: Duration = Field(default=3600.0, gt=0, description="The period.")
    action: Literal["hold", "defer", "reject"] = Field(
        default="defer",
        description="What happens beyond the limit: `hold` puts the message into Postfix's hold "
        "queue, where it can be looked at and released; `defer` answers 450, `reject` 554.",
    )
    at: At | None = Field(
        default=None,
        description="The protocol state at which it is counted: main.cf has to ask there. "
        "By default RCPT (smtpd_recipient_restrictions), for bytes END-OF-MESSAGE "
        "(smtpd_end_of_data_restrictions).",
    )
    exempt: tuple[str, ...] = Field(
        default=(), description="Those without a limit: logins, addresses, domains as `per` says."
    )
    overrides: dict[str, int] = Field(
        default_factory=dict, description="Other limits for some of them."
    )

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        if not _NAME.match(name):
            raise ValueError(f"{name!r}: small letters, digits and hyphens")
        return name

    @field_validator("limit", mode="before")
    @classmethod
    def _read_limit(cls, value: object) -> int:
        return parse_size(value)

    @model_validator(mode="after")
    def _check_state(self) -> LimitSettings:
        if self.count == "bytes" and self.at not in (None, "END-OF-MESSAGE"):
            raise ValueError("bytes are only known at END-OF-MESSAGE")
        if self.count == "distinct_recipients" and self.at not in (None, "RCPT"):
            raise ValueError("distinct recipients are only known at RCPT")
        if self.per == "recipient" and self.at not in (None, "RCPT") and self.count != "bytes":
            raise ValueError("each recipient is only known at RCPT")
        return self

    @property
    def state(self) -> At:
        """The protocol state at which it is counted."""
        return self.at or ("END-OF-MESSAGE" if self.count == "bytes" else "RCPT")


class LimitsSettings(CheckSection):
    """Limits on what users, clients, senders and recipients may send and get."""

    rules: tuple[LimitSettings, ...] = Field(
        default=(), max_length=50, description="The limits; there are none by default."
    )
    text: str = Field(
        default="Too much mail, try again in {seconds} seconds",
        description="What the client reads behind `450 4.7.1` or `554 5.7.1`, and the log of "
        "Postfix behind HOLD; may use {rule}, {key} (who is beyond it), {limit}, {seconds}, "
        "{user}, {client}, {sender}, {recipient} and {hostname}.",
    )

    @field_validator("text")
    @classmethod
    def _check_text(cls, text: str) -> str:
        return check_template(text, TEXT_FIELDS)

    @field_validator("rules")
    @classmethod
    def _check_names(cls, rules: tuple[LimitSettings, ...]) -> tuple[LimitSettings, ...]:
        names = [rule.name for rule in rules]
        if len(set(names)) != len(names):
            raise ValueError("two limits have the same name")
        return rules
