"""libmilter and we follow an MTA alike, except for the differences that a decision names."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz.target import run
from tests.libmilter import ours
from tests.libmilter.conversation import PROBE, Conversation, Played, packets
from tests.libmilter.following import DIFFERENCES, follow
from tests.libmilter.oracle import Oracle
from tests.libmilter.recorder import RECORDED, read
from tests.libmilter.recording import BROKEN, SETTINGS
from tests.libmilter.target import TARGET, check, ending_oracle, oracle
from tests.unit.milters.test_conversation import CONTINUE, DEFERRED
from tests.unit.milters.test_protocol import (
    ABORT,
    BODY,
    CONNECT,
    DATA,
    END,
    END_OF_HEADER,
    HEADER,
    HELO,
    LOGIN,
    MAIL,
    MESSAGE,
    OFFER,
    QUEUE_ID,
    RCPT,
    packet,
)

SEED = 20_261_126
DECISION = Path(__file__).parents[2] / "docs" / "decisions" / "0005-milter-protocol.md"


@pytest.fixture(scope="module", autouse=True)
def libmilter() -> Iterator[Oracle]:
    with ending_oracle() as running:
        yield running


def test_hundreds_of_generated_conversations() -> None:
    assert run(TARGET, SEED, range(400)) == 400


POSTFIX = {path.stem: read(path) for path in sorted(RECORDED.glob("*.txt"))}


def test_what_postfix_said_is_here() -> None:
    versions = {name.split("-")[1] for name in POSTFIX}
    assert versions == {"2", "3", "4", "6"}
    said = b"".join(conversation.octets for conversation in POSTFIX.values())
    for word in (b"SMTPUTF8", b"{auth_authen}", b"gr\xfc\xdfe", packet(b"A"), b"2001:db8::1"):
        assert word in said


@pytest.mark.parametrize("name", POSTFIX)
def test_what_postfix_said(name: str) -> None:
    for wishes, rules in itertools.product(("tcp", "unix"), SETTINGS):
        check(Conversation(POSTFIX[name].octets, wishes, rules), allowed=())  # type: ignore[arg-type]


ENVELOPE_ONLY = OFFER + CONNECT + HELO + MAIL + RCPT
OLD_OFFER = packet(b"O", struct.pack(">III", 2, 0x1F, 0x7F))
ACTIONS = (0x1FF, 0x1F, 0x1DF, 0xFF, 0x1EF, 0x1FE, 0)
STEPS = (0x1FFFFF, 0x0FFFFF, 0x1FFDFF, 0x7F, 0)


@pytest.mark.parametrize("version", [0, 1, 2, 3, 4, 5, 6, 7])
def test_other_offers(version: int) -> None:
    """Other versions, actions that are missing, steps that are."""
    heard = 0
    for actions, steps, wishes in itertools.product(ACTIONS, STEPS, ("tcp", "unix")):
        offer = packet(b"O", struct.pack(">III", version, actions, steps))
        _, *rest = packets(POSTFIX["two_messages-6-1"].octets)
        octets = offer + b"".join(packet(one[:1], one[1:]) for one in rest) + PROBE
        for rules in ("default", "strict"):
            conversation = Conversation(octets, wishes, rules)  # type: ignore[arg-type]
            check(conversation, allowed=())
            heard += bool(ours.play(conversation)[0].events)
    # without adding and changing fields there is nothing to be done
    assert heard == (0 if version < 2 else 4 * 5 * 2 * 2)


@pytest.mark.parametrize("wishes", ["tcp", "unix"])
def test_each_step_and_action_that_is_missing(wishes: str) -> None:
    offers = [(0x1FF & ~(1 << bit), 0x1FFFFF) for bit in range(9)]
    offers += [(0x1FF, 0x1FFFFF & ~(1 << bit)) for bit in range(21)]
    for actions, steps in offers:
        offer = packet(b"O", struct.pack(">III", 6, actions, steps))
        octets = offer + MESSAGE[len(OFFER) :] + PROBE + MAIL + ABORT + packet(b"K") + PROBE
        check(Conversation(octets, wishes), allowed=("macros out of turn",))  # type: ignore[arg-type]


ORDERLY = {
    "a queue id at another stage, and none for the next message": MESSAGE.replace(
        END_OF_HEADER, packet(b"D", b"Ni\x004DEF\0") + END_OF_HEADER
    ).replace(QUEUE_ID, b"")
    + packet(b"D", b"M{daemon_name}\0mx\0")
    + MAIL
    + RCPT
    + END,
    "nothing of a client is left for the next": OFFER
    + packet(b"D", b"C{daemon_name}\0mx\0{auth_authen}\0alice\0")
    + CONNECT
    + MAIL
    + RCPT
    + END
    + packet(b"K")
    + MAIL
    + RCPT
    + END,
    "the next client": MESSAGE + packet(b"K") + CONNECT + HELO + MAIL + RCPT + END,
    "the last of the body with the end": ENVELOPE_ONLY + END_OF_HEADER + packet(b"E", b"the rest"),
    "a body without a header": ENVELOPE_ONLY + BODY + END,
    "HELO in a message": ENVELOPE_ONLY + HEADER + HELO + MAIL + RCPT + END,
    "MAIL in a message": ENVELOPE_ONLY + HEADER + MAIL + RCPT + END_OF_HEADER + END,
    "a value with NUL": ENVELOPE_ONLY + packet(b"L", b"X\0 y\0z\0") + END_OF_HEADER + END,
    "an unknown packet": ENVELOPE_ONLY + packet(b"Z", b"x"),
    "names of macros in braces or not": OFFER
    + CONNECT
    + packet(b"D", b"M{auth_authen}\0a\0")
    + MAIL
    + RCPT
    + packet(b"D", b"E{i}\x004ABC\0")
    + END,
    "a login that is no text": ENVELOPE_ONLY.replace(
        MAIL, packet(b"D", b"M{auth_authen}\0\xff\0") + MAIL
    ),
}


@pytest.mark.parametrize("name", ORDERLY)
def test_what_an_mta_may_do(name: str) -> None:
    for wishes, offer in itertools.product(("tcp", "unix"), (OFFER, OLD_OFFER)):
        octets = ORDERLY[name].replace(OFFER, offer) + PROBE
        check(Conversation(octets, wishes), allowed=())  # type: ignore[arg-type]


def test_every_kind_of_answer_is_compared() -> None:
    broken = MESSAGE.replace(HEADER, packet(b"L", BROKEN + b"\0 x\0"))
    forged = packet(b"L", b"From\0 user@signer.example\0")
    claimed = packet(b"L", b"Authentication-Results\0 mx.receiver.example; dmarc=pass\0")
    outside = MESSAGE.replace(LOGIN, b"").replace(HEADER, forged + claimed)
    other = MESSAGE.replace(LOGIN, b"").replace(HEADER, packet(b"L", b"From\0 a@other.example\0"))
    found = set()
    for octets, rules in itertools.product((MESSAGE, broken, outside, other), SETTINGS):
        conversation = Conversation(octets + PROBE, "unix", rules)
        check(conversation, allowed=())
        found |= {one[:4] for one in ours.play(conversation)[0].answers[1:]}
    assert {b"c", b"i\0\0\0", b"m\0\0\0", b"y451", b"y550"} <= found
    assert any(one.startswith(b"q") for one in found)
    played, _ = ours.play(Conversation(broken))
    assert DEFERRED[4:] in played.answers


PLAIN = ENVELOPE_ONLY + HEADER + END_OF_HEADER
TWICE = packet(b"D", b"M{daemon_name}\0a\0{daemon_name}\0b\0")
EXAMPLES = {
    "out of place": PLAIN + HEADER + BODY + END,
    "loose order": OFFER + CONNECT + HELO + MAIL + HEADER + END_OF_HEADER + BODY + END,
    "next client at once": OFFER + CONNECT + HELO + CONNECT.replace(b".1\0", b".2\0") + MAIL + RCPT,
    "unknown command in a message": PLAIN + PROBE + END,
    "macros out of turn": MESSAGE + MAIL + RCPT + HEADER + END_OF_HEADER + END,
    "doubled macro": OFFER + CONNECT + TWICE + MAIL + RCPT,
    "unreadable macros": OFFER + CONNECT + packet(b"D", b"Mhalf") + MAIL + RCPT,
    "macros before the offer": packet(b"D", b"Mx\0y\0") + ENVELOPE_ONLY,
    "no offer": MAIL + RCPT,
    "no message": ENVELOPE_ONLY + ABORT + DATA,
    "unfinished text": OFFER + CONNECT + packet(b"M", b"<a@b>\0SIZE") + RCPT,
    "no name": ENVELOPE_ONLY + packet(b"L", b"\0x\0y\0"),
    "no content": PLAIN + packet(b"B") + END,
    "no length": OFFER + CONNECT + b"\0\0\0\0A" + MAIL + RCPT,
    "longest packet": PLAIN + packet(b"B", b"x" * 65_536) + END,
    "high version": OFFER.replace(b"\0\0\0\6", b"\xff\0\0\6") + CONNECT + MAIL + RCPT,
    "client address": ENVELOPE_ONLY.replace(b"192.0.2.1", b"192.0.513"),
    "text of pymilter": ENVELOPE_ONLY + packet(b"L", b"X-\xff\0y\0") + END_OF_HEADER + END,
}  # fmt: skip


def test_every_difference_has_an_example_and_a_reason() -> None:
    assert set(EXAMPLES) == set(DIFFERENCES)
    text = DECISION.read_text()
    for name in DIFFERENCES:
        assert f"**{name}**" in text


@pytest.mark.parametrize("name", DIFFERENCES)
def test_a_difference_is_exactly_what_its_name_says(name: str) -> None:
    conversation = Conversation(EXAMPLES[name] + PROBE)
    followed = follow(conversation)
    assert set(followed.names) == {name}
    check(conversation, allowed=(name,))
    played, error = ours.play(conversation)
    assert bool(error) is (DIFFERENCES[name] == "close")
    assert oracle().play(conversation) != played


# where our side has no other words for it, what libmilter does is seen here


def heard_by_libmilter(octets: bytes) -> Played:
    return oracle().play(Conversation(octets))


def words(played: Played) -> list[str]:
    return [event[0] for event in played.events]


def test_libmilter_needs_no_offer() -> None:
    played = heard_by_libmilter(MAIL + RCPT + PROBE)
    assert words(played) == ["client", "mail", "rcpt", "given up"]
    assert played.answers == [b"c"] * 3


def test_libmilter_goes_on_behind_a_message_that_was_given_up() -> None:
    played = heard_by_libmilter(ENVELOPE_ONLY + ABORT + BODY + END)
    assert words(played) == ["client", "mail", "rcpt", "given up", "body"]
    assert played.answers[1:] == [DEFERRED[4:]]  # of a session that knows of no message


def test_libmilter_takes_a_field_without_a_name() -> None:
    played = heard_by_libmilter(EXAMPLES["no name"])
    assert ["header", "", "y"] in played.events


def test_libmilter_drops_a_message_behind_a_name_that_pymilter_cannot_decode() -> None:
    played = heard_by_libmilter(EXAMPLES["text of pymilter"] + PROBE)
    assert words(played) == ["client", "mail", "rcpt", "given up"]
    assert played.answers[1:] == [b"c"]


def test_libmilter_waits_for_ever_behind_what_is_out_of_place() -> None:
    played = heard_by_libmilter(EXAMPLES["out of place"] + PROBE)
    assert words(played)[-1] == "given up"
    assert played.answers[1:] == [CONTINUE[4:]]  # to the question, and none to the end
