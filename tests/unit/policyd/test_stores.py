"""The stores that need no server, and what stands before a store."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from policyd import records
from policyd.greylisting import ClientRecord, GreylistRules, TripletRecord
from policyd.stores import Change, Store, StoreEntry, StoreError, StoreStartError, T, sqlite_file
from policyd.stores.guard import FAILURES_TO_OPEN, Fallback, GuardedStore
from policyd.stores.memory import MemoryStore
from policyd.stores.sqlite import SqliteStore
from policyd.stores.sqlite_file import EntryFile
from tests.unit.policyd.store_suite import NOW, Clock, StoreSuite, add_one, look, put


class TestMemory(StoreSuite):
    shared = False

    def open_store(self, clock: Clock) -> Store:
        return MemoryStore(clock=clock)

    def test_it_is_bounded(self) -> None:
        store = MemoryStore(max_entries=10, clock=Clock())
        for n in range(25):
            store.update_now((str(n),), put(str(n)))
        assert sorted(store.entries) == [str(n) for n in range(15, 25)]

    def test_of_what_is_gone_not_even_the_name_stays(self) -> None:
        clock = Clock()
        store = MemoryStore(max_entries=10, clock=clock)

        def until(expires: int) -> Change[None]:
            return lambda known: ([StoreEntry("1", expires) for _ in known], None)

        def waiting() -> int:
            return sum(map(len, store._due.values()))

        for n in range(1000):
            store.update_now((str(n),), until(NOW + 86_400))
        assert waiting() == 10, "those that made room are not waited for"
        for hour in range(1000):
            store.update_now(("999",), until(NOW + 3600 * hour))
        assert waiting() == 10, "nor what an entry was before"
        store.update_now(("999",), put(None))
        store.take(5)
        assert waiting() == len(store.entries) == 4
        clock.now += 86_400 + 2 * 3600
        assert asyncio.run(store.sweep()) == 4
        assert not store.entries
        assert not store._due


class TestSqlite(StoreSuite):
    @pytest.fixture(autouse=True)
    def _file(self, tmp_path: Path) -> None:
        self.path = tmp_path / "store.sqlite"

    def open_store(self, clock: Clock) -> Store:
        return SqliteStore(self.path, clock=clock)

    def test_without_its_index_it_knows_the_same(self) -> None:
        async def scene(store: Store, clock: Clock) -> None:
            await store.update(("a", "b"), put("1", "2"))
            plain = SqliteStore(self.path, indexed=False, clock=clock)
            assert await plain.update(("a", "b", "c"), look) == ["1", "2", None]
            assert await plain.update(("b", "c"), put(None, "3")) == ["2", None]
            await plain.close()
            assert await store.update(("a", "b", "c"), look) == ["1", None, "3"]

        self.run(scene)

    def test_what_others_have_deleted_and_added_is_seen(self) -> None:
        async def scene(store: Store, clock: Clock) -> None:
            for n in range(20):
                await store.update((f"k{n}",), put(str(n)))
            other = SqliteStore(self.path, clock=clock)
            for n in range(10, 20):
                await other.update((f"k{n}",), put(None))
            for n in range(20, 40):
                await other.update((f"k{n}",), put(str(n)))
            await other.close()
            for n in range(40):
                wanted = None if 10 <= n < 20 else str(n)
                assert await store.update((f"k{n}",), look) == [wanted]

        self.run(scene)

    def test_the_number_of_a_row_is_not_used_again(self) -> None:
        """A row that is deleted and another in its place would never be noticed by others."""

        async def scene(store: Store, clock: Clock) -> None:
            for n in range(3):
                await store.update((f"k{n}",), put(str(n)))
            other = SqliteStore(self.path, clock=clock)
            await other.update(("k2",), put(None))
            assert await other.sweep() == 0
            await other.close()
            other = SqliteStore(self.path, clock=clock)
            await other.update(("k3",), put("3"))
            assert await other.sweep() == 1
            await other.close()
            wanted = ["0", "1", None, "3"]
            assert await store.update(("k0", "k1", "k2", "k3"), look) == wanted

        self.run(scene)

    def test_others_rows_are_not_lost_by_a_transaction_that_fails(self) -> None:
        file, other = EntryFile(self.path), EntryFile(self.path)
        other.begin()
        other.write({"a": StoreEntry("1", NOW + 10)})
        other.commit()
        file.begin()
        file.rollback()
        file.begin()
        assert file.read({"a"}) == {"a": StoreEntry("1", NOW + 10)}
        file.commit()
        file.close()
        other.close()

    def test_keys_with_one_hash_are_not_taken_for_one(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sqlite_file, "hash", lambda _: 1, raising=False)

        async def scene(store: Store, _: Clock) -> None:
            await store.update(("a",), put("1"))
            assert await store.update(("b",), look) == [None]
            await store.update(("b",), put("2"))
            assert await store.update(("a", "b"), look) == [None, "2"]

        self.run(scene)

    def test_a_store_of_the_first_schema_is_taken_over(self) -> None:
        with sqlite3.connect(self.path) as db:
            db.executescript(
                """
                CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
                CREATE TABLE entry (
                    row INTEGER PRIMARY KEY AUTOINCREMENT, hash INTEGER NOT NULL,
                    expires INTEGER NOT NULL, value TEXT NOT NULL, key TEXT NOT NULL
                );
                INSERT INTO entry VALUES (7, 12345, 1900000100, '1', 'a');
                PRAGMA user_version = 1;
                """
            )
        db.close()

        async def scene(store: Store, _: Clock) -> None:
            assert await store.update(("a", "b"), put("2", "3")) == ["1", None]
            assert await store.update(("a", "b"), look) == ["2", "3"]

        self.run(scene)

    def test_a_file_that_is_no_store(self) -> None:
        self.path.write_text("this is no database, and long enough to be looked at" * 100)
        with pytest.raises(StoreStartError, match=r"cannot open the store .*store\.sqlite"):
            SqliteStore(self.path)

    def test_a_store_of_a_later_version(self) -> None:
        with sqlite3.connect(self.path) as db:
            db.execute("PRAGMA user_version = 99")
        db.close()
        with pytest.raises(StoreStartError, match="later version"):
            SqliteStore(self.path)

    def test_a_folder_that_is_not_there(self) -> None:
        with pytest.raises(StoreStartError, match="cannot open the store"):
            SqliteStore(self.path / "nowhere" / "store.sqlite")

    def test_it_is_not_for_everybody_to_read(self) -> None:
        async def scene(store: Store, _: Clock) -> None:
            await store.update(("a",), put("1"))
            assert {path.stat().st_mode & 0o777 for path in self.files()} == {0o640}

        self.run(scene)

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files for others")
    def test_made_by_root_it_belongs_to_whom_its_folder_belongs_to(self) -> None:
        """As when `gatepost import postgrey` is run before the daemon has ever been."""
        os.chown(self.path.parent, 12345, 23456)

        async def scene(store: Store, _: Clock) -> None:
            await store.update(("a",), put("1"))
            owners = {(path.stat().st_uid, path.stat().st_gid) for path in self.files()}
            assert owners == {(12345, 23456)}

        self.run(scene)

    def test_a_file_that_may_not_be_written_is_told_at_the_start(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asyncio.run(SqliteStore(self.path).close())
        monkeypatch.setattr(os, "access", lambda path, mode: (path, mode) != (self.path, os.W_OK))
        monkeypatch.setattr(os, "geteuid", lambda: 65534)
        with pytest.raises(StoreStartError, match=r"belongs to uid \d+, and uid \d+ may not"):
            SqliteStore(self.path)

    def files(self) -> list[Path]:
        return [self.path, *(self.path.with_name(f"store.sqlite{end}") for end in ("-wal", "-shm"))]

    def test_another_writer_makes_it_fail_soon_and_not_for_good(self) -> None:
        async def scene(store: Store, _: Clock) -> None:
            await store.update(("a",), put("1"))
            other = sqlite3.connect(self.path, isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreError, match="locked"):
                await store.update(("a",), put("2"))
            other.execute("ROLLBACK")
            other.close()
            assert await store.update(("a",), put("3")) == ["1"]

        self.run(scene)

    def test_what_is_no_store_any_more_says_what_to_do(self) -> None:
        async def scene(store: Store, _: Clock) -> None:
            await store.update(("a",), put("1"))
            for path in self.path.parent.glob("store.sqlite*"):
                path.unlink()
            self.path.write_bytes(b"no database" * 1000)
            with pytest.raises(StoreError, match=r"store\.sqlite: .*move it away"):
                await store.sweep()
            with pytest.raises(StoreError, match=r"store\.sqlite: .*move it away"):
                await store.update(("a",), put("2"))
            self.path.unlink()
            assert await store.update(("a",), put("3")) == [None]

        self.run(scene)

    def test_a_file_that_was_removed_is_made_anew(self) -> None:
        async def scene(store: Store, _: Clock) -> None:
            await store.update(("a",), put("1"))
            for path in self.path.parent.glob("store.sqlite*"):
                path.unlink()
            await store.sweep()
            assert await store.update(("a",), put("2")) == [None]
            assert self.path.exists()

        self.run(scene)


class Moody:
    """A store in memory that fails, or is silent, when told so."""

    name = "moody"

    def __init__(self) -> None:
        self.memory = MemoryStore(clock=Clock())
        self.failing = False
        self.silent = False
        self.full = False
        self.asked = 0

    def update(self, keys: Sequence[str], change: Change[T]) -> asyncio.Future[T]:
        self.asked += 1
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        if self.failing:
            future.set_exception(StoreError("moody: no"))
        elif self.full and self.would_write(keys, change):
            future.set_exception(StoreError("moody: full", readable=True))
        elif not self.silent:
            future.set_result(self.memory.update_now(keys, change))
        return future

    def would_write(self, keys: Sequence[str], change: Change[T]) -> bool:
        before = [self.memory.entries.get(key) for key in keys]
        after, _ = change(before)
        return list(after) != before

    def scan(self, prefix: str) -> AsyncIterator[tuple[str, StoreEntry]]:
        return self.memory.scan(prefix)

    async def sweep(self) -> int:
        return await self.memory.sweep()

    async def close(self) -> None:
        pass


async def until(condition: Any) -> None:
    """Wait for a state."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


