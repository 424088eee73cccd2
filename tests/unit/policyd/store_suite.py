"""What every store has to do, as a class of tests: each store's tests derive from it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from policyd.stores import Change, Known, Store, StoreEntry
from tests.unit import clock

NOW = 1_900_000_000  # in the future, so that a server with a clock of its own keeps the entries


class Clock(clock.Clock):
    """A clock that stands at `NOW` until it is set."""

    def __init__(self) -> None:
        super().__init__(float(NOW))


def put(*values: str | None, expires: int = NOW + 1000) -> Change[list[str | None]]:
    """A change that sets values (None deletes) and returns what was there."""

    def change(known: Known) -> tuple[Known, list[str | None]]:
        entries = [None if value is None else StoreEntry(value, expires) for value in values]
        return entries, [entry.value if entry else None for entry in known]

    return change


def look(known: Known) -> tuple[Known, list[str | None]]:
    """A change that changes nothing and returns what is there."""
    return known, [entry.value if entry else None for entry in known]


def add_one(known: Known) -> tuple[Known, int]:
    """A counter."""
    count = int(known[0].value) + 1 if known[0] else 1
    return [StoreEntry(str(count), NOW + 1000)], count


class StoreSuite:
    """The tests. `open_store` opens the store under test; again, it opens the same entries."""

    shared = True
    """Whether two stores that are open at once see the same entries."""
    expires_itself = False
    """Whether the store's server, not our clock, removes what has expired."""

    def open_store(self, clock: Clock) -> Store:
        raise NotImplementedError

    def run(self, scene: Callable[[Store, Clock], Awaitable[None]]) -> None:
        async def play() -> None:
            clock = Clock()
            store = self.open_store(clock)
            try:
                await scene(store, clock)
            finally:
                await store.close()

        asyncio.run(play())

    def test_what_is_put_is_there(self) -> None:
        async def scene(store: Store, _: Clock) -> None:
            assert await store.update(("a",), put("1")) == [None]
            assert await store.update(("a",), look) == ["1"]
            assert await store.update(("a",), put("2")) == ["1"]
            assert await store.update(("b", "a", "c"), look) == [None, "2", None]

        self.run(scene)

    def test_what_is_deleted_is_gone(self) -> None:
        async def scene(store: Store, _: Clock) -> None:
            await store.update(("a", "b"), put("1", "2"))
            await store.update(("a", "b"), put(None, "2"))
            assert await store.update(("a", "b"), look) == [None, "2"]

        self.run(scene)

    def test_any_text_is_a_key_and_a_value(self) -> None:
        async def scene(store: Store, _: Clock) -> None:
            texts = ["t\nnet:192.0.2.0/24\nä@example.org\nb", "'; --", "*[a-z]?", "x" * 5000, " "]
            for text in texts:
                await store.update((text,), put(text))
            for text in texts:
                assert await store.update((text,), look) == [text]

        self.run(scene)

    def test_updates_at_once_are_one_after_another(self) -> None:
        async def scene(store: Store, _: Clock) -> None:
            counts = await asyncio.gather(*(store.update(("n",), add_one) for _ in range(700)))
            assert sorted(counts) == list(range(1, 701))

        self.run(scene)

    def test_many_keys_at_once(self) -> None:
        async def scene(store: Store, _: Clock) -> None:
            keys = [f"k{n}" for n in range(1000)]
            await asyncio.gather(*(store.update((key,), put(key)) for key in keys))
            assert await asyncio.gather(*(store.update((key,), look) for key in keys)) == [
                [key] for key in keys
            ]

        self.run(scene)

    def test_what_has_expired_is_not_there(self) -> None:
        async def scene(store: Store, clock: Clock) -> None:
            await store.update(("a", "b"), put("1", "2", expires=NOW + 10))
            clock.now = NOW + 9.5
            assert await store.update(("a",), look) == ["1"]
            clock.now = NOW + 10
            assert await store.update(("a", "b"), look) == [None, None]
            if not self.expires_itself:
                assert [key async for key, _ in store.scan("")] == []
            # and can be there again
            assert await store.update(("a",), put("3")) == [None]
            assert await store.update(("a",), look) == ["3"]

        self.run(scene)

    def test_a_sweep_removes_only_what_has_expired(self) -> None:
        async def scene(store: Store, clock: Clock) -> None:
            for n in range(301):
                expires = NOW + 10 if n % 3 else NOW + 100_000
                await store.update((f"k{n}",), put(str(n), expires=expires))
            clock.now = NOW + 8000
            removed = sum([await store.sweep() for _ in range(20)])
            assert removed == 200
            kept = sorted([key async for key, _ in store.scan("k")])
            assert kept == sorted(f"k{n}" for n in range(0, 301, 3))

        if not self.expires_itself:
            self.run(scene)

    def test_a_scan_finds_all_with_the_prefix(self) -> None:
        async def scene(store: Store, _: Clock) -> None:
            for n in range(2500):
                await store.update((f"t\n{n}",), put(str(n)))
            await store.update(("c\n1", "t*"), put("x", "y"))
            found = {key: entry async for key, entry in store.scan("t\n")}
            assert found == {f"t\n{n}": StoreEntry(str(n), NOW + 1000) for n in range(2500)}

        self.run(scene)

    def test_a_change_that_fails_spoils_only_its_own_update(self) -> None:
        def broken(known: Known) -> tuple[Known, Any]:
            raise ZeroDivisionError

        async def scene(store: Store, _: Clock) -> None:
            results = await asyncio.gather(
                store.update(("a",), put("1")),
                store.update(("a",), broken),
                store.update(("a",), look),
                return_exceptions=True,
            )
            assert results[0] == [None]
            assert isinstance(results[1], ZeroDivisionError)
            assert results[2] == ["1"]

        self.run(scene)

    def test_one_who_gives_up_does_not_disturb_the_others(self) -> None:
        async def scene(store: Store, _: Clock) -> None:
            updates = [asyncio.ensure_future(store.update(("n",), add_one)) for _ in range(50)]
            for update in updates[::2]:
                update.cancel()
            done = await asyncio.gather(*updates, return_exceptions=True)
            counts = [count for count in done if isinstance(count, int)]
            assert len(counts) >= 25
            assert len(set(counts)) == len(counts)
            assert await store.update(("a",), put("1")) == [None]

        self.run(scene)

    def test_what_was_answered_is_kept(self) -> None:
        async def first(store: Store, _: Clock) -> None:
            await store.update(("a",), put("1"))

        async def second(store: Store, _: Clock) -> None:
            assert await store.update(("a",), look) == ["1"]

        if self.shared:
            self.run(first)
            self.run(second)

    def test_two_that_share_it_never_overwrite_each_other(self) -> None:
        async def scene(store: Store, clock: Clock) -> None:
            other = self.open_store(clock)
            try:
                counts = await asyncio.gather(
                    *(one.update(("n",), add_one) for _ in range(150) for one in (store, other))
                )
                assert sorted(counts) == list(range(1, 301))
            finally:
                await other.close()

        if self.shared:
            self.run(scene)
