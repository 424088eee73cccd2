"""Options of `gatepost keys` for name servers."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from gatepost.cli import configuration
from gatepost.dns import Resolver
from milters.cli.keys.options import Command
from milters.file import MiltersFile
from milters.keys.servers import Primary, Servers, read_tsig_key, time_for


def server_options(command: Command) -> Command:
    """Add `--server`, which may be repeated, for commands that query DNS; the port is for tests."""
    command = click.option(
        "--server",
        "told",
        multiple=True,
        metavar="SERVER",
        help="Ask this name server (address or name, with :PORT if it is not 53), for example one "
        "that is not in the NS records. May be repeated. By default all authoritative name servers "
        "are asked.",
    )(command)
    return click.option("--port", type=int, default=53, hidden=True)(command)


def open_servers(
    told: tuple[str, ...], port: int, config: Path | None, keys: int | None = None
) -> Servers:
    """Return the servers of `server_options`, found through the configured resolvers.

    With a number of keys, they are queried for `time_for(keys)` seconds from now.
    """
    resolver = Resolver(configuration.read_if_any(config, MiltersFile).model.dns)
    seconds = math.inf if keys is None else time_for(keys)
    return Servers.open(resolver.resolve, told, port, seconds)


@dataclass(frozen=True, slots=True)
class Update:
    """The DNS UPDATE (RFC 2136) described by the command line; without `server` there is none."""

    server: str | None
    port: int
    zone: str | None
    tsig_key: Path | None
    ttl: int

    def open(self, config: Path | None) -> Primary:
        """Return the server that receives the update; raises `KeysError`."""
        assert self.server is not None  # noqa: S101 (callers check that there is one)
        servers = open_servers((self.server,), self.port, config)
        key = read_tsig_key(self.tsig_key) if self.tsig_key else None
        return Primary(servers.addresses()[0], self.zone, key, self.ttl, servers.ask)


def update_options(command: Command) -> Command:
    """Add the options of commands that can change a record; they set the argument `update`."""

    @functools.wraps(command)
    def told(
        server: str | None,
        port: int,
        zone: str | None,
        tsig_key: Path | None,
        ttl: int,
        **others: Any,
    ) -> None:
        command(update=Update(server, port, zone, tsig_key, ttl), **others)

    for option in (
        click.option("--port", type=int, default=53, hidden=True),
        click.option("--ttl", type=click.IntRange(0, 604_800), default=3600, show_default=True),
        click.option(
            "--zone", help="The zone to change; by default it is found by its SOA record."
        ),
        click.option(
            "--tsig-key",
            type=click.Path(path_type=Path, dir_okay=False),
            help="File with the TSIG key, as BIND's tsig-keygen writes it, or as "
            "ALGORITHM:NAME:SECRET. It must not be world-readable.",
        ),
        click.option(
            "--server",
            metavar="SERVER",
            help="Change the record at this server (address or name) with a DNS UPDATE (RFC 2136).",
        ),
    ):
        told = option(told)
    return told
