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
from gatepost.snapshots.form import SnapshotData
from milters.key_table import DomainKey
from milters.keys.account import MISSING, AccountKeys, Parsed, read_account_keys
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

UNUSABLE = Gauge(
    "gatepost_milters_unusable_account_keys",
    "Active keys of accounts that cannot be used; the log names each",
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
        self,
        snapshot: Snapshot,
        records: Records,
        settings: KeySettings,
        look: CheckRecord,
        accounts: AccountKeys | None = None,
    ) -> None:
        self.snapshot = snapshot
        self._accounts = accounts or AccountKeys()
        self._records = records
        self._settings = settings
        self._look = look
        self._all = snapshot.all_keys()
        self._unreadable = frozenset(problem.domain for problem in snapshot.unreadable)
        self._domain_keys = {
            key.identity: DomainKey(key.domain, key.selector, key.key) for key in self._all
        }

    def keys_of(self, domain: str) -> Sequence[DomainKey]:
        """Return the keys that may sign for exactly this domain, those from accounts last."""
        keys = self.snapshot.keys_of(domain)
        usable = self._usable(keys)
        more = self._accounts.current.by_domain.get(domain)
        if not more:
            return usable
        named = {key.selector for key in keys}
        domain_keys = self._accounts.current.domain_keys
        return [
            *usable,
            *(
                domain_keys[key.identity]
                for key in more
                if key.selector not in named and self.may_sign(key)
            ),
        ]

    def keys_for(self, author: MailAddress) -> Sequence[DomainKey] | None:
        """Return the keys of a SigningTable for this author; None if it has no entry for it."""
        keys = self.snapshot.keys_for(author)
        return None if keys is None else self._usable(keys)

    def is_unreadable(self, domain: str) -> bool:
        """Return whether there may be a key for mail From `domain` that cannot be read."""
        unreadable = self._unreadable | self._accounts.current.unreadable
        if not unreadable:
            return False
        # the empty name is that of a folder or table, or of accounts: it may have keys of any
        # domain
        return "" in unreadable or any(name in unreadable for name in ancestors(domain))

    def may_sign(self, key: StoredKey) -> bool:
        """Return whether this key signs now."""
        return not self._settings.require_published or self._records.may_sign(key)

    def look_at_due(self, look: CheckRecord | None = None) -> float:
        """Check the keys that are due; returns the seconds until the next ones are."""
        interval = self._settings.publication_interval
        keys = self.all_keys()
        if not self._settings.require_published:
            self._records.count(keys, self.may_sign)
            return interval
        self.look_at_new(keys, look or self._look)
        return self._records.seconds_to_next(keys, interval)

    def look_at_new(self, keys: Sequence[StoredKey], look: CheckRecord) -> None:
        """Check those of the keys that are due, which need not be in use yet."""
        if not self._settings.require_published:
            return
        due = self._records.due(keys)
        if due:
            self._records.look_at(due, look, self._settings.publication_interval)
            self._records.count(keys, self.may_sign)

    def all_keys(self) -> tuple[StoredKey, ...]:
        """Return all keys in use."""
        return (*self._all, *self._accounts.current.all_keys())

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
        self._resolver: AnswerSource | None = None
        self._accounts = AccountKeys()
        self._parsed: Parsed = {}
        self._lock = threading.Lock()
        self._changed = threading.Event()
        self._opened_by = os.getpid()

    def open(self, settings: KeySettings, resolver: AnswerSource) -> LiveKeys:
        """Read the keys and check the records of new ones; never raises.

        Takes at most `FIRST_LOOK` seconds, plus one query.
        """
        with self._lock:
            return self._open(settings, resolver)

    def _open(self, settings: KeySettings, resolver: AnswerSource) -> LiveKeys:
        previous = EMPTY if self._live is None else self._live.snapshot
        snapshot = load(settings, previous)
        self._report(snapshot, previous)
        look = _asking(resolver.resolve)
        live = LiveKeys(snapshot, self._records, settings, look, self._accounts)
        live.look_at_due(_asking(resolver.within(FIRST_LOOK)))
        self._records.forget_all_but(live.all_keys())
        self._live, self._resolver = live, resolver
        # only now, so that `problem()` is gone before the metrics show no unreadable key
        BROKEN.set(len(snapshot.problems))
        UNREADABLE.set(len(snapshot.unreadable))
        self._changed.set()
        return live

    def expect_accounts(self) -> None:
        """Expect keys from accounts: until the first are here, it is unknown which domains have
        one."""
        self._accounts.current = MISSING

    def check(self, snapshot: SnapshotData) -> None:
        """Log the keys of a snapshot that cannot be used; raises `SnapshotError` for one that is
        none of keys."""
        for domain, problem in read_account_keys(snapshot, dict(self._parsed)).problems:
            self._log.error("unusable key from accounts", domain=domain, problem=problem)

    def take(self, snapshot: SnapshotData) -> None:
        """Sign with the keys of a snapshot, which `check` has passed, and with no others of
        accounts.

        The records of new keys are checked first, so that mail is signed by the old ones until
        then; it takes at most `FIRST_LOOK` seconds, plus one query.
        """
        with self._lock:
            new = read_account_keys(snapshot, self._parsed)
            if self._live is not None and self._resolver is not None:
                in_use = self._live.snapshot.all_keys()
                look = _asking(self._resolver.within(FIRST_LOOK))
                self._live.look_at_new((*in_use, *new.all_keys()), look)
                self._accounts.current = new
                self._records.forget_all_but(self._live.all_keys())
            self._accounts.current = new
        if os.getpid() != self._opened_by:
            # the parent does not follow: what it says would stay for ever
            UNUSABLE.set(len(new.problems))
        self._changed.set()

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
