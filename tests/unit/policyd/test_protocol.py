"""The policy protocol: whole, byte by byte, with more behind it, and whatever else comes."""

from __future__ import annotations

import ipaddress
from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msgauth.mail_address import NO_ADDRESS
from policyd.protocol import (
    MAX_ATTRIBUTES,
    MAX_DISCARD,
    MAX_REQUEST,
    Malformed,
    PolicyProtocolError,
    RequestReader,
)
from policyd.request import Request, State
from tests.unit.policyd.requests import POSTFIX_3_10, wire

Event = Request | Malformed


def events(*portions: bytes) -> list[Event]:
    reader = RequestReader()
    found: list[Event] = []
    for portion in portions:
        reader.receive_data(portion)
        while (event := reader.next_event()) is not None:
            found.append(event)
    return found


def shape(event: Event) -> object:
    return event.attributes if isinstance(event, Request) else event


CASES = {
    "a request of Postfix": wire(),
    "the least there is": b"request=smtpd_access_policy\n\n",
    "two in a row": wire(sender="a@example.org") + wire(sender="b@example.org"),
    "an equals sign in a value": wire(sender="prvs=1=a@example.org"),
    "not UTF-8": wire().replace(b"alice@", b"\xff\xfe@"),
    "an attribute of the future": wire(quantum_state="both"),
    "no request": b"sender=a@example.org\n\n" + wire(),
    "another request": b"request=junk_mail_policy\n\n" + wire(),
    "a line without equals": b"hello\n\n" + wire(),
    "NUL": wire(sender="a\0b") + wire(),
    "nothing": b"\n" + wire(),
    "too many attributes": b"request=smtpd_access_policy\n" + b"a=b\n" * 500 + b"\n" + wire(),
    "a long attribute": wire(helo_name="h" * MAX_REQUEST) + wire(),
    "a megabyte": wire(helo_name="h" * (1 << 20)) + wire(),
    "CR LF": wire().replace(b"\n", b"\r\n"),
    "CR LF, two in a row": wire(sender="a@b.example").replace(b"\n", b"\r\n") * 2,
    "CR LF in lines, LF at the end": wire()[:-1].replace(b"\n", b"\r\n") + b"\n",
    "LF in lines, CR LF at the end": wire()[:-1] + b"\r\n",
    "LF, then CR LF": wire() + wire().replace(b"\n", b"\r\n"),
    "CR LF, then LF": wire().replace(b"\n", b"\r\n") + wire(),
    "every other line CR LF": b"".join(
        line + (b"\r\n" if n % 2 else b"\n") for n, line in enumerate(wire()[:-1].split(b"\n"))
    ),
    "nothing but CR LF": b"\r\n" + wire(),
    "CR LF and no request": b"hello\r\n\r\n" + wire(),
    "CR LF and a megabyte": wire(helo_name="h" * (1 << 20)).replace(b"\n", b"\r\n") + wire(),
}


@pytest.mark.parametrize("data", CASES.values(), ids=CASES.keys())
def test_the_portions_make_no_difference(data: bytes) -> None:
    whole = [shape(event) for event in events(data)]
    assert whole
    step = 1 if len(data) < 100_000 else 977
    pieces = [data[n : n + step] for n in range(0, len(data), step)]
    assert [shape(event) for event in events(*pieces)] == whole
    behind = [shape(event) for event in events(data + b"request=smtpd_acc")]
    assert behind == whole


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith(("CR", "LF", "every"))])
def test_lines_that_end_in_cr_lf_are_read_as_those_that_end_in_lf(name: str) -> None:
    found = events(CASES[name])
    requests = [event for event in found if isinstance(event, Request)]
    for event in requests:
        assert event.attributes == {**POSTFIX_3_10, "sender": event.sender}
    megabyte = "megabyte" in name or "no request" in name
    assert len(found) == (
        1 if name.startswith(("CR LF in", "LF in", "every")) or name == "CR LF" else 2
    )
    assert len(requests) == len(found) - megabyte


def test_a_cr_inside_of_a_value_stays() -> None:
    (event,) = events(b"request=smtpd_access_policy\nsender=a\rb\nhelo_name=\r\n\n")
    assert isinstance(event, Request)
    assert (event.sender, event.helo_name) == ("a\rb", "")


def test_a_request_has_all_attributes() -> None:
    (event,) = events(wire())
    assert isinstance(event, Request)
    assert event.attributes == POSTFIX_3_10
    assert event.state == State.RCPT
    assert (event.sender, event.recipient) == ("alice@example.net", "bob@example.org")
    assert event.size == 2048


