"""REST API in the daemon, served with the datastore and the rules in use."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from accounts.answers import Answers
from accounts.attempts import Attempts
from accounts.autoconfig.settings import AutoconfigSettings
from accounts.autoconfig.signer import Signer
from accounts.dovecot.usage import ask_usage
from accounts.home_stores_settings import HomeStoresSettings
from accounts.http.application import application
from accounts.http.context import Clock, Succeeded
from accounts.http.dispatch import Dispatcher
from accounts.http.factor_rule import FactorRule
from accounts.http.server import HttpServer
from accounts.http.settings import HttpSettings
from accounts.journal.journal import MailJournal
from accounts.lookup.ask import Ask, RowAnswer
from accounts.passwords import PasswordSettings, PasswordWorkers
from accounts.quarantine.holders import QuarantineHolders
from accounts.settings import AccountsSettings
from accounts.store.database import Database
from accounts.store.seal import SecretSeal
from accounts.stored_mail import StoredMail
from gatepost.config import GroundSettings
from gatepost.logs import get_logger

log = get_logger("accounts")


class ApiRules(Protocol):
    """The part of the configuration that answers to requests depend on."""

    settings: AccountsSettings
    answers: Answers
    attempts: Attempts
    workers: PasswordWorkers
    seal: SecretSeal


class ApiContext:
    """`accounts.http.context.Context` of the daemon: a request sees the rules that are in use when
    it arrives."""

    clock: Clock = staticmethod(time.time)

    def __init__(
        self,
        database: Database,
        rules: Callable[[], ApiRules],
        succeeded: Succeeded,
        journal: MailJournal | None = None,
    ) -> None:
        self.database = database
        self.journal = journal
        self.quarantine = QuarantineHolders(lambda: rules().settings.quarantine)
        self.succeeded = succeeded
        self._rules = rules
        self._signer: tuple[AutoconfigSettings | None, Signer | None] = (None, None)

    @property
    def seal(self) -> SecretSeal:
        """The keys that secrets in the datastore are encrypted with."""
        return self._rules().seal

    @property
    def workers(self) -> PasswordWorkers:
        """The threads that check and hash passwords."""
        return self._rules().workers

    @property
    def attempts(self) -> Attempts:
        """The limits on wrong passwords, the same as for Postfix's logins."""
        return self._rules().attempts

    @property
    def passwords(self) -> PasswordSettings:
        """The rules for new passwords."""
        return self._rules().settings.passwords

    @property
    def settings(self) -> HttpSettings:
        """The bounds of the API."""
        return self._rules().settings.http

    @property
    def keep_deleted(self) -> float:
        """The seconds for which the mail of a removed mailbox is kept."""
        return self._rules().settings.keep_deleted

    @property
    def stores(self) -> HomeStoresSettings:
        """The mail stores, if there are several."""
        return self._rules().settings.stores

    @property
    def factor_rule(self) -> FactorRule:
        """The rule who has to have a second factor; without pages nobody could add one."""
        pages = self._rules().settings.pages
        return pages.second_factor if pages.enabled else FactorRule.OPTIONAL

    @property
    def autoconfig(self) -> AutoconfigSettings:
        """The servers that autoconfig announces to mail programs."""
        return self._rules().settings.autoconfig

    @property
    def signer(self) -> Signer | None:
        """The signer of profiles, read again after a change of the configuration or its file."""
        settings = self.autoconfig
        if self._signer[0] is not settings:
            secret = settings.profile_key_file
            self._signer = (settings, None if secret is None else Signer.read(secret))
        return self._signer[1]

    async def usage(self, address: str, /) -> StoredMail | None:
        """Ask Dovecot what a mailbox holds."""
        return await ask_usage(
            self._rules().settings,
            self.database,
            address,
            lambda url, reason: log.warning("usage unknown", url=url, error=reason),
        )

    def ask(self, asks: tuple[Ask, ...], /) -> Awaitable[tuple[RowAnswer, ...]]:
        """Ask the database about a login."""
        return self._rules().answers.ask(asks)


def api_server(
    database: Database,
    rules: Callable[[], ApiRules],
    succeeded: Succeeded,
    ground: GroundSettings,
    journal: MailJournal | None = None,
) -> HttpServer:
    """Return the server of the API and the pages, which is not started yet."""
    context = ApiContext(database, rules, succeeded, journal)
    if not rules().settings.pages.enabled:
        return HttpServer(application(context))
    # imported here, because its libraries take memory
    from accounts.oidc.client import OidcClient
    from accounts.pages.application import WebPages
    from accounts.pages.dns import DnsChecks

    checks = DnsChecks(ground.hostname, ground.dns, rules().settings.autoconfig)

    provider = OidcClient(lambda: rules().settings.oidc)

    def pages(dispatcher: Dispatcher) -> WebPages:
        return WebPages(
            context, dispatcher, lambda: rules().settings.pages, checks, provider, ground.hostname
        )

    return HttpServer(application(context, pages))
