"""How the commands of `gatepost keys` reach name servers."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click

from gatepost.cli import configuration
from gatepost.config import SecretFile
from gatepost.dns import Resolver
from gatepost.dns.authoritative import (
    NameServer,
    NoServersError,
    ServerQuestion,
    ask_servers,
    named_servers,
)
from gatepost.dns.direct import AllAtOnce, ServerError, find_zone
from gatepost.dns.update import RecordExistsError, TsigKey, UpdateError, parse_tsig_key, replace_txt
from milters.cli.keys.options import Command
from milters.file import MiltersFile
from milters.keys.errors import KeysError
from milters.keys.folder import KeyFile
from milters.keys.names import record_name
from milters.keys.publication import Sight, judge_all, look_everywhere
from msgauth.ask import Answer, Question
from msgauth.drive import solve
from msgauth.keys import SigningKey

TIMEOUT = 5.0
"""Seconds that one name server gets for an answer."""

PATIENCE = 20.0
PATIENCE_PER_KEY = 0.25
"""Seconds until nothing more is asked, and those that each key adds: where DNS answers, a key takes
far less, and where it does not, there is nothing to wait for."""


@dataclass(frozen=True)
class Servers:
    """The name servers that a command asks: those it was told, or those that are responsible."""

    told: tuple[str, ...]
    port: int
    ask: Callable[[Question], Answer]

    def look(self, key: KeyFile, signing: SigningKey) -> tuple[Sight, ...]:
        """What each of them says of a key; raises `KeysError` when they cannot be found."""
        try:
            if not self.told:
                lookup = look_everywhere(key.domain, key.selector, signing, self.port)
                return solve(lookup, self.ask)
            name = record_name(key.domain, key.selector)
            said = solve(ask_servers(name, "TXT", self.addresses()), self.ask)
            return judge_all(signing, said)
        except NoServersError as error:
            raise KeysError(str(error)) from None

    def addresses(self) -> tuple[NameServer, ...]:
        """The addresses of the servers that the command was told; raises `KeysError`."""
        try:
            return tuple(
                server
                for text in self.told
                for server in solve(named_servers(text, self.port), self.ask)
            )
        except NoServersError as error:
            raise KeysError(str(error)) from None


def server_options(command: Command) -> Command:
    """`--server`, several times, for commands that look; the port is for tests."""
    command = click.option(
        "--server",
        "told",
        multiple=True,
        metavar="SERVER",
        help="Ask this name server (address or name, with :PORT where it is not 53), as for one "
        "that the NS records do not show. Several are allowed. Without it, every name server that "
        "is responsible for the record is asked.",
    )(command)
    return click.option("--port", type=int, default=53, hidden=True)(command)


def open_servers(
    told: tuple[str, ...], port: int, config: Path | None, keys: int | None = None
) -> Servers:
    """The servers of `server_options`, found through the resolvers of the configuration.

    With a number of keys, they answer for `time_for(keys)` seconds from now on.
    """
    resolver = Resolver(configuration.read_if_any(config, MiltersFile).model.dns)
    deadline = math.inf if keys is None else time.monotonic() + time_for(keys)
    return Servers(told, port, AllAtOnce(resolver.resolve, TIMEOUT, deadline).ask)


def time_for(keys: int) -> float:
    """Seconds after which a command that asks about so many keys gives up."""
    return PATIENCE + keys * PATIENCE_PER_KEY


@dataclass(frozen=True)
class Primary:
    """The name server that takes updates of a zone."""

    server: NameServer
    zone: str | None
    key: TsigKey | None
    ttl: int
    ask: Callable[[Question], Answer]

    def records(self, name: str) -> tuple[str, ...]:
        """The TXT records that stand at `name` now; raises `KeysError`."""
        (said,) = solve(ask_servers(name, "TXT", [self.server]), self.ask)
        if said.why:
            raise KeysError(f"{self.server} {said.why}")
        return said.answer.records

    def replace(self, name: str, text: str, expected: tuple[str, ...]) -> None:
        """Put `text` in place of the records `expected`; raises `KeysError`."""
        try:
            replace_txt(
                name,
                text,
                zone=self.zone or find_zone(name, self.server, TIMEOUT),
                server=self.server,
                key=self.key,
                ttl=self.ttl,
                timeout=TIMEOUT,
                expected=expected,
            )
        except RecordExistsError as error:
            raise KeysError(f"{error}: somebody else changed it; look and try again") from None
        except ServerError as error:
            raise KeysError(f"{self.server} {error}") from None
        except UpdateError as error:
            raise KeysError(str(error)) from None


def update_options(command: Command) -> Command:
    """The options of commands that can change a record themselves."""
    for option in (
        click.option("--port", type=int, default=53, hidden=True),
        click.option("--ttl", type=click.IntRange(0, 604_800), default=3600, show_default=True),
        click.option(
            "--zone", help="The zone that the server changes; found by its SOA when not given."
        ),
        click.option(
            "--tsig-key",
            type=click.Path(path_type=Path, dir_okay=False),
            help="File with the key shared with the server, as BIND's tsig-keygen writes it, or "
            "ALGORITHM:NAME:SECRET. It may not be readable by everybody.",
        ),
        click.option(
            "--server",
            metavar="SERVER",
            help="Change the record at this server (address or name) with a DNS UPDATE (RFC 2136).",
        ),
    ):
        command = option(command)
    return command


def open_primary(
    server: str, port: int, zone: str | None, tsig_key: Path | None, ttl: int, config: Path | None
) -> Primary:
    """The server of `update_options`; raises `KeysError`."""
    servers = open_servers((server,), port, config)
    key = _read_tsig_key(tsig_key) if tsig_key else None
    return Primary(servers.addresses()[0], zone, key, ttl, servers.ask)


def _read_tsig_key(path: Path) -> TsigKey:
    try:
        return parse_tsig_key(SecretFile(path).read().decode())
    except OSError as error:
        raise KeysError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise KeysError(f"{path}: it is no TSIG key: it is not text") from None
    except UpdateError as error:
        raise KeysError(f"{path}: {error}") from None
    except ValueError as error:
        raise KeysError(str(error)) from None


__all__ = ["Primary", "ServerQuestion", "Servers", "open_primary", "open_servers"]
