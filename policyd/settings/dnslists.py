"""The section `[policyd.dnslists]`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from gatepost.config import Duration, SecretPath, Section
from policyd.dnslist import CodeFilter
from policyd.settings.base import CheckSection
from policyd.template import check_template

TEXT_FIELDS = frozenset({"client", "sender", "helo", "listed", "lists", "txt", "hostname"})
MAX_LISTS = 50


class DnsListSettings(Section):
    """One zone of a DNS list (RFC 5782)."""

    zone: str = Field(
        description="The zone, such as `zen.spamhaus.org`. `{key}` stands for the content of "
        "`key_file`: `{key}.zen.dq.spamhaus.net`.",
        min_length=1,
        max_length=253,
    )
    key_file: SecretPath | None = Field(
        default=None,
        description="A file with the query key. Logs, replies and metrics show the key as `…`.",
    )
    of: Literal["client", "sender", "helo", "name"] = Field(
        default="client",
        description="What to look up: the client's address, the sender's domain, the HELO name, "
        "or the client's verified host name.",
    )
    weight: float = Field(
        default=1.0,
        ge=-100,
        le=100,
        description="The weight of a listing; negative for a list of good senders.",
    )
    codes: tuple[str, ...] = Field(
        default=(),
        description="Return codes that count as a listing, such as `127.0.0.[2..11]` or "
        "`127.0.[0..255].[2;3]`. Empty: all of 127.0.0.0/8. 127.0.0.1 and 127.255.255.0/24 "
        "report a query error and never count.",
    )
    self_test: bool = Field(
        default=True,
        description="Test the zone at the start and every `test_interval` (RFC 5782 section 5), "
        "and do not use it while it is dead or lists everything. Turn this off for a zone "
        "without test entries.",
    )

    @field_validator("codes")
    @classmethod
    def _check_codes(cls, codes: tuple[str, ...]) -> tuple[str, ...]:
        for code in codes:
            CodeFilter(code)
        return codes

    @model_validator(mode="after")
    def _check_key(self) -> DnsListSettings:
        if ("{key}" in self.zone) != (self.key_file is not None):
            raise ValueError("zone with {key} needs key_file, and key_file needs zone with {key}")
        return self


class DnsListsSettings(CheckSection):
    """DNS lists: mail is refused when the weights of all listings add up to `threshold` or more.

    Clients that have logged in are not looked up.
    """

    lists: tuple[DnsListSettings, ...] = Field(
        default=(), max_length=MAX_LISTS, description="The lists; none by default."
    )
    threshold: float = Field(
        default=1.0, gt=0, description="Mail is refused when the sum of the weights reaches this."
    )
    dns_budget: Duration = Field(
        default=3.0,
        gt=0,
        le=30,
        description="Time limit for all lists together. They are queried in parallel; a list "
        "that has not answered by then does not count.",
    )
    text: str = Field(
        default="Service unavailable; {listed}",
        description="Text after `554 5.7.1`; may use {listed} (`client [192.0.2.7] is listed by "
        "bl.example.net`: the client, sender domain, HELO name or host name, and the lists), "
        "{client}, {sender}, {helo}, {lists}, {txt} (the TXT record of the first list) and "
        "{hostname}.",
    )
    test_interval: Duration = Field(
        default=3600.0, ge=60, description="How often each zone is tested."
    )
    retest_interval: Duration = Field(
        default=300.0, ge=5, description="How often a zone that failed its test is tested again."
    )

    @field_validator("text")
    @classmethod
    def _check_text(cls, text: str) -> str:
        return check_template(text, TEXT_FIELDS)
