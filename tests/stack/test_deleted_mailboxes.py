"""A mailbox that is removed, made again, restored, renamed, and whose mail goes in the end."""

from __future__ import annotations

import imaplib
import json
from typing import Any

import pytest

from tests.stack.mailboxes import Mailboxes
from tests.testbed.waiting import wait_until

GINA, NEW_NAME = "gina@example.org", "regina@example.org"
PASSWORD = "gina has a horse and a staple"
AGE = """
import sqlite3
db = sqlite3.connect("/var/lib/gatepost/accounts/accounts.db", timeout=30)
db.execute("UPDATE deleted_mailbox SET removed = removed - 100")
db.commit()
"""
"""Makes removals older: mail stays for a minute in any case."""


def subjects(mailboxes: Mailboxes, user: str = GINA) -> list[str]:
    """Return the subjects in INBOX. Sessions end twice after a removal, so they may end here."""

    def read() -> list[bytes] | None:
        try:
            client = mailboxes.imap(user, PASSWORD)
            if client.select("INBOX", readonly=True)[1] == [b"0"]:
                return []
            found = client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]
        except (imaplib.IMAP4.abort, OSError):
            return None
        return [one[1] for one in found if isinstance(one, tuple)]

    found = read()
    for _ in range(5):
        if found is not None:
            break
        found = read()
    assert found is not None, "sessions of the new mailbox end all the time"
    return [one.decode().removeprefix("Subject: ").strip() for one in found]


def deleted(mailboxes: Mailboxes) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(
        mailboxes.command("user", "list", "--deleted", "--search", "gina", "--json")
    )
    return found


def exists(mailboxes: Mailboxes, home: str) -> bool:
    command = f"test -e '/srv/mail/{home}' && echo yes || echo no"
    return mailboxes.dovecot.execute("sh", "-c", command).strip() == "yes"


@pytest.mark.timeout(600)  # it runs many commands
def test_a_life_of_a_mailbox(mailboxes: Mailboxes) -> None:
    mailboxes.command("user", "add", GINA, stdin=PASSWORD)
    assert mailboxes.deliver(GINA, "the first life").code == 250
    session = mailboxes.imap(GINA, PASSWORD)
    mailboxes.command("user", "remove", GINA, "--yes")
    # at once: the address and the login; soon after: the session
    assert mailboxes.deliver(GINA, "to nobody").code == 550
    assert "AUTHENTICATIONFAILED" in mailboxes.refusal(GINA, PASSWORD)

    def has_ended() -> bool:
        try:
            return session.noop()[0] != "OK"
        except (imaplib.IMAP4.abort, OSError):
            return True

    wait_until(has_ended, "the end of the session")
    (first,) = deleted(mailboxes)
    assert exists(mailboxes, first["home"])

    # a new mailbox of the address has none of the mail of the first one
    mailboxes.command("user", "add", GINA, stdin=PASSWORD)
    assert subjects(mailboxes) == []
    assert mailboxes.deliver(GINA, "the second life").code == 250
    mailboxes.command("user", "remove", GINA, "--yes")
    mailboxes.command("user", "restore", GINA, "--number", str(first["number"]))
    assert subjects(mailboxes) == ["the first life"]
    assert mailboxes.deliver(GINA, "the third life").code == 250

    # mail follows a new address
    mailboxes.command("user", "rename", GINA, NEW_NAME)
    assert subjects(mailboxes, NEW_NAME) == ["the first life", "the third life"]

    # the mail of the second life goes for good, with indexes and scripts
    (second,) = deleted(mailboxes)
    assert exists(mailboxes, second["home"])
    mailboxes.accounts.execute("python3", "-c", AGE)
    done = json.loads(mailboxes.command("user", "purge", GINA, "--yes", "--json"))
    assert done == {"removed": [GINA], "failed": []}
    assert not exists(mailboxes, second["home"])
    assert exists(mailboxes, first["home"])
    assert deleted(mailboxes) == []
    mailboxes.command("user", "remove", NEW_NAME, "--yes")


def test_doveadm_opens_a_deleted_mailbox(mailboxes: Mailboxes) -> None:
    mailboxes.command("user", "add", GINA, stdin=PASSWORD)
    text = "0123456789" * 7 + "\r\n"
    assert mailboxes.deliver(GINA, "large", text=text * 1000).code == 250
    mailboxes.command("user", "remove", GINA, "--yes")
    (one,) = [each for each in deleted(mailboxes) if each["address"] == GINA]
    name = f"{one['number']}@deleted.invalid"
    held = mailboxes.dovecot.execute("doveadm", "quota", "get", "-u", name)
    assert "STORAGE" in held
    mailboxes.command("user", "restore", GINA)
    assert subjects(mailboxes) == ["large"]
    mailboxes.command("user", "remove", GINA, "--yes")
