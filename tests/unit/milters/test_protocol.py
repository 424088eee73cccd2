"""The milter protocol: whole, byte by byte, with more behind it, and whatever else comes."""

from __future__ import annotations

import itertools
import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from milters.protocol import answers
from milters.protocol.errors import MilterProtocolError
from milters.protocol.events import (
    Abort,
    BodyChunk,
    Connect,
    Data,
    EndOfHeader,
    EndOfMessage,
    Event,
    HeaderLine,
    Helo,
    MailFrom,
    NextClient,
    Offer,
    Quit,
    RcptTo,
    UnknownCommand,
)
from milters.protocol.negotiation import MtaAction, Stage, Step, Wishes, agree
from milters.protocol.stream import MtaStream

LIMIT = 70_000


def packet(command: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", 1 + len(data)) + command + data


OFFER = packet(b"O", struct.pack(">III", 6, 0x1FF, 0x1FFFFF))
CONNECT = packet(b"C", b"mx.sender.example\x004\x00\x19192.0.2.1\0")
HELO = packet(b"H", b"mx.sender.example\0")
LOGIN = packet(b"D", b"M{auth_authen}\0alice\0{daemon_name}\0mx\0")
MAIL = packet(b"M", b"<a@sender.example>\0SIZE=10\0SMTPUTF8\0")
RCPT = packet(b"R", b"<b@receiver.example>\0NOTIFY=NEVER\0")
DATA = packet(b"T")
HEADER = packet(b"L", b"Subject\0 folded\n\tvalue\0")
END_OF_HEADER = packet(b"N")
BODY = packet(b"B", b"a body\r\n")
QUEUE_ID = packet(b"D", b"Ei\x004ABC\0")
END = packet(b"E")
ABORT = packet(b"A")
QUIT = packet(b"Q")

ENVELOPE = OFFER + CONNECT + HELO + LOGIN + MAIL + RCPT
MESSAGE = ENVELOPE + DATA + HEADER + END_OF_HEADER + BODY + QUEUE_ID + END


def events(*portions: bytes, limit: int = LIMIT) -> list[Event | str]:
    """What comes out of the portions; the text of the error at the end, where there is one."""
    stream = MtaStream(limit)
    found: list[Event | str] = []
    try:
        for portion in portions:
            stream.receive_data(portion)
            while (event := stream.next_event()) is not None:
                found.append(event)
            assert not stream.has_more
    except MilterProtocolError as error:
        found.append(str(error))
    return found


def kinds(found: list[Event | str]) -> list[object]:
    return [event if isinstance(event, str) else type(event) for event in found]


def test_every_event_of_a_message() -> None:
    assert events(MESSAGE + QUIT) == [
        Offer(6, 0x1FF, 0x1FFFFF),
        Connect("mx.sender.example", "192.0.2.1", 25),
        Helo("mx.sender.example"),
        MailFrom(
            b"<a@sender.example>",
            (b"SIZE=10", b"SMTPUTF8"),
            {b"auth_authen": b"alice", b"daemon_name": b"mx"},
        ),
        RcptTo(b"<b@receiver.example>"),
        Data(),
        HeaderLine(b"Subject", b" folded\n\tvalue"),
        EndOfHeader(),
        BodyChunk(b"a body\r\n"),
        EndOfMessage({b"auth_authen": b"alice", b"daemon_name": b"mx", b"i": b"4ABC"}),
        Quit(),
    ]


CASES = {
    "a message": MESSAGE,
    "two messages": MESSAGE + MAIL + HEADER + END,
    "nothing but the envelope": ENVELOPE + END,
    "given up": ENVELOPE + HEADER + ABORT + LOGIN + MAIL + ABORT + ABORT,
    "the next client": MESSAGE + packet(b"K") + CONNECT + HELO + MAIL + END,
    "an unknown command of SMTP": OFFER + CONNECT + packet(b"U", b"XYZZY\0") + HELO + QUIT,
    "the last of the body with the end": ENVELOPE + HEADER + packet(b"E", b"the rest"),
    "a long field": ENVELOPE + packet(b"L", b"X\0" + b"x" * 30_000 + b"\0") + END,
    "no field at all": ENVELOPE + BODY + END,
    "too long": ENVELOPE + packet(b"B", b"x" * LIMIT),
    "an unknown command": OFFER + packet(b"Z"),
    "a value without its end": ENVELOPE + packet(b"L", b"X\0value"),
}


@pytest.mark.parametrize("data", CASES.values(), ids=CASES.keys())
def test_the_portions_make_no_difference(data: bytes) -> None:
    whole = events(data)
    assert whole
    octets = [data[n : n + 1] for n in range(len(data))]
    assert events(*octets) == whole
    behind = events(data + b"\0\0\0\x05B")
    assert behind == whole


@given(st.lists(st.integers(0, len(MESSAGE) * 2), max_size=20))
def test_any_cut_gives_the_same_events(cuts: list[int]) -> None:
    data = MESSAGE + ABORT + MAIL + HEADER + BODY + END + QUIT
    places = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    portions = [data[a:b] for a, b in itertools.pairwise(places)]
    assert events(*portions) == events(data)


@given(st.lists(st.binary(max_size=60), max_size=5))
def test_garbage_ends_in_the_protocols_own_error_or_waits(portions: list[bytes]) -> None:
    events(*portions)
    events(OFFER, *portions)


COMMANDS = (
    OFFER, CONNECT, HELO, LOGIN, MAIL, RCPT, DATA, HEADER, END_OF_HEADER, BODY, QUEUE_ID, END,
    ABORT, QUIT, packet(b"K"), packet(b"U", b"x\0"), packet(b"D"), packet(b"L", b"x"), packet(b"C"),
)  # fmt: skip


@given(st.lists(st.sampled_from(COMMANDS), max_size=30))
@example([OFFER, MAIL, HEADER, MAIL, END])
def test_in_any_order_no_message_ends_that_has_not_begun(commands: list[bytes]) -> None:
    begun = False
    for event in events(b"".join(commands)):
        match event:
            case MailFrom():
                begun = True
            case Abort() | Helo() | Connect() | NextClient():
                begun = False
            case EndOfMessage():
                assert begun
                begun = False
            case RcptTo() | Data() | HeaderLine() | EndOfHeader() | BodyChunk():
                assert begun
            case _:
                pass


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"\0\0\0\0", "a packet of 0 octets"),
        (b"\xff\xff\xff\xff", "a packet of 4294967295 octets"),
        (struct.pack(">I", LIMIT + 1), f"a packet of {LIMIT + 1} octets"),
        (packet(b"O", b"\0" * 11), "a truncated negotiation"),
        (packet(b"Z"), "the command 'Z' is unknown"),
        (packet(b"\xff"), "the command '\\xff' is unknown"),
        (HELO, "the command 'H' is out of order"),
        (OFFER + OFFER, "the command 'O' is out of order"),
        (OFFER + RCPT, "the command 'R' is out of order"),
        (OFFER + DATA, "the command 'T' is out of order"),
        (OFFER + HEADER, "the command 'L' is out of order"),
        (OFFER + END_OF_HEADER, "the command 'N' is out of order"),
        (OFFER + BODY, "the command 'B' is out of order"),
        (OFFER + END, "the command 'E' is out of order"),
        (ENVELOPE + HEADER + RCPT, "the command 'R' is out of order"),
        (ENVELOPE + END_OF_HEADER + HEADER, "the command 'L' is out of order"),
        (ENVELOPE + BODY + HEADER, "the command 'L' is out of order"),
        (ENVELOPE + BODY + END_OF_HEADER, "the command 'N' is out of order"),
        (ENVELOPE + END + END, "the command 'E' is out of order"),
        (ENVELOPE + ABORT + BODY, "the command 'B' is out of order"),
        (ENVELOPE + OFFER, "the command 'O' is out of order"),
        (OFFER + packet(b"C"), "a truncated connection event"),
        (OFFER + packet(b"C", b"host\0"), "a truncated connection event"),
        (OFFER + packet(b"C", b"host\x004\0\x19192.0.2.1"), "an unterminated text"),
        (OFFER + packet(b"C", b"host\x004"), "an unterminated text"),
        (OFFER + packet(b"H"), "an unterminated text"),
        (OFFER + packet(b"H", b"name"), "an unterminated text"),
        (OFFER + packet(b"M"), "an unterminated text"),
        (OFFER + packet(b"M", b"<a@b.example>\0SIZE=1"), "an unterminated text"),
        (OFFER + MAIL + packet(b"R", b"<a@b.example>"), "an unterminated text"),
        (OFFER + MAIL + packet(b"L", b"name\0value"), "a truncated header field"),
        (OFFER + MAIL + packet(b"L", b"name\0"), "a truncated header field"),
        (OFFER + MAIL + packet(b"L", b"\0value\0"), "a truncated header field"),
        (OFFER + packet(b"D"), "malformed macros"),
        (OFFER + packet(b"D", b"Mi"), "malformed macros"),
        (OFFER + packet(b"D", b"Mi\0"), "malformed macros"),
        (OFFER + packet(b"D", b"Mi\0value"), "malformed macros"),
        (OFFER + packet(b"D", b"M" + b"i\0x\0" * 101), "macros of 405 octets"),
        (OFFER + packet(b"D", b"Mi\0" + b"x" * 33_000 + b"\0"), "macros of 33004 octets"),
    ],
)
def test_what_no_mta_may_send(data: bytes, error: str) -> None:
    assert events(data)[-1] == error


