"""DNS questions, yielded by generators and answered by a driver.

A protocol that needs DNS is a `Lookup[T]`: a generator that yields a `Question`, is sent an
`Answer`, and returns its `T`. Lookups compose with ``yield from``. The driver decides how questions
are answered: by a thread with a resolver, an event loop, or a dict in a test.

Three answers are always distinct: the name does not exist (`Rcode.NXDOMAIN`), it exists without
such records (`Rcode.OK` with none), and the query failed (`Rcode.TEMPFAIL`). A driver turns every
exception of its resolver into the last; a lookup never sees one.
"""

from __future__ import annotations

import enum
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, TypeVar

T = TypeVar("T")

RdType: TypeAlias = Literal["A", "AAAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TLSA", "TXT"]
"""The record types in questions, as text."""


class Rcode(enum.Enum):
    """The result of a question."""

    OK = "ok"
    """The name exists; there may still be no records of the type asked for."""
    NXDOMAIN = "nxdomain"
    """The name does not exist, and nothing below it does (RFC 8020)."""
    TEMPFAIL = "tempfail"
    """The query failed: time-out, SERVFAIL, a lame or lying server, a spent budget."""


@dataclass(frozen=True, slots=True)
class Share:
    """A part of the time for a lookup that is reserved for the questions with this share.

    `name` identifies the share within a lookup; it is not empty. `fraction` is the part of the
    whole time, more than 0 and less than 1.
    """

    name: str
    fraction: float


@dataclass(frozen=True, slots=True)
class Question:
    """One question: `name` is a domain name in A-labels, with or without the final dot.

    `share` says which part of the time it uses; None means the time that is not reserved. Questions
    that only differ in it are equal. A driver without a time limit ignores it.
    """

    name: str
    rdtype: RdType
    share: Share | None = field(default=None, compare=False, repr=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a `Question`.

    `records` has one string per record, in the order of the answer:

    * TXT: the character-strings joined without a separator, each byte one character (Latin-1), so
      that ``record.encode("latin-1")`` is what was published;
    * A, AAAA: the address in text; MX: ``"<preference> <host>"``; SOA: the presentation form;
    * SRV: ``"<priority> <weight> <port> <target>"``; TLSA: ``"<usage> <selector> <matching type>
      <hexadecimal digits>"``;
    * CNAME, NS, PTR: the host name without the final dot.

    `ttl` is the time in seconds that the answer, even a negative one (RFC 2308), may be cached.
    """

    rcode: Rcode
    records: tuple[str, ...] = ()
    ttl: int = 0


TEMPFAIL = Answer(Rcode.TEMPFAIL)
"""The answer of a driver after a failure or when no time is left."""
NXDOMAIN = Answer(Rcode.NXDOMAIN)
"""The answer for a name that does not exist, and for one that cannot: empty or too long labels."""

Lookup: TypeAlias = Generator[Question, Answer, T]
"""Work that needs DNS: a generator that yields questions, is sent their answers and returns a
result."""


def ask(name: str, rdtype: RdType) -> Lookup[Answer]:
    """Ask one question and return its answer."""
    return (yield Question(name, rdtype))
