"""The name servers with the records of keys: those to query, and the primary to update."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gatepost.config import SecretFile
from gatepost.dns.authoritative import NameServer, NoServersError, ask_servers, named_servers
from gatepost.dns.direct import AllAtOnce, ServerError, find_zone
from gatepost.dns.update import RecordExistsError, TsigKey, UpdateError, parse_tsig_key, replace_txt
from milters.keys.errors import KeysError
from milters.keys.folder import KeyFile
from milters.keys.names import record_name
from milters.keys.publication import Sight, judge_all, look_everywhere
from msgauth.ask import Answer, Question
from msgauth.drive import solve
from msgauth.keys import SigningKey

TIMEOUT = 5.0
"""Time limit in seconds for an answer of one name server."""

PATIENCE = 20.0
PATIENCE_PER_KEY = 0.25
"""Time limit in seconds, and its increase per key: if DNS answers, a key takes far less, and if it
does not, waiting is useless."""


def time_for(keys: int) -> float:
    """Return the time limit in seconds for a check of `keys` keys."""
    return PATIENCE + keys * PATIENCE_PER_KEY


@dataclass(frozen=True)
class Servers:
    """The name servers to query: the given ones, or the authoritative ones."""

    told: tuple[str, ...]
    port: int
    ask: Callable[[Question], Answer]

    @classmethod
    def open(
        cls,
        resolve: Callable[[Question, float], Answer],
        told: tuple[str, ...] = (),
        port: int = 53,
        seconds: float = float("inf"),
    ) -> Servers:
        """Return servers found through `resolve`, queried for at most `seconds` from now."""
        deadline = time.monotonic() + seconds
        return cls(told, port, AllAtOnce(resolve, TIMEOUT, deadline).ask)

    def look(self, key: KeyFile, signing: SigningKey) -> tuple[Sight, ...]:
        """Return the answer of each server about a key; raises `KeysError` if none can be found."""
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
        """Return the addresses of the given servers; raises `KeysError`."""
        try:
            return tuple(
                server
                for text in self.told
                for server in solve(named_servers(text, self.port), self.ask)
            )
        except NoServersError as error:
            raise KeysError(str(error)) from None


@dataclass(frozen=True)
class Primary:
    """The name server that receives the updates (RFC 2136) of a zone."""

    server: NameServer
    zone: str | None
    key: TsigKey | None
    ttl: int
    ask: Callable[[Question], Answer]

    def records(self, name: str) -> tuple[str, ...]:
        """Return the current TXT records at `name`; raises `KeysError`."""
        (said,) = solve(ask_servers(name, "TXT", [self.server]), self.ask)
        if said.why:
            raise KeysError(f"{self.server} {said.why}")
        return said.answer.records

    def replace(self, name: str, text: str, expected: tuple[str, ...]) -> None:
        """Replace the records `expected` by `text`; raises `KeysError`."""
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
            raise KeysError(f"{error}: somebody else changed it; check and try again") from None
        except ServerError as error:
            raise KeysError(f"{self.server} {error}") from None
        except UpdateError as error:
            raise KeysError(str(error)) from None


def read_tsig_key(path: Path) -> TsigKey:
    """Read the key shared with a primary; raises `KeysError`."""
    try:
        return parse_tsig_key(SecretFile(path).read().decode())
    except OSError as error:
        raise KeysError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise KeysError(f"{path}: not a TSIG key: it is not text") from None
    except UpdateError as error:
        raise KeysError(f"{path}: {error}") from None
    except ValueError as error:
        raise KeysError(str(error)) from None
