"""The data from accounts in the policy server."""

from __future__ import annotations

from collections.abc import Callable

from structlog.typing import FilteringBoundLogger

from gatepost.journal.sender import JournalSender
from gatepost.metrics import Probes
from gatepost.reports.sender import ReportSender
from gatepost.snapshots.feed import AccountsFeed
from gatepost.snapshots.form import SnapshotData
from gatepost.snapshots.greylist import GREYLIST, read_exceptions
from gatepost.snapshots.recipients import RECIPIENTS, RecipientPreferences, check_recipients
from gatepost.snapshots.senders import SENDERS, AccountRights, check_senders
from policyd.greylist_exceptions import GreylistExceptions
from policyd.greylist_exchange import GreylistExchange
from policyd.settings.accounts import AccountsForPolicyd


class PolicyAccounts:
    """The data in use, as the section at the start says; None for what does not come from there."""

    def __init__(self, settings: AccountsForPolicyd) -> None:
        self._settings = settings
        self.rights = AccountRights() if settings.senders else None
        self.preferences = RecipientPreferences() if settings.greylist else None
        self.exceptions = GreylistExceptions() if settings.greylist else None

    def journal(self, log: FilteringBoundLogger) -> JournalSender:
        """Return the sender of decisions."""
        return JournalSender(self._settings, log)

    def exchange(self, log: FilteringBoundLogger) -> GreylistExchange | None:
        """Return the exchange of questions about the greylist; None if it is not wanted."""
        return GreylistExchange(self._settings, log) if self._settings.greylist else None

    def reports(self, probes: Probes, log: FilteringBoundLogger) -> ReportSender:
        """Return the sender of the state that the probes tell."""
        return ReportSender("policyd", self._settings, lambda: probes, log)

    def feed(self, log: FilteringBoundLogger) -> AccountsFeed:
        """Return the feed of the data, which begins with what is on disk."""
        takers: dict[str, Callable[[SnapshotData], None]] = {}
        checks: dict[str, Callable[[SnapshotData], object]] = {}
        if self.rights is not None:
            takers[SENDERS], checks[SENDERS] = self.rights.take, check_senders
        if self.preferences is not None:
            takers[RECIPIENTS], checks[RECIPIENTS] = self.preferences.take, check_recipients
        if self.exceptions is not None:
            takers[GREYLIST], checks[GREYLIST] = self.exceptions.take, read_exceptions
        return AccountsFeed(self._settings, takers, checks, log)