def test_a_store_that_fails_is_left_alone_and_comes_back() -> None:
    async def scene() -> None:
        moody = Moody()
        guard = GuardedStore(moody, timeout=5)
        guard.start()
        assert await guard.update(("a",), put("1")) == [None]
        moody.failing = True
        for _ in range(FAILURES_TO_OPEN):
            with pytest.raises(StoreError, match="moody: no"):
                await guard.update(("a",), look)
        assert guard.down
        asked = moody.asked
        for _ in range(50):
            with pytest.raises(StoreError, match="down"):
                await guard.update(("a",), look)
        assert moody.asked == asked
        moody.failing = False
        await until(lambda: not guard.down)
        assert await guard.update(("a",), look) == ["1"]
        await guard.close()

    asyncio.run(scene())


def test_a_store_that_is_silent_is_given_up() -> None:
    async def scene() -> None:
        moody = Moody()
        moody.silent = True
        guard = GuardedStore(moody, timeout=0.01)
        guard.start()
        with pytest.raises(StoreError, match=r"no answer in 0\.01 s"):
            await guard.update(("a",), look)
        await guard.close()

    asyncio.run(scene())


def test_one_failure_is_no_reason() -> None:
    async def scene() -> None:
        moody = Moody()
        guard = GuardedStore(moody, timeout=5)
        for _ in range(20):
            moody.failing = True
            with pytest.raises(StoreError):
                await guard.update(("a",), look)
            moody.failing = False
            await guard.update(("a",), look)
        assert not guard.down

    asyncio.run(scene())


