"""Policy server and milter that accept everything and record Postfix's requests."""

from __future__ import annotations

import socketserver
import struct

from tests.testbed.closing import StreamServer


class PolicyRecorder(StreamServer):
    """A policy server that answers DUNNO to each request."""

    def __init__(self) -> None:
        self.requests: list[dict[str, str]] = []
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                request: dict[str, str] = {}
                while line := self.rfile.readline():
                    name, equals, value = line.decode("latin-1").rstrip("\n").partition("=")
                    if equals:
                        request[name] = value
                    else:  # an empty line ends a request
                        outer.requests.append(request)
                        request = {}
                        self.wfile.write(b"action=DUNNO\n\n")

        super().__init__(Handler)


class MilterRecorder(StreamServer):
    """A milter (version 6) that answers "continue" to each event."""

    def __init__(self) -> None:
        self.connections: list[tuple[str, str]] = []
        """Client name and address of each connection."""
        self.helos: list[str] = []
        self.macros: dict[str, str] = {}
        """The last value of each macro."""
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                # libmilter/mfdef.h: a length of 4 octets, then a command letter and its data
                while len(prefix := self.rfile.read(4)) == 4:
                    packet = self.rfile.read(*struct.unpack(">I", prefix))
                    if reply := outer.answer(packet[:1], packet[1:]):
                        self.wfile.write(struct.pack(">I", len(reply)) + reply)

        super().__init__(Handler)

    def answer(self, command: bytes, data: bytes) -> bytes:
        """Return the reply to one event; empty if it needs none."""
        words = data.decode("latin-1").split("\0")
        match command:
            case b"O":  # negotiation: our version, no action, every event
                return b"O" + struct.pack(">III", 6, 0, 0)
            case b"D":  # macros of the event that follows: its letter, then names and values
                words[0] = words[0][1:]
                self.macros.update(zip(words[0::2], words[1::2], strict=False))
                return b""
            case b"A" | b"K" | b"Q":
                return b""
            case b"C":  # family and port stand between name and address
                self.connections.append((words[0], words[1][3:]))
            case b"H":
                self.helos.append(words[0])
        return b"c"
