"""Deliveries that Postfix repeats because it could not record them: each is stored once."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import signal
import threading
import time
from collections import Counter

import pytest

from tests.stack.mailboxes import ANNA, BOB, DORA, SMALL, Mailboxes
from tests.stack.stack import HOSTNAME, World
from tests.testbed.podman import podman
from tests.testbed.waiting import wait_until

KILLS, MOST_KILLS = 6, 24
BETWEEN_KILLS = 30
"""Messages that are accepted before each kill."""
USERS = (ANNA, BOB, DORA)
REDIRECT = 'redirect "eve@far.example";\n'


def taken(number: int, queue_id: str = "") -> str:
    """Return the Received field of Postfix for a message."""
    return (
        f"Received: from mx.remote.example (mx.remote.example [198.51.100.7])\r\n"
        f"\tby {HOSTNAME} (Postfix) with ESMTP id {queue_id or f'4Q{number:06d}'}\r\n"
        f"\tfor <somebody@example.org>; Thu, 26 Nov 2026 12:00:00 +0000 (UTC)\r\n"
    )


def test_what_comes_again_is_stored_once(mailboxes: Mailboxes) -> None:
    for _ in range(3):
        assert mailboxes.deliver(BOB, "repeated", fields=taken(1)).code == 250
    assert mailboxes.subjects(BOB).count("repeated") == 1


def test_another_message_another_recipient_and_another_user_get_theirs(
    mailboxes: Mailboxes,
) -> None:
    """The Message-ID, which senders choose, is the same in all of them."""
    for fields in (taken(2), taken(3), taken(2, "4Q000004"), ""):
        assert mailboxes.deliver(BOB, "the same id", fields=fields).code == 250
    assert mailboxes.deliver("bob+Archive@example.org", "the same id", fields=taken(2)).code == 250
    assert mailboxes.deliver(DORA, "the same id", fields=taken(2)).code == 250
    assert mailboxes.subjects(BOB).count("the same id") == 4
    assert mailboxes.subjects(BOB, "Archive").count("the same id") == 1
    assert mailboxes.subjects(DORA).count("the same id") == 1


def test_a_received_field_of_the_sender_suppresses_nothing(mailboxes: Mailboxes) -> None:
    """The one of Postfix is above it."""
    assert mailboxes.deliver(BOB, "real", fields=taken(5)).code == 250
    for number in (6, 7):
        fields = taken(number) + taken(5)
        assert mailboxes.deliver(BOB, "with a forged field", fields=fields).code == 250
    assert mailboxes.subjects(BOB).count("with a forged field") == 2


def test_a_quarantine_gets_each_part_of_the_recipients(mailboxes: Mailboxes) -> None:
    """A message for many recipients comes in parts, and each part names its own."""
    for part in ("one@example.org", "two@example.org"):
        fields = f"X-Virus-Status: Infected (Eicar)\r\nX-Envelope-To: <{part}>\r\n{taken(9)}"
        assert mailboxes.deliver(BOB, "a virus", fields=fields).code == 250
    assert mailboxes.subjects(BOB).count("a virus") == 2


def test_a_delivery_that_failed_is_tried_again(mailboxes: Mailboxes, world: World) -> None:
    world.sink.refuse_with("451 4.3.0 not now")
    mailboxes.sieve(BOB, REDIRECT)
    try:
        assert mailboxes.deliver(BOB, "redirected later", fields=taken(8)).code == 451
    finally:
        world.sink.refuse_with("")
        mailboxes.sieve(BOB, "keep;\n")
    assert mailboxes.deliver(BOB, "redirected later", fields=taken(8)).code == 250
    assert mailboxes.subjects(BOB).count("redirected later") == 1

    number = 10
    while mailboxes.deliver(SMALL, "large", fields=taken(number), text="x" * 300_000).code == 250:
        number += 1
        assert number < 20, "the mailbox is never full"
    empty(mailboxes)
    text = "x" * 300_000
    assert mailboxes.deliver(SMALL, "large", fields=taken(number), text=text).code == 250
    assert mailboxes.subjects(SMALL) == ["large"]
    empty(mailboxes)


def empty(mailboxes: Mailboxes) -> None:
    client = mailboxes.imap(SMALL)
    client.select()
    client.store("1:*", "+FLAGS", "\\Deleted")
    client.expunge()
    client.logout()


class Repeating:
    """Delivers each message until it gets 250, as Postfix does, one at a time for each user."""

    def __init__(self, mailboxes: Mailboxes) -> None:
        self._mailboxes = mailboxes
        self.begun: set[int] = set()
        self.accepted: set[int] = set()
        self._stopping = threading.Event()
        self._giving_up = threading.Event()
        self._threads = [
            threading.Thread(target=self._session, args=(n,)) for n in range(len(USERS))
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Begin no further message, and wait until those under way are accepted."""
        self._stopping.set()
        end = time.monotonic() + 120
        for thread in self._threads:
            thread.join(max(end - time.monotonic(), 0))
        self._giving_up.set()
        for thread in self._threads:
            thread.join()

    def _session(self, user: int) -> None:
        for number in itertools.count(user, len(USERS)):
            if self._stopping.is_set():
                return
            self.begun.add(number)
            while not self._deliver(number, USERS[user]):
                if self._giving_up.is_set():
                    return
                time.sleep(0.1)

    def _deliver(self, number: int, recipient: str) -> bool:
        fields = taken(1000 + number)
        with contextlib.suppress(OSError, ValueError):
            if self._mailboxes.deliver(recipient, f"under way {number}", fields=fields).code == 250:
                self.accepted.add(number)
                return True
        return False