def test_a_store_that_is_full_is_told_of_once_and_still_asked() -> None:
    async def scene() -> None:
        moody = Moody()
        guard = GuardedStore(moody, timeout=5)
        fallback = Fallback(guard, MemoryStore(clock=Clock()), lambda _key, ours, _theirs: ours)
        guard.start()
        await fallback.update(("known",), put("1"))
        moody.full = True
        for number in range(FAILURES_TO_OPEN):
            assert await fallback.update((f"new {number}",), add_one) == 1
        assert guard.down
        asked = moody.asked
        await until(lambda: moody.asked > asked)  # the probe
        await asyncio.sleep(0)
        assert guard.down
        assert await fallback.update(("known",), look) == ["1"]
        assert await fallback.update(("known",), put("2")) == ["1"]
        assert await fallback.update(("known", "new 1"), look) == ["2", "1"]
        moody.full = False
        await until(lambda: not guard.down and not fallback.memory.entries)
        entries = moody.memory.entries
        assert [entries[key].value for key in ("known", "new 1")] == ["2", "1"]
        await fallback.close()

    with capture_logs() as lines:
        asyncio.run(scene())
    assert [line["event"] for line in lines if line["log_level"] == "error"] == ["store down"]


def test_what_was_learned_meanwhile_is_handed_over() -> None:
    rules = GreylistRules()
    triplet, client = "t\nnet:1\na\nb", "c\nnet:1"

    async def scene() -> None:
        moody = Moody()
        guard = GuardedStore(moody, timeout=5)
        fallback = Fallback(guard, MemoryStore(clock=Clock()), records.merge)
        guard.start()

        def know(passed: int, returns: int) -> Change[None]:
            entries = [
                records.triplet_entry(TripletRecord(NOW - 900, NOW, passed), rules),
                records.client_entry(ClientRecord(returns, NOW), rules),
            ]
            return lambda _: (entries, None)

        await fallback.update((triplet, client), know(0, 4))
        moody.failing = True
        for _ in range(FAILURES_TO_OPEN + 1):
            await fallback.update((triplet, client), know(NOW, 1))
        assert await fallback.update(("n",), add_one) == 1
        moody.failing = False
        await until(lambda: not guard.down and not fallback.memory.entries)
        await until(lambda: moody.memory.entries.get("n") == StoreEntry("1", NOW + 1000))
        entries = moody.memory.entries
        assert records.read_triplet(entries[triplet]) == TripletRecord(NOW - 900, NOW, NOW)
        assert records.read_client(entries[client]) == ClientRecord(4, NOW)
        await fallback.close()

    asyncio.run(scene())


