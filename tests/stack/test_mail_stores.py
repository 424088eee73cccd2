"""Mail stores as shards: who is passed on to which, what an outage defers, and a move."""

from __future__ import annotations

import imaplib
import threading
import time
from collections.abc import Iterator

import pytest

from tests.stack import stores
from tests.stack.stores import ANNA, BOB, PLACES, SETTLE, STORES, Shards
from tests.testbed.pod import Network
from tests.testbed.podman import podman
from tests.testbed.waiting import wait_until


@pytest.fixture(scope="module")
def shards(network: Network) -> Iterator[Shards]:
    with stores.running(network) as running:
        yield running


class Everyday:
    """A user's mail and programs, which go on until the end: mail comes, and drafts are stored."""

    def __init__(self, shards: Shards, user: str) -> None:
        self._shards = shards
        self._user = user
        self._ended = threading.Event()
        self.delivered: list[str] = []
        self.stored: list[str] = []
        self.refusals: list[str] = []
        """Answers of IMAP while nobody may log in."""
        self.replies: set[int] = set()
        self._threads = [threading.Thread(target=one) for one in (self._deliver, self._store)]

    def __enter__(self) -> Everyday:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _deliver(self) -> None:
        number = 0
        while not self._ended.is_set():
            number += 1
            subject = f"mail {number}"
            # as Postfix does: until it is taken
            while (code := self._shards.deliver(subject, self._user)[0].code) != 250:
                self.replies.add(code)
                time.sleep(0.2)
            self.delivered.append(subject)
            time.sleep(0.1)

    def _store(self) -> None:
        number = 0
        while not self._ended.is_set():
            try:
                client = self._shards.imap(self._user)
                while not self._ended.is_set():
                    number += 1
                    message = f"Subject: draft {number}\r\n\r\nx\r\n".encode()
                    if client.append("INBOX", "", "", message)[0] == "OK":
                        self.stored.append(f"draft {number}")
                    time.sleep(0.1)
            except (imaplib.IMAP4.error, OSError) as error:
                self.refusals.append(str(error))
                time.sleep(0.2)


def test_a_proxy_passes_each_user_on_to_their_store(shards: Shards) -> None:
    for user, place in PLACES.items():
        assert shards.user(user)["store"] == place
        assert [reply.code for reply in shards.deliver(f"to {place}", user)] == [250]
        assert f"to {place}" in shards.subjects(user)
        other = next(name for name in STORES if name != place)
        assert shards.copies(place, user)
        assert not shards.copies(other, user)
        with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
            shards.imap(user, "a wrong password")


def test_a_store_lets_only_its_proxies_in_without_the_password(shards: Shards) -> None:
    store, config = shards.stores["s1"], shards.configs["s1"]
    before = store.log().count("configuration reloaded")
    config.update({"DOVECOT_STORE_PROXIES": "198.51.100.1/32"})
    wait_until(lambda: store.log().count("configuration reloaded") > before, "the reload")
    with pytest.raises(imaplib.IMAP4.error):
        shards.imap(BOB)
    config.update({"DOVECOT_STORE_PROXIES": "127.0.0.1/32"})
    wait_until(lambda: store.log().count("configuration reloaded") > before + 1, "the reload")
    store.wait_ready()
    shards.imap(BOB)


def test_a_store_that_is_down_defers_its_own_users_alone(shards: Shards) -> None:
    podman("stop", "--time=10", shards.stores["s1"].name)
    try:
        assert [reply.code for reply in shards.deliver("half", ANNA, BOB)] == [250, 451]
        assert "half" in shards.subjects(ANNA)
        with pytest.raises(imaplib.IMAP4.error, match="UNAVAILABLE"):
            shards.imap(BOB)
        # a move to it fails, and the mailbox stays usable
        shards.command("user", "move", ANNA, "--store", "s1", "--no-wait")
        wait_until(lambda: "exit code" in shards.command("user", "moves", "--json"), "a failure")
        assert shards.deliver("still here", ANNA)[0].code == 250
        shards.command("user", "move", ANNA, "--cancel")
    finally:
        podman("start", shards.stores["s1"].name)
    shards.stores["s1"].wait_ready()
    assert shards.deliver("half", BOB)[0].code == 250
    assert "half" in shards.subjects(BOB)


def test_a_user_moves_while_mail_and_imap_go_on(shards: Shards) -> None:
    home = shards.user(ANNA)["home"]
    with Everyday(shards, ANNA) as everyday:
        wait_until(lambda: len(everyday.delivered) > 5 and everyday.stored, "some mail")
        assert "moved to s1" in shards.command("user", "move", ANNA, "--store", "s1")
        count = len(everyday.delivered), len(everyday.stored)
        wait_until(
            lambda: len(everyday.delivered) > count[0] + 3 and len(everyday.stored) > count[1] + 3,
            "mail in the new store",
        )
    moved = shards.user(ANNA)
    assert (moved["store"], moved["home"]) == ("s1", home)
    # nobody was told that the password is wrong, or that there is no such user
    assert everyday.replies <= {451}
    assert not [text for text in everyday.refusals if "AUTHENTICATIONFAILED" in text]
    wait_until(
        lambda: shards.command("user", "moves", "--json").strip() in ("", "[]"),
        "the end",
        deadline=SETTLE + 60,
    )
    found = shards.subjects(ANNA)
    expected = {*everyday.delivered, *everyday.stored}
    assert expected - set(found) == set()
    assert len([one for one in found if one in expected]) == len(expected)
    assert not shards.copies("s0", ANNA)
    assert shards.copies("s1", ANNA)
