"""Whole milter conversations: valid ones, changed in order, in length and in content."""

from __future__ import annotations

import struct
from random import Random

from milters.conversation import TCP, UNIX
from milters.protocol.errors import MilterProtocolError
from tests.fuzz.mail import message
from tests.fuzz.mutate import mutate, portions
from tests.fuzz.target import Target
from tests.testbed.miltermta import WIDTH
from tests.unit.milters.test_conversation import Mta
from tests.unit.milters.test_protocol import packet

_COMMANDS = b"OCHDMRTLNBEAQKU"
_OFFERS = ((6, 0x1FF, 0x1FFFFF), (6, 0x1F, 0x7F), (2, 0x1F, 0x7F), (6, 0x1FF, 0), (1, 0, 0))
_CLIENTS = (
    b"mx.sender.example\x004\x00\x19192.0.2.1\0",
    b"localhost\x004\0\x19127.0.0.1\0",
    b"unknown\x006\0\x19IPv6:2001:db8::1\0",
    b"unknown\0U",
    b"\0L\0\0/run/socket\0",
)
_MACROS = (
    b"M{auth_authen}\0alice\0{daemon_name}\0mx\0",
    b"Mi\x004ABC\0",
    b"Ei\x004ABC\0",
    b"C{daemon_name}\0submission\0j\0mx\0_\0unknown\0",
)
_SENDERS = (b"<a@sender.example>\0", b"<>\0", b"<user@signer.example>\0SMTPUTF8\0", b"<a@b>\0X=\0")


def make(random: Random) -> tuple[bool, list[bytes]]:
    """Draw a conversation: whether it is over a unix socket, and the octets as they arrive."""
    said = [packet(b"O", struct.pack(">III", *random.choice(_OFFERS)))]
    said.append(packet(b"C", random.choice(_CLIENTS)))
    said.append(packet(b"H", b"mx.sender.example\0"))
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        said.append(packet(b"D", random.choice(_MACROS)))
        said.append(packet(b"M", random.choice(_SENDERS)))
        said += [packet(b"R", b"<b@receiver.example>\0")] * random.choice((1, 1, 2))
        said.append(packet(b"T"))
        header, _, body = message(random).partition(b"\r\n\r\n")
        for field in header.split(b"\r\n"):
            name, _, value = field.partition(b":")
            said.append(packet(b"L", name + b"\0" + value + b"\0"))
        said.append(packet(b"N"))
        if body:
            said.append(packet(b"B", body))
        said.append(packet(b"D", random.choice(_MACROS)))
        said.append(packet(random.choice((b"E", b"E", b"E", b"A"))))
    said.append(packet(random.choice((b"Q", b"K"))))
    for _ in range(random.choice((0, 0, 1, 2, 5))):
        at = random.randrange(len(said))
        match random.randrange(5):
            case 0:
                del said[at]
            case 1:
                said.insert(at, said[random.randrange(len(said))])
            case 2:
                said.insert(at, packet(bytes([random.choice(_COMMANDS)]), random.randbytes(9)))
            case 3:
                said[at] = packet(said[at][4:5], mutate(said[at][5:], random))
            case _:
                said[at] = mutate(said[at], random, 1)  # perhaps its length
        if not said:
            break
    return random.random() < 0.5, portions(b"".join(said), random)


def check(made: tuple[bool, list[bytes]]) -> None:
    """Play it: a protocol error ends it, an error of ours is a finding, answers are well-formed."""
    is_unix, data = made
    mta = Mta(UNIX if is_unix else TCP)
    said = b""
    try:
        for portion in data:
            said += mta.say(portion)
    except MilterProtocolError:
        pass
    assert not mta.service.failures, "an internal error was answered with 451"
    while said:
        (size,) = struct.unpack(">I", said[:4])
        command, content = said[4:5], said[5 : 4 + size]
        assert len(said) >= 4 + size, "half an answer"
        if command in b"im":
            name, value = content[4:-1].split(b"\0", 1)
            assert b"\r" not in value
            assert b"\0" not in value
            for line in (name + b":" + value).split(b"\n"):
                # RFC 5322 section 2.1.1; a word, as a long domain, cannot be folded
                assert len(line) <= WIDTH or (len(line) < 998 and b" " not in line.strip())
        said = said[4 + size :]


TARGET = Target("milter", 300_000, make, check)
