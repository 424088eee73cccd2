"""`gatepost app-password`, `gatepost admin` and `gatepost token`."""

from __future__ import annotations

import hashlib
import re

import pytest

from accounts.directory import app_passwords, tokens
from accounts.passwords import Password, read
from tests.unit.accounts.cli.shell import PASSWORD, Shell
from tests.unit.accounts.desk import Desk

ANNA = "anna@example.org"


def test_an_app_password_is_shown_once(filled: Shell) -> None:
    result = filled.call("app-password", "add", ANNA, "Phone", "--protocol", "imap")
    text = result.stdout.strip()
    assert re.fullmatch(r"(?:[a-z2-9]{4}-){6}[a-z2-9]{4}", text)
    assert "not shown again" in result.stderr
    desk = Desk(filled.settings)
    found = desk.read(lambda connection: app_passwords.get(connection, ANNA, "Phone"))
    desk.close()
    assert read(found.password).matches(Password(text).forms[0], ANNA)
    assert found.protocols == ("imap",)
    everywhere = filled.run("app-password", "show", ANNA, "Phone") + str(filled.audit())
    everywhere += filled.run("app-password", "list", ANNA, "--json")
    assert text not in everywhere
    assert "SSHA512" not in everywhere


def test_app_passwords_are_listed_and_removed(filled: Shell) -> None:
    made = filled.json("app-password", "add", ANNA, "Phone", "--expires", "2040-01-01")
    assert made["protocols"] == ["imap", "pop3", "smtp", "sieve"]
    assert made["new_password"]
    assert "already" in filled.error("app-password", "add", ANNA, "Phone")
    (listed,) = filled.json("app-password", "list", ANNA)
    assert listed == {key: made[key] for key in made if key != "new_password"}
    assert listed == filled.json("app-password", "show", ANNA, "Phone")
    assert filled.json("app-password", "remove", ANNA, "Phone", "-y")["removed"] == "Phone"
    assert "no app password" in filled.error("app-password", "remove", ANNA, "Phone", "-y")
    assert "'ftp'" in filled.usage("app-password", "add", ANNA, "x", "--protocol", "ftp")


def test_the_first_administrator(shell: Shell) -> None:
    made = shell.json("admin", "add", "Root", "--role", "global", typed=PASSWORD)
    assert (made["login"], made["role"], made["has_password"]) == ("root", "global", True)
    assert "domains" in shell.run("admin", "show", "root")
    assert shell.json("admin", "password", "root", typed=f"other {PASSWORD}")["version"] == 2
    for words in (("set", "root", "--enabled", "no"), ("remove", "root", "--yes")):
        assert "last global administrator" in shell.error("admin", *words)
        assert "--last requires --yes" in shell.usage("admin", *words[:2], "--last")
    assert shell.json("admin", "set", "root", "--enabled", "no", "--last", "-y")["enabled"] is False
    assert "disabled" in shell.run("admin", "list")
    assert shell.json("admin", "set", "root", "--enabled", "yes")["enabled"] is True
    assert shell.json("admin", "remove", "root", "--last", "--yes") == {"removed": "root"}
    assert "no administrator" in shell.error("admin", "show", "root")


def test_there_is_no_default_password(shell: Shell) -> None:
    assert "empty" in shell.error("admin", "add", "root", "--role", "global", typed="")
    assert "at least 10" in shell.error("admin", "add", "root", "--role", "global", typed="admin")
    assert shell.json("admin", "list") == []


def test_an_administrator_of_some_domains(filled: Shell) -> None:
    filled.domain("example.net")
    made = filled.json(
        *("admin", "add", "Bob@example.net", "--no-password"),
        *("--domains", "example.org", "--domains", "EXAMPLE.net"),
    )
    assert made["domains"] == ["example.net", "example.org"]
    made = filled.json("admin", "set", "bob@example.net", "--domains", "none")
    assert made["domains"] == []
    assert "There is no domain" in filled.error(
        "admin", "set", "bob@example.net", "--domains", "nowhere.example"
    )
    assert "name none" in filled.error(
        *("admin", "set", "bob@example.net", "--role", "global", "--domains", "example.org")
    )


def test_a_token_is_shown_once(filled: Shell) -> None:
    result = filled.call(
        *("token", "add", "Backup", "--scope", "domains:read", "--scope", "mailboxes:read"),
        *("--user", ANNA, "--expires", "30d"),
    )
    text = result.stdout.strip()
    desk = Desk(filled.settings)
    found = desk.read(lambda connection: tokens.find_by_text(connection, text, 0))
    desk.close()
    assert found is not None
    assert (found.mailbox, found.scopes) == (ANNA, ("domains:read", "mailboxes:read"))
    assert f"token {found.id}" in result.stderr
    number = str(found.id)
    everywhere = filled.run("token", "show", number) + filled.run("token", "list", "--json")
    everywhere += str(filled.audit())
    assert text not in everywhere
    assert hashlib.sha256(text.encode()).hexdigest() not in everywhere
    assert filled.json("token", "remove", number, "--yes") == {"removed": found.id}
    assert filled.json("token", "list") == []


def test_tokens_are_listed_by_their_owner(filled: Shell) -> None:
    filled.run("admin", "add", "root", "--no-password")
    for options in ((), ("--admin", "root"), ("--user", ANNA)):
        filled.run("token", "add", "x", "--scope", "domains:read", *options)
    owners = [(one["administrator"], one["mailbox"]) for one in filled.json("token", "list")]
    assert owners == [(None, None), ("root", None), (None, ANNA)]
    assert [one["mailbox"] for one in filled.json("token", "list", "--user", ANNA)] == [ANNA]
    assert "belongs to" in filled.error(
        *("token", "add", "x", "--scope", "all:read", "--admin", "root", "--user", ANNA)
    )


@pytest.mark.parametrize("number", ["0", "7", "-1", str(1 << 70)])
def test_a_token_that_is_not_there(filled: Shell, number: str) -> None:
    filled.error("token", "show", "--", number)
    filled.error("token", "remove", "--yes", "--", number)


def test_a_token_needs_a_scope(filled: Shell) -> None:
    assert "--scope" in filled.usage("token", "add", "x")
    for scope in ("DROP TABLE", "users:read"):
        assert "AREA is one of: domains," in filled.error("token", "add", "x", "--scope", scope)
    assert "valid integer" in filled.usage("token", "show", "x")
