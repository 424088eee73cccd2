"""The service that teaches, with a stub for spamd, when its disk is full or it is killed."""

from __future__ import annotations

import contextlib
import http.client
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.daemon import corpus
from tests.daemon.delivery_site import DeliveryDaemon, Server
from tests.daemon.test_delivery_learning import Teacher
from tests.testbed import disk
from tests.testbed.ports import LOOPBACK, free_port

ANN = "ann@example.org"


class StubTeller(Server):
    """spamd as far as TELL goes: it does everything, and notes what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.then: Callable[[], object] = lambda: None
        """Called once a lesson is done and not yet answered."""
        super().__init__()

    def serve(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as file:
            assert file.readline() == b"TELL SPAMC/1.5\r\n"
            fields = {}
            while (line := file.readline().decode().strip()) != "":
                name, _, value = line.partition(": ")
                fields[name] = value
            file.read(int(fields["Content-length"]))
            what = "Set" if "Set" in fields else "Remove"
            self.told.append(f"{what} {fields.get('Message-class', '')}".strip())
            self.then()
            connection.sendall(b"SPAMD/1.1 0 EX_OK\r\nDid%b: local\r\n\r\n\r\n" % what.encode())


def test_what_cannot_be_noted_is_not_learned(tmp_path: Path) -> None:
    if reason := disk.why_not():
        pytest.skip(f"no small disk can be mounted: {reason}")
    users, port = tmp_path / "users", free_port()
    users.mkdir()
    one, other = corpus.spam(2)
    with StubTeller() as spamd:
        daemon = DeliveryDaemon(
            tmp_path,
            {
                "spam": {"address": spamd.address, "users_folder": str(users)},
                "learning": {"listen": f"inet:{port}@{LOOPBACK}"},
            },
            within=disk.small_disk(users, 128 << 10),
        )
        daemon.start()
        try:
            teacher = Teacher(port)
            assert teacher.learn(ANN, "spam", one)
            seen = disk.seen_by(daemon.process.pid, users)
            disk.fill(seen)
            status, answer = teacher.ask("/learn", other, user=ANN, **{"class": "spam"})
            assert (status, "ledger" in answer["error"]) == (503, True), answer
            assert spamd.told == ["Set spam", "Set spam", "Remove"]
            assert teacher.stats(ANN)["spam"] == 1
            disk.make_room(seen)
            assert teacher.learn(ANN, "spam", other)
            assert teacher.stats(ANN)["spam"] == 2
        finally:
            daemon.stop()


@pytest.mark.parametrize(
    ("path", "values"), [("/learn", {"class": "ham"}), ("/forget", {})], ids=["learn", "forget"]
)
def test_a_kill_leaves_no_lesson_that_spamd_may_not_have(
    tmp_path: Path, path: str, values: dict[str, str]
) -> None:
    """spamd has done its part, and the ledger must not say the opposite for ever."""
    users, port = tmp_path / "users", free_port()
    users.mkdir()
    (one,) = corpus.spam(1)
    with StubTeller() as spamd:
        daemon = DeliveryDaemon(
            tmp_path,
            {
                "spam": {"address": spamd.address, "users_folder": str(users)},
                "learning": {"listen": f"inet:{port}@{LOOPBACK}"},
            },
        )
        daemon.start()
        try:
            teacher = Teacher(port)
            assert teacher.learn(ANN, "spam", one)
            spamd.then = daemon.kill
            with contextlib.suppress(OSError, http.client.HTTPException):
                teacher.ask(path, one, user=ANN, **values)
            spamd.then = lambda: None
            daemon.start()
            assert teacher.learn(ANN, "spam", one)
            assert (len(spamd.told), spamd.told[-1]) == (3, "Set spam")
            assert teacher.stats(ANN)["spam"] == 1
        finally:
            daemon.stop()
