"""doveadm over HTTP, as a backup asks it."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from accounts.backup import dovecot
from accounts.backup.dovecot import DoveadmRefusalError, HttpRunner, LiveFolder, MailStore
from gatepost.config import SecretFile
from gatepost.errors import StartError
from tests.testbed.ports import LOOPBACK, free_port

KEY, USER = "open sesame", "anna@example.org"


class Doveadm:
    """Answers each request with the next of `answers`, and the last one from then on."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, bytes]] = []
        self.asked: list[Any] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                key = base64.b64encode(KEY.encode()).decode()
                known = self.headers["Authorization"] == f"X-Dovecot-API {key}"
                outer.asked += json.loads(body)
                status, answer = outer.answers[0]
                outer.answers = outer.answers[1:] or outer.answers
                self.send_response(status if known else 401)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        self.server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.server.server_port}"

    def answer(self, payload: Any, kind: str = "doveadmResponse") -> None:
        self.answers.append((200, json.dumps([[kind, payload, "1"]]).encode()))


@pytest.fixture
def doveadm() -> Iterator[Doveadm]:
    made = Doveadm()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_text(KEY)
    path.chmod(0o600)
    return path


@pytest.fixture
def store(doveadm: Doveadm, key: Path) -> MailStore:
    return MailStore(HttpRunner(doveadm.url, SecretFile(key)))


def test_folders_and_messages_are_read(doveadm: Doveadm, store: MailStore) -> None:
    row = {"mailbox": "INBOX", "guid": "a" * 32, "messages": "2", "uidnext": "20001"}
    doveadm.answer([row])
    doveadm.answer([{"guid": "one"}])
    doveadm.answer([{"guid": "two"}])
    (folder,) = store.folders(USER)
    assert folder == LiveFolder("INBOX", "a" * 32, 2, 20001)
    assert list(store.guids(USER, folder)) == ["one", "two"]
    assert [each[1].get("query", [""])[-1] for each in doveadm.asked] == [
        "",
        "1:10000",
        "10001:20000",
    ]


def test_no_shell_reads_a_name(doveadm: Doveadm, store: MailStore, tmp_path: Path) -> None:
    doveadm.answer([])
    strange = "$(id)'\"; rm -rf@example.org"
    store.copy_out(strange, tmp_path / "home", tmp_path / "index")
    ((command, parameters, _),) = doveadm.asked
    assert (command, parameters["user"]) == ("backup", strange)
    words = parameters["destination"]
    assert words[:2] == ["env", f"USER={strange}"]
    assert [word for word in words if strange in word] == [f"USER={strange}"]


@pytest.mark.parametrize("user", ["?nna@example.org", "*@example.org"])
def test_a_name_is_never_a_pattern_for_several_users(
    doveadm: Doveadm, store: MailStore, tmp_path: Path, user: str
) -> None:
    folder = LiveFolder("INBOX", "a" * 32, 2, 3)
    for work in (
        lambda: store.copy_out(user, tmp_path / "home", tmp_path / "index"),
        lambda: store.copy_in(user, tmp_path / "home", tmp_path / "index"),
        lambda: store.folders(user),
        lambda: list(store.guids(user, folder)),
    ):
        doveadm.answer([])
        with pytest.raises(StartError, match="several users"):
            work()
    assert doveadm.asked == []


def test_a_mailbox_that_changes_is_copied_again(
    doveadm: Doveadm, store: MailStore, tmp_path: Path
) -> None:
    doveadm.answer({"type": "exitCode", "exitCode": 2}, "error")
    doveadm.answer([])
    store.copy_out(USER, tmp_path / "home", tmp_path / "index")
    assert len(doveadm.asked) == 2
    doveadm.answers.clear()
    doveadm.answer({"type": "exitCode", "exitCode": 2}, "error")
    store.copy_in(USER, tmp_path / "home", tmp_path / "index")
    assert len(doveadm.asked) == 5, "it has to end"
    assert doveadm.asked[-1][1]["reverseSync"]
    assert doveadm.asked[-1][1]["onewaySync"]


@pytest.mark.parametrize(
    ("code", "told"), [(67, "no such mailbox"), (75, "for now"), (9, "status 9")]
)
def test_an_error_has_its_reason(doveadm: Doveadm, store: MailStore, code: int, told: str) -> None:
    doveadm.answer({"type": "exitCode", "exitCode": code}, "error")
    with pytest.raises(DoveadmRefusalError, match=told) as failed:
        store.folders(USER)
    assert failed.value.code == code


@pytest.mark.parametrize(
    "answer",
    [b"", b"[]", b"{}", b"null", b"[[1,2]]", b"[" * 100_000, b'[["doveadmResponse",[{}],"1"]]',
     b'[["doveadmResponse",[{"mailbox":1,"guid":2,"messages":"x","uidnext":[]}],"1"]]', b"\xff",
     b'[["doveadmResponse",["x"],"1"]]', b'[["error",null,"1"]]'],
)  # fmt: skip
def test_nonsense_is_one_line(doveadm: Doveadm, store: MailStore, answer: bytes) -> None:
    doveadm.answers = [(200, answer)]
    with pytest.raises(StartError) as failed:
        store.folders(USER)
    assert "\n" not in str(failed.value)


def test_an_answer_without_end_is_cut(
    doveadm: Doveadm, store: MailStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dovecot, "MAX_ANSWER", 1000)
    doveadm.answers = [(200, b"[" * 10_000)]
    with pytest.raises(StartError, match="more than 1000 octets"):
        store.folders(USER)


def test_a_wrong_key_and_no_server(doveadm: Doveadm, store: MailStore, key: Path) -> None:
    doveadm.answer([])
    key.write_text("another")
    with pytest.raises(StartError, match="answers 401"):
        store.folders(USER)
    key.chmod(0o644)
    with pytest.raises(StartError, match="accessible to everybody"):
        store.folders(USER)
    key.unlink()
    with pytest.raises(StartError, match="cannot read the key"):
        store.folders(USER)
    key.write_text(KEY)
    key.chmod(0o600)
    nowhere = MailStore(HttpRunner(f"http://{LOOPBACK}:{free_port()}", SecretFile(key)))
    with pytest.raises(StartError, match="does not answer"):
        nowhere.folders(USER)
