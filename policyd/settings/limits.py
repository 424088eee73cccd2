"""The section `[policyd.limits]`."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from gatepost.config import Duration, Section
from gatepost.config.types import parse_size
from msgauth.mail_address import MailAddress
from policyd.identity import network_identity
from policyd.match import parse_address
from policyd.settings.base import CheckSection
from policyd.template import check_template

TEXT_FIELDS = frozenset(
    {"rule", "key", "limit", "seconds", "user", "client", "sender", "recipient", "hostname"}
)
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,40}\Z")

Per = Literal["user", "client", "network", "sender", "sender_domain", "recipient"]
Counted = Literal["messages", "recipients", "distinct_recipients", "bytes"]
At = Literal["RCPT", "DATA", "END-OF-MESSAGE"]
_SIZES = {4: "24", 6: "64"}


class LimitSettings(Section):
    """One limit: a quantity per period, for each user, client, network, sender or recipient."""

    name: str = Field(
        description="A short name of small letters, digits and hyphens. The reason id of a "
        "refusal is `limit-NAME`."
    )
    per: Per = Field(
        description="Whose mail is counted, each separately: `user` (SASL login; clients without "
        "a login are not limited), `client` (address), `network` (/24 or /64), `sender`, "
        "`sender_domain` or `recipient`."
    )
    count: Counted = Field(
        description="What is counted: `messages`, `recipients`, `distinct_recipients` (a "
        "recipient counts once in the period) or `bytes`."
    )
    limit: int = Field(
        gt=0, description='The quantity per period, and the largest burst; bytes also as "500M".'
    )
    period: Duration = Field(default=3600.0, gt=0, description="The period.")
    action: Literal["hold", "defer", "reject"] = Field(
        default="defer",
        description="What happens beyond the limit: `hold` puts the message into Postfix's hold "
        "queue, where you can inspect and release it; `defer` answers 450, `reject` 554.",
    )
    at: At | None = Field(
        default=None,
        description="The protocol state at which mail is counted; main.cf has to query the policy "
        "server there. By default RCPT (smtpd_recipient_restrictions), for bytes "
        "END-OF-MESSAGE "
        "(smtpd_end_of_data_restrictions).",
    )
    exempt: tuple[str, ...] = Field(
        default=(),
        description="Who has no limit: logins, addresses, networks (/24 or /64) or domains, "
        "depending on `per`.",
    )
    overrides: dict[str, Annotated[int, BeforeValidator(parse_size), Field(gt=0)]] = Field(
        default_factory=dict,
        description='Different limits for single users, clients and so on; bytes also as "2G". To '
        "block somebody entirely, use `[policyd.tables]`.",
    )

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        if not _NAME.match(name):
            raise ValueError(f"{name!r}: use small letters, digits and hyphens")
        return name

    @field_validator("limit", mode="before")
    @classmethod
    def _read_limit(cls, value: object) -> int:
        return parse_size(value)

    @field_validator("exempt")
    @classmethod
    def _check_exempt(cls, exempt: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        return tuple(_whose(info.data.get("per"), text) for text in exempt)

    @field_validator("overrides")
    @classmethod
    def _check_overrides(cls, overrides: dict[str, int], info: ValidationInfo) -> dict[str, int]:
        per = info.data.get("per")
        return {_whose(per, text): limit for text, limit in overrides.items()}

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
        """The protocol state at which mail is counted."""
        return self.at or ("END-OF-MESSAGE" if self.count == "bytes" else "RCPT")


def _whose(per: Per | None, text: str) -> str:
    """Normalize an entry of `exempt` or `overrides` as the check does; raises `ValueError`."""
    if per == "sender_domain":
        return MailAddress.parse(f"@{text}").host
    if per not in ("client", "network"):
        return text.lower()
    address, _, size = text.partition("/")
    parsed = parse_address(address)
    if parsed is not None and per == "client" and not size:
        return str(parsed)
    if parsed is not None and per == "network" and size in ("", _SIZES[parsed.version]):
        return network_identity(parsed, 24, 64).removeprefix("net:")
    raise ValueError(
        f"{text!r} is not {'an address' if per == 'client' else 'a network of /24 or /64'}"
    )


class LimitsSettings(CheckSection):
    """Limits on the mail that users, clients and senders send and recipients receive."""

    rules: tuple[LimitSettings, ...] = Field(
        default=(), max_length=50, description="The limits; none by default."
    )
    text: str = Field(
        default="Too much mail, try again in {seconds} seconds",
        description="Text after `450 4.7.1` or `554 5.7.1`; may use {rule}, {key} (who exceeded "
        "it), {limit}, {seconds}, {user}, {client}, {sender}, {recipient} and "
        "{hostname}.",
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
