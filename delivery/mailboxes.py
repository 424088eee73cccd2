"""Mailboxes of recipients: their preferences, their store, and their name for the spam filter."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from structlog.typing import FilteringBoundLogger

from delivery.own_data import scan_user
from delivery.preferences import NO_WISHES, MailboxPreferences, ScanWishes
from delivery.protocols.envelope import address_of
from delivery.settings import AccountsForDelivery, DeliverySettings
from delivery.user import safe_user
from gatepost.listen import SocketAddress
from gatepost.snapshots.feed import AccountsFeed
from gatepost.snapshots.form import SnapshotData
from gatepost.snapshots.recipients import RECIPIENTS, RecipientPreferences, check_recipients
from gatepost.snapshots.stores import STORES, MailStores, check_stores


class RecipientFacts(NamedTuple):
    """Facts about one recipient. `store` is None if accounts names one that nobody knows."""

    path: str
    """The address as in RCPT."""
    preferences: MailboxPreferences
    store: SocketAddress | None
    store_name: str
    user: str
    """The name for the scanner: the mailbox, or the site; empty if nobody has data of their own."""


class AccountsData:
    """Data of accounts in use, as the section at the start says."""

    def __init__(self, settings: AccountsForDelivery) -> None:
        self._settings = settings
        self.preferences = RecipientPreferences()
        self.stores = MailStores()

    def problem(self) -> str | None:
        """Return one line until all data are in use in this process, then None.

        Mail must not go to the wrong store in the moment between their arrival and their use.
        """
        if self._settings.url is None:
            return None
        if not self.preferences.is_known or (self._settings.stores and not self.stores.is_known):
            return "accounts has not sent its data yet"
        return None

    def feed(self, log: FilteringBoundLogger) -> AccountsFeed:
        """Return the feed of the data, which begins with the data on disk."""
        # the names of an address come from the preferences, also for its store
        takers: dict[str, Callable[[SnapshotData], None]] = {RECIPIENTS: self.preferences.take}
        checks: dict[str, Callable[[SnapshotData], object]] = {RECIPIENTS: check_recipients}
        if self._settings.stores:
            takers[STORES], checks[STORES] = self.stores.take, check_stores
        return AccountsFeed(self._settings, takers, checks, log)


def find_recipient(path: str, data: AccountsData, settings: DeliverySettings) -> RecipientFacts:
    """Return the facts about a recipient; never raises."""
    names = data.preferences.names(address_of(path))
    record = data.preferences.read(names) if settings.accounts.preferences else {}
    store_name = data.stores.find(names) or ""
    store: SocketAddress | None = settings.stores.default
    if store_name:
        store = settings.stores.named.get(store_name)
    defaults = data.preferences.defaults(names) if settings.accounts.preferences else {}
    preferences = MailboxPreferences.read(record, defaults)
    return RecipientFacts(
        path,
        preferences._replace(wishes=_usable(preferences.wishes, settings)),
        store,
        store_name,
        _scan_user(names, settings),
    )


def _usable(wishes: ScanWishes, settings: DeliverySettings) -> ScanWishes:
    """Return the preferences that the scanner can follow: others need no scan of their own."""
    if settings.spam.engine == "rspamd":
        return wishes._replace(languages=())
    return wishes if settings.spam.users_folder is not None else NO_WISHES


def _scan_user(names: list[str], settings: DeliverySettings) -> str:
    spam = settings.spam
    users = [user for name in names if (user := safe_user(name)) is not None]
    if spam.engine == "rspamd":
        # the last name has neither an extension nor an alias domain
        return str(users[-1]) if spam.per_user and users else ""
    if spam.users_folder is not None:
        return scan_user(users, spam.users_folder, spam.min_learned)
    return ""