def test_a_request_does_not_change() -> None:
    (event,) = events(wire())
    assert isinstance(event, Request)
    with pytest.raises(FrozenInstanceError):
        event.sender = "eve@example.net"  # type: ignore[misc]
    hidden = event.without_client()
    assert (hidden.client_address, hidden.client_name, hidden.reverse_client_name) == ("", "", "")
    assert hidden.sender == event.sender
    assert event.attributes == POSTFIX_3_10


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\n", "an empty request"),
        (b"sender=a\n\n", "no request attribute"),
        (b"request=junk\n\n", "request=junk"),
        (b"request=smtpd_access_policy\nhello\n\n", "a line without '='"),
        (b"request=smtpd_access_policy\nsender=\0\n\n", "a NUL byte"),
        (
            b"request=smtpd_access_policy\n" + b"a=b\n" * MAX_ATTRIBUTES + b"\n",
            f"more than {MAX_ATTRIBUTES} attributes",
        ),
        (wire(helo_name="h" * MAX_REQUEST), f"longer than {MAX_REQUEST} bytes"),
    ],
)
def test_what_is_no_request_is_told_and_leaves_the_stream_in_step(data: bytes, reason: str) -> None:
    first, second = events(data + wire())
    assert first == Malformed(reason)
    assert isinstance(second, Request)


def test_a_request_of_the_full_size_is_one() -> None:
    room = MAX_REQUEST - len(wire(helo_name="")) + 2
    (event,) = events(wire(helo_name="h" * room))
    assert isinstance(event, Request)
    (event,) = events(wire(helo_name="h" * (room + 1)))
    assert isinstance(event, Malformed)


def test_memory_is_bounded_and_there_is_an_end() -> None:
    reader = RequestReader()
    portion = b"x" * 65536
    for _ in range(MAX_DISCARD // len(portion)):
        reader.receive_data(portion)
        assert reader.next_event() is None
        assert reader.buffered <= MAX_REQUEST
    reader.receive_data(portion)
    with pytest.raises(PolicyProtocolError):
        reader.next_event()


def test_the_last_of_two_equal_attributes_counts() -> None:
    (event,) = events(b"request=smtpd_access_policy\nsize=1\nsize=2\n\n")
    assert isinstance(event, Request)
    assert event.size == 2


@pytest.mark.parametrize("value", ["", "x", "-1", "٣", "9" * 19, "1e3"])
def test_what_is_no_number_is_zero(value: str) -> None:
    (event,) = events(wire(size=value, recipient_count=value))
    assert isinstance(event, Request)
    assert (event.size, event.recipient_count) == (0, 0)


def test_addresses_are_parsed() -> None:
    (event,) = events(wire(client_address="::ffff:192.0.2.7", sender="A@BÜCHER.example"))
    assert isinstance(event, Request)
    assert event.client == ipaddress.ip_address("192.0.2.7")
    assert event.sender_address == ("A", "xn--bcher-kva.example", "A@BÜCHER.example")
    assert event.sender_domain == "xn--bcher-kva.example"
    assert event.recipient_address.domain == "example.org"
    long = "x" * 3000
    (event,) = events(wire(client_address="unknown", sender=f"{long}@example.org", recipient=""))
    assert isinstance(event, Request)
    assert (event.client, event.recipient_address) == (None, NO_ADDRESS)
    assert event.sender_address.local == long


def test_unknown_is_the_same_as_missing() -> None:
    unknown = wire(client_address="unknown", client_name="unknown", reverse_client_name="unknown")
    for data in (unknown, b"request=smtpd_access_policy\n\n"):
        (event,) = events(data)
        assert isinstance(event, Request)
        assert event.client_address == event.client_name == event.reverse_client_name == ""


alphabet = st.sampled_from(
    [
        b"request=smtpd_access_policy",
        b"sender=",
        b"=",
        b"\n",
        b"\n\n",
        b"\0",
        b"\xff",
        b"a",
        b"\r",
        b"\r\n",
    ]
)


@given(st.lists(st.one_of(alphabet, st.binary(max_size=20)), max_size=40))
def test_anything_gives_events_or_the_protocol_error(portions: list[bytes]) -> None:
    whole = [shape(event) for event in events(b"".join(portions))]
    assert [shape(event) for event in events(*portions)] == whole
    data = b"".join(portions)
    assert [shape(e) for e in events(*(data[n : n + 1] for n in range(len(data))))] == whole


names = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=20).filter(
    lambda name: name != "request"
)
values = st.text(
    st.characters(exclude_characters="\0\n", exclude_categories=["Cs"]), max_size=40
).filter(lambda value: not value.endswith("\r"))


@given(st.lists(st.dictionaries(names, values, max_size=10), min_size=1, max_size=5))
def test_what_is_written_is_read(requests: list[dict[str, str]]) -> None:
    data = b"".join(
        b"request=smtpd_access_policy\n"
        + "".join(f"{name}={value}\n" for name, value in request.items()).encode()
        + b"\n"
        for request in requests
    )
    read = [shape(event) for event in events(data)]
    assert read == [{"request": "smtpd_access_policy", **request} for request in requests]
