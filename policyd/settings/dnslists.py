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
        description="The zone, as `zen.spamhaus.org`. `{key}` stands for the content of "
        "`key_file`: `{key}.zen.dq.spamhaus.net`.",
        min_length=1,
        max_length=253,
    )
    key_file: SecretPath | None = Field(
        default=None,
        description="A file with the query key; it is shown as `…` in logs, replies and metrics.",
    )
    of: Literal["client", "sender", "helo", "name"] = Field(
        default="client",
        description="What is looked up: the address of the client, the domain of the sender, the "
        "HELO name, or the verified host name of the client.",
    )
    weight: float = Field(
        default=1.0,
        ge=-100,
        le=100,
        description="What a listing counts; negative for a list of good senders.",
    )
    codes: tuple[str, ...] = Field(
        default=(),
        description="Return codes that count, as in `127.0.0.[2..11]` or `127.0.[0..255].[2;3]`. "
        "Empty: all of 127.0.0.0/8. 127.0.0.1 and 127.255.255.0/24 are errors of the query, "
        "and never a listing.",
    )
    self_test: bool = Field(
        default=True,
        description="Test the zone at the start and every hour (RFC 5782 section 5), and leave it "
        "out while it is dead or lists everything. Off for a zone without test entries.",
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
            raise ValueError("{key} in zone and key_file belong together")
        return self


class DnsListsSettings(CheckSection):
    """DNS lists: weights are added up, and from `threshold` on the mail is refused.

    Clients that have logged in are not looked up.
    """

    lists: tuple[DnsListSettings, ...] = Field(
        default=(), max_length=MAX_LISTS, description="The lists; none are asked by default."
    )
    threshold: float = Field(
        default=1.0, gt=0, description="The sum of weights at which mail is refused."
    )
    dns_budget: Duration = Field(
        default=3.0,
        gt=0,
        le=30,
        description="How long all lists together may take; they are asked side by side, and one "
        "that has not answered counts nothing.",
    )
    text: str = Field(
        default="Service unavailable; {listed}",
        description="What the client reads behind `554 5.7.1`; may use {listed} (`client "
        "[192.0.2.7] is listed by bl.example.net`: the client, sender domain, HELO name or host "
        "name, and where), {client}, {sender}, {helo}, {lists}, {txt} (what the first list says of "
        "it) and {hostname}.",
    )
    test_interval: Duration = Field(
        default=3600.0, ge=60, description="How often each zone is tested."
    )
    retest_interval: Duration = Field(
        default=300.0, ge=5, description="How often a zone that was left out is tested again."
    )

    @field_validator("text")
    @classmethod
    def _check_text(cls, text: str) -> str:
        return check_template(text, TEXT_FIELDS)
