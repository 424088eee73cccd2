"""The data from accounts in the milter: the section `[milters.accounts]` and what it opens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, Self

from pydantic import Field, model_validator
from structlog.typing import FilteringBoundLogger

from gatepost.config import AT_START
from gatepost.journal.sender import JournalSender
from gatepost.metrics import Probes
from gatepost.reports.sender import ReportSender
from gatepost.snapshots.feed import AccountsFeed
from gatepost.snapshots.form import SnapshotData
from gatepost.snapshots.senders import SENDERS, AccountRights, check_senders
from gatepost.snapshots.settings import AccountsSource
from milters.keys.account import DKIM_KEYS


class AccountsForMilters(AccountsSource):
    """Data of `gatepost accounts` that the milter works with."""

    keys: bool = Field(
        default=False,
        json_schema_extra=AT_START,
        description="Sign with the active DKIM keys of accounts, too.",
    )
    senders: bool = Field(
        default=False,
        json_schema_extra=AT_START,
        description="Let logins use the From addresses that they may send as by accounts, beside "
        "those of the tables in `[milters.ownership]`, which has to have `enforce`.",
    )

    @model_validator(mode="after")
    def _check_use(self) -> Self:
        if self.url is None and (self.keys or self.senders):
            raise ValueError("keys and senders need url")
        if self.url is not None and not (self.keys or self.senders or self.journal):
            raise ValueError("url needs one of keys, senders and journal")
        return self


class KeyTaker(Protocol):
    """Takes keys from accounts into use."""

    def expect_accounts(self) -> None:
        """Expect keys from accounts: until they are here, mail without another key waits."""

    def check(self, snapshot: SnapshotData) -> None:
        """Raise `SnapshotError` for a snapshot without the form of keys."""

    def take(self, snapshot: SnapshotData) -> None:
        """Sign with these keys from now on."""


class MilterAccounts:
    """The data from accounts in use; `rights` is None when it is the tables that say who owns."""

    def __init__(
        self, settings: AccountsForMilters, keys: KeyTaker, log: FilteringBoundLogger
    ) -> None:
        takers: dict[str, Callable[[SnapshotData], None]] = {}
        checks: dict[str, Callable[[SnapshotData], object]] = {}
        self.rights: AccountRights | None = None
        if settings.keys:
            keys.expect_accounts()
            takers[DKIM_KEYS], checks[DKIM_KEYS] = keys.take, keys.check
        if settings.senders:
            self.rights = AccountRights()
            takers[SENDERS], checks[SENDERS] = self.rights.take, check_senders
        self.feed = AccountsFeed(settings, takers, checks, log)
        self.journal = JournalSender(settings, log)
        self.probes = Probes()
        """The checks that accounts hears of: those that each process can make."""
        self.reports = ReportSender("milters", settings, lambda: self.probes, log)
