"""`gatepost accounts demo`: a first domain with users, in an empty datastore only."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import select

from accounts.directory import dkim_keys
from accounts.passwords import Password, read
from accounts.store import schema
from tests.unit.accounts.cli.shell import Shell
from tests.unit.accounts.desk import Desk

LOGINS = ["anna@example.org", "bert@example.org", "admin"]
PASSWORD = re.compile(r"[a-km-np-z2-9]{4}(-[a-km-np-z2-9]{4}){3}")


def stored_passwords(shell: Shell) -> dict[str, str]:
    """Return the hashes of mailboxes, then those of administrators."""
    mailbox, administrator = schema.mailbox.c, schema.administrator.c
    desk = Desk(shell.settings)
    try:
        rows = [
            *desk.read(
                lambda c: c.execute(
                    select(mailbox.address, mailbox.password).order_by(mailbox.address)
                ).all()
            ),
            *desk.read(lambda c: c.execute(select(administrator.login, administrator.password))),
        ]
        return dict(tuple(row) for row in rows)
    finally:
        desk.close()


def test_it_adds_users_whose_passwords_are_shown(shell: Shell) -> None:
    shown = shell.json("accounts", "demo")
    assert shown["domain"] == "example.org"
    assert list(shown["passwords"]) == LOGINS
    assert len(set(shown["passwords"].values())) == 3
    stored = stored_passwords(shell)
    assert list(stored) == LOGINS
    for login, password in shown["passwords"].items():
        assert PASSWORD.fullmatch(password)
        assert read(stored[login]).matches(Password(password).forms[0], login)
    assert [one["login"] for one in shell.json("admin", "list")] == ["admin"]
    assert shell.json("admin", "show", "admin")["role"] == "global"
    (alias,) = shell.json("alias", "list")
    assert (alias["address"], alias["targets"]) == ("info@example.org", ["anna@example.org"])


def test_its_key_is_active(shell: Shell) -> None:
    shown = shell.json("accounts", "demo", "--domain", "example.net")
    assert shown["record_name"] == "demo._domainkey.example.net"
    desk = Desk(shell.settings)
    try:
        assert desk.read(lambda c: dkim_keys.get(c, "example.net", "demo")).state == "active"
    finally:
        desk.close()


def test_the_passwords_are_printed_and_stored_nowhere(shell: Shell) -> None:
    text = shell.run("accounts", "demo")
    found = dict(re.findall(r"^  (\S+) +(\S+)$", text, re.MULTILINE))
    assert list(found) == LOGINS
    stored = b"".join(path.read_bytes() for path in shell.folder.iterdir())
    assert not [one for one in found.values() if one.encode() in stored]
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("before", [("domain", "add", "example.net"), ("admin", "add", "root")])
def test_it_adds_nothing_to_a_datastore_in_use(shell: Shell, before: tuple[str, ...]) -> None:
    more = ("--no-password",) if before[0] == "admin" else ()
    shell.run(*before, *more)
    there = shell.everything()
    assert "already" in shell.error("accounts", "demo")
    assert shell.everything() == there


def test_a_domain_that_cannot_be_leaves_nothing(shell: Shell) -> None:
    there = shell.everything()
    shell.error("accounts", "demo", "--domain", "../example")
    assert shell.everything() == there