def test_behind_an_error_nothing_comes_any_more() -> None:
    stream = MtaStream(LIMIT)
    stream.receive_data(OFFER + BODY + MESSAGE)
    assert isinstance(stream.next_event(), Offer)
    for _ in range(3):
        with pytest.raises(MilterProtocolError):
            stream.next_event()
        stream.receive_data(MESSAGE)


def test_behind_quit_nothing_is_read() -> None:
    assert events(OFFER + QUIT + b"whatever") == [Offer(6, 0x1FF, 0x1FFFFF), Quit()]
    assert events(QUIT) == [Quit()]


def test_a_packet_as_long_as_the_limit_is_taken() -> None:
    body = b"x" * (LIMIT - 1)
    assert events(ENVELOPE + packet(b"B", body))[-1] == BodyChunk(body)
    assert events(ENVELOPE + packet(b"B", body + b"x"))[-1] == f"a packet of {LIMIT + 1} octets"


def test_an_error_is_known_before_the_packet_is_here() -> None:
    stream = MtaStream(LIMIT)
    stream.receive_data(b"\x7f\xff\xff\xff")
    with pytest.raises(MilterProtocolError):
        stream.next_event()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"host\x004\0\x19192.0.2.1\0", Connect("host", "192.0.2.1", 25)),
        (b"host\x006\0\x192001:db8::1\0", Connect("host", "2001:db8::1", 25)),
        (b"host\x006\0\x19IPv6:2001:db8::1\0", Connect("host", "2001:db8::1", 25)),
        (b"localhost\0U", Connect("localhost", None)),
        (b"localhost\0L\0\0/var/run/x\0", Connect("localhost", None)),
        (b"\xff\x004\0\x19nonsense\0", Connect("\N{REPLACEMENT CHARACTER}", "nonsense", 25)),
    ],
)
def test_connections_as_mtas_describe_them(data: bytes, expected: Connect) -> None:
    assert events(OFFER + packet(b"C", data))[-1] == expected


