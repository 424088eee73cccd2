"""Small authoritative DNS server on the loopback address, for tests, the demo and benchmarks.

It answers from a `gatepost.dns.Zone` over UDP and TCP. Names outside the zone do not exist, and no
question is forwarded. Names can be made to misbehave, either in the zone file
(``behaviour = "timeout"``) or while the server runs (`DnsServer.misbehave`). Every question is
counted. Run it alone with ``python -m tests.testbed.dns --zone zone.toml --port 5353``.
"""

from __future__ import annotations

import argparse
import dataclasses
import enum
import logging
import socket
import struct
import sys
import threading
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import get_args

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdatatype
import dns.rrset

from gatepost.dns import Zone, ZoneError
from gatepost.dns.zone import DEFAULT_TTL, Entry
from msgauth.ask import Answer, Question, Rcode, RdType
from tests.testbed.closing import Closing
from tests.testbed.ports import LOOPBACK, bind_udp_and_tcp

_log = logging.getLogger(__name__)

_TYPES = frozenset(get_args(RdType))

_UDP_PAYLOAD = 512
"""Maximum octets of a UDP answer to a client without EDNS (RFC 1035 section 4.2.1)."""

_NEGATIVE_TTL = 60
"""Seconds for which a negative answer may be cached if the zone has no SOA record."""

_MAX_CNAMES = 16
"""Maximum links of an alias chain in one answer."""

_TCP_IDLE = 30.0
"""Seconds after which a silent TCP client is disconnected."""


class Behaviour(enum.StrEnum):
    """Misbehaviour of the server for a name, in place of a proper answer."""

    TIMEOUT = "timeout"
    """No answer, neither over UDP nor over TCP."""
    SERVFAIL = "servfail"
    REFUSE = "refuse"
    TRUNCATE = "truncate"
    """Over UDP an empty answer with the TC bit, over TCP the complete answer."""
    TRUNCATE_ALWAYS = "truncate-always"
    """An answer with the TC bit over TCP too."""
    WRONG_ID = "wrong-id"
    """An answer with the id of another question."""
    WRONG_QUESTION = "wrong-question"
    """An answer to another question."""
    WRONG_OPCODE = "wrong-opcode"
    """An answer with the opcode NOTIFY."""
    GARBAGE = "garbage"
    """Bytes that are no DNS message."""
    NO_EDNS = "no-edns"
    """An empty FORMERR to a question with an OPT record (RFC 6891 section 7)."""


_BEHAVIOUR_ALIASES = {"tempfail": Behaviour.SERVFAIL}


