"""Executor of operations in this process, with the datastore of gatepost.toml."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Awaitable, Coroutine
from http import HTTPStatus
from typing import Any, TypeVar

import click

from accounts.attempt_settings import AttemptSettings
from accounts.attempts import Attempts
from accounts.cli.datastore import Datastore, actor
from accounts.cli.executor import Away, Declined, OperationStep, StepResult
from accounts.dovecot.usage import ask_usage
from accounts.home_stores_settings import HomeStoresSettings
from accounts.http import batch, body
from accounts.http.access import Forbidden
from accounts.http.authentication import Authentication
from accounts.http.call import Call
from accounts.http.context import Clock, Succeeded
from accounts.http.factor_rule import FactorRule
from accounts.http.models.batch import BatchIn
from accounts.http.principals import Principal, Role
from accounts.http.problems import ApiProblem, of_store
from accounts.http.rates import Buckets
from accounts.http.resources.table import BY_NAME
from accounts.http.settings import HttpSettings
from accounts.journal.journal import MailJournal
from accounts.login import Login
from accounts.lookup.ask import Ask, RowAnswer
from accounts.passwords import Password, PasswordSettings, PasswordWorkers
from accounts.quarantine.holders import QuarantineHolders
from accounts.settings import AccountsFile
from accounts.store.database import Database
from accounts.store.errors import DatastoreUnavailable, RefusalError
from accounts.store.seal import SealError, SecretSeal
from accounts.store.transaction import Write
from accounts.stored_mail import StoredMail

T = TypeVar("T")


class LocalExecutor:
    """Executor with the permissions of a user who can write to the database."""

    def __init__(self, datastore: Datastore) -> None:
        self._datastore = datastore
        self._context = LocalContext(datastore.database, datastore.file)

    def do(self, *steps: OperationStep, dry_run: bool = False) -> list[StepResult]:
        """Do all steps in one transaction, by `accounts.http.batch`."""
        parts = [step.as_part() for step in steps]
        self._context.read_seal()
        try:
            # in the form that the service would read
            text = body.parse(body.written({"operations": parts, "dry_run": dry_run}))
            wanted = body.validate(BatchIn, text)
            context = self._context
            call = Call(
                context,
                Authentication(context, Buckets()),
                Principal(actor().name, Role.GLOBAL),
                None,
                {},
            )
            performed = batch.perform(call, BY_NAME, wanted.operations, wanted.dry_run)
            answers = self._datastore.run_as_owner(_settled(performed, context.journal))
        except ApiProblem as problem:
            self._note(steps, problem.detail)
            raise Declined(problem.sentence, problem.status) from None
        except RefusalError as error:
            if not error.action:
                self._note(steps, str(error))
            said = _problem(error)
            raise Declined(said.sentence, said.status) from None
        except DatastoreUnavailable as error:
            raise Away(f"the datastore is away; nothing was changed: {error}") from None
        except SealError as error:
            raise Declined(str(error), HTTPStatus.INTERNAL_SERVER_ERROR) from None
        return [StepResult(one["body"], one["tag"], one["next"]) for one in answers]

    @property
    def database(self) -> Database:
        """The datastore."""
        return self._datastore.database

    def run(self, awaited: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine that uses the datastore."""
        return self._datastore.run_as_owner(awaited)

    def close(self) -> None:
        """End the threads that hash passwords. The caller closes the datastore."""
        self._context.close()

    def _note(self, steps: tuple[OperationStep, ...], detail: str) -> None:
        """Enter a refusal before the transaction in the audit log."""
        writes = [step for step in steps if BY_NAME[step.operation].is_write]
        if not writes:
            return
        verb, _, noun = writes[0].operation.partition("-")
        refusal = RefusalError(detail)
        refusal.action = f"{noun}.{verb}"
        refusal.subject = next(iter(writes[0].params.values()), "")

        def refuse(_: Write) -> None:
            raise refusal

        with contextlib.suppress(RefusalError, DatastoreUnavailable):
            self._datastore.write(refuse)


async def _settled(performed: Coroutine[Any, Any, T], journal: MailJournal) -> T:
    """Do what is awaited, and what it has left to the journal, which is then closed."""
    try:
        return await performed
    finally:
        await journal.close()


def _problem(error: RefusalError) -> ApiProblem:
    if isinstance(error, Forbidden):
        return ApiProblem(HTTPStatus.FORBIDDEN, str(error))
    return of_store(error)


class LocalContext:
    """`accounts.http.context.Context` of a command."""

    clock: Clock = staticmethod(time.time)
    settings = HttpSettings()
    factor_rule = FactorRule.OPTIONAL

    def __init__(self, database: Database, file: AccountsFile) -> None:
        self.database = database
        self.attempts = Attempts(AttemptSettings(), os.urandom(32))
        self.succeeded: Succeeded = _no_effects
        self._file = file
        # made before a coroutine runs, but opened in one
        self.journal = MailJournal(
            lambda: file.accounts.journal,
            file.accounts.database,
            lambda: file.accounts.recipient_delimiter,
        )
        self.quarantine = QuarantineHolders(lambda: file.accounts.quarantine)
        self._seal: SecretSeal | SealError | None = None
        self._workers: PasswordWorkers | None = None

    def read_seal(self) -> None:
        """Read the key file, as the user who runs the command; using the seal reports an error."""
        if self._seal is None:
            try:
                self._seal = SecretSeal.read(self._file.accounts.database.key_file)
            except SealError as error:
                self._seal = error

    @property
    def seal(self) -> SecretSeal:
        """The keys that secrets are encrypted with; raises `SealError`."""
        if isinstance(self._seal, SecretSeal):
            return self._seal
        raise self._seal or SealError("the key file was not read")

    @property
    def workers(self) -> PasswordWorkers:
        """The threads that hash passwords."""
        if self._workers is None:
            self._workers = PasswordWorkers(self.passwords)
        return self._workers

    @property
    def passwords(self) -> PasswordSettings:
        """The rules for new passwords."""
        return self._file.accounts.passwords

    async def usage(self, address: str, /) -> StoredMail | None:
        """Ask Dovecot what a mailbox holds; a server that fails is a line on standard error."""
        return await ask_usage(
            self._file.accounts,
            self.database,
            address,
            lambda url, reason: click.echo(f"doveadm at {url}: {reason}", err=True),
        )

    @property
    def stores(self) -> HomeStoresSettings:
        """The mail stores, if there are several."""
        return self._file.accounts.stores

    @property
    def keep_deleted(self) -> float:
        """The seconds for which the mail of a removed mailbox is kept."""
        return self._file.accounts.keep_deleted

    def ask(self, asks: tuple[Ask, ...], /) -> Awaitable[tuple[RowAnswer, ...]]:
        """Raise `NotImplementedError`: commands do not log in."""
        raise NotImplementedError

    def close(self) -> None:
        """End the threads."""
        if self._workers is not None:
            self._workers.close()


def _no_effects(login: Login, password: Password, /) -> None:
    """Do nothing."""
