"""The list of showq(8), octet by octet, and what is counted of it."""

from __future__ import annotations

import json

import pytest

from gatepost.postfix_watch.queue_list import (
    MAX_TEXT,
    QueuedMail,
    QueuedRecipient,
    QueueEvent,
    QueueListError,
    QueueListReader,
)
from gatepost.postfix_watch.queue_tally import MAX_DOMAINS, QueueTally
from gatepost.reports.queue_state import (
    MAX_DESTINATIONS,
    QueueDestination,
    QueueState,
    QueueStateError,
    decode_queue,
    encode_queue,
)

GREETING = b"protocol\0mail_queue_list_protocol\0\0"


def mail(queue: str, time: int, *recipients: tuple[str, str]) -> bytes:
    """Return a mail as showq of Postfix 3.10 sends it."""
    words = ["queue_name", queue, "queue_id", "4XyzAb12CdZ1", "time", str(time), "size", "400"]
    words += ["forced_expire", "0", "sender", "s@example.com"]
    for address, reason in recipients:
        words += ["recipient", address, "reason", reason]
    return "".join(f"{word}\0" for word in words).encode() + b"\0"


LIST = (
    GREETING
    + mail("deferred", 1000, ("a@late.test", "connect to late.test: refused"), ("b@x.test", ""))
    + mail("active", 2000, ("c@Late.Test", ""))
    + mail("hold", 10, ("d@held.test", ""))
    + mail("incoming", 3000)
    + b"\0"
)


def read(octets: bytes, step: int = 0) -> tuple[list[QueueEvent], bool]:
    reader = QueueListReader()
    found: list[QueueEvent] = []
    for begin in range(0, len(octets), step or len(octets)):
        found += reader.receive_data(octets[begin : begin + (step or len(octets))])
    return found, reader.is_complete


@pytest.mark.parametrize("step", [0, 1, 7])
def test_a_list_in_pieces(step: int) -> None:
    found, is_complete = read(LIST, step)
    assert is_complete
    assert found[:3] == [
        QueuedMail("deferred", "4XyzAb12CdZ1", 1000),
        QueuedRecipient("a@late.test", "connect to late.test: refused"),
        QueuedRecipient("b@x.test", ""),
    ]
    assert [one.queue for one in found if isinstance(one, QueuedMail)] == [
        *("deferred", "active", "hold", "incoming")
    ]
    # before Postfix 3.6, without the name of the protocol
    assert read(LIST.removeprefix(GREETING)) == (found, True)
    assert read(GREETING + b"\0") == ([], True)
    assert read(GREETING) == ([], False)


@pytest.mark.parametrize(
    "octets",
    [
        b"protocol\0mail_pickup_protocol\0\0",
        b"sender\0a@b\0",
        GREETING + b"queue_name\0hold\0time\0never\0sender\0\0",
        GREETING + b"queue_name\0hold\0sender\0x\0",
        GREETING + b"queue_name\0hold\0reason\0x\0",
        GREETING + b"\0more\0",
        b"220 mail.example.org ESMTP\r\n" + b"x" * MAX_TEXT,
        GREETING + b"queue_name\0hold\0" + b"".join(b"a%d\0b\0" % n for n in range(99)),
    ],
)
def test_another_form_is_an_error(octets: bytes) -> None:
    with pytest.raises(QueueListError):
        read(octets)


def tally(octets: bytes) -> QueueState:
    counted = QueueTally()
    for event in read(octets)[0]:
        counted.add(event)
    return counted.state(5000, is_partial=False)


def test_what_is_counted() -> None:
    state = tally(LIST)
    assert state.mails == {"incoming": 1, "active": 1, "deferred": 1, "hold": 1, "maildrop": 0}
    # mail on hold waits for a person
    assert state.oldest == 1000
    assert state.destinations == (
        QueueDestination("late.test", 2, 1000, "connect to late.test: refused"),
        QueueDestination("x.test", 1, 1000, ""),
    )
    assert decode_queue(json.loads(json.dumps(encode_queue(state)))) == state


def test_many_hostile_destinations_stay_few_and_short() -> None:
    recipients = [(f"u@d{n}.test", "") for n in range(MAX_DOMAINS + 100)]
    hostile = "a@\x1b[31m\u202e" + "x" * 999
    state = tally(
        GREETING + mail("deferred", 1, (hostile, "\x07" * 9999), (hostile, ""), *recipients) + b"\0"
    )
    assert len(state.destinations) == MAX_DESTINATIONS
    first = state.destinations[0]
    assert (first.recipients, len(first.domain), len(first.reason)) == (2, 255, 300)
    assert (first.domain + first.reason).isprintable()


@pytest.mark.parametrize(
    "found",
    [
        [],
        {"at": "1"},
        {"at": -1},
        {"at": 1, "mails": []},
        {"at": 1, "mails": {"hold": True}},
        {"at": 1, "oldest": 10**400},
        {"at": 1, "destinations": {}},
        {"at": 1, "destinations": ["x"]},
        {"at": 1, "destinations": [{"domain": 1}]},
    ],
)
def test_a_report_with_another_form_is_refused(found: object) -> None:
    with pytest.raises(QueueStateError):
        decode_queue(found)
