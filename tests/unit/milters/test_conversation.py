"""A connection of an MTA without a socket: what it is answered, and what errors of ours come to."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.ownership import OwnerSettings, read_rights
from gatepost.reply import Reply
from milters.actions import DeleteHeader, InsertHeader, MessageAction, Quarantine, Refuse
from milters.conversation import TCP, UNIX, MilterConversation, queue_id
from milters.protocol.errors import MilterProtocolError
from milters.protocol.negotiation import Wishes
from milters.session import Session
from msgauth.drive import solve
from msgauth.mail_address import MailAddress
from policyd.protocol import RequestReader
from policyd.request import Request
from tests.unit.milters.mail import NOW, key_zone, rules
from tests.unit.milters.test_protocol import (
    ABORT,
    BODY,
    COMMANDS,
    CONNECT,
    DATA,
    END,
    END_OF_HEADER,
    HEADER,
    HELO,
    MAIL,
    MESSAGE,
    OFFER,
    QUEUE_ID,
    QUIT,
    RCPT,
    packet,
)

ZONE = key_zone("signer.example")
CONTINUE = packet(b"c")
FAILED = Reply(451, "4.7.1", "internal error 1, please try again", "internal-error")
DEFERRED = packet(b"y", b"451 4.7.1 internal error 1, please try again [internal-error]\0")
LOCAL = packet(b"C", b"localhost\x004\0\x19127.0.0.1\0")
FROM = packet(b"L", b"From\0 user@signer.example\0")


class Service:
    """Counts the errors of ours."""

    def __init__(self) -> None:
        self.failures = 0

    def failed(self, session: Session) -> Reply:
        self.failures += 1
        return FAILED


class Mta:
    """Plays an MTA, and decides as a worker does."""

    def __init__(self, wishes: Wishes = UNIX, session: Session | None = None) -> None:
        self.service = Service()
        current = rules()
        self.session = session or Session(lambda: current)
        self.conversation = MilterConversation(self.session, self.service, wishes, 70_000)
        self.queue_ids: list[str] = []
        self.clients: list[object] = []

    def say(self, *portions: bytes) -> bytes:
        """What is answered to all of it."""
        for portion in portions:
            self.conversation.receive_data(portion)
        said = b""
        while (end := self.conversation.advance()) is not None:
            self.queue_ids.append(queue_id(end))
            outcome = solve(self.session.end_of_message(NOW), ZONE.resolve)
            self.clients.append(outcome.facts["client"])
            self.conversation.answer(outcome.actions)
            said += self.conversation.take_output()
        return said + self.conversation.take_output()


def commands(said: bytes) -> str:
    """The commands of the packets."""
    found = ""
    while said:
        (size,) = struct.unpack(">I", said[:4])
        found += chr(said[4])
        said = said[4 + size :]
    return found


def test_nothing_is_answered_before_the_end_over_a_unix_socket() -> None:
    mta = Mta()
    assert commands(mta.say(OFFER)) == "O"
    assert mta.say(LOCAL, HELO, MAIL, RCPT, FROM, HEADER, END_OF_HEADER, BODY) == b""
    assert commands(mta.say(QUEUE_ID, END)) == "iic"
    assert mta.queue_ids == ["4ABC"]
    assert mta.say(QUIT) == b""
    assert mta.conversation.has_ended


def test_data_is_answered_over_tcp() -> None:
    mta = Mta(TCP)
    mta.say(OFFER)
    assert mta.say(LOCAL, HELO, MAIL, RCPT) == b""
    assert mta.say(DATA) == CONTINUE
    assert mta.say(FROM, END_OF_HEADER, BODY) == b""


def test_an_mta_that_wants_answers_gets_them() -> None:
    mta = Mta()
    mta.say(packet(b"O", struct.pack(">III", 2, 0x1F, 0x7F)))
    unknown = packet(b"U", b"XYZZY\0")
    for command in (LOCAL, HELO, MAIL, unknown, RCPT, DATA, FROM, END_OF_HEADER, BODY):
        assert mta.say(command) == CONTINUE
    assert commands(mta.say(END)) == "iic"
    assert mta.say(ABORT) == b""


def test_the_last_of_the_body_has_no_answer_beside_that_to_the_end() -> None:
    mta = Mta()
    mta.say(packet(b"O", struct.pack(">III", 2, 0x1F, 0x7F)))
    mta.say(LOCAL, MAIL, FROM, END_OF_HEADER)
    # an MTA would take another one for the verdict, and each verdict for that of the next message
    assert commands(mta.say(packet(b"E", b"the rest"))) == "iic"


def test_nothing_of_a_client_reaches_the_next() -> None:
    mta = Mta()
    login = packet(b"D", b"M{auth_authen}\0user\0")
    mta.say(OFFER, LOCAL, HELO, MAIL, login, packet(b"K"))
    # neither signed for a client that was local, nor for one that had logged in
    said = mta.say(MAIL, FROM, END)
    assert commands(said) == "ic"
    assert b"Authentication-Results\0" in said


@pytest.mark.parametrize(
    ("connect", "client", "is_signed"),
    [
        (b"localhost\x004\0\x00127.0.0.1\0", "local", True),  # as Postfix shows sendmail(1)
        (b"localhost\x006\0\x00::1\0", "local", True),
        (b"localhost\x004\0\x19127.0.0.1\0", "127.0.0.1", False),
        (b"mx.example\x004\0\x00127.0.0.1\0", "127.0.0.1", False),
        (b"localhost\x004\0\x00192.0.2.1\0", "192.0.2.1", False),
        (b"localhost\x004\0\x00unknown\0", "unknown", False),
    ],
)
def test_mail_that_was_handed_in_is_ours_whatever_is_internal(
    connect: bytes, client: str, is_signed: bool
) -> None:
    current = rules({"internal_networks": ["10.0.0.0/8"]})
    mta = Mta(session=Session(lambda: current))
    said = mta.say(OFFER, packet(b"C", connect), HELO, MAIL, FROM, END_OF_HEADER, END)
    assert (b"DKIM-Signature\0" in said) is is_signed
    assert (b"Authentication-Results\0" in said) is not is_signed
    assert mta.clients == [client]


def test_a_queue_id_is_that_of_its_own_message() -> None:
    mta = Mta()
    own = packet(b"D", b"Ni\x004ABC\0")
    mta.say(OFFER, LOCAL, MAIL, FROM, own, END_OF_HEADER, END)
    mta.say(MAIL, FROM, END, MAIL, FROM, END_OF_HEADER, END)
    assert mta.queue_ids == ["4ABC", "", ""]


def test_the_space_before_a_value_comes_and_goes_as_agreed() -> None:
    bare = packet(b"L", b"From\0user@signer.example\0")
    results = []
    for steps, field in ((0x1FFFFF, FROM), (0x0FFFFF, bare)):
        mta = Mta()
        mta.say(packet(b"O", struct.pack(">III", 6, 0x1FF, steps)))
        said = mta.say(LOCAL, MAIL, field, END)
        name = said.index(b"DKIM-Signature\0") + len(b"DKIM-Signature\0")
        results.append((said[name : name + 3], said[name:].count(b"\n")))
    assert results[0][0] == b" v="
    assert results[1][0] == b"v=1"
    assert results[0][1] == results[1][1]


ACTIONS: list[tuple[Sequence[MessageAction], str]] = [
    ((), "c"),
    ((InsertHeader("X", " y"), DeleteHeader("X", 1), Quarantine("why")), "imqc"),
    ((Refuse(Reply(550, "5.7.1", "no")),), "y"),
]


@pytest.mark.parametrize(("actions", "expected"), ACTIONS)
def test_actions(actions: Sequence[MessageAction], expected: str) -> None:
    mta = Mta()
    mta.say(OFFER, MAIL)
    mta.conversation.answer(actions)
    assert commands(mta.conversation.take_output()) == expected
    assert not mta.service.failures


@pytest.mark.parametrize(
    ("offered", "action"),
    [
        (0x1DF, Quarantine("why")),
        (0x1FF, InsertHeader("X", " y\r\nz")),
    ],
)
def test_what_the_mta_cannot_do_defers_the_message_whole(
    offered: int, action: MessageAction
) -> None:
    mta = Mta()
    mta.say(packet(b"O", struct.pack(">III", 6, offered, 0x1FFFFF)), MAIL)
    mta.conversation.answer((action,))
    assert mta.conversation.take_output() == DEFERRED
    assert mta.service.failures == 1


@pytest.mark.parametrize(
    ("offered", "missing"),
    [(0x1FE, "ADD_HEADERS"), (0x1EF, "CHANGE_HEADERS"), (0, "ADD_HEADERS and CHANGE_HEADERS")],
)
def test_an_mta_that_lets_nothing_be_added_or_removed_is_told_at_once(
    offered: int, missing: str
) -> None:
    mta = Mta()
    with pytest.raises(MilterProtocolError, match=f"does not offer {missing}, "):
        mta.say(packet(b"O", struct.pack(">III", 6, offered, 0x1FFFFF)), MAIL)


class Broken(Session):
    """A session with a mistake in one of its methods."""

    def __init__(self, method: str) -> None:
        current = rules()
        super().__init__(lambda: current)

        def fail(*_: object, **__: object) -> None:
            raise RuntimeError("a mistake of ours")

        self.mend: Callable[[], None] = lambda: delattr(self, method)
        setattr(self, method, fail)


@pytest.mark.parametrize("method", ["mail_from", "rcpt", "header", "end_of_headers", "body"])
def test_an_error_of_ours_defers_the_message_and_not_the_next(method: str) -> None:
    session = Broken(method)
    mta = Mta(session=session)
    mta.say(OFFER, LOCAL, HELO)
    assert mta.say(MAIL, RCPT, FROM, FROM, END_OF_HEADER, BODY, BODY) == b""
    assert mta.say(END) == DEFERRED
    assert mta.service.failures == 1, "told once a message"
    session.mend()
    assert commands(mta.say(MAIL, RCPT, FROM, END_OF_HEADER, BODY, END)) == "iic"


def test_an_error_in_the_last_of_the_body_defers_too() -> None:
    mta = Mta(session=Broken("body"))
    assert (
        mta.say(OFFER, LOCAL, MAIL, FROM, packet(b"E", b"the rest"))[-len(DEFERRED) :] == DEFERRED
    )


@pytest.mark.parametrize("method", ["connect", "helo"])
def test_what_is_not_known_of_the_client_defers_all_its_messages(method: str) -> None:
    session = Broken(method)
    mta = Mta(session=session)
    mta.say(OFFER, LOCAL, HELO)
    for _ in range(2):
        assert mta.say(MAIL, RCPT, FROM, END) == DEFERRED
    mta.say(MAIL, ABORT)
    assert mta.say(MAIL, FROM, END) == DEFERRED
    session.mend()
    assert mta.say(MAIL, FROM, END) == DEFERRED
    mta.say(LOCAL, HELO)
    assert commands(mta.say(MAIL, RCPT, FROM, END)) == "iic"


def test_what_is_not_known_of_a_client_does_not_concern_the_next() -> None:
    session = Broken("helo")
    mta = Mta(session=session)
    mta.say(OFFER, LOCAL, HELO)
    session.mend()
    assert mta.say(MAIL, FROM, END) == DEFERRED
    assert commands(mta.say(packet(b"K"), MAIL, FROM, END)) == "ic"


def test_a_message_that_is_given_up_takes_its_error_with_it() -> None:
    session = Broken("header")
    mta = Mta(session=session)
    mta.say(OFFER, LOCAL, MAIL, FROM)
    assert mta.service.failures == 1
    session.mend()
    for interruption in (ABORT, HELO, b""):  # MAIL alone begins anew too
        assert commands(mta.say(interruption, MAIL, FROM, END)) == "iic"


def test_names_that_are_no_text() -> None:
    mta = Mta()
    login = packet(b"D", b"M{auth_authen}\0\xff\0")
    mta.say(OFFER, CONNECT, login, MAIL, FROM, packet(b"D", b"Ei\0\xff\0"))
    # somebody has logged in
    assert commands(mta.say(END)) == "iic"
    assert mta.queue_ids == ["?"]


class Remembers(Session):
    """A session that remembers the logins."""

    logins: tuple[str, ...] = ()

    def mail_from(self, sender: bytes, login: str, daemon_name: str, *, utf8: bool = False) -> None:
        self.logins += (login,)
        super().mail_from(sender, login, daemon_name, utf8=utf8)


def test_a_login_reads_as_in_the_policy_server_and_the_tables(tmp_path: Path) -> None:
    raw = b"j\xf6rg"
    table = tmp_path / "owners"
    table.write_bytes(b"user@signer.example " + raw + b"\n")
    reader = RequestReader()
    reader.receive_data(b"request=smtpd_access_policy\nsasl_username=" + raw + b"\n\n")
    asked = reader.next_event()
    current = rules()
    session = Remembers(lambda: current)
    mta = Mta(session=session)
    mta.say(OFFER, CONNECT, packet(b"D", b"M{auth_authen}\0" + raw + b"\0"), MAIL)
    (login,) = session.logins
    assert isinstance(asked, Request)
    assert login == asked.sasl_username
    assert read_rights(OwnerSettings(owners_files=(table,))).may_use(
        login, MailAddress.parse("user@signer.example")
    )


def test_field_names_that_are_no_text_are_signed_around() -> None:
    mta = Mta()
    mta.say(OFFER, LOCAL, MAIL, FROM, packet(b"L", b"X-\xff\0 y\0"))
    assert commands(mta.say(END)) == "iic"
    assert not mta.service.failures


def test_messages_that_come_at_once_are_decided_one_by_one() -> None:
    mta = Mta()
    mta.conversation.receive_data(MESSAGE + MAIL + RCPT + FROM + END)
    assert mta.conversation.advance() is not None
    assert mta.conversation.has_more
    solve(mta.session.end_of_message(NOW), ZONE.resolve)
    mta.conversation.refuse(FAILED)
    assert mta.conversation.advance() is not None
    assert not mta.conversation.has_more
    assert not mta.conversation.in_message


@given(st.lists(st.sampled_from((*COMMANDS, FROM)), max_size=30))
def test_any_order_is_followed_or_refused(given_commands: list[bytes]) -> None:
    mta = Mta()
    with contextlib.suppress(MilterProtocolError):
        mta.say(OFFER, *given_commands)
    assert not mta.service.failures


def test_an_event_that_a_session_has_no_place_for_ends_the_connection() -> None:
    """It must not pass for a mistake of ours, which would be answered and followed further."""
    mta = Mta()
    mta.say(OFFER, LOCAL, HELO, MAIL)
    mta.session.abort()  # the conversation believes that a message is under way
    with pytest.raises(MilterProtocolError, match="before MAIL FROM"):
        mta.say(FROM)
    assert mta.service.failures == 0
