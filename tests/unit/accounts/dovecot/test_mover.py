"""The mover, with stores that are away, slow, or change while a mailbox is copied."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from accounts.directory import mailboxes, moves
from accounts.directory.moves import LEASE
from accounts.dovecot.doveadm import DoveadmError
from accounts.dovecot.mover import Mover
from accounts.settings import AccountsSettings
from accounts.store.errors import NoSuchObject
from tests.unit.accounts import files
from tests.unit.accounts.desk import ME, Desk

ANNA = "anna@example.org"
HOME = "example.org/anna-0123456789abcdef"
S0, S1 = "http://10.0.0.1:1", "http://10.0.0.2:1"


class FakeStores:
    """The mail of Anna in two stores. Others write to it before each command, by `meanwhile`."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.mail: dict[str, set[str]] = {S0: {"m1", "m2"}, S1: set()}
        self.away: set[str] = set()
        self.calls: list[str] = []
        self.meanwhile: dict[str, Callable[[], None]] = {}

    async def copy(self, url: str, key: str, user: str, peer: str, timeout: float) -> None:
        await self._called("copy", url, key)
        assert (user, peer, timeout > 0) == (ANNA, "10.0.0.2:2", True)
        if S1 in self.away:
            raise DoveadmError("s1 is away")
        self.mail[S1] = set(self.mail[S0])

    async def merge(self, url: str, key: str, user: str, peer: str, timeout: float) -> None:
        await self._called("merge", url, key)
        self.mail[S1] |= self.mail[S0]

    async def kick(self, url: str, key: str, masks: Sequence[str]) -> int:
        await self._called("kick", url, key)
        assert masks == [ANNA]
        return 1

    async def remove(self, url: str, key: str, home: str, timeout: float) -> None:
        await self._called("remove", url, key)
        assert home == HOME
        self.mail[url].clear()

    async def _called(self, name: str, url: str, key: str) -> None:
        assert key == "secret"
        await asyncio.sleep(0)
        self.calls.append(name)
        if act := self.meanwhile.pop(f"{name}{self.calls.count(name)}", None):
            act()
        if url in self.away:
            raise DoveadmError("no answer")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(files.make(tmp_path / "accounts.db"))
    desk.domain()
    desk.write(lambda w: mailboxes.add(w, ANNA, home=HOME, store="s0"))
    yield desk
    desk.close()


@pytest.fixture
def stores(desk: Desk) -> FakeStores:
    return FakeStores(desk)


@pytest.fixture
def mover(desk: Desk, stores: FakeStores, tmp_path: Path) -> Mover:
    key = tmp_path / "key"
    key.write_text("secret\n")
    key.chmod(0o600)
    named = {
        "s0": {"host": "10.0.0.1", "doveadm_url": S0, "transfer": "10.0.0.1:2"},
        "s1": {"host": "10.0.0.2", "doveadm_url": S1, "transfer": "10.0.0.2:2"},
    }
    settings = AccountsSettings.model_validate(
        {
            "dovecot": {"doveadm_url": [S0, S1], "doveadm_key_file": str(key)},
            "stores": {"named": named, "default": "s0", "lock": 60, "settle": 900},
        }
    )
    return Mover(
        desk.database,
        lambda: settings,
        copy=stores.copy,
        merge=stores.merge,
        kick=stores.kick,
        remove=stores.remove,
        clock=desk.clock,
        kick_pause=0.0,
    )


def ask(desk: Desk) -> None:
    desk.write(lambda w: moves.ask(w, ANNA, "s1", "s0"))


def store_of(desk: Desk) -> str | None:
    return desk.read(lambda c: mailboxes.get(c, ANNA).store)


def test_nothing_is_lost_by_a_move(desk: Desk, stores: FakeStores, mover: Mover) -> None:
    ask(desk)
    # mail that comes after the first pass, and a delivery that ends after the second one
    stores.meanwhile["kick1"] = lambda: stores.mail[S0].add("m3")
    assert desk.run(mover.look())
    assert stores.calls == ["copy", "kick", "kick", "copy"]
    assert (store_of(desk), stores.mail[S1]) == ("s1", {"m1", "m2", "m3"})
    stores.mail[S0].add("m4")
    assert not desk.run(mover.look())
    desk.clock.now += 900
    assert desk.run(mover.look())
    assert stores.calls[4:] == ["kick", "merge", "remove"]
    assert stores.mail == {S0: set(), S1: {"m1", "m2", "m3", "m4"}}
    with pytest.raises(NoSuchObject):
        desk.read(lambda c: moves.get(c, ANNA))
    assert not desk.run(mover.look())


