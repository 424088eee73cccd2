"""The name servers that have the records of keys: those that answer, and the one that changes."""

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
"""Seconds that one name server gets for an answer."""

PATIENCE = 20.0
PATIENCE_PER_KEY = 0.25
"""Seconds until nothing more is asked, and those that each key adds: where DNS answers, a key takes
far less, and where it does not, there is nothing to wait for."""


def time_for(keys: int) -> float:
    """Return the seconds after which a look at so many keys gives up."""
    return PATIENCE + keys * PATIENCE_PER_KEY


@dataclass(frozen=True)
class Servers:
    """The name servers that are asked: those that were told, or those that are responsible."""

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
        """Return servers that are found through `resolve` and answer for `seconds` from now on."""
        deadline = time.monotonic() + seconds
        return cls(told, port, AllAtOnce(resolve, TIMEOUT, deadline).ask)

    def look(self, key: KeyFile, signing: SigningKey) -> tuple[Sight, ...]:
        """Return what each of them says of a key; raises `KeysError` when none can be found."""
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
        """Return the addresses of the servers that were told; raises `KeysError`."""
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
    """The name server that takes updates (RFC 2136) of a zone."""

    server: NameServer
    zone: str | None
    key: TsigKey | None
    ttl: int
    ask: Callable[[Question], Answer]

    def records(self, name: str) -> tuple[str, ...]:
        """Return the TXT records that stand at `name` now; raises `KeysError`."""
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


def read_tsig_key(path: Path) -> TsigKey:
    """Read the key that is shared with a primary; raises `KeysError`."""
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
