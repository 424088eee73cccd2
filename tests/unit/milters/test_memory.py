"""Memory of messages: counted as it is, given back, and bounded for all together."""

from __future__ import annotations

import gc
import tracemalloc
import weakref
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milters.actions import Refuse
from milters.memory import Holding, Memory
from milters.needed import SMALL, needed
from milters.outcome import MessageOutcome
from milters.session import Session
from msgauth.ask import TEMPFAIL
from msgauth.dkim.headers import Header
from msgauth.dmarc.subject import AuthorDomain
from msgauth.dmarc.walk import Walker
from msgauth.drive import Pending, begin, solve
from msgauth.message import MAX_FIELDS, HeaderField
from tests.unit.milters.mail import NOW, rules

SIGNED = (
    b" v=1; a=rsa-sha256; c=relaxed/relaxed; d=signer.example; s=r; h=from%s; "
    b"bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=YWFh"
)


def message(memory: Memory, fields: list[tuple[bytes, bytes]], names: bytes = b"") -> Session:
    """A session in which the header of a message from outside is complete."""
    current = rules()
    session = Session(lambda: current, memory=memory)
    session.connect("unknown", "192.0.2.1")
    session.mail_from(b"<a@sender.example>", "", "smtpd")
    session.rcpt(b"<b@receiver.example>")
    session.header(b"DKIM-Signature", SIGNED % names)
    session.header(b"From", b" a@signer.example")
    for name, value in fields:
        session.header(name, value)
    return session


def ended(session: Session) -> MessageOutcome:
    return solve(session.end_of_message(NOW), lambda _: TEMPFAIL)


def begin_another(session: Session) -> None:
    session.mail_from(b"<>", "", "")
    session.abort()


def refused(session: Session) -> str:
    outcome = ended(session)
    assert isinstance(outcome.actions[0], Refuse)
    return str(outcome.actions[0].reply)


def test_what_is_held_is_given_back_however_a_message_ends() -> None:
    memory = Memory()
    endings: list[Callable[[Session], object]] = [
        ended,
        lambda session: session.abort(),
        lambda session: session.connect("unknown", "192.0.2.2"),
        begin_another,
    ]
    for end in endings:
        session = message(memory, [(b"X", b" " + b"x" * 1000)])
        assert memory.held > 1000
        session.end_of_headers()
        end(session)
        del session
        assert memory.held == 0


@pytest.mark.parametrize(
    "fields",
    [
        [(b"ARC-Seal", b" i=1; cv=none")],  # the chain is broken
        [(b"From", b" second@signer.example")],
        [(b"DKIM-Signature", b" v=2")],
        [(b"Received-SPF", b" pass")],
    ],
    ids=lambda fields: fields[0][0].decode(),
)
def test_a_message_is_given_back_at_once_when_a_check_fails(
    fields: list[tuple[bytes, bytes]],
) -> None:
    memory = Memory()
    gc.collect()
    gc.disable()  # nothing of it may be part of a cycle
    try:
        session = message(memory, fields)
        session.end_of_headers()
        ended(session)
        del session
        assert memory.held == 0
    finally:
        gc.enable()


def test_an_author_domain_that_dns_does_not_answer_for_is_given_back_at_once() -> None:
    gc.collect()
    gc.disable()
    try:
        author = AuthorDomain("silent.example", Walker())
        solve(author.find_policy(), lambda _: TEMPFAIL)
        assert author.failure is not None
        there = weakref.ref(author)
        del author
        assert there() is None
    finally:
        gc.enable()


def test_a_message_that_waits_for_dns_is_held_until_that_is_over() -> None:
    memory = Memory()
    session = message(memory, [(b"X", b" " + b"x" * 100_000)], names=b":x")
    session.end_of_headers()
    waiting = begin(session.end_of_message(NOW), lambda _: None)
    assert isinstance(waiting, Pending)
    session.abort()  # the MTA has hung up
    assert memory.held > 100_000
    waiting.rest.close()
    del waiting
    assert memory.held == 0


def test_beyond_the_bound_a_message_is_deferred_and_what_it_held_is_let_go() -> None:
    memory = Memory(lambda: 1_000_000)
    first = message(memory, [(b"X", b" " + b"x" * 600_000)])
    second = message(memory, [(b"X", b" " + b"x" * 600_000)])
    assert memory.held < 700_000
    assert refused(second) == (
        "451 4.3.2 too many large messages in progress, please try again [too-much-mail]"
    )
    third = message(memory, [])
    third.end_of_headers()
    assert ended(third).action == "accept", "there is room for a small one"
    assert ended(first).action == "accept"
    assert memory.held == 0


