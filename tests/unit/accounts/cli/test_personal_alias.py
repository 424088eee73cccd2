"""`gatepost personal-alias`."""

from __future__ import annotations

from tests.unit.accounts.cli.shell import Shell

ANNA = "anna@example.org"


def test_a_personal_alias_is_added_shown_changed_and_removed(filled: Shell) -> None:
    made = filled.json("personal-alias", "add", ANNA, "--description", "shop")
    assert (made["mailbox"], made["kind"], made["description"]) == (ANNA, "disposable", "shop")
    alias = made["address"]
    assert alias.endswith("@example.org")
    assert filled.json("personal-alias", "show", ANNA, alias) == made
    assert filled.json("personal-alias", "list", ANNA) == [made]
    made = filled.json("personal-alias", "set", ANNA, alias, "--enabled", "no")
    assert (made["enabled"], made["version"]) == (False, 2)
    assert filled.json("personal-alias", "remove", ANNA, alias, "--yes") == {
        "removed": alias,
        "mailbox": ANNA,
    }
    assert filled.json("personal-alias", "list", ANNA) == []


def test_the_domain_says_which_names_there_may_be(filled: Shell) -> None:
    assert "0 named aliases" in filled.error("personal-alias", "add", ANNA, "anna-x")
    filled.json(
        *("domain", "set", "example.org", "--named-aliases", "1"),
        *("--named-alias-pattern", "{name}-*", "--disposable-aliases", "0"),
    )
    assert "{name}-*" in filled.run("domain", "show", "example.org")
    assert "names such as anna-*" in filled.error("personal-alias", "add", ANNA, "other")
    assert filled.json("personal-alias", "add", ANNA, "anna-x")["kind"] == "named"
    assert "0 disposable" in filled.error("personal-alias", "add", ANNA)
