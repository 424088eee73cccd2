"""Mail stores of mailboxes: where new ones go, and how one moves, in every database."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from accounts.directory import audit, deleted_mailboxes, mailboxes, moves
from accounts.directory.moves import LEASE, SKEW, Move
from accounts.store import schema
from accounts.store.errors import Conflict, Invalid, NoSuchObject
from accounts.store.transaction import Write
from accounts.store_names import StoreNames
from tests.unit.accounts.desk import NOW, Desk
from tests.unit.accounts.directory_base import DirectoryBase

ANNA = "anna@example.org"


def ask(desk: Desk, address: str = ANNA, target: str = "s1") -> Move:
    return desk.write(lambda write: moves.ask(write, address, target, "s0"))


def claim(desk: Desk, holder: str) -> Move | None:
    now = int(desk.clock.now)
    return desk.run(desk.database.record(lambda c: moves.claim(c, holder, now)))


def locked_until(desk: Desk) -> int | None:
    box = schema.mailbox
    return desk.read(lambda c: c.scalar(select(box.c.locked_until).where(box.c.address == ANNA)))


def claimed(desk: Desk, holder: str) -> Move:
    move = claim(desk, holder)
    assert move is not None
    return move


class StoresSuite(DirectoryBase):
    """The tests."""

    def test_without_names_a_mailbox_has_no_store(self, desk: Desk) -> None:
        desk.domain()
        assert desk.mailbox().store is None
        assert desk.mailbox("ben@example.org", store="any:24").store == "any:24"

    def test_new_mailboxes_go_to_the_emptiest_store(self, desk: Desk) -> None:
        desk.domain()
        desk.database.stores = lambda: StoreNames(("s0", "s1"), ("s0", "s1"))
        places = [desk.mailbox(f"m{number}@example.org").store for number in range(4)]
        assert places == ["s0", "s1", "s0", "s1"]
        # a new store is filled first, and a closed one takes none
        desk.database.stores = lambda: StoreNames(("s0", "s1", "s2"), ("s1", "s2"))

        def add(write: Write) -> list[str | None]:
            names = [f"n{number}@example.org" for number in range(4)]
            return [mailboxes.add(write, name).store for name in names]

        assert desk.write(add) == ["s2", "s2", "s1", "s2"]

    def test_mailboxes_from_the_time_of_one_store_count_in_it(self, desk: Desk) -> None:
        desk.domain()
        for number in range(2):
            assert desk.mailbox(f"m{number}@example.org").store is None
        desk.database.stores = lambda: StoreNames(("s0", "s1"), ("s0", "s1"), "s0")
        places = [desk.mailbox(f"n{number}@example.org").store for number in range(4)]
        assert places == ["s1", "s1", "s0", "s1"]

    def test_a_store_may_be_named_if_there_is_one(self, desk: Desk) -> None:
        desk.domain()
        desk.database.stores = lambda: StoreNames(("s0", "s1"), ())
        assert desk.mailbox(store="s1").store == "s1"
        with pytest.raises(Invalid, match="no mail store s7; known are: s0, s1"):
            desk.mailbox("ben@example.org", store="s7")
        with pytest.raises(Invalid, match="No mail store takes new mailboxes"):
            desk.mailbox("ben@example.org")

    def test_the_store_is_not_changed_without_the_mail(self, desk: Desk) -> None:
        desk.domain()
        desk.database.stores = lambda: StoreNames(("s0", "s1"), ("s0", "s1"))
        desk.mailbox()
        with pytest.raises(Invalid, match="gatepost user move"):
            desk.write(lambda w: mailboxes.change(w, ANNA, None, store="s1"))
        assert desk.write(lambda w: mailboxes.change(w, ANNA, None, store="s0")).store == "s0"

    def test_a_backup_of_the_data_brings_no_copy_back(self, desk: Desk) -> None:
        """The move may be over by now: its copy would remove the mail from the new store."""
        desk.domain()
        desk.mailbox()
        desk.mailbox("ben@example.org")
        ask(desk)
        move = claimed(desk, "a")
        desk.write(lambda w: moves.lock(w, move, "a", 60))
        desk.write(moves.end_all)
        assert desk.read(moves.find) == []
        assert locked_until(desk) is None
        # one whose mailbox is in its new store by the backup as well goes on
        ask(desk)
        again = claimed(desk, "b")
        desk.write(lambda w: moves.lock(w, again, "b", 60))
        desk.write(lambda w: moves.switch(w, again, "b", 900))
        desk.write(moves.end_all)
        assert [one.phase for one in desk.read(moves.find)] == ["settle"]

    def test_a_move(self, desk: Desk) -> None:
        desk.domain()
        before = desk.mailbox()
        asked = ask(desk)
        assert (asked.source, asked.target, asked.phase, asked.due) == ("s0", "s1", "copy", NOW)
        assert ask(desk) == asked
        assert desk.read(moves.find) == [asked]
        for store, is_between in {"s0": True, "s1": True, "s2": False, "": False}.items():
            assert desk.read(lambda c: moves.is_between(c, ANNA, store)) == is_between  # noqa: B023
        assert not desk.read(lambda c: moves.is_between(c, "ben@example.org", "s0"))
        move = claimed(desk, "a")
        assert move == asked
        # it is usable where it was, also under the lock, which is that of the answers
        desk.write(lambda w: moves.lock(w, move, "a", 60))
        assert locked_until(desk) == NOW + 60
        assert desk.read(lambda c: mailboxes.get(c, ANNA).store) is None
        desk.write(lambda w: moves.switch(w, move, "a", 900))
        after = desk.read(lambda c: mailboxes.get(c, ANNA))
        assert (after.store, after.home, locked_until(desk)) == ("s1", before.home, None)
        assert after.version > before.version
        assert desk.read(lambda c: moves.is_settled(c, move))
        # what is left comes later, and until then no late copy begins
        assert claim(desk, "b") is None
        assert not desk.read(lambda c: moves.is_between(c, ANNA, "s0"))
        assert desk.read(lambda c: moves.is_between(c, ANNA, "s1"))
        desk.clock.now += 900
        rest = claimed(desk, "b")
        assert desk.read(lambda c: moves.is_between(c, ANNA, "s0"))
        assert rest.phase == "settle"
        desk.write(lambda w: moves.finish(w, rest, "b"))
        assert desk.read(moves.find) == []
        done = [entry.action for entry in desk.read(audit.find) if "move" in entry.action]
        expected = ["mailbox.move", "mailbox.move-lock", "mailbox.move-switch", "mailbox.move-end"]
        assert sorted(done) == sorted(expected)

    def test_who_asks_for_what_cannot_be(self, desk: Desk) -> None:
        desk.domain()
        desk.mailbox()
        with pytest.raises(Invalid, match="is in s0 already"):
            ask(desk, target="s0")
        with pytest.raises(NoSuchObject):
            ask(desk, "nobody@example.org")
        with pytest.raises(NoSuchObject, match="not being moved"):
            desk.read(lambda c: moves.get(c, ANNA))
        ask(desk)
        with pytest.raises(Conflict, match="from s0 to s1"):
            ask(desk, target="s2")

    @pytest.mark.parametrize("late", [60 - SKEW, 60, 5000])
    def test_a_lock_that_has_ended_changes_no_store(self, desk: Desk, late: int) -> None:
        """Somebody may have changed the mailbox since the second pass began."""
        desk.domain()
        desk.mailbox()
        ask(desk)
        move = claimed(desk, "a")
        desk.write(lambda w: moves.lock(w, move, "a", 60))
        desk.clock.now += late
        with pytest.raises(Conflict, match="lock has ended"):
            desk.write(lambda w: moves.switch(w, move, "a", 900))
        assert desk.read(lambda c: mailboxes.get(c, ANNA).store) is None

    def test_a_process_that_was_killed_is_replaced(self, desk: Desk) -> None:
        desk.domain()
        desk.mailbox()
        ask(desk)
        move = claimed(desk, "killed")
        desk.write(lambda w: moves.lock(w, move, "killed", 600))
        desk.clock.now += LEASE - 1
        assert claim(desk, "b") is None
        desk.clock.now += 1
        again = claimed(desk, "b")
        assert again.phase == "lock"
        # the first one was only slow: nothing that it does counts
        for late in (
            lambda w: moves.lock(w, move, "killed", 60),
            lambda w: moves.switch(w, move, "killed", 60),
            lambda w: moves.fail(w, move, "killed", "late"),
        ):
            with pytest.raises(Conflict):
                desk.write(late)
        now = int(desk.clock.now)
        renew = desk.run(desk.database.record(lambda c: moves.renew(c, move, "killed", now)))
        assert not renew
        desk.write(lambda w: moves.switch(w, again, "b", 900))
        assert desk.read(lambda c: mailboxes.get(c, ANNA).store) == "s1"

    def test_one_at_work_keeps_its_move(self, desk: Desk) -> None:
        desk.domain()
        desk.mailbox()
        ask(desk)
        move = claimed(desk, "a")
        desk.clock.now += LEASE - 1
        now = int(desk.clock.now)
        assert desk.run(desk.database.record(lambda c: moves.renew(c, move, "a", now)))
        desk.clock.now += LEASE - 1
        assert claim(desk, "b") is None

    def test_a_failure_ends_the_lock_and_waits(self, desk: Desk) -> None:
        desk.domain()
        desk.mailbox()
        ask(desk)
        pauses = []
        for _ in range(9):
            move = claimed(desk, "a")
            desk.write(lambda w: moves.lock(w, move, "a", 60))  # noqa: B023
            desk.write(lambda w: moves.fail(w, move, "a", "s1 is\naway"))  # noqa: B023
            assert locked_until(desk) is None
            found = desk.read(lambda c: moves.get(c, ANNA))
            assert found.phase == "copy"
            pauses.append(found.due - int(desk.clock.now))
            desk.clock.now = found.due
        assert pauses == [15, 30, 60, 120, 240, 480, 900, 900, 900]
        assert (found.failures, "away" in found.problem) == (9, True)

    def test_a_move_is_ended_before_the_switch(self, desk: Desk) -> None:
        desk.domain()
        desk.mailbox()
        ask(desk)
        move = claimed(desk, "a")
        desk.write(lambda w: moves.lock(w, move, "a", 60))
        desk.write(lambda w: moves.cancel(w, ANNA))
        assert locked_until(desk) is None
        with pytest.raises(Conflict):
            desk.write(lambda w: moves.switch(w, move, "a", 900))
        ask(desk)
        again = claimed(desk, "a")
        desk.write(lambda w: moves.lock(w, again, "a", 60))
        desk.write(lambda w: moves.switch(w, again, "a", 900))
        with pytest.raises(Invalid, match="in s1 already"):
            desk.write(lambda w: moves.cancel(w, ANNA))

    def test_a_mailbox_that_is_removed_moves_no_more(self, desk: Desk) -> None:
        desk.domain()
        desk.mailbox()
        ask(desk)
        move = claimed(desk, "a")
        desk.write(lambda w: moves.lock(w, move, "a", 60))
        desk.write(lambda w: mailboxes.remove(w, ANNA))
        assert desk.read(moves.find) == []
        with pytest.raises(Conflict):
            desk.write(lambda w: moves.switch(w, move, "a", 900))
        desk.write(lambda w: deleted_mailboxes.restore(w, ANNA))
        assert locked_until(desk) is None

    def test_the_home_of_another_mailbox_is_not_settled(self, desk: Desk) -> None:
        desk.domain()
        desk.mailbox()
        move = ask(desk)
        assert not desk.read(lambda c: moves.is_settled(c, move))
