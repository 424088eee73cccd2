"""Administrators, tokens and the audit log, in every database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from accounts.directory import (
    administrators,
    audit,
    domains,
    mailboxes,
    tokens,
)
from accounts.store.errors import AlreadyThere, Invalid
from accounts.store.transaction import Write
from tests.unit.accounts.desk import HASH, ME, NOW, Desk
from tests.unit.accounts.directory_base import DirectoryBase


class AdministrationSuite(DirectoryBase):
    """The tests."""

    def test_administrators(self, desk: Desk) -> None:
        desk.domain()
        desk.domain("example.net")
        made = desk.write(
            lambda w: administrators.add(
                w, "Root", password=HASH, domains=["example.org", "EXAMPLE.net", "example.org"]
            )
        )
        assert made == administrators.Administrator(
            id=made.id,
            login="root",
            password=HASH,
            role="domains",
            domains=("example.net", "example.org"),
            enabled=True,
            version=1,
            created=NOW,
            changed=NOW,
        )
        self.refused(desk, AlreadyThere, lambda w: administrators.add(w, "ROOT"))
        wrong: list[Any] = [
            {"role": "king"},
            {"role": "global", "domains": ["example.org"]},
            {"domains": ["none.example"]},
            {"domains": "example.org"},
            {"password": "secret"},
        ]
        for values in wrong:
            self.refused(
                desk,
                Invalid,
                lambda w: administrators.add(w, "other", **values),  # noqa: B023
            )
        assert not any(HASH in str(entry) for entry in desk.read(audit.find))
        changed = desk.write(lambda w: administrators.change(w, "root", 1, role="global"))
        assert (changed.role, changed.domains, changed.version) == ("global", (), 2)
        desk.write(
            lambda w: administrators.change(
                w, "root", 2, last=True, role="domains", domains=["example.net"]
            )
        )
        desk.write(lambda w: domains.remove(w, "example.net"))
        (found,) = desk.read(administrators.find)
        assert found.domains == ()
        desk.write(lambda w: administrators.add(w, "Anna@example.org"))
        desk.write(lambda w: administrators.remove(w, "anna@example.org"))

    def test_the_last_global_administrator_stays(self, desk: Desk) -> None:
        desk.domain()
        for login, role, enabled in (
            ("root", "global", True),
            ("off", "global", False),
            ("ada", "domains", True),
        ):
            desk.write(lambda w: administrators.add(w, login, role=role, enabled=enabled))  # noqa: B023
        ways: list[Callable[..., Any]] = [
            lambda w, **x: administrators.remove(w, "root", **x),
            lambda w, **x: administrators.change(w, "root", None, enabled=False, **x),
            lambda w, **x: administrators.change(w, "root", None, role="domains", **x),
        ]
        for way in ways:
            told = self.refused(desk, Invalid, way)
            assert told == "login: root is the last global administrator who is enabled."
            desk.run(desk.database.rehearse(ME, lambda w: way(w, last=True)))  # noqa: B023
        # others may go, and the last one may change in other ways
        for login in ("off", "ada"):
            desk.write(lambda w: administrators.remove(w, login))  # noqa: B023
        desk.write(lambda w: administrators.change(w, "root", None, password=HASH))
        desk.write(lambda w: administrators.add(w, "new", role="global"))
        for way in ways:
            desk.run(desk.database.rehearse(ME, way))
        desk.write(ways[1])
        told = self.refused(desk, Invalid, lambda w: administrators.remove(w, "new"))
        assert told.startswith("login: new is the last")

    def test_an_owner_has_so_many_tokens(self, filled: Desk) -> None:
        filled.write(lambda w: administrators.add(w, "root"))
        owners: tuple[dict[str, Any], ...] = (
            {"mailbox": "anna@example.org"},
            {"administrator": "root"},
            {},
        )

        def fill(write: Write) -> None:
            for owner in owners:
                for number in range(tokens.MAX_TOKENS):
                    tokens.add(write, f"t{number}", scopes=["a"], **owner)

        filled.write(fill)
        for owner in owners[:2]:
            told = self.refused(
                filled,
                Invalid,
                lambda w: tokens.add(w, "more", scopes=["a"], **owner),  # noqa: B023
            )
            assert told == "name: An owner has at most 100 tokens."
        # those of programs are added by global administrators alone
        filled.write(lambda w: tokens.add(w, "more", scopes=["a"]))

    def test_tokens(self, filled: Desk) -> None:
        filled.write(lambda w: administrators.add(w, "root"))
        made, secret = filled.write(
            lambda w: tokens.add(
                w,
                "backup",
                scopes=["mailboxes:read", "domains:read"],
                administrator="root",
                expires=NOW + 10,
            )
        )
        assert secret.startswith("gp_")
        assert made == tokens.ApiToken(
            id=made.id,
            name="backup",
            scopes=("domains:read", "mailboxes:read"),
            administrator="root",
            mailbox=None,
            expires=NOW + 10,
            created=NOW,
            last_used=None,
        )
        assert not any(secret in str(entry) for entry in filled.read(audit.find))

        def shown(text: str, now: int = NOW) -> tokens.ApiToken | None:
            return filled.read(lambda c: tokens.find_by_text(c, text, now))

        assert shown(secret) == made
        assert shown(secret, NOW + 10) is None
        for wrong in (secret[:-1], secret + "=", secret.upper(), "gp_", "", "gp_\0" + secret[4:]):
            assert shown(wrong) is None
        with pytest.raises(Invalid):
            filled.write(
                lambda w: tokens.add(
                    w, "x", scopes=["a"], administrator="root", mailbox="anna@example.org"
                )
            )
        for scopes in ([], ["A b"], ["a"] * 51, "domains:read", [1]):
            with pytest.raises(Invalid):
                filled.write(
                    lambda w: tokens.add(w, "x", scopes=scopes)  # type: ignore[arg-type]  # noqa: B023
                )
        filled.run(filled.database.record(lambda c: tokens.note_use(c, made.id, NOW + 3)))
        _, of_mailbox = filled.write(
            lambda w: tokens.add(w, "mine", scopes=["own"], mailbox="anna@example.org")
        )
        _, of_program = filled.write(lambda w: tokens.add(w, "policyd", scopes=["snapshot"]))
        (found,) = filled.read(lambda c: tokens.find(c, administrator="root"))
        assert found.last_used == NOW + 3
        assert len(filled.read(tokens.find)) == 3
        # a token goes with its owner
        filled.write(lambda w: administrators.remove(w, "root"))
        filled.write(lambda w: mailboxes.remove(w, "anna@example.org"))
        assert shown(secret) is None
        assert shown(of_mailbox) is None
        program = shown(of_program)
        assert program is not None
        filled.write(lambda w: tokens.remove(w, program.id))
        assert shown(of_program) is None

    def test_the_audit_log_is_read_in_parts(self, filled: Desk) -> None:
        for number in range(5):
            filled.clock.now = NOW + number
            filled.write(lambda w: mailboxes.change(w, "anna@example.org", None, quota=number))  # noqa: B023
        found = filled.read(lambda c: audit.find(c, object="anna@example.org", limit=3))
        assert [entry.details["quota"][1] for entry in found] == [4, 3, 2]
        found = filled.read(
            lambda c: audit.find(c, object="anna@example.org", before=found[-1].id, since=NOW + 1)
        )
        assert [entry.details["quota"][1] for entry in found] == [1]
        assert filled.read(lambda c: audit.find(c, actor="somebody else")) == []
