"""Queries of each authoritative name server of a zone.

A recursive resolver answers from its cache and from any one of the servers. Before a key signs, its
record must be at all of them: with an outdated server, signatures would fail at receivers. The
lookups here are driven like any other (`msgauth.drive.solve`), by a function that also answers a
`ServerQuestion`, such as that in `gatepost.dns.direct`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from gatepost.config.ground import parse_nameserver
from msgauth.ask import Answer, Lookup, Question, Rcode, RdType, ask
from msgauth.domain import ancestors

MAX_SERVERS = 32
"""Maximum name servers queried per zone; the root has 13."""

MAX_ADDRESSES = 8
"""Maximum addresses queried per name server."""

MAX_ALIASES = 8
"""Maximum length of a CNAME chain, as in recursive resolvers."""


@dataclass(frozen=True, slots=True)
class NameServer:
    """One address of a name server. `host` is its name, or the address if only that is known."""

    host: str
    address: str
    port: int = 53

    def __str__(self) -> str:
        at = self.address if self.port == 53 else f"[{self.address}]:{self.port}"
        return at if self.host == self.address else f"{self.host} ({at})"


@dataclass(frozen=True, slots=True)
class ServerQuestion(Question):
    """A question for one name server, to be answered from its own zones (no recursion).

    `beside` are more servers that will get the same question: a driver may query them all at once.
    """

    server: NameServer
    beside: tuple[NameServer, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class ServerAnswer(Answer):
    """The answer of one name server; `why` is a clause with the reason for a TEMPFAIL."""

    why: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """The answer of `server` about `name`; with aliases, several servers may be queried about
    several names."""

    server: NameServer
    name: str
    answer: Answer

    @property
    def why(self) -> str:
        """Return why there is no answer; empty if there is one."""
        if self.answer.rcode is not Rcode.TEMPFAIL:
            return ""
        return getattr(self.answer, "why", "") or "no answer"


class NoServersError(Exception):
    """The name servers of a name cannot be found; the text says why."""


def find_servers(name: str, port: int = 53) -> Lookup[tuple[NameServer, ...]]:
    """Return every name server of the zone that contains `name` (A-labels), by its NS records.

    Raises `NoServersError`.
    """
    for zone in ancestors(name):
        answer = yield from ask(zone, "NS")
        if answer.rcode is Rcode.TEMPFAIL:
            raise NoServersError(f"DNS does not answer for the NS records of {zone}")
        if answer.records:
            return (yield from _servers_of_zone(zone, answer.records, port))
    raise NoServersError(f"no zone contains {name}")


def _servers_of_zone(zone: str, hosts: Sequence[str], port: int) -> Lookup[tuple[NameServer, ...]]:
    servers: list[NameServer] = []
    for host in sorted({host.lower() for host in hosts})[:MAX_SERVERS]:
        found = yield from _addresses(host, f"{host}, a name server of {zone},")
        servers.extend(NameServer(host, address, port) for address in found)
    return tuple(servers)


def _addresses(host: str, description: str) -> Lookup[tuple[str, ...]]:
    v4 = yield from ask(host, "A")
    v6 = yield from ask(host, "AAAA")
    found = (v4.records + v6.records)[:MAX_ADDRESSES]
    if not found:
        if Rcode.TEMPFAIL in (v4.rcode, v6.rcode):
            raise NoServersError(f"DNS does not answer for the addresses of {host}")
        raise NoServersError(f"{description} has no address")
    return found


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
        # an address replaces the host, to check only the port
        try:
            _, port = parse_nameserver(f"192.0.2.1:{own_port}")
        except ValueError:
            raise NoServersError(f"{own_port!r} is not a port") from None
    found = yield from _addresses(host, host)
    return tuple(NameServer(host, address, port) for address in found)


def ask_servers(
    name: str, rdtype: RdType, servers: Sequence[NameServer]
) -> Lookup[tuple[Said, ...]]:
    """Query each of these servers about `name`."""
    said: list[Said] = []
    for server in servers:
        answer = yield ServerQuestion(name, rdtype, server, tuple(servers))
        said.append(Said(server, name, answer))
    return tuple(said)


def ask_everywhere(name: str, rdtype: RdType, port: int = 53) -> Lookup[tuple[Said, ...]]:
    """Query every name server of `name` and, if it is an alias, every one of its target.

    A server that has the alias is not in the result, because the target's servers answer; one with
    no alias or another one is. Raises `NoServersError`.
    """
    said: list[Said] = []
    for _ in range(MAX_ALIASES):
        alias = yield from ask(name, "CNAME")
        if alias.rcode is not Rcode.OK or not alias.records:
            servers = yield from find_servers(name, port)
            said.extend((yield from ask_servers(name, rdtype, servers)))
            return tuple(said)
        # the zone of an alias is searched above it: an NS query of the alias would return that of
        # its target
        servers = yield from find_servers(name.partition(".")[2], port)
        target = alias.records[0].lower()
        for link in (yield from ask_servers(name, "CNAME", servers)):
            if [record.lower() for record in link.answer.records] != [target]:
                said.append(link)  # noqa: PERF401  # a generator may not yield in a comprehension
        name = target
    raise NoServersError(f"the aliases at {name} lead nowhere")
