"""The keys of a running milter: read at each reload, compared with DNS then and regularly.

A `KeyKeeper` lives as long as the process; each configuration gets its `LiveKeys` from it. New keys
are checked before a configuration is used, and later in a thread of each worker, so that no message
ever waits for the record of our own key.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol

from structlog.typing import FilteringBoundLogger

from gatepost.metrics import Gauge
from milters.key_table import DomainKey
from milters.keys.publication import Publication, look_up
from milters.keys.records import CheckRecord, Records
from milters.keys.settings import KeySettings
from milters.keys.store import EMPTY, Snapshot, load
from milters.keys.stored import StoredKey
from msgauth.ask import Answer, Question
from msgauth.domain import ancestors
from msgauth.drive import solve
from msgauth.mail_address import MailAddress

FIRST_LOOK = 5.0
"""Seconds that the first check of all new keys may take. Keys still unknown are checked again soon;
a DNS failure does not delay the start of the milter."""

MAX_TOLD = 20
"""Maximum domains named in one log line."""

AFTER_AN_ERROR = 60.0
"""Seconds until the thread that checks records tries again after a bug."""

BROKEN = Gauge(
    "gatepost_milters_broken_keys",
    "Unusable signing keys, folders and tables; the log names each",
    across="max",
)

UNREADABLE = Gauge(
    "gatepost_milters_unreadable_keys",
    "Signing keys, folders and tables that the milter's user cannot read; mail to sign with them "
    "is deferred",
    across="max",
)


class AnswerSource(Protocol):
    """A source of answers: `gatepost.dns.Resolver` or a substitute."""

    def resolve(self, question: Question) -> Answer:
        """Return the answer; never raises."""

    def within(self, seconds: float) -> Callable[[Question], Answer]:
        """Return a resolve function with a limit of `seconds` for all queries together."""


class LiveKeys:
    """A `milters.key_table.KeyTable` of the keys that may sign now. Thread-safe."""

    def __init__(
        self, snapshot: Snapshot, records: Records, settings: KeySettings, look: CheckRecord
    ) -> None:
        self.snapshot = snapshot
        self._records = records
        self._settings = settings
        self._look = look
        self._all = snapshot.all_keys()
        self._unreadable = frozenset(problem.domain for problem in snapshot.unreadable)
        self._domain_keys = {
            key.identity: DomainKey(key.domain, key.selector, key.key) for key in self._all
        }

    def keys_of(self, domain: str) -> Sequence[DomainKey]:
        """Return the keys that may sign for exactly this domain."""
        return self._usable(self.snapshot.keys_of(domain))

    def keys_for(self, author: MailAddress) -> Sequence[DomainKey] | None:
        """Return the keys of a SigningTable for this author; None if it has no entry for it."""
        keys = self.snapshot.keys_for(author)
        return None if keys is None else self._usable(keys)

    def is_unreadable(self, domain: str) -> bool:
        """Return whether there may be a key for mail From `domain` that cannot be read."""
        if not self._unreadable:
            return False
        # the empty name is that of a folder or table: it may have keys of any domain
        return "" in self._unreadable or any(name in self._unreadable for name in ancestors(domain))

    def may_sign(self, key: StoredKey) -> bool:
        """Return whether this key signs now."""
        return not self._settings.require_published or self._records.may_sign(key)

    def look_at_due(self, look: CheckRecord | None = None) -> float:
        """Check the keys that are due; returns the seconds until the next ones are."""
        interval = self._settings.publication_interval
        if not self._settings.require_published:
            self._records.count(self._all, self.may_sign)
            return interval
        due = self._records.due(self._all)
        if due:
            self._records.look_at(due, look or self._look, interval)
            self._records.count(self._all, self.may_sign)
        return self._records.seconds_to_next(self._all, interval)

    def _usable(self, keys: Iterable[StoredKey]) -> Sequence[DomainKey]:
        return [self._domain_keys[key.identity] for key in keys if self.may_sign(key)]


class KeyKeeper:
    """Opens the keys of each configuration, and remembers the results of the checks."""

    def __init__(
        self,
        log: FilteringBoundLogger,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._records = Records(log, monotonic)
        self._live: LiveKeys | None = None
        self._changed = threading.Event()
        self._opened_by = os.getpid()

    def open(self, settings: KeySettings, resolver: AnswerSource) -> LiveKeys:
        """Read the keys and check the records of new ones; never raises.

        Takes at most `FIRST_LOOK` seconds, plus one query.
        """
        previous = EMPTY if self._live is None else self._live.snapshot
        snapshot = load(settings, previous)
        self._report(snapshot, previous)
        live = LiveKeys(snapshot, self._records, settings, _asking(resolver.resolve))
        live.look_at_due(_asking(resolver.within(FIRST_LOOK)))
        self._records.forget_all_but(snapshot.all_keys())
        self._live = live
        # only now, so that `problem()` is gone before the metrics show no unreadable key
        BROKEN.set(len(snapshot.problems))
        UNREADABLE.set(len(snapshot.unreadable))
        self._changed.set()
        return live

    def problem(self) -> str | None:
        """Return one line for `/readyz` about why mail cannot be signed: keys that this user cannot
        read, or a missing key folder or table. None if all is well."""
        found = self._live.snapshot.serious if self._live is not None else ()
        if not found:
            return None
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        return f"mail cannot be signed: {found[0].text}{more}"

    @property
    def files(self) -> Sequence[Path]:
        """Return the key files that no setting names: those from opendkim's tables."""
        table = self._live.snapshot.table if self._live is not None else None
        return table.files if table is not None else ()

    def keep_looking(self) -> None:
        """Check the records regularly in a thread; called in a worker after its fork."""
        threading.Thread(target=self._look_for_ever, name="key-records", daemon=True).start()

    def _look_for_ever(self) -> None:
        while True:
            self._changed.clear()
            try:
                wait = self._live.look_at_due() if self._live is not None else AFTER_AN_ERROR
            except Exception:
                self._log.exception("check of key records failed")
                wait = AFTER_AN_ERROR
            self._changed.wait(wait)

    def _report(self, snapshot: Snapshot, previous: Snapshot) -> None:
        if os.getpid() != self._opened_by:
            return  # each worker reads the keys after the parent, which has logged everything
        for problem in snapshot.problems:
            self._log.error(
                "unusable key",
                domain=problem.domain or None,
                problem=problem.text,
                old_keys_in_use=problem.kept,
            )
        if gone := sorted(set(previous.by_domain) - set(snapshot.by_domain)):
            # removed by the administrator, or a volume is not mounted: both look the same
            self._log.warning(
                "domains no longer have their own key",
                domains=gone[:MAX_TOLD],
                count=len(gone),
            )


def _asking(resolve: Callable[[Question], Answer]) -> CheckRecord:
    def look(key: StoredKey) -> Publication:
        return solve(look_up(key.domain, key.selector, key.key), resolve)

    return look