def macros_of(found: Event | str) -> dict[bytes, bytes]:
    assert isinstance(found, MailFrom | EndOfMessage)
    return dict(found.macros)


def test_a_login_does_not_reach_the_next_message() -> None:
    first, second = [
        event for event in events(MESSAGE + MAIL + HEADER + END) if isinstance(event, MailFrom)
    ]
    assert macros_of(first)[b"auth_authen"] == b"alice"
    assert not second.macros
    given_up = events(ENVELOPE + ABORT + MAIL)[-1]
    assert not macros_of(given_up)


def test_the_queue_id_of_the_message_before_is_forgotten() -> None:
    end = events(MESSAGE + MAIL + HEADER + END)[-1]
    assert not macros_of(end)


def test_macros_are_of_the_command_that_they_came_for() -> None:
    # Postfix sends those of DATA where DATA itself is not wanted
    unused = packet(b"D", b"T{auth_authen}\0mallory\0")
    found = events(OFFER + CONNECT + unused + MAIL + unused + HEADER + END)
    assert not macros_of(found[2])
    assert not macros_of(found[-1])


def test_macros_of_the_connection_hold_for_all_its_messages() -> None:
    # as an MTA sends them that takes no list
    data = OFFER + packet(b"D", b"C{daemon_name}\0mx\0") + CONNECT + HELO + (MAIL + END) * 2
    mails = [event for event in events(data) if isinstance(event, MailFrom)]
    assert [mail.macros for mail in mails] == [{b"daemon_name": b"mx"}] * 2
    after = events(data + packet(b"K") + CONNECT + MAIL)[-1]
    assert not macros_of(after)


