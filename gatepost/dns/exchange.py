"""Queries of recursive resolvers from an event loop: UDP first, TCP if the answer is truncated.

dnspython parses the messages. Its own exchange, with a datagram endpoint, a task and two timers for
each question, and a query built from many objects, took more than half of the total time of a
question.
"""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
import socket
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import dns.asyncbackend
import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype

from gatepost.shortage import ShortageError, is_shortage

UDP_SIZE = 1232
"""Maximum octets of an answer over UDP (RFC 6891 section 6.2.5): small enough to avoid fragments on
nearly every path."""

MAX_UNDER_WAY = 500
"""Maximum concurrent queries, each with its own socket; more wait for their turn."""

FAILURES = (dns.exception.DNSException, OSError, EOFError, ValueError)
"""The exceptions of dnspython and sockets for failures of the network or a server."""

_DECIDED = (dns.rcode.NOERROR, dns.rcode.NXDOMAIN)
NO_EDNS = (dns.rcode.FORMERR, dns.rcode.NOTIMP)
"""The answers of a server that does not support EDNS: repeat the query without it (RFC 6891 section
7)."""
_FAILED = (*NO_EDNS, dns.rcode.SERVFAIL, dns.rcode.REFUSED)

_HEADER = 12  # octets, RFC 1035 section 4.1.1
_KIND = 0xF8  # of the third octet: QR and opcode
_RESPONSE = 0x80  # to a query; the answer to a NOTIFY is a different message
# RFC 6891 section 6.1.2: name root, type 41, our size as the class, no options
_OPT = struct.pack(">BHHIH", 0, dns.rdatatype.OPT, UDP_SIZE, 0, 0)


dns.asyncbackend.get_backend(
    "asyncio"
)  # otherwise imported at the first use, when no descriptor may be free


@dataclass(frozen=True)
class RecursiveServer:
    """A recursive resolver: its address (IPv4 or IPv6, perhaps with a zone: fe80::1%eth0), port."""

    host: str
    port: int

    @property
    def family(self) -> socket.AddressFamily:
        """Return the address family of `host`."""
        return socket.AF_INET6 if ":" in self.host else socket.AF_INET


class WireQuestion:
    """The question in the wire format of RFC 1035 section 4.1.2."""

    __slots__ = ("_octets", "name", "rdtype")

    def __init__(self, name: dns.name.Name, rdtype: dns.rdatatype.RdataType) -> None:
        self.name = name
        self.rdtype = rdtype
        self._octets = name.to_digestable() + struct.pack(">HH", rdtype, dns.rdataclass.IN)

    def query(self, identifier: bytes, *, edns: bool) -> bytes:
        """Return the question as a message with RD set, with or without the OPT record of RFC
        6891."""
        header = identifier + struct.pack(">HHHHH", dns.flags.RD, 1, 0, 0, int(edns))
        return header + self._octets + (_OPT if edns else b"")

    def response(self, packet: bytes, identifier: bytes) -> dns.message.Message | None:
        """Return the response in `packet`; None for other packets, which anybody can send."""
        if packet[:2] != identifier or len(packet) < _HEADER:
            return None
        questions = packet[4:6]
        is_echoed = questions == b"\0\1" and packet.startswith(self._octets, _HEADER)
        # a server that cannot parse the question may leave it out
        is_failure = questions == b"\0\0" and packet[3] & 0x0F in _FAILED
        if packet[2] & _KIND != _RESPONSE or not (is_echoed or is_failure):
            return None
        try:
            return dns.message.from_wire(packet)
        except FAILURES:
            return None


class Exchange:
    """Queries `servers` in order; one that is silent for `patience` seconds is skipped for the
    next, and queried again after all others."""

    def __init__(self, servers: Sequence[RecursiveServer], patience: float) -> None:
        self._servers = servers
        self._patience = patience
        self._turn = asyncio.Semaphore(MAX_UNDER_WAY)

    @property
    def is_full(self) -> bool:
        """Return whether a new question has to wait for its turn."""
        return self._turn.locked()

    async def ask(
        self,
        name: dns.name.Name,
        rdtype: str,
        timeout: float,
        begin: Callable[[], None] = lambda: None,
    ) -> dns.message.Message | None:
        """Return the response of a server: records, no records, or no such name.

        `begin` is called when the question gets its turn. Returns None if no server has answered so
        within `timeout` seconds, including the wait for the turn. Never raises for failures of a
        server or the network. Raises `ShortageError` if no server has answered and one of them
        could not be queried because of a local shortage: descriptors, ports, or a turn.
        """
        question = WireQuestion(name, dns.rdatatype.from_text(rdtype))
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        try:
            async with asyncio.timeout_at(deadline if self.is_full else None):
                await self._turn.acquire()
        except TimeoutError:
            raise ShortageError("too many DNS queries in progress") from None
        try:
            begin()
            return await self._ask_in_turn(question, deadline)
        finally:
            self._turn.release()

    async def _ask_in_turn(
        self, question: WireQuestion, deadline: float
    ) -> dns.message.Message | None:
        loop = asyncio.get_running_loop()
        shortage: Exception | None = None
        servers = list(self._servers)
        while servers and loop.time() < deadline:
            for server in tuple(servers):
                left = min(self._patience, deadline - loop.time())
                if left <= 0:
                    break
                try:
                    response = await _ask(server, question, left)
                except TimeoutError:
                    continue
                except FAILURES as error:
                    response = None
                    if is_shortage(error):
                        shortage = error
                if response is not None and response.rcode() in _DECIDED:
                    return response
                servers.remove(server)  # it cannot or will not answer: no use in repeating
        if shortage is not None:
            raise ShortageError(f"DNS could not be queried: {shortage}") from shortage
        return None


async def _ask(
    server: RecursiveServer, question: WireQuestion, timeout: float
) -> dns.message.Message:
    response = await _ask_udp(server, question, timeout)
    if response.rcode() in NO_EDNS:
        response = await _ask_udp(server, question, timeout, edns=False)
    if response.flags & dns.flags.TC:
        # RFC 7766 section 5: a truncated answer is not an answer
        query = dns.message.make_query(question.name, question.rdtype)
        response = await dns.asyncquery.tcp(query, server.host, timeout, server.port)
    return response


async def _ask_udp(
    server: RecursiveServer, question: WireQuestion, timeout: float, *, edns: bool = True
) -> dns.message.Message:
    """Return the first response to the question; raises `TimeoutError` and `OSError`."""
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[dns.message.Message] = loop.create_future()
    query = question.query(secrets.token_bytes(2), edns=edns)

    def read() -> None:
        try:
            response = question.response(connection.recv(65535), query[:2])
        except BlockingIOError:
            return
        except OSError as error:  # such as a closed port
            if not answered.done():
                answered.set_exception(error)
            return
        if response is not None and not answered.done():
            answered.set_result(response)

    def give_up() -> None:
        if not answered.done():
            answered.set_exception(TimeoutError())

    # A separate port for each question, chosen by the kernel, and only packets of this server (RFC
    # 5452 section 9)
    with socket.socket(server.family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as connection:
        try:
            connection.connect((server.host, server.port))
        except OSError as error:
            if error.errno != errno.EADDRNOTAVAIL:
                raise
            # this machine has no address of that family; a lack of ports is EAGAIN here
            raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH)) from None
        connection.send(query)
        loop.add_reader(connection.fileno(), read)
        timer = loop.call_later(timeout, give_up)
        try:
            return await answered
        finally:
            timer.cancel()
            loop.remove_reader(connection.fileno())
