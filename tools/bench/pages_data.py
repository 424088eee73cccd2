"""Datastore with many mailboxes, administrators and changes, and the journal of their mail."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator, Sequence

from sqlalchemy import insert, text

from accounts.directory import administrators, sieve_rules
from accounts.journal.journal import MailJournal
from accounts.journal.settings import JournalSettings
from accounts.passwords import Password, PasswordSettings, hash_password
from accounts.store import schema
from accounts.store.database import Database
from accounts.store.settings import DatabaseSettings
from accounts.store.transaction import Actor, Write
from gatepost.journal.record import JournalRecord
from tools.bench.mailboxes import Rows

SECRET = "correct horse battery"
ROOT, ADA = "root", "ada"
"""The administrator of everything, and one of `SOME` domains."""
SOME = 20
CHANGES = 100_000
"""Entries in the audit log."""
MAILS = 100_000
"""Mails in the journal; each has three records."""
SPAN = 10 * 86_400.0
"""Seconds from the first mail to the last one."""
_STEP = 10_000


def hashed() -> str:
    """Return the hash of `SECRET` that all have: it is not what is measured."""
    return hash_password(Password(SECRET), PasswordSettings(memory=8192, passes=1))


async def complete(settings: DatabaseSettings, rows: Rows, now: float) -> None:
    """Add to a datastore with these mailboxes what the pages also show."""
    async with Database.open(settings) as database:
        await database.write(Actor("bench"), lambda write: _people(write, rows))
        entries = _changes(rows, int(now))
        while step := list(itertools.islice(entries, _STEP)):
            await database.write(Actor("bench"), _adding(step))
    await _mail(settings, rows, now)


def _people(write: Write, rows: Rows) -> None:
    # owners see no mail from before their mailbox was made
    write.connection.execute(
        text(
            "UPDATE mailbox SET display_name = 'Person ' || id, home = 'home/' || id,"
            " created = created - 300000000"
        )
    )
    secret = hashed()
    administrators.add(write, ROOT, role="global", password=secret)
    some = [rows.address(number).partition("@")[2] for number in range(1, SOME + 1)]
    administrators.add(write, ADA, domains=some, password=secret)
    rule = {
        "match": "any",
        "conditions": [{"kind": "size", "compare": "over", "octets": 500_000}],
        "actions": [{"kind": "fileinto", "mailbox": "Large"}],
    }
    for number in range(20):
        sieve_rules.add(write, rows.address(1), f"Rule {number}", rule=rule)


def _adding(step: Sequence[dict[str, object]]) -> Callable[[Write], None]:
    def work(write: Write) -> None:
        write.connection.execute(insert(schema.audit), step)

    return work


def _changes(rows: Rows, now: int) -> Iterator[dict[str, object]]:
    for number in range(CHANGES):
        yield {
            "at": now - CHANGES + number,
            "actor": ROOT,
            "client": "192.0.2.7",
            "action": "mailbox.change",
            "object": rows.address(number % rows.mailboxes + 1),
            "details": {"quota": [number, number + 1]},
        }


async def _mail(settings: DatabaseSettings, rows: Rows, now: float) -> None:
    # the journal takes no records that are much older than their arrival
    at = [0.0]
    journal = MailJournal(JournalSettings, settings, lambda: "+", lambda: at[0])
    try:
        records: list[JournalRecord] = []
        for number in range(MAILS):
            at[0] = now - SPAN + SPAN * number / MAILS
            records += _records(rows, number, at[0])
            if number % 100 == 99:
                await journal.add(records)
                records = []
        await journal.add(records)
    finally:
        await journal.close()


def _records(rows: Rows, number: int, at: float) -> Iterator[JournalRecord]:
    """Yield the decisions about a mail."""
    for daemon, action, details in (
        ("policyd", "pass", {"findings": "greylist: passed (after 464 s)"}),
        ("milters", "accept", {"spf": "pass", "dkim": "pass", "dmarc": "pass"}),
        ("delivery", "deliver", {"verdict": "ham", "score": "0.5", "reply": "250 2.0.0 Saved"}),
    ):
        is_message = daemon != "policyd"
        yield JournalRecord(
            at,
            daemon,
            action,
            queue_id=queue_id(number) if is_message else "",
            message_id=f"<{number}@news.example>" if is_message else "",
            client=f"192.0.2.{number % 250 + 1}",
            sender=f"sender{number % 1000}@news.example",
            recipients=(rows.address(number * 7 % rows.mailboxes + 1),),
            size=20_480 if is_message else 0,
            total=1,
            details=details,
        )


def queue_id(number: int) -> str:
    """Return the queue id of a mail."""
    return f"4Q{number}Z"


def fill(settings: DatabaseSettings, rows: Rows, now: float) -> None:
    """As `complete`, without an event loop."""
    asyncio.run(complete(settings, rows, now))