@pytest.mark.parametrize("away", [S0, S1])
def test_a_store_that_is_away_leaves_the_mailbox_where_it_is(
    desk: Desk, stores: FakeStores, mover: Mover, away: str
) -> None:
    ask(desk)
    stores.away = {away}
    assert desk.run(mover.look())
    found = desk.read(lambda c: moves.get(c, ANNA))
    assert (store_of(desk), found.phase, found.failures) == ("s0", "copy", 1)
    assert mover.limping() == f"1 failing, such as that of {ANNA}: {found.problem}"
    # not at once
    assert not desk.run(mover.look())
    stores.away = set()
    desk.clock.now = found.due
    assert desk.run(mover.look())
    assert (store_of(desk), mover.limping()) == ("s1", None)


def test_a_second_pass_that_takes_too_long_is_repeated(
    desk: Desk, stores: FakeStores, mover: Mover
) -> None:
    ask(desk)

    def late() -> None:
        desk.clock.now += 60
        stores.mail[S0].add("m3")  # somebody wrote after the end of the lock

    stores.meanwhile["copy2"] = late
    assert desk.run(mover.look())
    assert store_of(desk) == "s0"
    desk.clock.now += 15
    assert desk.run(mover.look())
    assert (store_of(desk), stores.mail[S1]) == ("s1", {"m1", "m2", "m3"})


@pytest.mark.parametrize(
    "moment", ["copy1", "kick1", "kick2", "copy2", "merge1", "kick3", "remove1"]
)
def test_a_kill_at_any_moment(desk: Desk, stores: FakeStores, mover: Mover, moment: str) -> None:
    """The mailbox is usable in one store, which has all its mail, and the move goes on."""
    ask(desk)
    killed = False

    def kill() -> None:
        nonlocal killed
        killed = True
        raise KeyboardInterrupt

    stores.meanwhile[moment] = kill
    for _ in range(5):
        with contextlib.suppress(KeyboardInterrupt, asyncio.CancelledError):
            desk.run(mover.look())
        place = S0 if store_of(desk) == "s0" else S1
        assert stores.mail[place] >= {"m1", "m2"}
        desk.clock.now += LEASE + 900
    assert killed
    assert stores.mail == {S0: set(), S1: {"m1", "m2"}}
    assert store_of(desk) == "s1"


def test_a_move_that_is_ended_meanwhile_changes_nothing(
    desk: Desk, stores: FakeStores, mover: Mover
) -> None:
    ask(desk)
    task: list[asyncio.Task[None]] = []

    def cancel() -> None:
        ending = desk.database.write(ME, lambda w: moves.cancel(w, ANNA))
        task.append(asyncio.ensure_future(ending))

    stores.meanwhile["copy1"] = cancel
    assert desk.run(mover.look())
    assert store_of(desk) == "s0"
    assert mover.limping() is None
    assert not desk.run(mover.look())


def test_a_failing_move_that_is_ended_is_no_problem_any_more(
    desk: Desk, stores: FakeStores, mover: Mover
) -> None:
    ask(desk)
    stores.away = {S1}
    assert desk.run(mover.look())
    assert not desk.run(mover.look())
    assert mover.limping() is not None
    desk.write(lambda w: moves.cancel(w, ANNA))
    assert not desk.run(mover.look())
    assert mover.limping() is None


def test_replicas_make_each_step_once(desk: Desk, stores: FakeStores, mover: Mover) -> None:
    ask(desk)

    async def look() -> list[bool]:
        return list(await asyncio.gather(*(mover.look() for _ in range(4))))

    assert sorted(desk.run(look())) == [False, False, False, True]
    assert stores.calls == ["copy", "kick", "kick", "copy"]
