"""Which packets are taken for the response to a question."""

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.dns.exchange import UDP_SIZE, WireQuestion

ID = b"\x12\x34"
NAME = dns.name.from_text("mx.example.org.")
QUESTION = WireQuestion(NAME, dns.rdatatype.A)


def response(rcode: dns.rcode.Rcode = dns.rcode.NOERROR) -> dns.message.Message:
    query = dns.message.from_wire(QUESTION.query(ID, edns=True))
    made = dns.message.make_response(query, recursion_available=True)
    made.set_rcode(rcode)
    return made


def test_a_query_is_what_rfc_1035_and_rfc_6891_say() -> None:
    query = dns.message.from_wire(QUESTION.query(ID, edns=True))
    assert (query.id, query.flags, query.edns) == (0x1234, dns.flags.RD, 0)
    assert query.payload == UDP_SIZE
    assert [(one.name, one.rdtype) for one in query.question] == [(NAME, dns.rdatatype.A)]
    assert dns.message.from_wire(QUESTION.query(ID, edns=False)).edns == -1


def test_its_response_is_taken() -> None:
    taken = QUESTION.response(response().to_wire(), ID)
    assert taken is not None
    assert taken.rcode() == dns.rcode.NOERROR


def test_a_failure_may_leave_the_question_out() -> None:
    failed = response(dns.rcode.FORMERR)
    failed.question.clear()
    taken = QUESTION.response(failed.to_wire(), ID)
    assert taken is not None
    assert taken.rcode() == dns.rcode.FORMERR


@pytest.mark.parametrize("rcode", [dns.rcode.NOERROR, dns.rcode.NXDOMAIN])
def test_an_answer_without_the_question_is_nobodys(rcode: dns.rcode.Rcode) -> None:
    empty = response(rcode)
    empty.question.clear()
    assert QUESTION.response(empty.to_wire(), ID) is None


def test_what_is_no_response_to_it_is_not_taken() -> None:
    wire = response().to_wire()
    assert QUESTION.response(wire, b"\x12\x35") is None
    assert QUESTION.response(QUESTION.query(ID, edns=True), ID) is None
    assert WireQuestion(NAME, dns.rdatatype.MX).response(wire, ID) is None
    other = WireQuestion(dns.name.from_text("mx.example.com."), dns.rdatatype.A)
    assert other.response(wire, ID) is None
    for end in range(len(wire) - 1):
        assert QUESTION.response(wire[:end], ID) is None


@given(st.binary(max_size=80), st.booleans())
def test_garbage_is_never_more_than_no_response(garbage: bytes, is_near: bool) -> None:
    packet = response().to_wire()[:31] + garbage if is_near else ID + garbage
    QUESTION.response(packet, ID)
