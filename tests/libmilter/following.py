"""How libmilter follows a conversation, told in words that both sides understand alike.

Where libmilter and we differ, `follow` says the same to our side in other words: it leaves out what
libmilter passes over, ends where libmilter hangs up, and sends the macros that libmilter would use.
Then both have to come to the same events and answers, and `names` tells which of `DIFFERENCES` made
other words necessary. docs/decisions/0005-milter-protocol.md has the reason of each.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass, field
from typing import Final, Literal

from tests.libmilter.conversation import Conversation, Played
from tests.libmilter.ours import Ours
from tests.unit.milters.test_protocol import packet

We = Literal["close", "follow"]

DIFFERENCES: Final[dict[str, We]] = {
    "out of place": "close",
    "loose order": "follow",
    "next client at once": "follow",
    "unknown command in a message": "follow",
    "macros out of turn": "follow",
    "doubled macro": "follow",
    "unreadable macros": "close",
    "macros before the offer": "close",
    "no offer": "close",
    "no message": "close",
    "unfinished text": "close",
    "no name": "close",
    "no content": "follow",
    "no length": "close",
    "longest packet": "follow",
    "high version": "follow",
    "client address": "follow",
    "text of pymilter": "follow",
}
"""Each difference, and whether we close the connection there or follow the MTA."""

LONGEST: Final = 65535
"""Octets of data that libmilter takes in one packet."""

_NEEDS_DATA: Final = b"DBCHLMORU"
_STAGES: Final = b"CHMRTNE"
"""Commands with macros, in the order in which libmilter keeps them; it looks from the last."""

# which commands have a place behind which one
_PLACES: Final = {
    "": b"O",
    "O": b"CU",
    "C": b"HMU",
    "H": b"HMU",
    "M": b"RAU",
    "R": b"LNTBERAU",
    "T": b"NLA",
    "L": b"NLA",
    "N": b"BEA",
    "B": b"EBA",
    "E": b"QMUK",
    "A": b"HMRATBUQK",  # as behind U, where the milter has asked for no U
    "U": b"HMRATBUQK",
    "K": b"CU",
}
_IN_MESSAGE: Final = "MRTLNB"

# what else we follow there: nothing of the message is missing
_LOOSE: Final = {"M": "TLNBE", "T": "RTBE", "L": "BE"}


class _HangUpError(Exception):
    """libmilter closes the connection."""


@dataclass
class Followed:
    """The findings of `follow`."""

    played: Played
    """The outcome that libmilter must have."""
    names: list[str]
    heard: Conversation
    """The octets to play to libmilter: all of them, or as much as can be told in other words."""


@dataclass
class _Follower:
    ours: Ours
    names: list[str] = field(default_factory=list)
    place: str = ""
    has_offer: bool = False
    is_cut: bool = False
    macros: dict[int, list[bytes]] = field(default_factory=dict)
    fresh: int = -1
    """The stage of the macros that came with the packet before, or -1."""
    is_behind: bool = False
    """True once libmilter has given up a message that we still follow."""
    own: set[int] = field(default_factory=set)
    """The stages whose macros came right before their command, as they should."""

    def differ(self, name: str) -> None:
        assert name in DIFFERENCES
        self.names.append(name)

    def cut(self, name: str) -> None:
        """End the part that can be told in other words: libmilter hears no more."""
        self.differ(name)
        self.is_cut = True

    def hang_up(self, name: str) -> None:
        self.differ(name)
        raise _HangUpError

    def say(self, command: bytes, data: bytes = b"") -> bytes:
        return self.ours.say(packet(command, data))

    # One packet

    def hear(self, command: bytes, data: bytes) -> None:
        if command not in b"ABCDEHKLMNOQRTU":
            self.say(command, data)
            raise _HangUpError
        if not self.has_offer and command not in b"ODQ":
            self.cut("no offer")
            return
        if command != b"D":
            passes = self._moves(command.decode())
            if command == b"Q":
                self.say(b"Q")
                raise _HangUpError
            if not passes:
                return
        if command in _NEEDS_DATA and not data:
            if command in b"BU":
                self.hang_up("no content")
            self.say(command)
            raise _HangUpError
        if command != b"D":
            stage = _STAGES.find(command)
            if self.fresh not in (-1, stage):
                self.differ("macros out of turn")
                self.own.discard(self.fresh)
            (self.own.add if self.fresh == stage else self.own.discard)(stage)
            self.fresh = -1
        getattr(self, f"_hear_{command.decode().lower()}")(data)

    def _moves(self, command: str) -> bool:
        """Return whether the command has a place; where it has none, the message is given up."""
        before, place = self.place, self.place
        if command.encode() not in _PLACES[place]:
            if place in _IN_MESSAGE and place:
                self.say(b"A")
            self.place = "H"
            if command.encode() not in _PLACES["H"]:
                self._name_passed_over(before, command)
                return False
            if command == "U" and before in _IN_MESSAGE and before:
                self.differ("unknown command in a message")
                self.is_behind = True
        if command in "HM":
            self.is_behind = False
        self.place = command
        return True

    def _name_passed_over(self, place: str, command: str) -> None:
        if command in "AQ" or self.is_behind:
            return  # nothing to give up, or the end; or the rest of what was given up already
        if command in "CK":
            self.differ("next client at once")
        elif place == "U" and command in "LNE" and self.ours.in_message:
            self.differ("unknown command in a message")
            self.is_behind = True
        elif command in _LOOSE.get(place, ""):
            self.differ("loose order")
            self.is_behind = True
        else:
            self.differ("out of place")

    def _keep(self, stage: int) -> None:
        """Forget the macros of the stages behind this one."""
        self.macros = {kept: words for kept, words in self.macros.items() if kept <= stage}

    def _macro(self, stages: bytes, *names: bytes) -> bytes | None:
        """Return the value that libmilter finds; `stages` are those in which we look."""
        ours = {_STAGES.index(stage) for stage in stages} & self.own
        for stage in sorted(self.macros, reverse=True):
            words = self.macros[stage]
            for name, value in zip(words[::2], words[1::2], strict=True):
                if name in names:
                    if stage not in ours:
                        self.differ("macros out of turn")
                    return value
        return None

    def _say_macros(self, command: bytes, wanted: dict[bytes, bytes | None]) -> None:
        words = [
            name + b"\0" + value + b"\0" for name, value in wanted.items() if value is not None
        ]
        if words:
            self.say(b"D", command + b"".join(words))

    # One command each, where it has a place

    def _hear_d(self, data: bytes) -> None:
        if not self.has_offer:
            self.differ("macros before the offer")  # libmilter forgets them with the offer
            return
        words = data[1:].split(b"\0")
        unfinished = words.pop()
        if not words or data[:1] not in _STAGES:
            if unfinished or len(words) % 2:
                self.differ("unreadable macros")
            self.fresh = -1
            return
        if unfinished or len(words) % 2:
            self.cut("unreadable macros")  # libmilter would read on behind them
            return
        if len(set(words[::2])) < len(words[::2]):
            self.differ("doubled macro")
        self.fresh = _STAGES.index(data[:1])
        self.macros[self.fresh] = words

    def _hear_o(self, data: bytes) -> None:
        self.macros.clear()
        self.has_offer = True
        if len(data) >= 4 and data[0] & 0x80:
            self.hang_up("high version")
        self.say(b"O", data)
        if self.ours.has_ended:
            raise _HangUpError

    def _hear_c(self, data: bytes) -> None:
        self._keep(_STAGES.index(b"C"))
        host, _, rest = data.partition(b"\0")
        family, port, text = rest[:1], rest[1:3], rest[3:].partition(b"\0")[0]
        if not rest:
            self.say(b"C", data)
            raise _HangUpError
        if _undecodable(host):
            self.cut("text of pymilter")
        elif family == b"U":
            self.say(b"C", host + b"\0U")
        elif len(rest) < 4 or data[-1:] != b"\0":
            self.hang_up("unfinished text" if family in b"46" else "client address")
        elif family == b"4":
            address = _read(socket.AF_INET, text)
            self._client(host, family + port, text, address)
        elif family == b"6":
            bare = text[5:] if text[:5].lower() == b"ipv6:" else text
            address = _read(socket.AF_INET6, bare)
            self._client(host, family + port, bare, address)
        elif family == b"L" and len(text) < 108:
            if _undecodable(text):
                self.cut("text of pymilter")
            else:
                self.say(b"C", host + b"\0L\0\0/\0")
        else:
            self.hang_up("client address")

    def _client(self, host: bytes, kind: bytes, text: bytes, address: bytes) -> None:
        if not address:
            self.hang_up("client address")
        if address != text:
            self.differ("client address")
        self.say(b"C", host + b"\0" + kind + address + b"\0")

    def _hear_h(self, data: bytes) -> None:
        self._keep(_STAGES.index(b"H"))
        if data[-1:] != b"\0":
            self.differ("unfinished text")
        elif _undecodable(name := data.partition(b"\0")[0]):
            self.cut("text of pymilter")
        else:
            self.say(b"H", name + b"\0")

    def _hear_m(self, data: bytes) -> None:
        self._keep(_STAGES.index(b"M"))
        words = self._words(data)
        login, daemon = self._macro(b"CM", b"{auth_authen}"), self._macro(b"CM", b"{daemon_name}")
        self._say_macros(b"M", {b"{auth_authen}": login, b"{daemon_name}": daemon})
        self.say(b"M", words)

    def _hear_r(self, data: bytes) -> None:
        self._keep(_STAGES.index(b"R"))
        if not self.ours.in_message:
            self.cut("no message")
            return
        self.say(b"R", self._words(data))

    def _words(self, data: bytes) -> bytes:
        whole, nul, unfinished = data.rpartition(b"\0")
        if not nul:
            self.say(b"M", data)
            raise _HangUpError
        if unfinished:
            self.differ("unfinished text")
        return whole + nul

    def _hear_l(self, data: bytes) -> None:
        end = data.find(b"\0", 1)
        if data[-1:] != b"\0" or not 0 < end < len(data) - 1:
            self.say(b"L", b"")
            raise _HangUpError
        name, value = data[:end], data[end + 1 :].partition(b"\0")[0]
        if name[:1] == b"\0":
            self.cut("no name")
        elif _undecodable(name):
            self.cut("text of pymilter")
        else:
            self.say(b"L", name + b"\0" + value + b"\0")

    def _hear_n(self, _data: bytes) -> None:
        self.say(b"N")

    def _hear_t(self, _data: bytes) -> None:
        if not self.ours.in_message:
            self.cut("no message")
            return
        self.say(b"T")

    def _hear_b(self, data: bytes) -> None:
        if not self.ours.in_message:
            self.cut("no message")
            return
        self.say(b"B", data)

    def _hear_e(self, data: bytes) -> None:
        self._say_macros(b"E", {b"i": self._macro(b"MRTNE", b"i", b"{i}")})
        answer = self.say(b"E", data)
        if answer.rpartition(packet(b"c"))[2]:  # it does not end in "continue"
            self.place = "H"

    def _hear_a(self, _data: bytes) -> None:
        self.say(b"A")

    def _hear_u(self, data: bytes) -> None:
        self.say(b"U", data)

    def _hear_k(self, _data: bytes) -> None:
        self.macros.clear()
        self.say(b"K")


def follow(conversation: Conversation) -> Followed:
    """Tell our side what libmilter makes of the conversation."""
    follower = _Follower(Ours(conversation))
    octets, position = conversation.octets, 0
    while len(octets) - position >= 5:
        (size,) = struct.unpack(">i", octets[position : position + 4])
        command, start = octets[position + 4 : position + 5], position + 5
        end = start + max(size - 1, 0)
        try:
            if size < 1:
                follower.differ("no length")
            elif end - start > LONGEST:
                follower.hang_up("longest packet")
            elif end > len(octets):
                break  # the MTA has hung up in the middle of it
            follower.hear(command, octets[start:end])
        except _HangUpError:
            break
        if follower.is_cut:
            conversation = conversation.until(position)
            break
        position = end
    return Followed(follower.ours.played(), follower.names, conversation)


def _undecodable(text: bytes) -> bool:
    # pymilter decodes names strictly, and refuses the message itself when it cannot
    try:
        text.decode()
    except UnicodeDecodeError:
        return True
    return False


def _read(family: socket.AddressFamily, text: bytes) -> bytes:
    """Return the address as libmilter shows it; empty where it cannot read it."""
    try:
        if family == socket.AF_INET:
            return socket.inet_ntoa(socket.inet_aton(text.decode("ascii"))).encode()
        return socket.inet_ntop(family, socket.inet_pton(family, text.decode("ascii"))).encode()
    except (OSError, UnicodeDecodeError):
        return b""
