"""`gatepost setup`: the commands of docker-mailserver and docker-post."""

from __future__ import annotations

from pathlib import Path

import pytest

from accounts.store.settings import DatabaseSettings
from tests.unit.accounts.cli.shell import PASSWORD, Shell

ANNA = "anna@example.org"


def addresses(shell: Shell, kind: str = "user") -> list[str]:
    return [one["address"] for one in shell.json(kind, "list")]


def test_email_add_makes_the_file_and_the_domain(tmp_path: Path) -> None:
    shell = Shell(tmp_path, DatabaseSettings(url=f"sqlite:///{tmp_path}/new.db"))
    shell.run("setup", "email", "add", ANNA, typed=PASSWORD)
    assert addresses(shell) == [ANNA]
    assert [one["name"] for one in shell.json("domain", "list")] == ["example.org"]


def test_a_refused_email_leaves_no_domain(shell: Shell) -> None:
    assert "at least 10" in shell.error("setup", "email", "add", ANNA, typed="short")
    assert "letters, digits" in shell.error("setup", "email", "add", "a b@example.org", typed="x")
    assert shell.json("domain", "list") == []


def test_email_update_del_and_list(filled: Shell) -> None:
    filled.user("bob@example.org")
    filled.run("setup", "email", "update", ANNA, typed=PASSWORD)
    assert filled.json("user", "show", ANNA)["has_password"] is True
    assert filled.run("setup", "email", "list") == filled.run("user", "list")
    before = filled.everything()
    assert "no mailbox" in filled.error("setup", "email", "del", "-y", ANNA, "no@example.org")
    assert filled.call("setup", "email", "del", ANNA, typed="n\n").exit_code == 1
    assert filled.everything() == before
    filled.run("setup", "email", "del", "-y", ANNA, "bob@example.org")
    assert addresses(filled) == []


@pytest.mark.parametrize(
    "words",
    [
        ("email", "add", "new@example.org", "secret-on-the-line"),
        ("email", "update", ANNA, "secret-on-the-line"),
        ("addmailuser", "bob", "example.org", "secret-on-the-line"),
    ],
)
def test_a_password_on_the_command_line_is_refused(filled: Shell, words: tuple[str, ...]) -> None:
    before = filled.tables()
    result = filled.call("setup", *words)
    assert result.exit_code == 2
    assert "everybody on the machine can see" in result.output
    assert "secret-on-the-line" not in result.output
    assert filled.tables() == before


def test_email_restrict(filled: Shell) -> None:
    for direction in ("send", "receive"):
        field = f"may_{direction}"
        filled.run("setup", "email", "restrict", "add", direction, ANNA)
        assert filled.json("user", "show", ANNA)[field] is False
        assert ANNA in filled.run("setup", "email", "restrict", "list", direction)
        filled.run("setup", "email", "restrict", "del", direction, ANNA)
        assert filled.json("user", "show", ANNA)[field] is True
        assert filled.json("setup", "email", "restrict", "list", direction) == []
    assert "name the address" in filled.usage("setup", "email", "restrict", "add", "send")


def test_alias_add_and_del(filled: Shell) -> None:
    add, remove = ("setup", "alias", "add", "info@new.example"), ("setup", "alias", "del")
    filled.run(*add, f"{ANNA},x@example.net")
    assert filled.json(*add, "y@example.net")["targets"] == [ANNA, "x@example.net", "y@example.net"]
    assert filled.json(*add, "x@example.net")["targets"] == [ANNA, "x@example.net", "y@example.net"]
    made = filled.json(*remove, "info@new.example", f"{ANNA},y@example.net")
    assert made["targets"] == ["x@example.net"]
    assert "does not lead" in filled.error(*remove, "info@new.example", ANNA)
    assert filled.run("setup", "alias", "list") == filled.run("alias", "list")
    assert filled.json(*remove, "info@new.example", "x@example.net") == {
        "removed": "info@new.example"
    }


def test_quota_set_and_del(filled: Shell) -> None:
    filled.run("setup", "quota", "set", ANNA, "5G")
    assert filled.json("user", "show", ANNA)["quota"] == 5 << 30
    filled.run("setup", "quota", "del", ANNA)
    assert filled.json("user", "show", ANNA)["quota"] is None
    filled.run("setup", "quota", "set", ANNA, "1M")
    assert filled.json("setup", "quota", "set", ANNA, "0")["quota"] is None
    assert "not a size" in filled.usage("setup", "quota", "set", ANNA, "much")


def test_docker_posts_scripts(shell: Shell) -> None:
    shell.run("setup", "addmaildomain", "example.org")
    shell.run("setup", "addmailuser", "bob", "example.org", typed=PASSWORD)
    before = shell.json("user", "show", "bob@example.org")["version"]
    shell.run("setup", "addmailuser", "-u", "bob", "example.org", typed=f"other {PASSWORD}")
    assert shell.json("user", "show", "bob@example.org")["version"] == before + 1
    assert "There is no domain" in shell.error(
        "setup", "addmailalias", "smith", "alias.example", "bob", "example.org"
    )
    shell.run("setup", "addmaildomain", "-i", "alias.example")
    shell.run("setup", "addmailalias", "smith", "alias.example", "bob", "example.org")
    assert shell.json("alias", "show", "smith@alias.example")["targets"] == ["bob@example.org"]
    assert shell.call("setup", "addmaildomain", "-D", "example.org").exit_code == 1
    shell.run("setup", "addmaildomain", "-D", "example.org", "--yes")
    assert addresses(shell) == []
    assert "exclude each other" in shell.usage("setup", "addmaildomain", "-i", "-D", "x.example")


@pytest.mark.parametrize("word", ["relay", "config", "debug", "dovecot-master", "fail2ban"])
def test_a_word_without_a_command_says_where_to_look(shell: Shell, word: str) -> None:
    assert shell.usage("setup", word, "x").startswith(f"{word}: ")


def test_help_as_a_word(shell: Shell) -> None:
    assert (
        shell.run("setup", "help").split("\n", 2)[2]
        == (shell.run("setup", "--help").split("\n", 2)[2])
    )
