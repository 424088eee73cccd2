"""`gatepost alias`."""

from __future__ import annotations

from tests.unit.accounts.cli.shell import Shell


def test_an_alias_is_added_shown_changed_and_removed(filled: Shell) -> None:
    made = filled.json(
        *("alias", "add", "Sales@example.org", "anna@example.org", "Bob@Example.NET"),
        *("--description", "Who sells", "--expires", "2040-01-01", "--members-may-send", "yes"),
    )
    assert made["targets"] == ["anna@example.org", "Bob@example.net"]
    assert (made["expires"], made["members_may_send"]) == (2208988800, True)
    assert filled.json("alias", "show", "sales@example.org") == made
    made = filled.json(
        *("alias", "set", "sales@example.org", "--add-target", "carl@example.net"),
        *("--remove-target", "ANNA@example.org", "--expires", "none", "--enabled", "no"),
    )
    assert made["targets"] == ["Bob@example.net", "carl@example.net"]
    assert (made["expires"], made["enabled"], made["version"]) == (None, False, 2)
    made = filled.json("alias", "rename", "sales@example.org", "sell@example.org")
    assert made["address"] == "sell@example.org"
    assert filled.json("alias", "remove", "sell@example.org", "--yes") == {
        "removed": "sell@example.org"
    }
    assert filled.json("alias", "list") == []


def test_targets_are_replaced_or_changed(filled: Shell) -> None:
    filled.run("alias", "add", "a@example.org", "x@example.net", "y@example.net")
    made = filled.json("alias", "set", "a@example.org", "--targets", "z@example.net")
    assert made["targets"] == ["z@example.net"]
    assert "replaces all" in filled.usage(
        "alias", "set", "a@example.org", "--targets", "b@x.example", "--add-target", "c@x.example"
    )
    assert "does not lead to" in filled.error(
        "alias", "set", "a@example.org", "--remove-target", "x@example.net"
    )
    assert "at least one" in filled.error(
        "alias", "set", "a@example.org", "--remove-target", "z@example.net"
    )


def test_a_wildcard(filled: Shell) -> None:
    assert filled.json("alias", "add", "s-*@example.org", "anna@example.org")["is_wildcard"] is True
    assert "s-*@example.org" in filled.run("alias", "list")


def test_a_loop_and_a_taken_name_are_refused(filled: Shell) -> None:
    filled.run("alias", "add", "a@example.org", "b@example.org")
    assert "already a mailbox" in filled.error("alias", "add", "anna@example.org", "x@example.net")
    before = filled.everything()
    filled.error("alias", "add", "b@example.org", "a@example.org")
    assert filled.everything() == before


def test_lists_are_restricted(filled: Shell) -> None:
    filled.domain("example.net")
    filled.run("alias", "add", "a@example.org", "anna@example.org")
    filled.run("alias", "add", "b@example.net", "x@example.com", "--description", "Anna too")

    def listed(*options: str) -> list[str]:
        return [one["address"] for one in filled.json("alias", "list", *options)]

    assert listed() == ["a@example.org", "b@example.net"]
    assert listed("--domain", "example.net") == ["b@example.net"]
    assert listed("--search", "anna") == ["b@example.net"]
    assert listed("--target", "ANNA@example.org") == ["a@example.org"]


def test_an_alias_needs_a_target(filled: Shell) -> None:
    assert "Missing argument" in filled.usage("alias", "add", "a@example.org")
