"""The Valkey store: the tests of every store, replicas that share it, and its death and return."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import valkey.asyncio

from policyd.stores import Store, StoreError
from policyd.stores.valkey import ValkeyStore
from tests.daemon.policyd_process import PolicyDaemon
from tests.daemon.valkey_server import ValkeyServer
from tests.testbed.waiting import wait_until
from tests.unit.policyd.store_suite import Clock, StoreSuite, look, put

_prefixes = itertools.count()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    with ValkeyServer(tmp_path_factory.mktemp("valkey")) as running:
        yield running


class TestValkey(StoreSuite):
    expires_itself = True

    @pytest.fixture(autouse=True)
    def _server(self, server: ValkeyServer) -> None:
        self.url = server.url
        self.prefix = f"test{next(_prefixes)}:"

    def open_store(self, clock: Clock) -> Store:
        return ValkeyStore(self.url, prefix=self.prefix, timeout=20, clock=clock)

    def test_nobody_there_is_a_store_error(self, tmp_path: Path) -> None:
        async def scene() -> None:
            store = ValkeyStore(f"unix://{tmp_path}/nobody", timeout=1)
            with pytest.raises(StoreError, match="valkey: "):
                await store.update(("a",), look)
            await store.close()

        asyncio.run(scene())

    def test_what_others_have_put_there_is_nothing_and_spoils_nothing(self) -> None:
        async def scene(store: Store, _: Clock) -> None:
            client = valkey.asyncio.Valkey.from_url(self.url)
            for key, value in {"a": b"1\0002", "b": b"\xff", "c": b"", "d": b"words"}.items():
                await client.set(self.prefix + key, value)
            await client.aclose()
            await store.update(("e",), put("5"))
            assert await store.update(("a", "b", "c", "d", "e"), look) == [None] * 4 + ["5"]

        self.run(scene)


def settings(server: ValkeyServer, **greylist: Any) -> dict[str, Any]:
    return {
        "store": {"kind": "valkey", "url": server.url, "timeout": "5s"},
        "greylist": {"delay": "1s", **greylist},
    }


def asked_until_it_passes(policyd: PolicyDaemon, **attributes: str) -> str:
    return wait_until(
        lambda: answer if not (answer := policyd.ask(**attributes)).startswith("DEFER") else "",
        "the delay to be over",
    )


def test_replicas_share_what_they_know(tmp_path: Path) -> None:
    (tmp_path / "v").mkdir()
    with (
        ValkeyServer(tmp_path / "v") as server,
        PolicyDaemon(tmp_path / "one", settings(server)) as one,
        PolicyDaemon(tmp_path / "two", settings(server)) as two,
    ):
        assert "greylist-new" in one.ask()
        assert asked_until_it_passes(two, instance="2").startswith("PREPEND X-Greylist")
        assert one.ask(instance="3") == "DUNNO"


def test_the_store_dies_and_comes_back(tmp_path: Path) -> None:
    (tmp_path / "v").mkdir()
    with (
        ValkeyServer(tmp_path / "v") as server,
        PolicyDaemon(tmp_path / "p", settings(server)) as policyd,
    ):
        up = "gatepost_policyd_store_up"
        assert "greylist-new" in policyd.ask(sender="before@example.net")
        assert asked_until_it_passes(policyd, sender="before@example.net")
        server.kill()
        # greylisting goes on in memory, and the store is left alone
        assert "greylist-new" in policyd.ask(sender="meanwhile@example.net")
        answer = asked_until_it_passes(policyd, sender="meanwhile@example.net", instance="2")
        assert answer.startswith("PREPEND X-Greylist")
        wait_until(lambda: policyd.daemon.metric(up, store="valkey") == 0, "the store to be down")
        assert policyd.daemon.ready()
        policyd.daemon.wait_for_log(event="store down")
        server.start()
        policyd.daemon.wait_for_log(event="entries from memory written to the store")
        assert policyd.daemon.metric(up, store="valkey") == 1
        # nothing is forgotten by a new process: both are in the store
        policyd.daemon.restart()
        assert policyd.ask(sender="before@example.net") == "DUNNO"
        assert policyd.ask(sender="meanwhile@example.net") == "DUNNO"


def test_a_store_that_is_down_at_the_start_is_no_reason_not_to_start(tmp_path: Path) -> None:
    (tmp_path / "v").mkdir()
    server = ValkeyServer(tmp_path / "v")
    with PolicyDaemon(tmp_path / "p", settings(server)) as policyd:
        assert "greylist-new" in policyd.ask()
        with server:
            assert asked_until_it_passes(policyd).startswith("PREPEND")
            wait_until(
                lambda: policyd.daemon.metric("gatepost_policyd_store_up") == 1,
                "the store to be up",
            )


@pytest.mark.parametrize(
    ("mode", "answer"), [("open", "DUNNO"), ("tempfail", "451 4.3.0"), ("closed", "554 5.3.0")]
)
def test_limits_follow_their_failure_mode_while_the_store_is_down(
    tmp_path: Path, mode: str, answer: str
) -> None:
    (tmp_path / "v").mkdir()
    rule = {"name": "out", "per": "user", "count": "recipients", "limit": 1}
    with ValkeyServer(tmp_path / "v") as server:
        limited = {**settings(server), "limits": {"rules": [rule], "failure_mode": mode}}
        with PolicyDaemon(tmp_path / "p", limited) as policyd:
            assert policyd.ask(sasl_username="alice") == "DUNNO"
            assert policyd.ask(sasl_username="alice").endswith("[limit-out]")
            server.kill()
            for _ in range(5):
                assert policyd.ask(sasl_username="alice").startswith(answer)
            server.start()
            wait_until(
                lambda: policyd.ask(sasl_username="alice").endswith("[limit-out]"),
                "the limits to be kept again",
            )
            failures = "gatepost_policyd_check_failures_total"
            assert policyd.daemon.metric(failures, check="limits", mode=mode) >= 5


def test_a_store_that_hangs_is_given_up_in_time(tmp_path: Path) -> None:
    (tmp_path / "v").mkdir()
    with ValkeyServer(tmp_path / "v") as server:
        slow = {"store": {"kind": "valkey", "url": server.url, "timeout": "0.2s"}}
        with PolicyDaemon(tmp_path / "p", slow) as policyd:
            assert "greylist-new" in policyd.ask()
            server.pause()
            assert "greylist-new" in policyd.ask(sender="meanwhile@example.net")
            entry = policyd.daemon.wait_for_log(event="decision", sender="meanwhile@example.net")
            assert entry["findings"] == "greylist: new (wait 300 s)"
            fallbacks = "gatepost_policyd_store_fallbacks_total"
            assert policyd.daemon.metric(fallbacks) == 1
            server.resume()
            wait_until(lambda: "greylist-early" in policyd.ask(), "the store to be asked again")


@pytest.mark.parametrize(
    ("command", "back", "told"),
    [
        ("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0", "maxmemory"),
        ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE", "read only replica"),
    ],
)
def test_a_server_that_takes_nothing_new_is_still_read(
    tmp_path: Path, command: str, back: str, told: str
) -> None:
    (tmp_path / "v").mkdir()
    with (
        ValkeyServer(tmp_path / "v") as server,
        PolicyDaemon(tmp_path / "p", settings(server)) as policyd,
    ):
        known = [f"known{letter}@example.net" for letter in "abcdefgh"]
        for sender in known:
            assert "greylist-new" in policyd.ask(sender=sender)
        for sender in known:
            assert asked_until_it_passes(policyd, sender=sender)
        policyd.daemon.restart()  # which forgets who passed a moment ago
        server.say(command)
        for letter in "abcde":
            assert "greylist-new" in policyd.ask(sender=f"new{letter}@example.net")
        assert told in policyd.daemon.wait_for_log(event="store down")["error"]
        assert [policyd.ask(sender=sender) for sender in known] == ["DUNNO"] * len(known)
        assert asked_until_it_passes(policyd, sender="newa@example.net")
        server.say(back)
        policyd.daemon.wait_for_log(event="entries from memory written to the store")
        policyd.daemon.restart()
        assert policyd.ask(sender="newa@example.net") == "DUNNO"
