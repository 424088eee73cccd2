"""Answers of each name server of a zone, asked one by one.

A recursive resolver answers from its cache and from whichever server it happened to ask. Before a
key signs, its record has to be at all of them: a server that lags would make receivers fail the
signature. The lookups here are driven like any other (`msgauth.drive.solve`), by a function that
also answers a `ServerQuestion`: `gatepost.dns.direct` has one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from gatepost.config.ground import parse_nameserver
from msgauth.ask import Answer, Lookup, Question, Rcode, RdType, ask
from msgauth.domain import ancestors

MAX_SERVERS = 32
"""Name servers of one zone that are asked; the root has 13."""

MAX_ADDRESSES = 8
"""Addresses of one name server that are asked."""

MAX_ALIASES = 8
"""Links of a CNAME chain that are followed, as recursive resolvers do."""


@dataclass(frozen=True, slots=True)
class NameServer:
    """One address of a name server. `host` is its name, or the address where only that is known."""

    host: str
    address: str
    port: int = 53

    def __str__(self) -> str:
        at = self.address if self.port == 53 else f"[{self.address}]:{self.port}"
        return at if self.host == self.address else f"{self.host} ({at})"


@dataclass(frozen=True, slots=True)
class ServerQuestion(Question):
    """A question for one name server, which is to answer from its own zones (no recursion).

    `beside` are further servers that will be asked the same: a driver may ask them all at once.
    """

    server: NameServer
    beside: tuple[NameServer, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class ServerAnswer(Answer):
    """The answer of one name server; `why` says in one clause why it is TEMPFAIL."""

    why: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """What `server` said about `name`; several servers may be asked about several names, where an
    alias leads from the one to the next."""

    server: NameServer
    name: str
    answer: Answer

    @property
    def why(self) -> str:
        """Why there is no answer; empty where there is one."""
        if self.answer.rcode is not Rcode.TEMPFAIL:
            return ""
        return getattr(self.answer, "why", "") or "no answer"


class NoServersError(Exception):
    """The name servers of a name cannot be found; the text says why."""


def find_servers(name: str, port: int = 53) -> Lookup[tuple[NameServer, ...]]:
    """Return every name server of the zone that holds `name` (A-labels), by its NS records.

    Raises `NoServersError`.
    """
    for zone in ancestors(name):
        answer = yield from ask(zone, "NS")
        if answer.rcode is Rcode.TEMPFAIL:
            raise NoServersError(f"DNS does not answer for the NS records of {zone}")
        if answer.records:
            return (yield from _addresses(zone, answer.records, port))
    raise NoServersError(f"no zone holds {name}")


def _addresses(zone: str, hosts: Sequence[str], port: int) -> Lookup[tuple[NameServer, ...]]:
    servers: list[NameServer] = []
    for host in sorted({host.lower() for host in hosts})[:MAX_SERVERS]:
        found = yield from addresses(host)
        if not found:
            raise NoServersError(f"{host}, a name server of {zone}, has no address")
        servers.extend(NameServer(host, address, port) for address in found)
    return tuple(servers)


def addresses(host: str) -> Lookup[tuple[str, ...]]:
    """Look up the addresses of a host; empty when it has none or DNS does not answer."""
    v4 = yield from ask(host, "A")
    v6 = yield from ask(host, "AAAA")
    return (v4.records + v6.records)[:MAX_ADDRESSES]


def named_servers(text: str, port: int = 53) -> Lookup[tuple[NameServer, ...]]:
    """Find each address of a server given by address or name, with ``:PORT`` or without.

    Raises `NoServersError`.
    """
    try:
        address, own_port = parse_nameserver(text)
    except ValueError:
        return (yield from _servers_of_host(text, port))
    is_bare = address == text or text == f"[{address}]"
    return (NameServer(address, address, port if is_bare else own_port),)


def _servers_of_host(text: str, port: int) -> Lookup[tuple[NameServer, ...]]:
    host, colon, own_port = text.partition(":")
    if colon:
        # an address stands in for the host: it is the port that is checked
        try:
            _, port = parse_nameserver(f"192.0.2.1:{own_port}")
        except ValueError:
            raise NoServersError(f"{own_port!r} is no port") from None
    found = yield from addresses(host)
    if not found:
        raise NoServersError(f"{host} has no address")
    return tuple(NameServer(host, address, port) for address in found)


def ask_servers(
    name: str, rdtype: RdType, servers: Sequence[NameServer]
) -> Lookup[tuple[Said, ...]]:
    """Ask each of these servers about `name`."""
    said: list[Said] = []
    for server in servers:
        answer = yield ServerQuestion(name, rdtype, server, tuple(servers))
        said.append(Said(server, name, answer))
    return tuple(said)


def ask_everywhere(name: str, rdtype: RdType, port: int = 53) -> Lookup[tuple[Said, ...]]:
    """Ask every name server of `name`, and where it is an alias also every one of its target.

    A server that has the alias is not in the result, because its answer is the target's; one that
    lacks the alias, or has another, is. Raises `NoServersError`.
    """
    said: list[Said] = []
    for _ in range(MAX_ALIASES):
        alias = yield from ask(name, "CNAME")
        if alias.rcode is not Rcode.OK or not alias.records:
            servers = yield from find_servers(name, port)
            said.extend((yield from ask_servers(name, rdtype, servers)))
            return tuple(said)
        # the zone of an alias is looked for above it: NS of the alias itself is NS of its target
        servers = yield from find_servers(name.partition(".")[2], port)
        target = alias.records[0].lower()
        for link in (yield from ask_servers(name, "CNAME", servers)):
            if [record.lower() for record in link.answer.records] != [target]:
                said.append(link)  # noqa: PERF401  # a generator may not yield in a comprehension
        name = target
    raise NoServersError(f"the aliases at {name} lead nowhere")
