"""A policy server and a milter that let everything pass and remember what Postfix told them."""

from __future__ import annotations

import socketserver
import struct
import threading
from types import TracebackType
from typing import ClassVar, Self

from testbed.ports import LOOPBACK


class _Recorder:
    handler: ClassVar[type[_Handler]]

    def __init__(self) -> None:
        self._server = _Server((LOOPBACK, 0), self.handler)
        self._server.recorder = self
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )
        self._thread.start()

    @property
    def postfix(self) -> str:
        """Its address as main.cf writes it."""
        return f"inet:{LOOPBACK}:{self._server.server_address[1]}"

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    recorder: _Recorder


class _Handler(socketserver.StreamRequestHandler):
    server: _Server


class _PolicyHandler(_Handler):
    def handle(self) -> None:
        recorder = self.server.recorder
        assert isinstance(recorder, PolicyRecorder)
        request: dict[str, str] = {}
        while line := self.rfile.readline():
            name, equals, value = line.decode("latin-1").rstrip("\n").partition("=")
            if equals:
                request[name] = value
            else:  # an empty line ends a request
                recorder.requests.append(request)
                request = {}
                self.wfile.write(b"action=DUNNO\n\n")


class PolicyRecorder(_Recorder):
    """Answers DUNNO to each request of Postfix's policy delegation protocol."""

    handler = _PolicyHandler

    def __init__(self) -> None:
        self.requests: list[dict[str, str]] = []
        super().__init__()


class _MilterHandler(_Handler):
    def handle(self) -> None:
        recorder = self.server.recorder
        assert isinstance(recorder, MilterRecorder)
        # libmilter/mfdef.h: a length of 4 octets, then a command letter and its data
        while len(prefix := self.rfile.read(4)) == 4:
            packet = self.rfile.read(*struct.unpack(">I", prefix))
            if reply := recorder.answer(packet[:1], packet[1:]):
                self.wfile.write(struct.pack(">I", len(reply)) + reply)


class MilterRecorder(_Recorder):
    """Answers "continue" to each event of the milter protocol, version 6."""

    handler = _MilterHandler

    def __init__(self) -> None:
        self.connections: list[tuple[str, str]] = []
        """Client name and address of each connection event."""
        self.helos: list[str] = []
        self.macros: dict[str, str] = {}
        """The last value of each macro."""
        super().__init__()

    def answer(self, command: bytes, data: bytes) -> bytes:
        """The reply to one event; empty where none is due."""
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
