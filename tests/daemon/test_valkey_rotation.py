"""A new password of Valkey while it and the policy server run, and `store_up` without mail."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from policyd.stores import StoreError
from policyd.stores.guard import CHECK_INTERVAL
from policyd.stores.valkey import ValkeyStore
from tests.daemon.policyd_process import PolicyDaemon
from tests.daemon.test_policyd_valkey import asked_until_it_passes
from tests.daemon.valkey_image import ValkeyImage
from tests.daemon.valkey_server import ValkeyServer
from tests.testbed.waiting import wait_until

UP = "gatepost_policyd_store_up"


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[ValkeyImage]:
    with ValkeyImage(tmp_path / "valkey", "the-first") as running:
        yield running


def settings(valkey: ValkeyImage) -> dict[str, object]:
    store = {"kind": "valkey", "url": valkey.url, "password_file": str(valkey.password_file)}
    return {"store": store, "greylist": {"delay": "1s"}}


def test_a_new_password_is_taken_and_the_old_one_removed_later(valkey: ValkeyImage) -> None:
    assert not valkey.takes("another")
    valkey.write("the-second")
    valkey.wait_until_takes("the-second")
    assert valkey.takes("the-first"), "clients that have not seen the change go on"
    assert valkey.probe()
    valkey.wait_until_refuses("the-first")
    assert valkey.takes("the-second")
    assert valkey.probe()
    assert "the-" not in valkey.log, "no password is in the log"
    assert valkey.stop() == 0


def test_one_changed_twice_has_the_last_password_alone(valkey: ValkeyImage) -> None:
    valkey.write("the-second")
    valkey.wait_until_takes("the-second")
    valkey.write("the-first")
    wait_until(lambda: valkey.log.count("the new password is valid") == 2, "both to be taken")
    wait_until(lambda: "not valid any longer" in valkey.log, "the old one to be removed")
    assert valkey.takes("the-first")
    assert not valkey.takes("the-second")


@pytest.mark.parametrize("unusable", ["", "with spaces", "quo'te"])
def test_an_unusable_password_changes_nothing(valkey: ValkeyImage, unusable: str) -> None:
    valkey.write(unusable)
    wait_until(lambda: "run: " in valkey.log, "the reason to be told")
    assert valkey.takes("the-first")
    valkey.write("the-second")
    valkey.wait_until_takes("the-second")


def test_the_policy_server_follows_without_a_restart(tmp_path: Path, valkey: ValkeyImage) -> None:
    with PolicyDaemon(tmp_path / "p", settings(valkey)) as policyd:
        assert "greylist-new" in policyd.ask(sender="before@example.net")
        assert asked_until_it_passes(policyd, sender="before@example.net")
        valkey.write("the-second")
        valkey.wait_until_takes("the-second")
        # it also closes the connection that was opened with the old password
        valkey.wait_until_refuses("the-first")
        assert "greylist-new" in policyd.ask(sender="after@example.net")
        assert asked_until_it_passes(policyd, sender="after@example.net")
        assert policyd.daemon.metric(UP, store="valkey") == 1
        assert policyd.daemon.log_entries(event="store down") == []
        waiting = "some changes need a restart: these keys are only read at the start"
        assert policyd.daemon.log_entries(event=waiting) == []
        # it is in the store: a new process knows it
        policyd.daemon.restart()
        assert policyd.ask(sender="after@example.net") == "DUNNO"


def test_a_policy_server_with_the_wrong_password_says_so(
    tmp_path: Path, valkey: ValkeyImage
) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("not-this\n")
    wrong.chmod(0o440)
    store = {"kind": "valkey", "url": valkey.url, "password_file": str(wrong)}
    with PolicyDaemon(tmp_path / "p", {"store": store}) as policyd:
        wait_until(lambda: policyd.daemon.metric(UP, store="valkey") == 0, "the store to be down")
        assert "password" in policyd.daemon.wait_for_log(event="store down")["error"]
        draft = tmp_path / "draft"
        draft.write_text("the-first\n")
        draft.chmod(0o440)
        draft.rename(wrong)
        wait_until(lambda: policyd.daemon.metric(UP, store="valkey") == 1, "the store to be up")


def test_a_password_that_cannot_be_read_is_told_each_time(valkey: ValkeyImage) -> None:
    """The client must not go on with a connection that has no password."""
    password: list[str] = []

    def read() -> str:
        if not password:
            raise ValueError("it is empty")
        return password[0]

    async def ask() -> None:
        store = ValkeyStore(valkey.url, password=read)
        for _ in range(3):
            with pytest.raises(StoreError, match="cannot read the password: it is empty"):
                await store.update(("key",), lambda known: (known, None))
        password.append("the-first")
        await store.update(("key",), lambda known: (known, None))
        await store.close()

    asyncio.run(ask())


def test_store_up_is_true_without_mail(tmp_path: Path) -> None:
    (tmp_path / "v").mkdir()
    with ValkeyServer(tmp_path / "v") as server:
        store = {"kind": "valkey", "url": server.url}
        with PolicyDaemon(tmp_path / "p", {"store": store}) as policyd:
            assert policyd.daemon.metric(UP, store="valkey") == 1
            server.kill()
            began = time.monotonic()
            wait_until(
                lambda: policyd.daemon.metric(UP, store="valkey") == 0, "the store to be down"
            )
            # one interval, three tries of one second at most, and a slow machine
            assert time.monotonic() - began < CHECK_INTERVAL + 3 + 10
            server.start()
            wait_until(lambda: policyd.daemon.metric(UP, store="valkey") == 1, "it to be back")
