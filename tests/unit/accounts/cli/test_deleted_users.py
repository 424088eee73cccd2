"""`gatepost user list --deleted`, `restore` and `purge`, as far as no server is asked."""

from __future__ import annotations

import re

from tests.unit.accounts.cli.shell import Shell

ANNA = "anna@example.org"


def test_a_removed_user_is_told_of_and_restored(filled: Shell) -> None:
    home = filled.json("user", "show", ANNA)["home"]
    assert filled.error("user", "show", ANNA.replace("anna", "ben")) == (
        "There is no mailbox ben@example.org."
    )
    filled.run("user", "remove", ANNA, "-y")
    told = filled.error("user", "show", ANNA)
    assert re.fullmatch(
        rf"There is no mailbox {ANNA}\. It was removed on [0-9: -]+ UTC by \w+@cli; its mail is "
        rf"kept until [0-9: -]+ UTC: `gatepost user restore {ANNA}`\.",
        told,
    )
    (one,) = filled.json("user", "list", "--deleted")
    assert (one["address"], one["home"], one["octets"]) == (ANNA, home, None)
    table = filled.run("user", "list", "--deleted")
    assert table.startswith("ADDRESS")
    assert "unknown" in table
    assert filled.json("user", "list", "--deleted", "--domain", "example.net") == []
    assert len(filled.json("user", "list", "--deleted", "--domain", "EXAMPLE.org")) == 1
    assert filled.json("user", "list", "--deleted", "--search", "ben") == []
    assert filled.json("user", "list") == []
    filled.user()
    assert filled.error("user", "restore", ANNA) == f"There is already a mailbox {ANNA}."
    filled.run("user", "remove", ANNA, "-y")
    filled.run("user", "restore", ANNA, "--number", str(one["number"]))
    assert filled.json("user", "show", ANNA)["home"] == home


def test_mail_is_removed_by_doveadm_alone(filled: Shell) -> None:
    filled.run("user", "remove", ANNA, "-y")
    told = filled.error("user", "purge")
    assert told == "[accounts.dovecot] names no doveadm_url: nobody can remove mail"
    assert filled.usage("user", "purge", "--number", "1") == "--number needs an address"
    assert "There is no deleted mailbox" in filled.error("user", "purge", "ben@example.org", "-y")
    assert filled.call("user", "purge", ANNA, typed="n\n").exit_code == 1
    assert not filled.json("user", "list", "--deleted")[0]["is_due"]
    assert filled.json("user", "purge", ANNA, "-y")["is_due"]
    assert filled.json("user", "list", "--deleted")[0]["is_due"]


def test_a_removed_domain_comes_back_with_its_users(filled: Shell) -> None:
    filled.run("domain", "remove", "example.org", "-y")
    assert "There is no domain example.org" in filled.error("user", "restore", ANNA)
    filled.domain()
    filled.run("user", "restore", ANNA)
    filled.run("user", "show", ANNA)
