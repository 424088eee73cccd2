"""Keeper of one snapshot, which fetches it for a whole daemon."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Protocol

from structlog.typing import FilteringBoundLogger

from gatepost.snapshots import disk
from gatepost.snapshots.client import Fetched, FetchError
from gatepost.snapshots.counts import CONFIRMED, FAILURES, FETCHED, GENERATION, RECORDS
from gatepost.snapshots.form import SnapshotData, SnapshotError, parse
from gatepost.snapshots.judge import HeldSnapshot, SnapshotVerdict, confirm, judge
from gatepost.snapshots.settings import AccountsSource
from gatepost.snapshots.share import SharedMemory

WAIT = 25.0
"""Seconds that accounts holds a request if nothing has changed; proxies give up after 60."""
FIRST_PAUSE = 1.0
"""Seconds to wait after the first failure, doubled with each further one."""
MAX_PAUSE = 30.0
SMALL_PAUSE = 0.2
"""Seconds to wait after each new snapshot, so that many changes do not keep the daemon busy."""
TELL_AGAIN = 600.0
"""Seconds until a continuing failure is logged again."""


class SnapshotSource(Protocol):
    """Interface of `gatepost.snapshots.client.SnapshotClient`."""

    def fetch(self, name: str, tag: str, wait: float) -> Fetched:
        """Wait for a snapshot with another tag; raises `FetchError`."""

    def close(self) -> None:
        """Close the connection."""


class SnapshotKeeper:
    """Keeper that fetches the snapshot `name` into the shared memory, and stores it on disk.

    `check`, if there is one, raises `SnapshotError` for records that the daemon cannot use.
    """

    def __init__(
        self,
        name: str,
        source: AccountsSource,
        client: SnapshotSource,
        share: SharedMemory,
        check: Callable[[SnapshotData], object] | None,
        log: FilteringBoundLogger,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._name = name
        self._source = source
        self._client = client
        self._share = share
        self._check = check
        self._log = log.bind(snapshot=name)
        self._clock = clock
        self._draw = draw
        self._held: HeldSnapshot | None = None
        self._tag = ""
        self._unsaved: SnapshotData | None = None
        self._failures = 0
        self._told: tuple[str, float] | None = None
        self._resume()

    def keep(self, stop: threading.Event) -> None:
        """Fetch until `stop` is set; a bug is logged, and never ends the loop."""
        while not stop.is_set():
            try:
                pause = self.turn()
            except Exception:
                self._log.exception("internal error while fetching a snapshot")
                self._client.close()
                pause = MAX_PAUSE
            stop.wait(pause)

    def turn(self) -> float:
        """Ask once, and use the answer; return the seconds until the next request."""
        try:
            return self._use(self._client.fetch(self._name, self._tag, WAIT))
        except FetchError as error:
            return self._failed(error.why, str(error))
        except SnapshotError as error:
            self._client.close()
            return self._failed("invalid", f"snapshot from accounts refused: {error}")

    def _use(self, fetched: Fetched) -> float:
        if fetched.data is None:
            if self._held is None:
                raise FetchError(
                    "invalid", "accounts reports no change, but there is no snapshot yet"
                )
            self._held = confirm(self._held, fetched.generation, fetched.lineage)
            self._succeeded()
            return 0.0
        snapshot = parse(fetched.data, self._name)
        if self._check is not None:
            self._check(snapshot)
        held, verdict = judge(self._held, fetched.generation, fetched.lineage, self._clock())
        if verdict is SnapshotVerdict.OLDER:
            before = self._held.generation if self._held else 0
            self._held = held
            return self._failed(
                "older",
                f"accounts has generation {fetched.generation}, after {before}: it lags behind, or "
                "its database was restored by other means than gatepost accounts restore",
            )
        if verdict in (SnapshotVerdict.REPLACED, SnapshotVerdict.RETURNED):
            self._log.warning(
                "the data of accounts were replaced; the new data are in use",
                generation=fetched.generation,
                before=None if self._held is None else self._held.generation,
                same_database=verdict is SnapshotVerdict.RETURNED,
            )
        self._share.write(snapshot.data)
        self._held, self._tag, self._unsaved = held, snapshot.seal.tag, snapshot
        FETCHED.labels(self._name).inc()
        RECORDS.labels(self._name).set(snapshot.seal.records)
        self._log.info(
            "snapshot from accounts in use",
            generation=fetched.generation,
            records=snapshot.seal.records,
        )
        self._succeeded()
        return SMALL_PAUSE

    def _succeeded(self) -> None:
        if self._held is not None:
            GENERATION.labels(self._name).set(self._held.generation)
        CONFIRMED.labels(self._name).set(time.time())
        if self._failures:
            self._log.info("accounts answers again", failures=self._failures)
        self._failures = 0
        if self._save():
            self._told = None

    def _save(self) -> bool:
        """Store the snapshot on disk, if it is new; return whether nothing is left to store."""
        if self._unsaved is None:
            return True
        try:
            disk.save(self._source.folder, self._unsaved)
        except OSError as error:
            FAILURES.labels(self._name, "disk").inc()
            folder = self._source.folder
            self._tell("disk", f"in use, but not kept in {folder}: {error.strerror or error}")
            return False
        self._unsaved = None
        return True

    def _failed(self, why: str, text: str) -> float:
        """Count and report a failure; return the seconds until the next attempt."""
        FAILURES.labels(self._name, why).inc()
        self._tell(why, text)
        self._failures += 1
        longest = min(MAX_PAUSE, FIRST_PAUSE * 2.0 ** min(self._failures - 1, 10))
        # the daemons of a site must not all ask at the same moment
        return longest * (0.5 + self._draw() / 2)

    def _tell(self, why: str, text: str) -> None:
        """Log a failure if it differs from the last one, and from time to time."""
        now = self._clock()
        if self._told is not None and self._told[0] == why and now - self._told[1] < TELL_AGAIN:
            return
        self._told = why, now
        in_use = None if self._held is None else self._held.generation
        self._log.warning("no new snapshot", why=why, problem=text, generation_in_use=in_use)

    def _resume(self) -> None:
        """Continue with the snapshot in use, from disk or from a previous worker."""
        read = self._share.read()
        if read is None:
            return
        try:
            snapshot = parse(read[1], self._name, is_checked=True)
        except SnapshotError:
            return
        seal = snapshot.seal
        self._held, self._tag, self._unsaved = (
            HeldSnapshot(seal.generation, seal.lineage),
            seal.tag,
            None,
        )
        GENERATION.labels(self._name).set(seal.generation)
        RECORDS.labels(self._name).set(seal.records)
