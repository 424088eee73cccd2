"""DNS lists (RFC 5782): names of queries, meaning of answers, and the health of a zone.

No I/O here: it builds the names to query and evaluates the answers.
"""

from __future__ import annotations

import enum
import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass

from msgauth.address import IpAddress
from msgauth.ask import Answer, Question, Rcode

_ERROR_CODES = ipaddress.ip_network("127.255.255.0/24")
_LIST_CODES = ipaddress.ip_network("127.0.0.0/8")
_NOT_A_CODE = ipaddress.ip_address("127.0.0.1")
_OCTET = re.compile(r"\d{1,3}\Z|\[\d{1,3}(?:\.\.\d{1,3})?(?:;\d{1,3}(?:\.\.\d{1,3})?)*\]\Z")
_DOMAIN = re.compile(r"(?=.{1,200}\Z)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})+\Z")


class CodeFilter:
    """A pattern of return codes as Postfix writes them: ``127.0.0.[2..11]``, ``127.0.[0;1].2``.

    Raises `ValueError` for an invalid pattern.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        octets = re.findall(r"\[[^\]]*\]|[^.\[\]]+", text)
        if ".".join(octets) != text or len(octets) != 4:
            raise ValueError(f"{text!r} is not a pattern of codes: write 127.0.0.[2..11]")
        self._octets = tuple(_octet_values(octet, text) for octet in octets)

    def match(self, address: str) -> bool:
        """Return whether an IPv4 address in text form matches."""
        numbers = address.split(".")
        return len(numbers) == 4 and all(
            number.isdecimal() and int(number) in values
            for number, values in zip(numbers, self._octets, strict=True)
        )


def _octet_values(octet: str, text: str) -> frozenset[int]:
    if not _OCTET.match(octet):
        raise ValueError(f"{octet!r} in {text!r} is not an octet: write 2, [2..11] or [2;4;8..10]")
    values: set[int] = set()
    for part in octet.strip("[]").split(";"):
        low, _, high = part.partition("..")
        first, last = int(low), int(high or low)
        if not first <= last <= 255:
            raise ValueError(f"{part!r} in {text!r} is not a range within 0 to 255")
        values.update(range(first, last + 1))
    return frozenset(values)


class Listing(enum.Enum):
    """The meaning of an answer from a list."""

    NOT_LISTED = "not listed"
    LISTED = "listed"
    ERROR = "error"
    """The list refuses to answer us: blocked resolver, wrong key, too many queries."""
    UNKNOWN = "unknown"
    """DNS did not answer."""


def judge(answer: Answer, filters: Sequence[CodeFilter]) -> tuple[Listing, str]:
    """Return the meaning of an answer to an A query, and the code that says so."""
    if answer.rcode is Rcode.TEMPFAIL:
        return Listing.UNKNOWN, ""
    codes = []
    for code in answer.records:
        try:
            address = ipaddress.IPv4Address(code)
        except ValueError:
            continue
        codes.append(code)
        # RFC 5782 section 2.1: entries are in 127.0.0.0/8. Anything else is a parked domain, a
        # resolver that "helps", or an error code of the list's own.
        if address in _ERROR_CODES or address not in _LIST_CODES or address == _NOT_A_CODE:
            return Listing.ERROR, code
    for code in codes:
        if not filters or any(one.match(code) for one in filters):
            return Listing.LISTED, code
    return Listing.NOT_LISTED, codes[0] if codes else ""


def address_name(address: IpAddress | None, zone: str) -> str:
    """Return the name to query for an address (RFC 5782 sections 2.1 and 2.4); empty for None."""
    if address is None:
        return ""
    if isinstance(address, ipaddress.IPv4Address):
        first, second, third, fourth = address_octets(address)
        return f"{fourth}.{third}.{second}.{first}.{zone}"
    return ".".join(reversed(address.exploded.replace(":", ""))) + f".{zone}"


def address_octets(address: ipaddress.IPv4Address) -> tuple[int, int, int, int]:
    """Return the four octets."""
    first, second, third, fourth = address.packed
    return first, second, third, fourth


def domain_name(domain: str, zone: str) -> str:
    """Return the name to query for a domain (RFC 5782 section 3); empty for an invalid domain name.

    Domain lists answer queries for addresses with an error, so address literals are not queried.
    """
    domain = domain.lower().rstrip(".")
    if not _DOMAIN.match(domain) or domain.rpartition(".")[2].isdecimal():
        return ""
    return f"{domain}.{zone}"


class Health(enum.Enum):
    """The health of a zone according to its test entries."""

    UNTESTED = "untested"
    """It has not been tested yet."""
    GOOD = "good"
    DEAD = "dead"
    """The entry that must be listed is not: the list was closed, or the zone is empty."""
    LISTS_EVERYTHING = "lists everything"
    """The entry that must not be listed is."""
    BLOCKED = "blocked"
    """The list answers with error codes."""
    SILENT = "silent"
    """DNS did not answer."""


@dataclass(frozen=True, slots=True)
class SelfTest:
    """The two questions of a test (RFC 5782 section 5): one must be listed, one must not."""

    listed: Question
    unlisted: Question

    @classmethod
    def of_addresses(cls, zone: str) -> SelfTest:
        """127.0.0.2 MUST be listed, 127.0.0.1 MUST NOT."""
        return cls(Question(f"2.0.0.127.{zone}", "A"), Question(f"1.0.0.127.{zone}", "A"))

    @classmethod
    def of_domains(cls, zone: str) -> SelfTest:
        """TEST is listed, INVALID (RFC 2606) is not."""
        return cls(Question(f"test.{zone}", "A"), Question(f"invalid.{zone}", "A"))


def judge_zone(listed: Answer, unlisted: Answer) -> Health:
    """Return the health that the answers to a `SelfTest` show."""
    there, _ = judge(listed, ())
    absent, _ = judge(unlisted, ())
    if Listing.ERROR in (there, absent):
        return Health.BLOCKED
    if absent is Listing.LISTED:
        return Health.LISTS_EVERYTHING
    if Listing.UNKNOWN in (there, absent):
        return Health.SILENT
    return Health.GOOD if there is Listing.LISTED else Health.DEAD
