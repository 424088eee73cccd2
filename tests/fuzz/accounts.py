"""The protocols of accounts: changed dialogues, in portions, and what comes out of them."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from accounts.protocols.dovecot_auth import AuthConnection, Denied
from accounts.protocols.dovecot_dict import DictConnection, DictRows, DictValue, Missing
from accounts.protocols.socketmap import SocketmapConnection
from accounts.protocols.table import TableFound, TableNotFound, TableTemporary
from accounts.protocols.tcp_table import TcpTableConnection
from gatepost.conversation import Answered, Conversation, StreamError
from tests.fuzz.mutate import mutate, portions
from tests.fuzz.target import Target

_MOST_KEPT = 128 * 1024
"""Octets that a connection may keep: a line of the dict protocol, and what one read brings."""

_MAKERS: tuple[Callable[[], Conversation[Any, Any]], ...] = (
    SocketmapConnection,
    lambda: TcpTableConnection("aliases"),
    lambda: AuthConnection(1, 2, "0" * 32),
    DictConnection,
)
_DIALOGUES: tuple[bytes, ...] = (
    b"22:aliases a@example.org,23:mailboxes b@example.org,9:domains x,0:,11:transport *,"
    b"19:senders a+b@c.d.e.f,5:relay,2100:" + b"x" * 2100 + b",14:nope a@b.c.d.e,",
    b"get a@example.org\nget J%C3%B6rg@x\nget a%20b%25c\r\nput a b\nget %zz\nget %00\n\nget *\n",
    b"VERSION\t1\t1\nCPID\t4711\nAUTH\t1\tPLAIN\tservice=smtp\tnologin\tlip=192.0.2.1\t"
    b"rip=198.51.100.7\tsecured\tresp=AGhhcnJpZQBmcm9w\nAUTH\t2\tLOGIN\nCONT\t2\taGFycmll\n"
    b"CONT\t2\tZnJvcA==\nCANCEL\t3\nAUTH\t4\tplain\nCONT\t4\tdQB1AHA=\nAUTH\t5\tX\tresp==\n",
    b"H4\t0\t0\t\tsieve\nLpriv/sieve/name/active\tanna\nI25\t7\tshared/\tanna\nB1\tanna\t0\n"
    b"S1\tshared/a\tb\x01n\nC1\nLa\x01tb\tc\nD2\nI0\t0\ta\tb\tc\n",
)
_REPLIES = (
    TableFound("x"),
    TableNotFound(),
    TableTemporary("away"),
    Denied("no"),
    DictValue("x"),
    Missing(),
    DictRows(()),
)


def make(random: Random) -> tuple[int, list[bytes]]:
    """Draw a protocol, and what its client sends as it arrives."""
    which = random.randrange(len(_MAKERS))
    dialogue = _DIALOGUES[which]
    data = mutate(dialogue, random)
    if random.random() < 0.5:  # a greeting that is right, so that more is read
        data = dialogue[: dialogue.find(b"\n") + 1] + data
    return which, portions(data, random)


def check(made: tuple[int, list[bytes]]) -> None:
    """Check that the portions make no difference, that memory is bounded, and each answer."""
    which, arriving = made
    seen = _events(_MAKERS[which](), arriving)
    assert seen == _events(_MAKERS[which](), [b"".join(arriving)])


def _events(conversation: Conversation[Any, Any], arriving: list[bytes]) -> list[Any]:
    events: list[Any] = []
    for portion in arriving:
        conversation.receive_data(portion)
        try:
            while (event := conversation.next_event()) is not None:
                events.append(event)
                if not isinstance(event, Answered):
                    _answer(conversation, event)
        except StreamError as error:
            return [*events, str(error)]
        assert conversation.buffered < _MOST_KEPT
    return events


def _answer(conversation: Conversation[Any, Any], event: Any) -> None:
    for expired in (False, True):
        assert isinstance(conversation.failure(event, expired=expired), bytes | None)
    for reply in _REPLIES:
        if type(reply).__module__.rpartition(".")[2] in _REPLIES_OF[type(event).__name__]:
            octets = conversation.encode(event, reply)
            assert octets is None or octets.endswith((b"\n", b","))


_REPLIES_OF = {
    "TableLookup": ("table",),
    "AuthRequest": ("dovecot_auth",),
    "DictLookup": ("dovecot_dict",),
    "DictIterate": ("dovecot_dict",),
}

TARGET = Target("accounts", 100_000, make, check)