class DnsServer(Closing):
    """A DNS server in threads of this process, from construction to `close()`."""

    def __init__(self, zone: Zone | str = "", *, host: str = LOOPBACK, port: int = 0) -> None:
        self._lock = threading.Lock()
        self._behaviours: dict[str, Behaviour] = {}
        self._asked: Counter[tuple[str, str]] = Counter()
        self._zone = Zone({})
        self.zone = Zone.parse(zone) if isinstance(zone, str) else zone
        self._udp, self._tcp = bind_udp_and_tcp(host, port)
        self._closed = threading.Event()
        self.host, self.port = host, int(self._udp.getsockname()[1])
        self._threads = [
            threading.Thread(target=work, name=f"dns-{self.port}", daemon=True)
            for work in (self._serve_udp, self._serve_tcp)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def address(self) -> str:
        """Its address in the form of `dns.nameservers` in gatepost.toml."""
        return f"{self.host}:{self.port}"

    @property
    def zone(self) -> Zone:
        """The zone that it serves. Setting it also replaces the behaviours."""
        return self._zone

    @zone.setter
    def zone(self, zone: Zone) -> None:
        behaviours = {
            name: _behaviour(entry.behaviour)
            for name, entry in zone.entries.items()
            if entry.behaviour
        }
        plain = {
            name: dataclasses.replace(entry, behaviour="") for name, entry in zone.entries.items()
        }
        with self._lock:
            self._zone, self._behaviours = Zone(plain), behaviours

    def add(self, name: str, rdtype: RdType, *records: str, ttl: int = DEFAULT_TTL) -> None:
        """Publish these records in place of existing ones with that name and type."""
        name = _key(name)
        with self._lock:
            old = self._zone.entries.get(name, Entry())
            entry = Entry({**old.records, rdtype: records}, ttl)
            self._zone = Zone({**self._zone.entries, name: entry})

    def remove(self, name: str) -> None:
        """Remove a name and all its records."""
        with self._lock:
            self._zone = Zone({n: e for n, e in self._zone.entries.items() if n != _key(name)})

    def misbehave(self, name: str, behaviour: Behaviour | None) -> None:
        """Set the behaviour for a name; None restores proper answers."""
        with self._lock:
            self._behaviours = {n: b for n, b in self._behaviours.items() if n != _key(name)}
            if behaviour is not None:
                self._behaviours[_key(name)] = behaviour

    def asked(self, name: str = "", rdtype: str = "") -> int:
        """Return the number of questions for a name and type; empty means all names or types."""
        with self._lock:
            return sum(
                count
                for (asked_name, asked_type), count in self._asked.items()
                if name in ("", asked_name) and rdtype in ("", asked_type)
            )

    def close(self) -> None:
        """Stop answering and free the port."""
        if self._closed.is_set():
            return
        self._closed.set()
        # close() does not wake a thread in recv() or accept() on the same socket
        self._tcp.shutdown(socket.SHUT_RDWR)
        with socket.socket(self._udp.family, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", self._udp.getsockname())
        for thread in self._threads:
            thread.join()
        self._udp.close()
        self._tcp.close()

    def _serve_udp(self) -> None:
        while True:
            wire, client = self._udp.recvfrom(65535)
            if self._closed.is_set():
                return
            for reply in self._replies(wire, tcp=False):
                self._udp.sendto(reply, client)

    def _serve_tcp(self) -> None:
        while not self._closed.is_set():
            try:
                client, _ = self._tcp.accept()
            except OSError:
                return
            threading.Thread(target=self._serve_stream, args=(client,), daemon=True).start()

    def _serve_stream(self, client: socket.socket) -> None:
        client.settimeout(_TCP_IDLE)
        try:
            with client, client.makefile("rb") as stream:
                while prefix := stream.read(2):
                    # RFC 1035 section 4.2.2: a length of two octets before each message
                    wire = stream.read(*struct.unpack(">H", prefix))
                    for reply in self._replies(wire, tcp=True):
                        client.sendall(struct.pack(">H", len(reply)) + reply)
        except (OSError, struct.error):
            return  # the client went away, or sent half a message

    def _replies(self, wire: bytes, *, tcp: bool) -> Iterable[bytes]:
        try:
            query = dns.message.from_wire(wire)
            question = query.question[0]
        except (dns.exception.DNSException, IndexError) as error:
            _log.warning("not a DNS query: %s", error)
            return
        name, rdtype = _key(question.name.to_text()), dns.rdatatype.to_text(question.rdtype)
        with self._lock:
            self._asked[name, rdtype] += 1
            zone, behaviour = self._zone, self._behaviours.get(name)
        response = dns.message.make_response(query, recursion_available=True)
        response.flags |= dns.flags.AA
        truncate = False
        match behaviour:
            case Behaviour.TIMEOUT:
                return
            case Behaviour.GARBAGE:
                yield wire[:2] + b"\xff\xff\xff"
                return
            case Behaviour.NO_EDNS if query.edns >= 0:
                response = dns.message.Message(query.id)
                response.flags = dns.flags.QR
                response.set_rcode(dns.rcode.FORMERR)
            case Behaviour.SERVFAIL:
                response.set_rcode(dns.rcode.SERVFAIL)
            case Behaviour.REFUSE:
                response.set_rcode(dns.rcode.REFUSED)
            case _:
                _fill(response, zone, question.name, rdtype)
                truncate = behaviour is Behaviour.TRUNCATE_ALWAYS or (
                    behaviour is Behaviour.TRUNCATE and not tcp
                )
        if behaviour is Behaviour.WRONG_ID:
            response.id ^= 0x5555
        elif behaviour is Behaviour.WRONG_QUESTION:
            response.question[0] = dns.rrset.RRset(
                dns.name.from_text("somebody-else.invalid."), question.rdclass, question.rdtype
            )
        wire = _to_wire(response, 65535 if tcp else query.payload or _UDP_PAYLOAD, truncate)
        if behaviour is Behaviour.WRONG_OPCODE:
            wire = wire[:2] + bytes([wire[2] & 0x87 | dns.opcode.NOTIFY << 3]) + wire[3:]
        yield wire


def _key(name: str) -> str:
    return name.lower().removesuffix(".")


def _behaviour(word: str) -> Behaviour:
    try:
        return _BEHAVIOUR_ALIASES.get(word) or Behaviour(word)
    except ValueError:
        raise ZoneError(
            f"behaviour {word!r}: write one of {', '.join([*_BEHAVIOUR_ALIASES, *Behaviour])}"
        ) from None


def _to_wire(response: dns.message.Message, size: int, truncate: bool) -> bytes:
    if not truncate:
        try:
            return response.to_wire(max_size=size)
        except dns.exception.TooBig:
            pass
    # RFC 2181 section 9: with TC set, the client ignores this answer and asks again over TCP
    response.flags |= dns.flags.TC
    response.answer.clear()
    response.authority.clear()
    return response.to_wire()


def _fill(response: dns.message.Message, zone: Zone, name: dns.name.Name, rdtype_text: str) -> None:
    """Fill the response from the zone: aliases with their targets, or an SOA."""
    at = name
    # a type that zones cannot hold has no records, but its name may exist
    rdtype: RdType = rdtype_text if rdtype_text in _TYPES else "A"  # type: ignore[assignment]
    for _ in range(_MAX_CNAMES):
        alias = zone.resolve(Question(_key(at.to_text()), "CNAME"))
        if not alias.records or rdtype == "CNAME":
            break
        response.answer.append(_rrset(at, "CNAME", alias))
        at = dns.name.from_text(alias.records[0])
    answer = zone.resolve(Question(_key(at.to_text()), rdtype))
    if answer.rcode is Rcode.NXDOMAIN:
        response.set_rcode(dns.rcode.NXDOMAIN)
    if answer.records and rdtype == rdtype_text:
        response.answer.append(_rrset(at, rdtype, answer))
    else:
        response.authority.append(_soa(zone, at))


def _soa(zone: Zone, name: dns.name.Name) -> dns.rrset.RRset:
    # RFC 2308 section 3: the SOA of the zone sets how long the negative answer may be cached
    at = name
    while at != dns.name.root:
        answer = zone.resolve(Question(_key(at.to_text()), "SOA"))
        if answer.records:
            return _rrset(at, "SOA", answer)
        at = at.parent()
    return dns.rrset.from_text(
        dns.name.root, _NEGATIVE_TTL, "IN", "SOA", f". . 1 3600 600 86400 {_NEGATIVE_TTL}"
    )


def _rrset(name: dns.name.Name, rdtype: RdType, answer: Answer) -> dns.rrset.RRset:
    texts = [_presentation(rdtype, record) for record in answer.records]
    return dns.rrset.from_text_list(name, answer.ttl, "IN", rdtype, texts)


def _presentation(rdtype: RdType, record: str) -> str:
    """Return a record of a zone in the master file format of RFC 1035 section 5.1."""
    if rdtype == "TXT":
        # RFC 1035 section 3.3: character-strings of at most 255 octets; readers join them
        octets = record.encode("latin-1", "replace") if record else b""
        parts = [octets[n : n + 255] for n in range(0, len(octets), 255)] or [b""]
        return " ".join('"' + "".join(f"\\{octet:03d}" for octet in part) + '"' for part in parts)
    if rdtype == "MX":
        preference, _, host = record.partition(" ")
        return f"{preference} {_absolute(host)}"
    if rdtype == "SRV":
        numbers, _, host = record.rpartition(" ")
        return f"{numbers} {_absolute(host)}"
    if rdtype in ("CNAME", "NS", "PTR"):
        return _absolute(record)
    return record


def _absolute(host: str) -> str:
    return host if host.endswith(".") else f"{host}."


def main(arguments: list[str] | None = None) -> int:
    """Serve a zone file until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m tests.testbed.dns", description=__doc__)
    parser.add_argument("--zone", type=Path, required=True, help="the TOML zone file")
    parser.add_argument("--host", default=LOOPBACK)
    parser.add_argument("--port", type=int, default=0, help="0: a free one, printed")
    options = parser.parse_args(arguments)
    try:
        server = DnsServer(Zone.read(options.zone), host=options.host, port=options.port)
    except (ZoneError, OSError) as error:
        print(f"tests.testbed.dns: {error}", file=sys.stderr)
        return 1
    with server:
        print(f"answering on {server.address}", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
