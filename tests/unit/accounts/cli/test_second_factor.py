"""`gatepost second-factor`."""

from __future__ import annotations

from accounts.directory import passkeys
from accounts.directory.owner import find_login_owner
from accounts.store.transaction import Write
from tests.unit.accounts.cli.shell import Shell
from tests.unit.accounts.desk import Desk

ANNA = "anna@example.org"


def add_passkey(shell: Shell, administrator: str | None = None) -> None:
    def work(write: Write) -> None:
        box = None if administrator else ANNA
        owner = find_login_owner(write.connection, administrator, box)
        passkeys.add(
            write,
            owner,
            "USB key",
            credential=owner.name.encode(),
            public_key=b"k",
            handle=b"h",
            sign_count=0,
        )

    desk = Desk(shell.settings)
    desk.write(work)
    desk.close()


def test_of_a_mailbox(filled: Shell) -> None:
    assert filled.run("second-factor", "list", ANNA) == ""
    assert "has no second factor" in filled.error("second-factor", "reset", ANNA, "--yes")
    add_passkey(filled)
    text = filled.run("second-factor", "list", ANNA)
    assert "passkey" in text
    assert "USB key" in text
    (found,) = filled.json("second-factor", "list", ANNA)
    assert found["kind"] == "passkey"
    assert filled.call("second-factor", "reset", ANNA, typed="n\n").exit_code == 1
    assert filled.json("second-factor", "list", ANNA)
    assert "removed" in filled.run("second-factor", "reset", ANNA, "--yes")
    assert filled.json("second-factor", "list", ANNA) == []
    assert "no mailbox" in filled.error("second-factor", "list", "nobody@example.org")


def test_of_an_administrator(filled: Shell) -> None:
    filled.run("admin", "add", "root", "--role", "global", "--no-password")
    add_passkey(filled, "root")
    assert filled.json("second-factor", "list", "root", "--admin")
    filled.error("second-factor", "list", "root")
    filled.run("second-factor", "reset", "root", "--admin", "--yes")
    assert filled.json("second-factor", "list", "root", "--admin") == []
