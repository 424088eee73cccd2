"""Builder of the parts of a backup that belong to accounts."""

from __future__ import annotations

from sqlalchemy import Connection, select

from accounts.backup.database import AccountsPart
from accounts.backup.dovecot import DoveadmRunner, HttpRunner, MailStore, ProgramRunner
from accounts.backup.mail import MailPart, dovecot_user
from accounts.cli.datastore import opened_file
from accounts.settings import AccountsFile, AccountsSettings
from accounts.store import schema
from gatepost.backup.part import BackupPart
from gatepost.errors import StartError


def parts(settings: AccountsSettings) -> tuple[BackupPart, ...]:
    """Return the database and the mail; raises `StartError` if there are several Dovecot servers,
    because each mailbox is at one of them."""
    file = AccountsFile.model_construct(accounts=settings)

    def users() -> list[str]:
        with opened_file(file) as datastore:
            return datastore.read(_addresses)

    return AccountsPart(file), MailPart(MailStore(_runner(settings)), users, dovecot_user)


def _addresses(connection: Connection) -> list[str]:
    return list(connection.execute(select(schema.mailbox.c.address)).scalars())


def _runner(settings: AccountsSettings) -> DoveadmRunner:
    urls, key = settings.dovecot.doveadm_url, settings.dovecot.doveadm_key_file
    if not urls or key is None:
        return ProgramRunner()
    if len(urls) > 1:
        raise StartError("doveadm_url names several servers: back up the mail of each one there")
    return HttpRunner(urls[0], key)
