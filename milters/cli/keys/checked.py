"""Keys and what every name server says of them, asked for all at the same time."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any

from gatepost.cli.output import tell
from milters.cli.keys.dns import Servers
from milters.cli.keys.options import describe, kind
from milters.cli.keys.progress import Progress
from milters.keys.errors import KeysError
from milters.keys.files import read_key
from milters.keys.folder import KeyFile
from milters.keys.publication import Publication, Seen, Sight, summarize
from msgauth.keys import SigningKey

AT_ONCE = 16
"""Keys that are looked at together."""


@dataclass(frozen=True)
class Checked:
    """A key and what every name server says of it."""

    key: KeyFile
    signing: SigningKey
    sights: Sequence[Sight]
    found: Publication

    @property
    def is_published(self) -> bool:
        """Whether each server has the record."""
        return self.found.seen is Seen.PUBLISHED

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            **describe(self.key, self.signing),
            "seen": str(self.found.seen),
            "reason": self.found.reason,
            "note": self.found.note,
            "servers": [
                {
                    "server": str(sight.said.server),
                    "name": sight.said.name,
                    "seen": str(sight.publication.seen),
                    "reason": sight.publication.reason,
                }
                for sight in self.sights
            ],
        }

    def tell(self) -> None:
        """Print it, a line a server that does not have the record."""
        described = describe(self.key, self.signing)
        hosts = {sight.said.server.host for sight in self.sights}
        head = f"{self.key.selector} of {self.key.domain} ({kind(described)}, {self.key.state})"
        if self.is_published:
            tell(f"{head}: published at {', '.join(sorted(hosts))}")
            if self.found.note:
                tell(f"  but {self.found.note}")
            return
        tell(f"{head}: {self.found.seen}" + ("" if self.sights else self.found.reason))
        for sight in self.sights:
            reason = sight.publication.reason or "has the record"
            tell(f"  {sight.said.server}: {reason}")


def check_key(key: KeyFile, servers: Servers) -> Checked:
    """Ask about one key; raises `KeysError` when its file cannot be used."""
    signing = read_key(key.path)
    try:
        sights = servers.look(key, signing)
    except KeysError as error:
        return Checked(key, signing, (), Publication(Seen.UNKNOWN, f": {error}"))
    return Checked(key, signing, sights, summarize(sights))


def check_all(keys: Sequence[KeyFile], servers: Servers) -> tuple[list[Checked], list[str]]:
    """Ask about all keys at once; in their order, with a line for each that cannot be used.

    How far it is can be seen on a terminal.
    """
    with ThreadPoolExecutor(AT_ONCE, "keys") as pool, Progress("keys", len(keys)) as progress:
        looks = [pool.submit(check_key, key, servers) for key in keys]
        try:
            for _ in as_completed(looks):
                progress.advance()
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    checked: list[Checked] = []
    problems: list[str] = []
    for look in looks:
        try:
            checked.append(look.result())
        except KeysError as error:
            problems.append(str(error))
    return checked, problems
