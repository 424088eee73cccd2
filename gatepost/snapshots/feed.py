"""Feed of data from accounts in a daemon: one process fetches them for all.

A daemon makes an `AccountsFeed` at its start, before it forks. It begins with the data on disk.
Then each process calls `follow()`, and one of them `keep()`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TypeAlias

from structlog.typing import FilteringBoundLogger

from gatepost.snapshots import disk
from gatepost.snapshots.client import SnapshotClient
from gatepost.snapshots.form import SnapshotData, SnapshotError, parse
from gatepost.snapshots.keeper import SnapshotKeeper
from gatepost.snapshots.settings import AccountsSource
from gatepost.snapshots.share import SharedMemory

LOOK_INTERVAL = 0.5
"""Seconds between two checks of a process whether another one has fetched something."""
AFTER_A_MISTAKE = 30.0
"""Seconds until data are tried again that a bug kept out of use."""

Taker: TypeAlias = Callable[[SnapshotData], None]
"""Function that takes a new snapshot into use in this process."""
Checker: TypeAlias = Callable[[SnapshotData], object]
"""Function that raises `SnapshotError` for records that the daemon cannot use."""


class AccountsFeed:
    """The snapshots that a daemon needs, each with the function that takes it into use.

    `checks` raise `SnapshotError` for unusable snapshots; without a check, all are usable.
    """

    def __init__(
        self,
        source: AccountsSource,
        takers: Mapping[str, Taker],
        checks: Mapping[str, Checker],
        log: FilteringBoundLogger,
    ) -> None:
        self._source = source
        self._takers = dict(takers) if source.url is not None else {}
        self._checks = checks
        self._log = log
        self._shares = {name: SharedMemory(name) for name in self._takers}
        self._taken = dict.fromkeys(self._takers, 0)
        self._lock = threading.Lock()
        self._stop = threading.Event()
        for name in self._takers:
            self._load(name)
        self.refresh()

    def problem(self) -> str | None:
        """Return one line for `/readyz` until all snapshots have been fetched once, then None.

        The answer is the same in every process of the daemon.
        """
        missing = [name for name, share in self._shares.items() if share.number == 0]
        return f"accounts has not sent {', '.join(missing)} yet" if missing else None

    def refresh(self) -> None:
        """Take new data into use in this process."""
        with self._lock:
            for name, take in self._takers.items():
                share = self._shares[name]
                if share.number == self._taken[name]:
                    continue
                read = share.read()
                if read is None:
                    continue  # it is being written: the next check finds it
                try:
                    take(parse(read[1], name, is_checked=True))
                except SnapshotError as error:
                    # it was written meanwhile, or its writer was killed
                    self._log.warning(
                        "snapshot not taken into use", snapshot=name, problem=str(error)
                    )
                    continue
                self._taken[name] = read[0]

    def follow(self) -> None:
        """Take the latest data into use now, and later data in a thread."""
        if self._takers:
            self.refresh()
            threading.Thread(target=self._follow, name="snapshots", daemon=True).start()

    def keep(self) -> None:
        """Fetch from accounts, in a thread for each snapshot; to be called in one process only."""
        for name, share in self._shares.items():
            keeper = SnapshotKeeper(
                name,
                self._source,
                SnapshotClient(self._source),
                share,
                self._checks.get(name),
                self._log,
            )
            threading.Thread(
                target=keeper.keep, args=(self._stop,), name=f"fetch-{name}", daemon=True
            ).start()

    def stop(self) -> None:
        """Stop the threads; each ends after its current wait."""
        self._stop.set()

    def _follow(self) -> None:
        while not self._stop.wait(LOOK_INTERVAL):
            try:
                self.refresh()
            except Exception:  # a bug must not leave the old data in use forever
                self._log.exception("cannot take new data from accounts into use")
                self._stop.wait(AFTER_A_MISTAKE)

    def _load(self, name: str) -> None:
        folder = self._source.folder
        try:
            snapshot = disk.load(folder, name)
            if snapshot is not None and (check := self._checks.get(name)) is not None:
                check(snapshot)
        except (SnapshotError, OSError) as error:
            self._log.error(
                "snapshot on disk not used",
                snapshot=name,
                folder=str(folder),
                problem=str(error),
            )
            return
        if snapshot is not None:
            self._shares[name].write(snapshot.data)
            self._log.info(
                "snapshot from disk in use until accounts answers",
                snapshot=name,
                generation=snapshot.seal.generation,
                records=snapshot.seal.records,
            )