def test_what_was_learned_in_a_single_failure_is_handed_over_too() -> None:
    """The store is not down then, so it does not come back either."""

    async def scene() -> None:
        moody = Moody()
        guard = GuardedStore(moody, timeout=5)
        store = Fallback(guard, MemoryStore(clock=Clock()), lambda _key, ours, _theirs: ours)
        guard.start()
        moody.failing = True
        await store.update(("a",), put("1"))
        moody.failing = False
        assert not guard.down
        # without another request: the next may come after a restart
        await until(lambda: "a" in moody.memory.entries)
        assert store.memory.entries == {}
        # a store that fails again and again is not asked to take it at every request
        moody.full = True
        await store.update(("c",), put("3"))
        asked = moody.asked
        for _ in range(50):
            await store.update(("b",), look)
            await asyncio.sleep(0)
        assert moody.asked == asked + 50
        await store.close()

    asyncio.run(scene())


def test_a_hand_over_that_fails_forgets_nothing_of_what_came_meanwhile() -> None:
    rules = GreylistRules()
    key = "t\nnet:1\na\nb"

    def know(triplet: TripletRecord) -> Change[None]:
        return lambda _: ([records.triplet_entry(triplet, rules)], None)

    async def scene() -> None:
        moody = Moody()
        guard = GuardedStore(moody, timeout=0.2)
        fallback = Fallback(guard, MemoryStore(clock=Clock()), records.merge)
        guard.start()
        fallback.memory.update_now((key,), know(TripletRecord(NOW - 900, NOW - 900, 0)))
        moody.silent = True
        fallback._begin_hand_over()
        await until(lambda: moody.asked and not fallback.memory.entries)
        fallback.memory.update_now((key,), know(TripletRecord(NOW - 400, NOW, NOW)))
        assert fallback._handing_over is not None
        await fallback._handing_over
        found = records.read_triplet(fallback.memory.entries[key])
        assert found == TripletRecord(NOW - 900, NOW, NOW), "both, and above all that it has passed"
        await fallback.close()

    asyncio.run(scene())
