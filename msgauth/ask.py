"""Questions to the DNS, asked by generators and answered by a driver.

A protocol that needs DNS is a `Lookup[T]`: a generator that yields a `Question`, is sent an
`Answer`, and returns its `T`. Lookups compose with ``yield from``. Whoever drives one decides how
questions are answered: a thread with a resolver, an event loop, or a dict in a test.

Three answers are never mixed up: the name does not exist (`Rcode.NXDOMAIN`), it exists and has no
such records (`Rcode.OK` with none), and it could not be found out (`Rcode.TEMPFAIL`). A driver
turns whatever its resolver raises into the last; a lookup never sees an exception of a resolver.
"""

from __future__ import annotations

import enum
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, TypeVar

T = TypeVar("T")

RdType: TypeAlias = Literal["A", "AAAA", "CNAME", "MX", "NS", "PTR", "SOA", "TXT"]
"""The types of records that are asked for, as text."""


class Rcode(enum.Enum):
    """What became of a question."""

    OK = "ok"
    """The name exists; there may still be no records of the type asked for."""
    NXDOMAIN = "nxdomain"
    """The name does not exist, and nothing below it does (RFC 8020)."""
    TEMPFAIL = "tempfail"
    """It could not be found out: time-out, SERVFAIL, a lame or lying server, a spent budget."""


@dataclass(frozen=True, slots=True)
class Share:
    """A part of the time for a lookup that is set aside for the questions that bear it.

    `name` tells the shares of a lookup apart; it is not empty. `fraction` is the part of the whole
    time, more than 0 and less than 1.
    """

    name: str
    fraction: float


@dataclass(frozen=True, slots=True)
class Question:
    """One question: `name` is a domain name in A-labels, with or without the final dot.

    `share` says out of which time it is asked, None for the time that is not set aside. It is no
    part of what is asked: questions that differ in it are equal. A driver without a bound on time
    takes no notice of it.
    """

    name: str
    rdtype: RdType
    share: Share | None = field(default=None, compare=False, repr=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a `Question`.

    `records` holds one string a record, in the answer's order:

    * TXT: the character-strings joined without a separator, each byte one character (Latin-1), so
      that ``record.encode("latin-1")`` is what was published;
    * A, AAAA: the address in text; MX: ``"<preference> <host>"``; SOA: the presentation form;
    * CNAME, NS, PTR: the host name without the final dot.

    `ttl` is in seconds: how long the answer, also a negative one (RFC 2308), may be kept.
    """

    rcode: Rcode
    records: tuple[str, ...] = ()
    ttl: int = 0


TEMPFAIL = Answer(Rcode.TEMPFAIL)
"""The answer of a driver that could not find out, or has no time left."""
NXDOMAIN = Answer(Rcode.NXDOMAIN)
"""The answer for a name that does not exist, and for one that cannot: empty or too long labels."""

Lookup: TypeAlias = Generator[Question, Answer, T]
"""Work that needs DNS: a generator of questions that is sent their answers and returns a result."""


def ask(name: str, rdtype: RdType) -> Lookup[Answer]:
    """Ask one question and return its answer."""
    return (yield Question(name, rdtype))
