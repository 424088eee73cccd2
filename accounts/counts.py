"""Metrics of accounts, apart from those of its listeners."""

from __future__ import annotations

from typing import Final

from gatepost.metrics import Counter, Gauge

LOOKUPS: Final = Counter(
    "gatepost_accounts_lookups_total",
    "Look-ups by map and answer: found, not_found, temporary",
    ["map", "answer"],
)
STALE: Final = Counter(
    "gatepost_accounts_stale_lookups_total",
    "Look-ups answered with the help of the cache, because the database was away",
    ["map", "answer"],
)
LOGINS: Final = Counter(
    "gatepost_accounts_logins_total",
    "Logins by protocol, result (ok, wrong, disabled, temporary) and reason",
    ["protocol", "result", "reason"],
)
UPGRADES: Final = Counter(
    "gatepost_accounts_password_upgrades_total",
    "Stored passwords that were replaced by a stronger hash at a login",
)
NOT_NOTED: Final = Counter(
    "gatepost_accounts_uses_not_noted_total",
    "Logins whose time was not recorded, because too many waited for the database",
)
DATABASE_UP: Final = Gauge(
    "gatepost_accounts_database_up", "1 if the database answers, otherwise 0", across="min"
)
GENERATION: Final = Gauge(
    "gatepost_accounts_generation", "Latest generation of the data that was seen", across="min"
)
CACHE_ENTRIES: Final = Gauge(
    "gatepost_accounts_cache_entries", "Answers in the cache", across="sum"
)
CACHE_OCTETS: Final = Gauge(
    "gatepost_accounts_cache_bytes", "Memory of the answers in the cache", across="sum"
)
ATTEMPTS_REMEMBERED: Final = Gauge(
    "gatepost_accounts_attempts_remembered",
    "Accounts and networks whose login attempts are remembered",
    across="sum",
)
PASSWORDS_WAITING: Final = Gauge(
    "gatepost_accounts_passwords_waiting",
    "Passwords that are being checked or wait to be checked",
    across="sum",
)


class LookupCounts:
    """Implementation of `accounts.answers.Observer` that updates the metrics."""

    def answered(self, table: str, answer: str, is_stale: bool) -> None:
        """Count an answer from one map."""
        LOOKUPS.labels(table, answer).inc()
        if is_stale:
            STALE.labels(table, answer).inc()
