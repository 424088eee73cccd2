"""Mailboxes with a client that is not Python's: aioimaplib, and what imaplib does not use."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aioimaplib import IMAP4_SSL

from tests.stack.mailboxes import IMAPS, QUOTA_OF_SMALL, SMALL, Mailboxes, any_certificate
from tests.stack.mailboxes import PASSWORDS as ALL_PASSWORDS

ERIKA, PASSWORD = "erika@example.org", "erika has a sledge and a lamp"
PASSWORDS = {**ALL_PASSWORDS, ERIKA: PASSWORD}
SOON = 30
"""Seconds for one answer, on a machine with other work."""
MESSAGE = """From: Erika <erika@example.org>\r
To: carol@remote.example\r
Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\r
Date: Thu, 26 Nov 2026 12:00:00 +0000\r
MIME-Version: 1.0\r
Content-Type: text/plain; charset=utf-8\r
Content-Transfer-Encoding: 8bit\r
\r
The reindeer were running through Jämtland.\r
""".encode()


@pytest.fixture(scope="module")
def erika(mailboxes: Mailboxes) -> Mailboxes:
    mailboxes.command("user", "add", ERIKA, stdin=PASSWORD)
    return mailboxes


def run(scene: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scene, 120))


async def hang_up(client: IMAP4_SSL) -> None:
    """Close the connection now, which aioimaplib leaves open."""
    if client.protocol.transport is not None:
        client.protocol.transport.abort()
    await asyncio.sleep(0)


@asynccontextmanager
async def session(mailboxes: Mailboxes, user: str = ERIKA) -> AsyncIterator[IMAP4_SSL]:
    client = IMAP4_SSL(mailboxes.address, IMAPS, timeout=SOON, ssl_context=any_certificate())
    await client.wait_hello_from_server()
    assert (await client.login(user, PASSWORDS[user])).result == "OK"
    yield client
    assert (await client.logout()).result == "OK"
    await hang_up(client)


async def uids(client: IMAP4_SSL, *criteria: str) -> list[str]:
    """Return the numbers of the messages that a search finds."""
    answer = await client.uid_search(*criteria)
    assert answer.result == "OK", answer
    return str(answer.lines[0].decode()).split()


def test_a_wrong_password_is_refused(erika: Mailboxes) -> None:
    async def scene() -> None:
        client = IMAP4_SSL(erika.address, IMAPS, timeout=SOON, ssl_context=any_certificate())
        await client.wait_hello_from_server()
        answer = await client.login(ERIKA, "not this one, never")
        assert answer.result == "NO"
        assert b"AUTHENTICATIONFAILED" in answer.lines[-1]
        await client.logout()
        await hang_up(client)

    run(scene())


def test_a_waiting_client_is_told_at_once(erika: Mailboxes) -> None:
    async def scene() -> None:
        async with session(erika) as client:
            await client.select()
            assert client.has_capability("IDLE")
            idle = await client.idle_start(timeout=SOON)
            for subject in ("while it waits", "and another"):
                reply = await asyncio.to_thread(erika.deliver, ERIKA, subject)
                assert reply.code == 250
                pushed: list[bytes] = []
                while not [line for line in pushed if line.endswith(b"EXISTS")]:
                    pushed += await client.wait_server_push(SOON)
            client.idle_done()
            await asyncio.wait_for(idle, SOON)
            assert len(await uids(client, 'SUBJECT "while it waits"')) == 1

    run(scene())


def test_a_message_is_stored_found_and_moved(erika: Mailboxes) -> None:
    async def scene() -> None:
        async with session(erika) as client:
            stored = await client.append(MESSAGE, "INBOX", flags="\\Seen")
            assert stored.result == "OK"
            assert b"APPENDUID" in stored.lines[-1]
            await client.select()
            # words by their stem, in the body and in an encoded header, and nothing else
            for criteria in ('BODY "reindeer run"', "FROM erika BODY run", "TEXT reindeer"):
                found = await uids(client, criteria)
                assert len(found) == 1, criteria
            assert await uids(client, "BODY zebra") == []
            (uid,) = found
            fetched = await client.uid("fetch", uid, "(FLAGS BODY.PEEK[])")
            assert MESSAGE in [bytes(line) for line in fetched.lines]
            assert b"\\Seen" in b"".join(bytes(line) for line in fetched.lines)
            moved = await client.uid("move", uid, "Archive")
            assert moved.result == "OK"
            assert await uids(client, "BODY reindeer") == []
            await client.select("Archive")
            assert len(await uids(client, "BODY reindeer")) == 1

    run(scene())


def test_letters_beyond_ascii_are_found(erika: Mailboxes) -> None:
    """They go in a literal, as imaplib sends them; aioimaplib has none in a search."""
    client = erika.imap(ERIKA, PASSWORD)
    client.append("Sent", "", "", MESSAGE)
    client.select("Sent")
    for key, word in (("BODY", "JÄMTLAND"), ("SUBJECT", "grüße")):
        client.literal = word.encode()  # type: ignore[assignment]  # typeshed forgets it
        assert client.uid("SEARCH", "CHARSET", "UTF-8", key)[1] == [b"1"], word
    client.logout()


def test_the_quota_is_told(erika: Mailboxes) -> None:
    async def scene() -> None:
        async with session(erika, SMALL) as client:
            answer = await client.getquotaroot("INBOX")
            assert answer.result == "OK"
            text = b"\n".join(bytes(line) for line in answer.lines).decode()
            limit = re.search(r"STORAGE \d+ (\d+)", text)
            assert limit is not None, text
            assert int(limit[1]) * 1024 == QUOTA_OF_SMALL

    run(scene())


def test_folders_say_for_what_they_are(erika: Mailboxes) -> None:
    async def scene() -> None:
        async with session(erika) as client:
            assert client.has_capability("SPECIAL-USE")
            answer = await client.list('""', "*")
            lines = [bytes(line).decode() for line in answer.lines]
            for use in ("Drafts", "Sent", "Trash", "Archive", "Junk"):
                (line,) = [line for line in lines if line.endswith(f" {use}")]
                assert f"\\{use}" in line
            named = "&AMQ-pfel & Birnen".replace(" & ", " &- ")  # RFC 3501 section 5.1.3
            assert (await client.create(f'"{named}"')).result == "OK"
            again = await client.list('""', "*")
            assert [line for line in again.lines if named.encode() in bytes(line)]
            assert (await client.delete(f'"{named}"')).result == "OK"

    run(scene())


def test_two_clients_see_the_same(erika: Mailboxes) -> None:
    """Marks and deletions of one reach the other, and imaplib reads what aioimaplib wrote."""

    async def scene() -> None:
        async with session(erika) as first, session(erika) as second:
            await first.append(MESSAGE, "Drafts")
            await first.select("Drafts")
            await second.select("Drafts")
            (uid,) = await uids(first, "ALL")
            await first.uid("store", uid, "+FLAGS", "(\\Flagged $Label1)")
            await second.noop()
            assert await uids(second, "FLAGGED KEYWORD $Label1") == [uid]
            await first.uid("store", uid, "+FLAGS", "(\\Deleted)")
            await first.expunge()
            await second.noop()
            assert await uids(second, "ALL") == []

    run(scene())
    client = erika.imap(ERIKA, PASSWORD)
    assert client.select("Drafts")[1] == [b"0"]
    client.logout()
