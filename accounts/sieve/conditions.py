"""Conditions of a rule, and the tests of the Sieve language that they become."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, field_validator, model_validator

from accounts.sieve.fields import Distinct, FieldValue, FieldValues, HeaderName, Match, ZoneOffset
from accounts.sieve.part import Part, RulePart, all_of, part
from accounts.sieve.text import escape_pattern, quote, quote_list

MAX_WILDCARDS = 10
"""Maximum number of wildcards in a pattern: each makes matching slower."""

SPAM_FIELD = "X-Spam-Flag"
"""The header field in which a spam filter writes YES; the delivery removes those of others."""

Addressed: TypeAlias = Literal[
    "from", "to", "cc", "bcc", "sender", "reply-to",
    "resent-from", "resent-to", "resent-cc", "resent-bcc", "resent-sender",
]  # fmt: skip
"""Header fields that the test "address" reads (RFC 5228 section 5.1)."""

AddressPart: TypeAlias = Literal["all", "localpart", "domain", "user", "detail"]
"""The part of an address that is compared; user and detail are those of RFC 5233."""


class _Test(RulePart):
    """A condition; `negate` inverts its result."""

    negate: bool = False

    def written(self) -> Part:
        """Return the test in the Sieve language."""
        test = self._test()
        return Part(f"not {test.text}", test.requires) if self.negate else test

    def _test(self) -> Part:
        raise NotImplementedError


class _Matching(_Test):
    """A condition on text: one of `values` must match."""

    match: Match = "contains"
    values: FieldValues

    @field_validator("values")
    @classmethod
    def _few_wildcards(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        if any(value.count("*") + value.count("?") > MAX_WILDCARDS for value in values):
            raise ValueError(f"A value has at most {MAX_WILDCARDS} '*' and '?'.")
        return values

    def _match_type(self) -> tuple[str, list[str]]:
        match self.match:
            case "starts":
                return "matches", [f"{escape_pattern(value)}*" for value in self.values]
            case "ends":
                return "matches", [f"*{escape_pattern(value)}" for value in self.values]
            case kind:
                return kind, list(self.values)


class HeaderTest(_Matching):
    """One of the header fields has one of the values (RFC 5228 section 5.7)."""

    kind: Literal["header"] = "header"
    names: Annotated[tuple[HeaderName, ...], Field(min_length=1, max_length=10)]

    def _test(self) -> Part:
        kind, keys = self._match_type()
        return part(f"header :{kind} {quote_list(self.names)} {quote_list(keys)}")


class Exists(_Test):
    """All of the header fields exist (RFC 5228 section 5.5)."""

    kind: Literal["exists"] = "exists"
    names: Annotated[tuple[HeaderName, ...], Field(min_length=1, max_length=10)]

    def _test(self) -> Part:
        return part(f"exists {quote_list(self.names)}")


class AddressTest(_Matching):
    """An address in one of the header fields has one of the values (RFC 5228 section 5.1)."""

    kind: Literal["address"] = "address"
    names: Annotated[tuple[Addressed, ...], Field(min_length=1, max_length=11), Distinct]
    part: AddressPart = "all"

    def _test(self) -> Part:
        kind, keys = self._match_type()
        return part(
            f"address :{self.part} :{kind} {quote_list(self.names)} {quote_list(keys)}",
            _part_extension(self.part),
        )


class EnvelopeTest(_Matching):
    """The sender or recipient of the envelope has one of the values (RFC 5228 section 5.4)."""

    kind: Literal["envelope"] = "envelope"
    name: Literal["from", "to"]
    part: AddressPart = "all"

    def _test(self) -> Part:
        kind, keys = self._match_type()
        return part(
            f"envelope :{self.part} :{kind} {quote(self.name)} {quote_list(keys)}",
            "envelope",
            _part_extension(self.part),
        )


def _part_extension(address_part: AddressPart) -> str:
    return "subaddress" if address_part in ("user", "detail") else ""


class SizeTest(_Test):
    """The message is larger or smaller than `octets` (RFC 5228 section 5.9)."""

    kind: Literal["size"] = "size"
    compare: Literal["over", "under"] = "over"
    # RFC 5228 section 2.4.1: every implementation reads numbers below 2**31
    octets: Annotated[int, Field(ge=0, le=2**31 - 1)]

    def _test(self) -> Part:
        return part(f"size :{self.compare} {self.octets}")


class Body(_Test):
    """The text of the message contains one of the values (RFC 5173)."""

    kind: Literal["body"] = "body"
    values: Annotated[tuple[FieldValue, ...], Field(min_length=1, max_length=20)]

    def _test(self) -> Part:
        return part(f"body :text :contains {quote_list(self.values)}", "body")


class Spam(_Test):
    """The spam filter has classified the message as spam."""

    kind: Literal["spam"] = "spam"

    def _test(self) -> Part:
        return part(f'header :is "{SPAM_FIELD}" "YES"')


class Date(_Test):
    """The day of the delivery is from `since` to `until`, both included, and one of `weekdays`.

    0 stands for Sunday. Without `zone` a day begins when it does for the server (RFC 5260).
    """

    kind: Literal["date"] = "date"
    since: datetime.date | None = None
    until: datetime.date | None = None
    weekdays: Annotated[
        tuple[Annotated[int, Field(ge=0, le=6)], ...], Field(max_length=7), Distinct
    ] = ()
    zone: ZoneOffset | None = None

    @model_validator(mode="after")
    def _complete(self) -> Date:
        check_period(self.since, self.until)
        if self.since is None and self.until is None and not self.weekdays:
            raise ValueError("A date condition has a first day, a last day or weekdays.")
        return self

    def _test(self) -> Part:
        tests = list(period(self.since, self.until, self.zone))
        if self.weekdays:
            days = quote_list(str(day) for day in self.weekdays)
            tests.append(part(f'currentdate{_zone(self.zone)} :is "weekday" {days}', "date"))
        return all_of(tests)


def check_period(since: datetime.date | None, until: datetime.date | None) -> None:
    """Raise `ValueError` for a period that ends before it begins, or lies before 1970."""
    if since is not None and until is not None and until < since:
        raise ValueError("The last day is before the first.")
    if any(day is not None and day.year < 1970 for day in (since, until)):
        raise ValueError("A day is in 1970 or later.")


def period(
    since: datetime.date | None, until: datetime.date | None, zone: str | None
) -> Iterator[Part]:
    """Yield the tests of whether today is in a period (RFC 5260 section 5)."""
    for relation, day in (("ge", since), ("le", until)):
        if day is not None:
            yield part(
                f'currentdate{_zone(zone)} :value "{relation}" "date" {quote(day.isoformat())}',
                "date",
                "relational",
            )


def _zone(zone: str | None) -> str:
    return f" :zone {quote(zone)}" if zone is not None else ""


Condition: TypeAlias = Annotated[
    HeaderTest | Exists | AddressTest | EnvelopeTest | SizeTest | Body | Spam | Date,
    Field(discriminator="kind"),
]
