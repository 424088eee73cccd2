"""`gatepost delivery` teaches a real spamd."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from delivery.learning.client import LearningAwayError, LearningClient
from gatepost.errors import StartError
from gatepost.listen import Inet
from tests.daemon import corpus
from tests.daemon.delivery_site import SPAM, DeliverySite
from tests.daemon.spamd_server import SpamdServer
from tests.testbed.daemon import gatepost_command
from tests.testbed.ports import LOOPBACK, free_port

ANN, BOB, CARL = (f"{name}@example.org" for name in ("ann", "bob", "carl"))
LEAST = 6
TOKEN = "0123456789abcdef0123"


class Teacher:
    """A client of the service."""

    def __init__(self, port: int, token: str = "", host: str = LOOPBACK) -> None:
        self.port = port
        self.host = host
        self.token = token

    def ask(
        self, path: str, body: bytes = b"", method: str = "POST", **values: str
    ) -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
        head = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        with closing(connection):
            connection.request(method, f"{path}?{urlencode(values)}", body, head)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

    def learn(self, user: str, kind: str, message: bytes) -> bool:
        status, answer = self.ask("/learn", message, user=user, **{"class": kind})
        assert status == 200, answer
        return bool(answer["learned"])

    def teach(self, user: str, count: int = LEAST, seed: int = 1) -> None:
        for message in corpus.spam(count, seed):
            assert self.learn(user, "spam", message)
        for message in corpus.ham(count, seed):
            assert self.learn(user, "ham", message)

    def stats(self, user: str) -> dict[str, Any]:
        status, answer = self.ask("/stats", method="GET", user=user)
        assert status == 200, answer
        return answer

    def points(self, user: str, message: bytes) -> float:
        status, answer = self.ask("/score", message, user=user)
        assert status == 200, answer
        return float(answer["score"])


class LearningSite:
    """spamd, the proxy with its service, and a client."""

    def __init__(self, folder: Path) -> None:
        self.spamd = SpamdServer(folder / "spamd", learns_from=LEAST)
        self.port = free_port()
        (folder / "site").mkdir()
        self.site = DeliverySite(
            folder / "site",
            {
                "spam": {
                    "address": self.spamd.address,
                    "users_folder": str(self.spamd.users),
                    "timeout": 30,
                    "min_learned": LEAST,
                },
                "learning": {"listen": f"inet:{LOOPBACK}:{self.port}", "max_size": "1M"},
            },
        )
        self.teacher = Teacher(self.port)

    def folder(self, user: str) -> Path:
        local, _, domain = user.partition("@")
        return self.spamd.users / domain / local

    def tests(self, user: str, message: bytes) -> str:
        """The X-Spam-Status of a message that is delivered."""
        (answer,) = self.site.send(message, user)
        assert answer.startswith("250 "), answer
        return self.site.store.messages[-1].fields("X-Spam-Status")[0]


@pytest.fixture(scope="module")
def learning() -> Iterator[LearningSite]:
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        site = LearningSite(Path(name))
        with site.spamd, site.site:
            yield site


@pytest.fixture
def teacher(learning: LearningSite) -> Iterator[Teacher]:
    yield learning.teacher
    for user in (ANN, BOB, CARL, "site"):
        status, answer = learning.teacher.ask("/reset", user=user)
        assert status == 200, answer


def test_what_ann_teaches_changes_her_scores_and_nobody_elses(
    learning: LearningSite, teacher: Teacher
) -> None:
    (unseen,) = corpus.spam(1, seed=2)
    (wanted,) = corpus.ham(1, seed=2)
    before = {user: teacher.points(user, unseen) for user in (ANN, BOB)}
    assert before[ANN] == before[BOB]
    assert "BAYES" not in learning.tests(ANN, unseen)
    teacher.teach(ANN)
    assert teacher.points(ANN, unseen) > before[ANN] + 2
    assert teacher.points(ANN, wanted) < teacher.points(BOB, wanted)
    assert "BAYES_99" in learning.tests(ANN, unseen)
    assert "BAYES_00" in learning.tests(ANN, wanted)
    assert teacher.points(BOB, unseen) == before[BOB]
    assert "BAYES" not in learning.tests(BOB, unseen)
    # one message for both
    learning.site.send(unseen, ANN, BOB)
    both = {one.recipients[0]: one for one in learning.site.store.messages[-2:]}
    assert "BAYES_99" in both[ANN].fields("X-Spam-Status")[0]
    assert "BAYES" not in both[BOB].fields("X-Spam-Status")[0]
    stats = teacher.stats(ANN)
    assert (stats["spam"], stats["ham"], stats["is_used"]) == (LEAST, LEAST, True)
    assert stats["sources"] == {"command": 2 * LEAST}
    assert teacher.stats(BOB)["spam"] == 0


def test_the_data_of_the_site_count_until_a_user_has_taught_enough(
    learning: LearningSite, teacher: Teacher
) -> None:
    teacher.teach("site")
    (unseen,) = corpus.spam(1, seed=3)
    assert "BAYES_99" in learning.tests(BOB, unseen)
    # ann teaches the opposite: nothing changes before it is enough
    swapped = zip(corpus.ham(LEAST, 4), corpus.spam(LEAST, 4), strict=True)
    for number, (wanted, unwanted) in enumerate(swapped, 1):
        assert teacher.learn(ANN, "spam", wanted)
        assert teacher.learn(ANN, "ham", unwanted)
        if number in (1, LEAST - 1):
            assert not teacher.stats(ANN)["is_used"]
            assert "BAYES_99" in learning.tests(ANN, unseen)
    assert teacher.stats(ANN)["is_used"]
    assert "BAYES_00" in learning.tests(ANN, unseen)
    assert "BAYES_99" in learning.tests(BOB, unseen)


def test_every_lesson_can_be_undone(learning: LearningSite, teacher: Teacher) -> None:
    teacher.teach(ANN)
    (unseen,) = corpus.spam(1, seed=5)
    (more,) = corpus.spam(1, seed=6)
    before = teacher.points(ANN, unseen)
    dump = tokens(learning.folder(ANN))
    # learned once, not twice
    assert teacher.learn(ANN, "spam", more)
    assert not teacher.learn(ANN, "spam", more)
    assert teacher.stats(ANN)["spam"] == LEAST + 1
    # the other class takes the place of the first one
    assert teacher.learn(ANN, "ham", more)
    assert (teacher.stats(ANN)["spam"], teacher.stats(ANN)["ham"]) == (LEAST, LEAST + 1)
    assert teacher.ask("/forget", more, user=ANN) == (200, {"forgotten": True})
    assert teacher.ask("/forget", more, user=ANN) == (200, {"forgotten": False})
    assert tokens(learning.folder(ANN)) == dump
    assert teacher.points(ANN, unseen) == before
    # all of them
    for message in corpus.spam(LEAST):
        assert teacher.ask("/forget", message, user=ANN) == (200, {"forgotten": True})
    assert (teacher.stats(ANN)["spam"], teacher.stats(ANN)["ham"]) == (0, LEAST)
    assert teacher.ask("/reset", user=ANN) == (200, {"forgotten": True})
    assert teacher.ask("/reset", user=ANN) == (200, {"forgotten": False})
    assert list(learning.folder(ANN).glob("bayes_*")) == []
    assert teacher.stats(ANN)["ham"] == 0


def tokens(folder: Path) -> tuple[int, int]:
    """The messages of both classes that SpamAssassin itself says it has learned."""
    script = (
        "use DB_File; tie(my %of, 'DB_File', $ARGV[0], 0) or die $!;"
        r'print join " ", map { $of{"\015\001\007\011\003$_"} // 0 } qw(NSPAM NHAM);'
    )
    command = ["perl", "-e", script, str(folder / "bayes_toks")]
    numbers = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return int(numbers[0]), int(numbers[1])


def test_a_stored_message_is_the_lesson_of_the_one_that_was_sent(
    learning: LearningSite, teacher: Teacher
) -> None:
    (sent,) = corpus.spam(1, seed=7)
    assert learning.tests(CARL, sent).startswith("No")
    stored = b"Return-Path: <a@example.com>\r\nDelivered-To: carl@example.org\r\n"
    stored += (
        b"Received: from mx by store with LMTP id 1\r\n" + learning.site.store.messages[-1].data
    )
    assert teacher.learn(CARL, "spam", stored)
    assert not teacher.learn(CARL, "spam", sent)
    # in a mail store that has other line ends
    assert not teacher.learn(CARL, "spam", stored.replace(b"\r\n", b"\n"))


@pytest.mark.parametrize(
    ("user", "status"),
    [
        ("../../etc/passwd@example.org", 400),
        ("a/../../b@example.org", 400),
        ("a/b@example.org", 400),
        ("ann@../example.org", 400),
        ("ann@example.org\r\nUser: bob@example.org", 400),
        ("ann@example.org\0", 400),
        ("ann", 400),
        ("", 400),
        ("site@site", 400),
        ("-ann@example.org", 400),
        ("x" * 5000 + "@example.org", 400),
    ],
)
def test_hostile_users(learning: LearningSite, user: str, status: int) -> None:
    message = next(corpus.spam(1))
    for path in ("/learn", "/forget", "/reset", "/score"):
        values = {"class": "spam"} if path == "/learn" else {}
        if path == "/score" and not user:
            continue
        assert learning.teacher.ask(path, message, user=user, **values)[0] == status
    assert {one.name for one in learning.spamd.users.iterdir()} <= {"example.org", "site"}


def test_wrong_requests(learning: LearningSite) -> None:
    ask = learning.teacher.ask
    message = next(corpus.spam(1))
    assert ask("/learn", message, user=ANN)[0] == 400
    assert ask("/learn", message, user=ANN, **{"class": "eggs"})[0] == 400
    assert ask("/learn", message, user=ANN, source="x", **{"class": "spam"})[0] == 400
    assert ask("/learn", b"", user=ANN, **{"class": "spam"})[0] == 400
    assert ask("/learn", message, user=ANN, more="1", **{"class": "spam"})[0] == 400
    assert ask("/nothing")[0] == 404
    assert ask("/learn", method="GET", user=ANN)[0] == 405
    assert ask("//[x")[0] == 400
    assert ask("/learn", bytes(2 << 20), user=ANN, **{"class": "spam"})[0] == 413
    for octets in (b"\0" * 100, b"POST /learn HTTP/1.1\r\n" + b"a: b\r\n" * 5000 + b"\r\n", b""):
        with socket.create_connection((LOOPBACK, learning.port), timeout=10) as raw:
            raw.sendall(octets)
            with contextlib.suppress(OSError):
                raw.shutdown(socket.SHUT_WR)
                raw.recv(1000)
    assert learning.teacher.stats(ANN)["spam"] == 0


def test_without_spamd_nothing_is_noted(learning: LearningSite, teacher: Teacher) -> None:
    message = next(corpus.spam(1, seed=8))
    learning.spamd.kill()
    try:
        for path, more in (("/learn", {"class": "spam"}), ("/forget", {}), ("/score", {})):
            status, answer = teacher.ask(path, message, user=ANN, **more)
            assert (status, "spam scanner" in answer["error"]) == (503, True), answer
            assert answer["away"]
        assert teacher.stats(ANN)["spam"] == 0
    finally:
        learning.spamd.start()
    assert teacher.learn(ANN, "spam", message)


def test_data_that_cannot_be_written(learning: LearningSite, teacher: Teacher) -> None:
    message = next(corpus.spam(1, seed=9))
    folder = learning.folder(CARL)
    folder.mkdir(parents=True, exist_ok=True)
    # spamd may not write here: it says nothing but that it has done nothing
    folder.chmod(0o755)
    status, answer = teacher.ask("/learn", message, user=CARL, **{"class": "spam"})
    assert (status, answer["away"]) == (503, False), answer
    assert teacher.stats(CARL)["spam"] == 0
    folder.chmod(0o2777)
    # the ledger is broken: spamd has to forget again
    (folder / "learned.sqlite3").write_bytes(b"this is no database" * 100)
    status, answer = teacher.ask("/learn", message, user=CARL, **{"class": "spam"})
    assert (status, answer["away"]) == (503, False)
    assert "ledger" in answer["error"]
    # this is about carl alone: a run for all users goes on
    client = LearningClient(Inet(LOOPBACK, learning.port))
    with closing(client), pytest.raises(StartError, match="ledger") as caught:
        client.learn(CARL, "spam", message)
    assert not isinstance(caught.value, LearningAwayError)
    assert teacher.ask("/reset", user=CARL)[0] == 200
    assert teacher.learn(CARL, "spam", message)
    assert tokens(folder) == (1, 0)
    # the ledger is lost: the message is known to spamd, and is noted again
    (folder / "learned.sqlite3").unlink()
    assert not teacher.learn(CARL, "spam", message)
    assert teacher.stats(CARL)["spam"] == 1
    assert tokens(folder) == (1, 0)


def test_links_are_not_followed(learning: LearningSite, teacher: Teacher, tmp_path: Path) -> None:
    message = next(corpus.spam(1, seed=10))
    kept = tmp_path / "bayes_toks"
    kept.touch()
    link = learning.spamd.users / "example.org" / "dora"
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(tmp_path)
    try:
        for path, more in (("/learn", {"class": "spam"}), ("/forget", {}), ("/reset", {})):
            status, answer = teacher.ask(path, message, user="dora@example.org", **more)
            assert (status, "symbolic link" in answer["error"]) == (503, True), answer
    finally:
        link.unlink()
    assert list(tmp_path.iterdir()) == [kept]


def test_the_ledger_has_no_text(learning: LearningSite, teacher: Teacher) -> None:
    assert teacher.learn(ANN, "spam", next(corpus.spam(1)))
    with closing(sqlite3.connect(learning.folder(ANN) / "learned.sqlite3")) as database:
        ((digest, kind, _, source),) = database.execute("SELECT * FROM lesson").fetchall()
    assert (len(digest), kind, source) == (32, "spam", "command")


def test_the_token(tmp_path: Path, learning: LearningSite) -> None:
    port = free_port()
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    file.chmod(0o600)
    (tmp_path / "site").mkdir()
    settings = dict(learning.site.settings)
    settings["learning"] = {"listen": f"inet:0.0.0.0:{port}", "token_file": str(file)}
    with DeliverySite(tmp_path / "site", settings):
        assert Teacher(port).ask("/stats", method="GET", user=ANN)[0] == 401
        assert Teacher(port, TOKEN + "x").ask("/stats", method="GET", user=ANN)[0] == 401
        assert Teacher(port, TOKEN).ask("/stats", method="GET", user=ANN)[0] == 200


def spam(learning: LearningSite, *words: str, stdin: bytes = b"") -> tuple[int, str]:
    """Run `gatepost spam`; return its exit status and its output."""
    command = (gatepost_command(), "spam", words[0], "--config", learning.site.daemon.config)
    done = subprocess.run((*command, *words[1:]), input=stdin, capture_output=True, check=False)
    return done.returncode, (done.stdout + done.stderr).decode()


def test_commands(learning: LearningSite, teacher: Teacher, tmp_path: Path) -> None:
    files = []
    for number, message in enumerate(corpus.spam(3, seed=60)):
        files.append(str(tmp_path / f"{number}.eml"))
        Path(files[-1]).write_bytes(message)
    assert spam(learning, "learn", ANN, "spam", *files) == (
        0,
        "3 messages learned, 0 known before\n",
    )
    assert spam(learning, "learn", ANN, "spam", *files) == (
        0,
        "0 messages learned, 3 known before\n",
    )
    status, output = spam(learning, "stats", ANN)
    assert status == 0
    assert output.startswith(f"{ANN}: 3 messages as spam, 0 as ham\n")
    assert "taught by: command 3" in output
    assert f"{LEAST} of each are needed" in output
    assert json.loads(spam(learning, "stats", ANN, "--json")[1])["spam"] == 3
    answer = spam(learning, "forget", ANN, "-", stdin=Path(files[0]).read_bytes())
    assert answer == (0, "1 message forgotten, 0 not known\n")
    assert spam(learning, "reset", ANN, "--yes") == (0, "forgotten\n")
    assert spam(learning, "reset", ANN, "--yes") == (0, "there was nothing to forget\n")
    # the data of the site
    assert spam(learning, "learn", "site", "ham", files[0])[0] == 0
    assert teacher.stats("site")["ham"] == 1
    for words in (
        ("learn", "../ann@example.org", "spam", files[0]),
        ("learn", "site@site", "spam", files[0]),
        ("learn", ANN, "spam", str(tmp_path / "none")),
    ):
        status, output = spam(learning, *words)
        assert (status, "Traceback" in output) == (1, False), output
    assert spam(learning, "learn", ANN, "eggs", files[0])[0] == 2


def test_a_score_is_explained(learning: LearningSite, teacher: Teacher, tmp_path: Path) -> None:
    teacher.teach(ANN)
    (message,) = corpus.spam(1, seed=61)
    assert learning.tests(ANN, message).startswith("Yes")
    file = tmp_path / "stored.eml"
    file.write_bytes(learning.site.store.messages[-1].data)
    status, output = spam(learning, "why", "--user", ANN, str(file))
    assert status == 0
    assert "It was filed as spam." in output
    assert "reaches the threshold of 5.0" in output
    assert "BAYES_99: BODY: Bayes spam probability is 99 to 100%" in output
    assert f"The data are those of {ANN}." in output
    status, output = spam(learning, "why", "--no-scan", str(file))
    assert status == 0
    assert "  BAYES_99\n" in output
    assert "not known without a scan" in output
    stored = len(learning.site.store.messages)
    status, output = spam(learning, "test", "--user", BOB, str(file))
    assert status == 0
    assert "BAYES" not in output
    assert "it would go to INBOX" in output
    verdict = json.loads(spam(learning, "test", "--user", ANN, "--json", str(file))[1])
    assert verdict["scanned_as"] == ANN
    assert "BAYES_99" in {rule["name"] for rule in verdict["rules"]}
    gtube = tmp_path / "gtube.eml"
    gtube.write_bytes(SPAM)
    assert "it would go to Junk" in spam(learning, "test", str(gtube))[1]
    assert len(learning.site.store.messages) == stored
