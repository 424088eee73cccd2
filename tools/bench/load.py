"""Runner of the load generators and reader of their results."""

from __future__ import annotations

import json
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tools.bench.build import build


class LoadError(Exception):
    """The load generator failed, or the server did not do the work; the message says how."""


@dataclass(frozen=True)
class Load:
    """The result of one run of a load generator; times in seconds."""

    done: int
    seconds: float
    p50: float
    p99: float
    errors: int
    replies: dict[str, int]
    """Number of each reply, by its command in the milter protocol or its first word."""

    @property
    def rate(self) -> float:
        """Return the messages or requests per second."""
        return self.done / self.seconds


def _run(argv: list[str]) -> Load:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LoadError(f"{Path(argv[0]).name}: {done.stderr.strip() or done.returncode}")
    told = json.loads(done.stdout)
    told.pop("protocol", None)
    load = Load(**told)
    if load.errors or not load.done:
        raise LoadError(f"{load.errors} errors in {load.done} answers: {done.stderr.strip()}")
    return load


def milter(
    address: str,
    corpus: Path,
    *,
    connections: int = 8,
    per_connection: int = 1,
    seconds: float = 0,
    messages: int = 0,
    first: int = 0,
    replies: Path | None = None,
) -> Load:
    """Send messages of the corpus to the milter at ``unix:PATH`` or ``inet:PORT``.

    `replies` is a file for the replies to the first message. Raises `LoadError`.
    """
    numbers = [str(n) for n in (connections, per_connection, seconds, messages, first)]
    return _run([str(build("milter")), address, *numbers, str(corpus), str(replies or "-")])


def policy(
    address: str,
    template: Path,
    *,
    connections: int = 16,
    idle: int = 0,
    seconds: float = 0,
    requests: int = 0,
    first: int = 0,
    span: int = 0,
    rate: float = 0,
) -> Load:
    """Send requests to the policy server, for new triplets or for `span` triplets in turn.

    `rate` is the number of requests that become due per second, whether or not the server keeps up;
    times count from then. With 0, each connection sends one request after the other.

    Raises `LoadError`.
    """
    numbers = [str(n) for n in (connections, idle, seconds, requests)]
    argv = [str(build("policy")), address, *numbers, str(template)]
    argv += [str(first), str(span), str(rate)]
    return _run(argv)


def lookups(
    address: str,
    table: str,
    *,
    domains: int,
    mailboxes: int,
    prefix: str = "",
    every: int = 1,
    connections: int = 16,
    seconds: float = 0,
    requests: int = 0,
    seed: int = 0,
) -> Load:
    """Ask a server of Postfix's socketmap protocol for random names of `tools.bench.mailboxes`.

    `table`: the name of a map, "message" for the questions about a recipient, or a table of Postfix
    for a proxymap(8). `prefix` and `every` make the names of aliases, or unknown ones. Raises
    `LoadError`.
    """
    argv = [str(build("socketmap")), address, *map(str, (connections, seconds, requests))]
    argv += [table, prefix]
    return _run([*argv, *(str(n) for n in (domains, mailboxes, every, seed))])


def lmtp(
    address: str,
    message: Path,
    domain: str,
    *,
    connections: int,
    per_connection: int = 1,
    seconds: float = 0,
    messages: int = 0,
) -> Load:
    """Deliver the message by LMTP, over each connection to another mailbox of the domain.

    Raises `LoadError`.
    """
    numbers = [str(n) for n in (connections, per_connection, seconds, messages)]
    return _run([str(build("lmtp")), address, *numbers, domain, str(message)])


def added_fields(replies: Path) -> list[tuple[str, str]]:
    """Return names and values of the header fields that the recorded replies add."""
    found = []
    for command, data in _packets(replies.read_bytes()):
        if command in "hi":
            name, value, _ = data[4 if command == "i" else 0 :].split(b"\0")
            found.append((name.decode(), value.decode("utf-8", "replace")))
    return found


def _packets(octets: bytes) -> Iterator[tuple[str, bytes]]:
    at = 0
    while at < len(octets):
        (size,) = struct.unpack_from(">I", octets, at)
        yield chr(octets[at + 4]), octets[at + 5 : at + 4 + size]
        at += 4 + size