def test_a_queue_id_may_come_early() -> None:
    # Sendmail knows it at MAIL FROM; braces are a matter of taste
    end = events(OFFER + packet(b"D", b"M{i}\x004ABC\0") + MAIL + RCPT + HEADER + END)[-1]
    assert macros_of(end) == {b"i": b"4ABC"}


def test_a_nul_ends_a_value() -> None:
    assert events(OFFER + MAIL + packet(b"L", b"X\0a\0b\0"))[-1] == HeaderLine(b"X", b"a")


def test_the_kept_octets_are_bounded() -> None:
    stream = MtaStream(LIMIT)
    stream.receive_data(OFFER + MAIL)
    for _ in range(300):  # some 10 MB of macros
        stream.receive_data(packet(b"D", b"R" + b"x" * 30_000 + b"\0value\0") + RCPT)
        while stream.next_event() is not None:
            pass
    stream.receive_data(END)
    end = stream.next_event()
    assert isinstance(end, EndOfMessage)
    assert sum(map(len, end.macros)) < LIMIT


WISHES = Wishes(
    MtaAction.ADD_HEADERS | MtaAction.SET_SYMBOL_LIST,
    Step.NO_REPLY_HEADER | Step.NO_REPLY_BODY | Step.LEADING_SPACE,
    {Stage.MAIL: "{auth_authen}", Stage.END_OF_MESSAGE: "i"},
    MtaAction(0),
)


def test_all_that_is_wished_for() -> None:
    terms = agree(Offer(6, 0x1FF, 0x1FFFFF), WISHES)
    wanted = struct.pack(">III", 6, 0x101, 0x100000 | 0x80 | 0x80000)
    wanted += b"\0\0\0\x02{auth_authen}\0" + b"\0\0\0\x05i\0"
    assert terms.packet == packet(b"O", wanted)
    assert terms.leading == b""
    assert HeaderLine not in terms.answered
    assert BodyChunk not in terms.answered
    assert {Connect, Helo, MailFrom, RcptTo, Data, EndOfHeader} < terms.answered


def test_nothing_is_asked_for_that_was_not_offered() -> None:
    terms = agree(Offer(2, 0x1F, 0x7F), WISHES)
    assert terms.packet == packet(b"O", struct.pack(">III", 2, 0x01, 0))
    assert terms.leading == b" "
    assert {HeaderLine, BodyChunk, UnknownCommand} < terms.answered


def test_versions() -> None:
    assert agree(Offer(99, 0, 0), WISHES).version == 6
    with pytest.raises(MilterProtocolError, match="version 1 of the protocol"):
        agree(Offer(1, 0, 0), WISHES)


def test_answers() -> None:
    assert answers.CONTINUE == b"\0\0\0\x01c"
    assert answers.insert_header("A", " b\n\tc") == packet(b"i", b"\0\0\0\0A\0 b\n\tc\0")
    assert answers.delete_header("A", 258) == packet(b"m", b"\0\0\x01\x02A\0\0")
    assert answers.quarantine("why") == packet(b"q", b"why\0")
    assert answers.reply(451, "4.7.1", "100 %") == packet(b"y", b"451 4.7.1 100 %%\0")


@pytest.mark.parametrize("bad", ["a\0b", "a\rb", "a\nb", "a\n", "a\r\n b"])
def test_no_answer_begins_a_line_that_is_not_ours(bad: str) -> None:
    with pytest.raises(ValueError, match=r"of the milter protocol|of a header field"):
        answers.insert_header("X", bad)
    with pytest.raises(ValueError, match="of the milter protocol"):
        answers.insert_header(bad, " value")
    with pytest.raises(ValueError, match="of the milter protocol"):
        answers.delete_header(bad, 1)
    with pytest.raises(ValueError, match="of the milter protocol"):
        answers.quarantine(bad)
    with pytest.raises(ValueError, match="of the milter protocol"):
        answers.reply(550, "5.7.1", bad)