def test_a_message_that_grows_beyond_the_bound_at_the_end_of_its_header_is_deferred() -> None:
    memory = Memory(lambda: 1_000_000)
    other = message(memory, [])
    session = message(memory, [(b"X", b" " + b"x" * 600_000)], names=b":x")
    session.end_of_headers()
    session.body(b"Hello\r\n")
    assert "[too-much-mail]" in refused(session)
    assert ended(other).action == "accept"


def test_many_recipients_count_too() -> None:
    memory = Memory(lambda: 100_000)
    other = message(memory, [])
    session = message(memory, [])
    for number in range(1000):
        session.rcpt(b"<%d%s@receiver.example>" % (number, b"x" * 200))
    assert memory.held < 100_000
    assert "[too-much-mail]" in refused(session)
    assert ended(other).action == "accept"


def test_a_message_that_is_alone_is_never_deferred_for_its_size() -> None:
    memory = Memory(lambda: 1)
    session = message(memory, [(b"X", b" " + b"x" * 600_000)], names=b":x")
    assert ended(session).action == "accept"


def test_too_large_is_said_where_there_is_no_room_either() -> None:
    memory = Memory(lambda: 1)
    other = message(memory, [])
    fields = [(b"X", b" y")] * (MAX_FIELDS + 1)
    assert "[too-much-mail]" in refused(message(memory, fields)), "it was not kept to be counted"
    assert ended(other).action == "accept"
    assert "[header-too-large]" in refused(message(Memory(), fields))


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ([(b"X-%d" % n, b" y%d" % n) for n in range(19_000)], b""),
        ([(b"X-%d" % n, b" y%d" % n) for n in range(5_000)], True),
        ([(b"X", b" y%d" % n) for n in range(19_000)], b":x"),
        ([(b"X-%d" % n, b" " + bytes(200)) for n in range(5_000)], True),
        ([(b"X-%d" % n, b" " + bytes(100_000)) for n in range(40)], True),
        ([(b"X-%d" % n, b" " + bytes(100_000)) for n in range(40)], b""),
        ([(b"X", b" y")], b"".join(b":%x" % n for n in range(9_000))),
        ([(b"From", b" " + b",".join(b"%d@b.e" % n for n in range(7_000)))], b""),
    ],
    ids=["names", "covered", "one name", "longer", "large, covered", "large", "listed", "authors"],
)
@pytest.mark.parametrize("stage", ["header", "body"])
def test_no_less_is_counted_than_is_held(
    fields: list[tuple[bytes, bytes]], names: bytes | bool, stage: str
) -> None:
    listed = b"".join(b":" + name for name, _ in fields) if names is True else names
    assert isinstance(listed, bytes)
    copies = [(bytes(bytearray(name)), bytes(bytearray(value))) for name, value in fields[:1]]
    memory = Memory()
    message(memory, copies).end_of_headers()  # what is made once
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        fresh = [(bytes(bytearray(name)), bytes(bytearray(value))) for name, value in fields]
        session = message(memory, fresh, listed)
        if stage == "body":
            session.end_of_headers()
        del fresh
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown <= memory.held + 300_000, "tables that are kept for all messages"
    del session


NAMES = st.sampled_from([b"From", b"X-a", b"x=y", b"Received", b"SUBJECT", b"h", b"X-B "])


@given(st.lists(NAMES), st.lists(NAMES.map(bytes.strip), max_size=5), st.booleans())
def test_every_field_that_a_signature_covers_is_kept(
    present: list[bytes], listed: list[bytes], tight: bool
) -> None:
    glue = b":" if tight else b" :\r\n\t"
    h = b" a=b; h" + (b"=" if tight else b" = ") + glue.join(listed) + b"; b=x"
    own = HeaderField(b"DKIM-Signature", h)
    fields = [own, *(HeaderField(name, b" %d" % n) for n, name in enumerate(present))]
    names = [name.lower() for name in listed]
    kept = needed(fields, small=0)
    assert Header(kept).covered(names, own) == Header(fields).covered(names, own)
    assert own in kept
    assert [one for one in fields if one in kept] == kept


def test_what_no_signature_covers_is_let_go() -> None:
    trace = HeaderField(b"Received", b" from somewhere")
    author = HeaderField(b"From", b" a@b.example")
    large = HeaderField(b"X", b" " + b"x" * SMALL)
    assert needed([trace, author]) == [trace, author], "it is not worth the time"
    assert needed([trace, author], small=0) == [author]
    assert needed([trace, author, large]) == [author]


def test_a_buffer_is_counted_beside_the_messages() -> None:
    memory = Memory(lambda: 100)
    message_, buffer = Holding(memory), Holding(memory)
    assert message_.grow(60)
    assert not buffer.grow(60)
    buffer.set(60)
    assert memory.held == 120
    del buffer
    assert memory.held == 60
