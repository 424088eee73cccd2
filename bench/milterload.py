"""Loads a milter as a busy MTA does: several connections at once, one message on each.

Packets are made before the clock runs, and a connection waits for an answer exactly where the
milter has promised one, so that the generator costs little beside what it measures.
"""

from __future__ import annotations

import selectors
import socket
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from gatepost.listen import Address, Unix
from testbed.miltermta import (
    ACTIONS,
    CHUNK,
    NO_REPLY,
    NOT_SENT,
    STEPS,
    VERSION,
    encode,
    encode_connect,
    encode_macros,
    split_message,
)

_FINAL = b"acdrty"
"""Answers that end a message."""


@dataclass(frozen=True)
class Load:
    """What is sent: messages (CRLF), each by a client with this address."""

    messages: Sequence[bytes]
    client: str = "127.0.0.1"
    sender: bytes = b"<user@signer.example>"
    macros: dict[str, str] = field(default_factory=lambda: {"j": "mta.example"})


@dataclass
class Measured:
    """What came out; times in seconds."""

    messages: int
    seconds: float
    latencies: list[float]
    bad: int
    """Messages that were not accepted, or got no field."""

    @property
    def rate(self) -> float:
        """Messages a second."""
        return self.messages / self.seconds

    def percentile(self, part: float) -> float:
        """The latency that `part` of the messages stay below, in seconds."""
        ordered = sorted(self.latencies)
        return ordered[min(int(len(ordered) * part), len(ordered) - 1)]


def _plan(load: Load, message: bytes, steps: int) -> list[tuple[bytes, int]]:
    """Octets to send and how many answers to wait for behind them, up to the end of message."""
    fields, body = split_message(message)
    packets: list[tuple[bytes, bytes]] = [
        (b"C", encode_macros(b"C", load.macros) + encode_connect("unknown", load.client)),
        (b"H", encode(b"H", b"client.example\0")),
        (b"M", encode_macros(b"M", load.macros) + encode(b"M", load.sender + b"\0")),
        (b"R", encode(b"R", b"<rcpt@receiver.example>\0")),
        (b"T", encode(b"T")),
    ]
    for name, value in fields:
        shown = value if steps & 0x100000 else value.removeprefix(b" ")
        packets.append((b"L", encode(b"L", name.encode() + b"\0" + shown + b"\0")))
    packets.append((b"N", encode(b"N")))
    packets += [
        (b"B", encode(b"B", body[start : start + CHUNK])) for start in range(0, len(body), CHUNK)
    ]
    packets.append((b"E", encode_macros(b"E", {"i": "4BENCH"}) + encode(b"E")))
    plan: list[tuple[bytes, int]] = []
    waiting = b""
    for command, octets in packets:
        if steps & NOT_SENT.get(command, 0):
            continue
        waiting += octets
        if command == b"E" or not steps & NO_REPLY.get(command, 0):
            plan.append((waiting, 1))
            waiting = b""
    return plan


class _Connection:
    def __init__(self, address: Address) -> None:
        kind = socket.AF_UNIX if isinstance(address, Unix) else socket.AF_INET
        self.socket = socket.socket(kind)
        if isinstance(address, Unix):
            self.socket.connect(str(address.path))
        else:
            self.socket.connect((address.host or "127.0.0.1", address.port))
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.step = -1
        self.fields = 0
        self.began = time.perf_counter()
        self.socket.sendall(encode(b"O", struct.pack(">III", VERSION, ACTIONS, STEPS)))

    def packets(self) -> list[bytes]:
        self.buffer += self.socket.recv(262144)
        found = []
        while len(self.buffer) >= 4:
            size = struct.unpack(">I", self.buffer[:4])[0]
            if len(self.buffer) < 4 + size:
                break
            found.append(self.buffer[4 : 4 + size])
            self.buffer = self.buffer[4 + size :]
        return found


def run(
    address: Address,
    load: Load,
    *,
    connections: int,
    count: int,
    clock: Callable[[], float] = time.perf_counter,
) -> Measured:
    """Send `count` messages over `connections` at a time; each message has a connection."""
    selector = selectors.DefaultSelector()
    plans: dict[tuple[int, int], list[tuple[bytes, int]]] = {}
    latencies: list[float] = []
    started = bad = 0
    began = clock()

    def start() -> None:
        nonlocal started
        connection = _Connection(address)
        connection.number = started % len(load.messages)  # type: ignore[attr-defined]
        started += 1
        selector.register(connection.socket, selectors.EVENT_READ, connection)

    for _ in range(min(connections, count)):
        start()
    while len(latencies) < count:
        for key, _ in selector.select():
            connection = key.data
            done = False
            for packet in connection.packets():
                if packet[:1] == b"O":
                    steps = struct.unpack(">III", packet[1:13])[2]
                    number = connection.number
                    if (number, steps) not in plans:
                        plans[number, steps] = _plan(load, load.messages[number], steps)
                    connection.plan = plans[number, steps]
                    connection.step = 0
                    connection.socket.sendall(connection.plan[0][0])
                elif packet[:1] in (b"h", b"i"):
                    connection.fields += 1
                elif packet[0] in _FINAL:
                    connection.step += 1
                    if connection.step < len(connection.plan):
                        connection.socket.sendall(connection.plan[connection.step][0])
                        continue
                    latencies.append(clock() - connection.began)
                    bad += packet[:1] not in (b"a", b"c") or not connection.fields
                    done = True
            if done:
                selector.unregister(connection.socket)
                connection.socket.sendall(encode(b"Q"))
                connection.socket.close()
                if started < count:
                    start()
    return Measured(count, clock() - began, latencies, bad)