def kill_and_start(mailboxes: Mailboxes) -> None:
    dovecot = mailboxes.dovecot
    os.kill(dovecot.pid, signal.SIGKILL)
    wait_until(lambda: not dovecot.state["State"]["Running"], "the end of Dovecot")
    podman("start", dovecot.name)
    dovecot.wait_ready()


def test_a_lock_of_a_killed_process_keeps_nobody_out(mailboxes: Mailboxes) -> None:
    """The host has the same name again, and a living process has that number."""
    assert mailboxes.deliver(ANNA, "before the kill").code == 250
    lock = f"{mailboxes.home(ANNA)}/mail/dovecot-uidlist.lock"
    mailboxes.dovecot.execute(
        "sh", "-c", f'printf "1:%s" "$(cat /proc/sys/kernel/hostname)" > {lock}'
    )
    kill_and_start(mailboxes)
    assert mailboxes.deliver(ANNA, "after the kill").code == 250
    assert {"before the kill", "after the kill"} <= set(mailboxes.subjects(ANNA))


@pytest.mark.timeout(600)
def test_a_kill_between_message_and_key_doubles_nothing(mailboxes: Mailboxes) -> None:
    load = Repeating(mailboxes)
    settled = kills = 0
    try:
        # until one of the kills came between a message and its key
        while kills < KILLS or (settled == 0 and kills < MOST_KILLS):
            goal = len(load.accepted) + BETWEEN_KILLS
            wait_until(lambda goal=goal: len(load.accepted) >= goal, "messages", deadline=90)  # type: ignore[misc]
            kill_and_start(mailboxes)
            kills += 1
            told = re.findall(r"settle: .* (\d+) of them stored", mailboxes.dovecot.log())
            settled = sum(map(int, told))
    finally:
        load.close()
    assert load.begun == load.accepted
    found = Counter(
        subject
        for user in USERS
        for subject in mailboxes.subjects(user)
        if subject.startswith("under way ")
    )
    assert set(found) == {f"under way {number}" for number in load.begun}
    assert set(found.values()) == {1}, found.most_common(5)
    assert settled > 0, f"none of {kills} kills came between a message and its key"
