"""`gatepost domain`."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from accounts.store.settings import DatabaseSettings
from tests.unit.accounts.cli.shell import Shell


def test_a_domain_is_added_shown_changed_and_removed(shell: Shell) -> None:
    assert shell.run("domain", "add", "Example.ORG", "--description", "First") == (
        "domain example.org added\n"
    )
    assert shell.json("domain", "show", "EXAMPLE.org.")["description"] == "First"
    made = shell.json(
        *("domain", "set", "example.org", "--max-mailboxes", "3", "--max-quota", "5G"),
        *("--default-quota", "1G", "--catch-all", "rest@example.net", "--enabled", "no"),
        *("--transport", "smtp:[mx.example.net]:25", "--description", ""),
    )
    del made["created"], made["changed"]
    assert made == {
        "name": "example.org",
        "description": "",
        "alias_of": None,
        "catch_all": "rest@example.net",
        "enabled": False,
        "max_mailboxes": 3,
        "max_aliases": None,
        "max_quota": 5 << 30,
        "default_quota": 1 << 30,
        "transport": "smtp:[mx.example.net]:25",
        "is_relay": False,
        "disposable_aliases": 20,
        "named_aliases": 0,
        "named_alias_pattern": None,
        "version": 2,
        "allowed_senders": [],
        "blocked_senders": [],
        "preferences": {
            "spam_junk_score": None,
            "languages": [],
            "subject_tag": None,
            "rule_scores": {},
        },
    }
    made = shell.json("domain", "set", "example.org", "--catch-all", "none", "--max-quota", "none")
    assert (made["catch_all"], made["max_quota"], made["max_mailboxes"]) == (None, None, 3)
    assert shell.json("domain", "remove", "example.org", "--yes") == {"removed": "example.org"}
    assert shell.json("domain", "list") == []


def test_preferences_of_a_domain(shell: Shell) -> None:
    shell.domain()
    made = shell.json(
        *("domain", "set", "example.org", "--spam-junk-score", "6", "--languages", "all"),
        *("--rule-scores", "BAYES_99=4", "--subject-tag", "[S]"),
        *("--allow-sender", "@good.example", "--block-sender", "Bad@far.example"),
    )
    assert made["preferences"] == {
        "spam_junk_score": 6.0,
        "languages": ["all"],
        "subject_tag": "[S]",
        "rule_scores": {"BAYES_99": 4.0},
    }
    assert made["allowed_senders"] == ["@good.example"]
    assert made["blocked_senders"] == ["bad@far.example"]
    shown = shell.run("domain", "show", "example.org")
    assert "BAYES_99=4" in shown
    made = shell.json("domain", "set", "example.org", "--unlist-sender", "BAD@far.example")
    assert made["blocked_senders"] == []
    # a refusal leaves everything as it was
    shell.error(
        *("domain", "set", "example.org", "--description", "new", "--block-sender", "@x.example"),
        *("--languages", "tlh"),
    )
    found = shell.json("domain", "show", "example.org")
    assert (found["description"], found["blocked_senders"]) == (made["description"], [])
    actions = [action for _, action, _, _ in shell.audit()]
    assert {"domain-preferences.change", "domain-listed-sender.add"} <= set(actions)


def test_the_audit_log_has_who_did_it(shell: Shell) -> None:
    shell.domain()
    shell.error("domain", "add", "example.org")
    (actor, action, subject, _), refused = shell.audit()
    assert actor.endswith("@cli")
    assert (action, subject) == ("domain.add", "example.org")
    assert refused == (
        actor,
        "domain.add",
        "example.org",
        {"refused": "There is already a domain example.org."},
    )


def test_an_international_name_is_one_domain(shell: Shell) -> None:
    shell.domain("Bücher.example")
    assert shell.json("domain", "show", "xn--bcher-kva.example")["name"] == "xn--bcher-kva.example"
    assert "already a domain" in shell.error("domain", "add", "BÜCHER.example")


def test_an_alias_domain(shell: Shell) -> None:
    shell.domain()
    shell.domain("example.net", "--alias-of", "example.org")
    assert shell.json("domain", "show", "example.net")["alias_of"] == "example.org"
    assert "alias of nothing" in shell.error("domain", "remove", "example.org", "--yes")
    assert shell.json("domain", "set", "example.net", "--alias-of", "none")["alias_of"] is None


def test_nothing_is_removed_without_a_yes(filled: Shell) -> None:
    before = filled.everything()
    for typed in ("", "n\n", "\n"):
        result = filled.call("domain", "remove", "example.org", typed=typed)
        assert result.exit_code == 1
        assert "its mailboxes (1), aliases (0) and DKIM keys (0)?" in result.stderr
    assert filled.everything() == before
    assert filled.call("domain", "remove", "example.org", typed="y\n").exit_code == 0
    assert filled.json("user", "list") == []


def test_a_change_of_nothing_is_wrong_usage(shell: Shell) -> None:
    shell.domain()
    assert "nothing to change" in shell.usage("domain", "set", "example.org")


def test_what_is_not_there_is_said_in_one_line(shell: Shell) -> None:
    for words in (("show",), ("set", "--description", "x"), ("remove",), ("check",)):
        assert shell.error("domain", words[0], "example.org", *words[1:]) == (
            "There is no domain example.org."
        )


def test_a_list_has_all_pages(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("accounts.cli.session.MAX_PAGE", 2)
    names = [f"d{number}.example" for number in range(5)]
    for name in reversed(names):
        shell.domain(name)
    assert [one["name"] for one in shell.json("domain", "list")] == names
    assert [line.split()[0] for line in shell.run("domain", "list").splitlines()[1:]] == names
    assert [one["name"] for one in shell.json("domain", "list", "--search", "D3.")] == names[3:4]


def test_the_first_domain_makes_the_file(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    shell = Shell(tmp_path, DatabaseSettings(url=f"sqlite:///{path}"))
    for words in (("list",), ("show", "example.org"), ("remove", "example.org", "--yes")):
        assert f"there is no datastore {path}" in shell.error("domain", *words)
    assert not path.exists()
    result = shell.call("domain", "add", "example.org", "--json")
    assert result.stderr == f"created the datastore {path}\n"
    assert json.loads(result.stdout)["name"] == "example.org"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert shell.call("domain", "add", "example.net").stderr == ""


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    shell = Shell(tmp_path, DatabaseSettings(url=f"sqlite:///{tmp_path}/no/accounts.db"))
    assert f"there is no folder {tmp_path}/no" in shell.error("domain", "add", "example.org")


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "accounts.db"
    path.write_text("this is no database, and it is longer than the head of one has to be" * 20)
    path.chmod(0o600)
    shell = Shell(tmp_path, DatabaseSettings(url=f"sqlite:///{path}"))
    assert "not a database" in shell.error("domain", "add", "example.org")
