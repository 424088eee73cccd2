"""Check of keys at every name server, all at the same time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

from milters.keys.errors import KeysError
from milters.keys.files import read_key
from milters.keys.folder import KeyFile
from milters.keys.publication import Publication, RecordStatus, Sight, summarize
from milters.keys.servers import Servers
from msgauth.keys import SigningKey

AT_ONCE = 16
"""Maximum keys checked at the same time."""


@dataclass(frozen=True)
class CheckedKey:
    """A key and the answers of every name server about it."""

    key: KeyFile
    signing: SigningKey
    sights: Sequence[Sight]
    found: Publication

    @property
    def is_published(self) -> bool:
        """Return whether every server has the record."""
        return self.found.seen is RecordStatus.PUBLISHED


@dataclass(frozen=True)
class CheckedKeys:
    """The checked keys, and a line for each unusable one."""

    checked: Sequence[CheckedKey]
    problems: Sequence[str]


def check_key(key: KeyFile, servers: Servers) -> CheckedKey:
    """Check one key; raises `KeysError` if its file is unusable."""
    signing = read_key(key.path)
    try:
        sights = servers.look(key, signing)
    except KeysError as error:
        return CheckedKey(key, signing, (), Publication(RecordStatus.UNKNOWN, f": {error}"))
    return CheckedKey(key, signing, sights, summarize(sights))


def check_keys(
    keys: Sequence[KeyFile], servers: Servers, advance: Callable[[], None] = lambda: None
) -> CheckedKeys:
    """Check all keys at once and return the results in their order.

    `advance` is called when one more is done. `servers` limits the time.
    """
    with ThreadPoolExecutor(AT_ONCE, "keys") as pool:
        looks = [pool.submit(check_key, key, servers) for key in keys]
        try:
            for _ in as_completed(looks):
                advance()
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    checked: list[CheckedKey] = []
    problems: list[str] = []
    for look in looks:
        try:
            checked.append(look.result())
        except KeysError as error:
            problems.append(str(error))
    return CheckedKeys(checked, problems)
