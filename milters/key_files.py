"""The active keys of the key folder, read when the configuration is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from gatepost.metrics import Gauge
from milters.keys.files import KeyFileError, read_key
from milters.keys.folder import KeyFolder
from milters.keys.state import KeyState
from milters.signing import DomainKey

BROKEN = Gauge(
    "gatepost_milters_broken_keys",
    "Signing keys that cannot be used; each is named in the log",
    multiprocess_mode="livemax",
)


class KeyFiles:
    """A key table in memory; a key that cannot be used leaves all others alone."""

    def __init__(self, folder: Path, log: FilteringBoundLogger) -> None:
        self._keys: dict[str, list[DomainKey]] = {}
        problems: list[str] = []
        try:
            listing = KeyFolder(folder).scan()
        except KeyFileError as error:
            log.warning("nothing is signed", problem=str(error))
            return
        problems += [problem.text for problem in listing.problems]
        for file in listing.keys:
            if file.state is not KeyState.ACTIVE:
                continue
            try:
                key = read_key(file.path)
            except KeyFileError as error:
                problems.append(str(error))
                continue
            found = DomainKey(file.domain, file.selector, key)
            self._keys.setdefault(file.domain, []).append(found)
        for problem in problems:
            log.error("a key cannot be used", problem=problem)
        BROKEN.set(len(problems))

    def keys_for(self, domain: str) -> Sequence[DomainKey]:
        """The keys of exactly this domain."""
        return self._keys.get(domain, ())
