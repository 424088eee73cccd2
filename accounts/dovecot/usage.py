"""Usage of a mailbox, asked of all Dovecot servers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from accounts.directory import mailboxes
from accounts.dovecot.doveadm import DoveadmError, usage
from accounts.dovecot_settings import DovecotSettings
from accounts.home_stores_settings import HomeStoresSettings
from accounts.store.database import Database
from accounts.store.errors import DatastoreError
from accounts.stored_mail import StoredMail

PATIENCE: Final = 5.0
"""Time limit in seconds for the answers of the servers."""


class UsageSettings(Protocol):
    """The part of the settings that says where mailboxes are."""

    @property
    def dovecot(self) -> DovecotSettings:
        """The servers, and the key of their API."""

    @property
    def stores(self) -> HomeStoresSettings:
        """The mail stores, if there are several."""


async def ask_usage(
    settings: UsageSettings,
    database: Database,
    address: str,
    failed: Callable[[str, str], None],
) -> StoredMail | None:
    """Return what the first server that knows a mailbox says about it; None if none knows it.

    With several stores, only that of the mailbox is asked: a move leaves copies elsewhere. `failed`
    is called with the URL and the reason for each server that fails.
    """
    secret = settings.dovecot.doveadm_key_file
    urls = settings.dovecot.doveadm_url
    if settings.stores.named:
        try:
            name = await database.read(lambda c: mailboxes.get(c, address).store)
        except DatastoreError:
            return None  # the operation itself reports it
        store = settings.stores.store_of(name).settings
        urls = () if store is None or store.doveadm_url is None else (store.doveadm_url,)
    if secret is None or not urls:
        return None

    async def ask(url: str) -> StoredMail | str | None:
        try:
            return await usage(url, secret.read_text(), address, PATIENCE)
        except (DoveadmError, OSError, ValueError) as error:
            return str(error)

    known: StoredMail | None = None
    answers = await asyncio.gather(*map(ask, urls))
    for url, answer in zip(urls, answers, strict=True):
        if isinstance(answer, str):
            failed(url, answer)
        elif known is None:
            known = answer
    return known
