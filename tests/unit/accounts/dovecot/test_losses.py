"""Changes that end sessions, made by the operations that people use, and those that do not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert

from accounts import trail
from accounts.directory import app_passwords, audit, domains, mailboxes
from accounts.dovecot.losses import REPLAY, Losses
from accounts.dovecot.waiting import AGAIN
from accounts.snapshots.history import note_restore
from accounts.store import schema
from accounts.store.errors import Invalid, NoSuchObject
from accounts.store.generation import read_generation
from accounts.store.replica import copy_in, copy_out
from accounts.store.transaction import Write
from tests.unit.accounts import files
from tests.unit.accounts.desk import HASH, NOW, OTHER_HASH, Desk

ANNA = "anna@example.org"


class Following:
    """A desk and the losses that are followed there."""

    def __init__(self, directory: Path) -> None:
        self.desk = Desk(files.make(directory / "accounts.db"))
        self.kicked: list[tuple[str, bool]] = []
        self.desk.domain()
        self.desk.mailbox(password=HASH)
        self.desk.write(
            lambda w: app_passwords.add(w, ANNA, "phone", password=HASH, expires=NOW + 50)
        )
        self.desk.clock.now += REPLAY + 10
        self.losses = self.follow()
        self.look()
        self.kicked.clear()

    def follow(self) -> Losses:
        def kick(mask: str, repeat: bool) -> None:
            self.kicked.append((mask, repeat))

        return Losses(self.desk.database, kick, self.desk.clock)

    def look(self) -> list[tuple[str, bool]]:
        self.kicked.clear()
        self.desk.run(self.losses.look())
        return self.kicked.copy()


@pytest.fixture
def following(tmp_path: Path) -> Iterator[Following]:
    made = Following(tmp_path)
    yield made
    made.desk.close()


def test_a_refusal_before_the_start_hides_no_change_with_a_lower_id(following: Following) -> None:
    """In PostgreSQL a refusal may come between the entry of a change and its commit."""
    desk = following.desk

    def forbid(write: Write) -> None:
        mailboxes.change(write, ANNA, None, may_login=False)
        write._entries[-1]["id"] = last + 1

    last = desk.read(lambda c: audit.find(c, limit=1))[0].id
    entry = {"id": last + 2, "at": int(desk.clock.now), "actor": "x", "action": "mailbox.change"}
    statement = insert(schema.audit).values(**entry, object=ANNA, details={"refused": "No."})

    def enter(connection: Connection) -> None:
        connection.execute(statement)

    desk.run(desk.database.record(enter))
    following.losses = following.follow()
    following.look()
    desk.write(forbid)
    assert following.look() == [(ANNA, True)]


Work = Callable[[Write], object]

TAKEN: list[tuple[Work, str]] = [
    (lambda w: mailboxes.change(w, ANNA, None, enabled=False), ANNA),
    (lambda w: mailboxes.change(w, ANNA, None, may_login=False), ANNA),
    (lambda w: mailboxes.change(w, ANNA, None, may_send=False), ANNA),
    (lambda w: mailboxes.change(w, ANNA, None, password=OTHER_HASH), ANNA),
    (lambda w: mailboxes.change(w, ANNA, None, password=None), ANNA),
    (lambda w: mailboxes.remove(w, ANNA), ANNA),
    (lambda w: mailboxes.rename(w, ANNA, "anne@example.org"), ANNA),
    (lambda w: mailboxes.rename(w, ANNA, "anne@example.org", keep_alias=True), ANNA),
    (lambda w: app_passwords.remove(w, ANNA, "phone"), ANNA),
    (lambda w: domains.change(w, "example.org", None, enabled=False), "*@example.org"),
    (lambda w: domains.remove(w, "example.org"), "*@example.org"),
]


@pytest.mark.parametrize(("work", "mask"), TAKEN)
def test_a_right_that_is_taken_ends_sessions(following: Following, work: Work, mask: str) -> None:
    following.desk.write(work)
    assert following.look() == [(mask, True)]
    assert following.look() == []


def test_another_change_ends_none(following: Following) -> None:
    def change(write: Write) -> None:
        mailboxes.change(write, ANNA, None, display_name="Anna", quota=5, may_receive=False)
        mailboxes.add(write, "bob@example.org")
        app_passwords.add(write, ANNA, "tablet", password=HASH)
        domains.change(write, "example.org", None, description="x", max_mailboxes=7)

    following.desk.write(change)
    assert following.look() == []
    following.desk.write(lambda w: mailboxes.change(w, ANNA, None, enabled=False))
    following.look()
    following.desk.write(lambda w: mailboxes.change(w, ANNA, None, enabled=True))
    assert following.look() == []


def test_what_was_refused_ends_none_and_hides_none(following: Following) -> None:
    for _ in range(3):
        with pytest.raises(NoSuchObject):
            following.desk.write(lambda w: mailboxes.remove(w, "nobody@example.org"))
    with pytest.raises(Invalid):
        following.desk.write(lambda w: mailboxes.change(w, ANNA, None, password="clear"))
    assert following.look() == []
    following.desk.write(lambda w: mailboxes.remove(w, ANNA))
    assert following.look() == [(ANNA, True)]


def test_many_changes_are_read_in_parts(
    following: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trail, "AT_ONCE", 3)

    def change(write: Write) -> None:
        for number in range(10):
            mailboxes.add(write, f"b{number}@example.org")
            mailboxes.remove(write, f"b{number}@example.org")

    following.desk.write(change)
    assert following.look() == [(f"b{number}@example.org", True) for number in range(10)]


def test_changes_of_before_the_start_are_looked_at(following: Following) -> None:
    following.desk.write(lambda w: mailboxes.change(w, ANNA, None, enabled=False))
    following.desk.clock.now += REPLAY - 1
    following.losses = following.follow()
    assert following.look() == [(ANNA, False)]
    following.desk.clock.now += 2
    following.losses = following.follow()
    assert following.look() == []
    # and what comes after
    following.desk.write(lambda w: mailboxes.remove(w, ANNA))
    assert following.look() == [(ANNA, True)]


def test_a_change_of_long_ago_needs_no_second_kick(following: Following) -> None:
    following.desk.write(lambda w: mailboxes.remove(w, ANNA))
    following.desk.clock.now += AGAIN
    assert following.look() == [(ANNA, False)]


def test_an_app_password_that_expires_ends_sessions(following: Following) -> None:
    desk = following.desk
    now = int(desk.clock.now)
    desk.write(lambda w: app_passwords.add(w, ANNA, "a", password=HASH, expires=now + 5))
    desk.write(lambda w: app_passwords.add(w, ANNA, "b", password=HASH, expires=now + 6))
    desk.clock.now = now + 4
    assert following.look() == []
    desk.clock.now = now + 5
    assert following.look() == [(ANNA, False)]
    desk.clock.now = now + 60
    assert following.look() == [(ANNA, False)]
    assert following.look() == []


def test_a_restored_backup_ends_all_sessions(following: Following) -> None:
    following.desk.write(lambda w: mailboxes.remove(w, ANNA))
    following.look()
    with following.desk.database._backend._engine.connect() as connection:  # type: ignore[attr-defined]
        for (name,) in connection.exec_driver_sql(
            "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'audit'"
        ).fetchall():
            connection.exec_driver_sql(f'DROP TRIGGER "{name}"')
        connection.exec_driver_sql("DELETE FROM audit WHERE action = 'mailbox.remove'")
        connection.commit()
    assert following.look() == [("*", True)]
    assert following.look() == []


@pytest.mark.parametrize("since", range(4))
def test_a_restore_that_is_seen_when_it_is_over_ends_all_sessions(
    following: Following, tmp_path: Path, since: int
) -> None:
    """The log may be as long by then as it was before, or longer, or shorter."""
    desk, file = following.desk, tmp_path / "backup"
    copy_out(desk.settings, file, nullcontext)
    before = desk.database.generation
    for number in range(2):
        desk.write(lambda w, number=number: mailboxes.add(w, f"b{number}@example.org"))  # type: ignore[misc]
    desk.write(lambda w: mailboxes.change(w, ANNA, None, enabled=False))
    assert following.look() == [(ANNA, True)]
    seen = range(before, desk.database.generation + 1)
    copy_in(desk.settings, file, nullcontext)
    desk.write(note_restore)
    assert desk.read(read_generation) not in seen
    for number in range(since):
        desk.write(lambda w, number=number: mailboxes.add(w, f"c{number}@example.org"))  # type: ignore[misc]
    assert following.look() == [("*", True)]
    assert following.look() == []


def test_a_restore_of_what_was_there_ends_all_sessions(following: Following) -> None:
    following.desk.write(note_restore)
    assert following.look() == [("*", True)]
    following.desk.write(lambda w: mailboxes.remove(w, ANNA))
    assert following.look() == [(ANNA, True)]
