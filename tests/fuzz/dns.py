"""Answers of name servers: changed responses to a question."""

from __future__ import annotations

import functools
from random import Random

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rdatatype
import dns.rrset

from gatepost.dns import resolver
from gatepost.dns.exchange import WireQuestion
from gatepost.dns.names import MAX_RECORDS
from msgauth.ask import Answer
from tests.fuzz.mutate import mutate
from tests.fuzz.target import Target

ID = b"\x12\x34"
_TYPES = ("A", "AAAA", "MX", "TXT", "PTR", "CNAME")
_NAME = dns.name.from_text("mx.example.org.")
_RECORDS = {
    "A": ("192.0.2.1", "192.0.2.2"),
    "AAAA": ("2001:db8::1",),
    "MX": ("10 mx.example.org.", "0 ."),
    "TXT": ('"v=spf1 -all"', '"one" "two"', '"\\255\\000"'),
    "PTR": ("mx.example.org.",),
    "CNAME": ("mx.example.org.", "other.example.org."),
}


def make(random: Random) -> tuple[str, bytes]:
    """Draw the type of a question and the packet that answers it."""
    rdtype = random.choice(_TYPES)
    base = random.choice(_responses(rdtype))
    # most changes behind the question, or nothing would be read of them
    kept = random.choice((0, 12, 33))
    return rdtype, base[:kept] + mutate(base[kept:], random)


@functools.cache
def _responses(rdtype: str) -> tuple[bytes, ...]:
    query = dns.message.from_wire(_question(rdtype).query(ID, edns=True))
    made = []
    for rcode in (0, 3, 2):
        for count in (0, 1, len(_RECORDS[rdtype])):
            response = dns.message.make_response(query, recursion_available=True)
            response.set_rcode(dns.rcode.Rcode(rcode))
            if count:
                response.answer.append(
                    dns.rrset.from_text(_NAME, 300, "IN", rdtype, *_RECORDS[rdtype][:count])
                )
            alias = dns.rrset.from_text(_NAME, 300, "IN", "CNAME", "other.example.org.")
            made.append(response.to_wire())
            response.answer.insert(0, alias)
            made.append(response.to_wire())
    return tuple(made)


@functools.cache
def _question(rdtype: str) -> WireQuestion:
    return WireQuestion(_NAME, dns.rdatatype.from_text(rdtype))


def check(made: tuple[str, bytes]) -> None:
    """Read it: no response, or an answer; loops of aliases are dnspython's error."""
    rdtype, packet = made
    response = _question(rdtype).response(packet, ID)
    if response is None:
        return
    try:
        answer = resolver._to_answer(response)
    except dns.exception.DNSException:
        return
    assert isinstance(answer, Answer)
    assert answer.ttl >= 0
    assert len(answer.records) <= MAX_RECORDS


TARGET = Target("dns", 200_000, make, check)
