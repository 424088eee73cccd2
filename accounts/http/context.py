"""Context of the API: the datastore, the rules of logins, and its bounds."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Protocol

from accounts.attempts import Attempts
from accounts.autoconfig.settings import AutoconfigSettings
from accounts.autoconfig.signer import Signer
from accounts.home_stores_settings import HomeStoresSettings
from accounts.http.factor_rule import FactorRule
from accounts.http.settings import HttpSettings
from accounts.journal.journal import MailJournal
from accounts.login import Login
from accounts.lookup.ask import Ask, RowAnswer
from accounts.passwords import Password, PasswordSettings, PasswordWorkers
from accounts.quarantine.holders import QuarantineHolders
from accounts.quarantine.settings import QuarantineSettings
from accounts.store.database import Database
from accounts.store.seal import SecretSeal
from accounts.stored_mail import StoredMail


class Asking(Protocol):
    """Interface of `accounts.answers.Answers.ask`, which asks the database about a login."""

    def __call__(self, asks: tuple[Ask, ...], /) -> Awaitable[tuple[RowAnswer, ...]]:
        """Answer questions; raises `accounts.lookup.ask.Unavailable`."""


class Succeeded(Protocol):
    """Receiver of successful logins, which writes their effects later."""

    def __call__(self, login: Login, password: Password, /) -> None:
        """Take a login."""


class Measuring(Protocol):
    """Interface of the question for the mail in a mailbox, which its server answers."""

    def __call__(self, address: str, /) -> Awaitable[StoredMail | None]:
        """Return what a mailbox holds, or None if that is not known; raises nothing."""


class Clock(Protocol):
    """Clock in seconds since the epoch."""

    def __call__(self) -> float:
        """Return the time."""


class Context(Protocol):
    """The interface that the API expects. The attributes may change at any time: a request reads
    them when it needs them."""

    @property
    def database(self) -> Database:
        """The datastore."""

    @property
    def seal(self) -> SecretSeal:
        """The keys that secrets in the datastore are encrypted with."""

    @property
    def workers(self) -> PasswordWorkers:
        """The threads that check and hash passwords."""

    @property
    def attempts(self) -> Attempts:
        """The limits on wrong passwords."""

    @property
    def passwords(self) -> PasswordSettings:
        """The rules for new passwords."""

    @property
    def settings(self) -> HttpSettings:
        """The bounds of the API."""

    @property
    def keep_deleted(self) -> float:
        """The seconds for which the mail of a removed mailbox is kept."""

    @property
    def stores(self) -> HomeStoresSettings:
        """The mail stores, if there are several."""

    @property
    def factor_rule(self) -> FactorRule:
        """The rule who has to have a second factor."""

    @property
    def journal(self) -> MailJournal | None:
        """The journal of decisions about mail, if there is one."""

    @property
    def quarantine(self) -> QuarantineHolders:
        """The holders of mail in quarantine."""

    @property
    def clock(self) -> Clock:
        """The clock of tokens and logins."""

    @property
    def usage(self) -> Measuring:
        """The question for the mail in a mailbox."""

    @property
    def ask(self) -> Asking:
        """The questions about logins."""

    @property
    def succeeded(self) -> Succeeded:
        """The receiver of successful logins."""


class ServedContext(Context, Protocol):
    """The interface that the application of the server expects, which also serves autoconfig."""

    @property
    def autoconfig(self) -> AutoconfigSettings:
        """The servers that autoconfig announces to mail programs."""

    @property
    def signer(self) -> Signer | None:
        """The signer of profiles; None without a key. Raises `SignerError`."""


def _forget(login: Login, password: Password, /) -> None:
    """Ignore the effects."""


async def _unknown(address: str, /) -> StoredMail | None:
    """Return None: there is no server to ask."""
    del address
    return None


@dataclass(frozen=True, slots=True)
class FixedContext:
    """A `Context` that does not change."""

    database: Database
    seal: SecretSeal
    workers: PasswordWorkers
    attempts: Attempts
    passwords: PasswordSettings
    settings: HttpSettings
    clock: Clock
    ask: Asking
    succeeded: Succeeded = _forget
    usage: Measuring = _unknown
    autoconfig: AutoconfigSettings = field(default_factory=AutoconfigSettings)
    signer: Signer | None = None
    keep_deleted: float = 30 * 86_400.0
    journal: MailJournal | None = None
    quarantine: QuarantineHolders = field(
        default_factory=lambda: QuarantineHolders(QuarantineSettings)
    )
    factor_rule: FactorRule = FactorRule.OPTIONAL
    stores: HomeStoresSettings = field(default_factory=HomeStoresSettings)
