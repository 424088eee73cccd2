"""DNS of the measurements: a zone, and the small server in load/dns.c that serves it.

A name with the label ``d0`` stands for every name with ``d`` and a number there.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype

from tests.testbed.process import Process
from tests.testbed.waiting import wait_until
from tools.bench.build import build
from tools.bench.namespace import NAMESERVER

TTL = 3600

Zone = Mapping[str, Mapping[str, str]]
"""For each name, its record by type in the form of a master file."""

_NXDOMAIN = 3
_POINTER_TO_QUESTION = b"\xc0\x0c"
_SOA = "bench.example. hostmaster.bench.example. 1 3600 600 86400 3600"


def _record(owner: bytes, rdtype: str, text: str) -> bytes:
    kind = dns.rdatatype.from_text(rdtype)
    rdata = dns.rdata.from_text(dns.rdataclass.IN, kind, text).to_wire()
    assert rdata is not None
    return owner + struct.pack(">HHIH", kind, dns.rdataclass.IN, TTL, len(rdata)) + rdata


def _wire(name: str) -> bytes:
    return dns.name.from_text(name).to_wire() or b""


def table(zone: Zone) -> bytes:
    """Return the zone in the form that load/dns.c reads."""
    soa = _record(_wire("bench.example"), "SOA", _SOA)
    entries = []

    def add(name: bytes, kind: int, rcode: int, answer: bytes) -> None:
        counts = (0, 1) if not answer else (1, 0)
        records = answer or soa
        entries.append(
            struct.pack("<H", len(name))
            + name
            + struct.pack("<HBHHH", kind, rcode, *counts, len(records))
            + records
        )

    for text, types in zone.items():
        name = _wire(text)
        for rdtype, record in types.items():
            answer = _record(_POINTER_TO_QUESTION, rdtype, record)
            add(name, dns.rdatatype.from_text(rdtype), 0, answer)
        add(name, 0, 0, b"")
    add(b"", 0, _NXDOMAIN, b"")
    return b"".join(entries)


def txt(text: str) -> str:
    """Return a TXT record of any length (RFC 1035 section 3.3.14: strings of up to 255 octets)."""
    return " ".join(f'"{text[at : at + 255]}"' for at in range(0, len(text), 255))


class DnsServer:
    """The server at port 53 of `NAMESERVER`, while the context is open."""

    def __init__(self, folder: Path, zone: Zone) -> None:
        self._folder = folder
        self._zone = zone

    def __enter__(self) -> Self:
        (self._folder / "zone").write_bytes(table(self._zone))
        counter = self._folder / "questions"
        argv: list[str | Path] = [build("dns"), NAMESERVER, "53"]
        argv += [self._folder / "zone", counter]
        self._process = Process(argv, self._folder / "dns.log")
        wait_until(
            lambda: counter.exists() and counter.stat().st_size == 8,
            "the DNS server",
            check=self._process.check_running,
        )
        with counter.open("rb") as file:
            self._counter = mmap.mmap(file.fileno(), 8, access=mmap.ACCESS_READ)
        return self

    def __exit__(self, *_: object) -> None:
        self._counter.close()
        self._process.kill()

    @property
    def asked(self) -> int:
        """Return the number of questions received."""
        return int.from_bytes(self._counter[:8], "little")
