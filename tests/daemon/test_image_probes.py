"""Probes of the images: they accept the right answer, refuse another one, and cost little."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests.testbed.waiting import DEADLINE

IMAGES = Path(__file__).resolve().parents[2] / "images"
LIMIT = 0.02
"""Seconds of CPU of one probe with all its processes."""
PAGE = 'HTTP/1.0 200 OK\r\n\r\n<html><input name="_user"></html>'
RIGHT: Mapping[str, Mapping[int, str]] = {
    "postfix": {25: "220 mail ESMTP\r\n|250-mail\r\n250 SMTPUTF8\r\n|221 bye\r\n"},
    "dovecot": {10143: "* OK ready\r\n", 10024: "220 mail LMTP\r\n"},
    "rspamd": {11334: "|HTTP/1.1 200 OK\r\n\r\n"},
    "spamassassin": {7830: "|SPAMD/1.5 0 PONG\r\n"},
    "clamav": {3310: "|PONG\n"},
    "webmail": {8090: f"|{PAGE}"},
}
"""Answers of the servers of an image, by port; after each ``|``, the client has to speak first."""
WRONG: Mapping[str, Mapping[int, str]] = {
    "postfix": {25: "220 mail ESMTP\r\n|421 later\r\n"},
    "dovecot": {10143: "* OK ready\r\n", 10024: "421 later\r\n"},
    "rspamd": {11334: "|HTTP/1.1 500 Error\r\n\r\n"},
    "spamassassin": {7830: "|SPAMD/1.5 76 Bad\r\n"},
    "clamav": {3310: "|UNKNOWN\n"},
    "webmail": {8090: "|HTTP/1.0 500 Error\r\n\r\nno database"},
}


def read_request(client: socket.socket) -> bytes:
    """Read a line, or the head of a request; the shell writes each line of it by itself."""
    received = client.recv(4096)
    while received.startswith((b"GET ", b"PING ")) and not received.endswith(b"\r\n\r\n"):
        if not (more := client.recv(4096)):
            break
        received += more
    return received


def talk(listening: socket.socket, script: str) -> None:
    """Answer each client by the script, until the socket is closed."""
    while True:
        try:
            client, _ = listening.accept()
        except OSError:
            return
        with client, suppress(OSError):  # the probe may have seen enough
            client.settimeout(DEADLINE)
            for n, answer in enumerate(script.split("|")):
                if n and not read_request(client):
                    break
                client.sendall(answer.encode())


@contextmanager
def serving(answers: Mapping[int, str]) -> Iterator[None]:
    with ExitStack() as opened:
        for port, script in answers.items():
            listening = opened.enter_context(socket.create_server(("127.0.0.1", port)))
            # accept() of another thread does not end by close()
            opened.callback(listening.shutdown, socket.SHUT_RDWR)
            thread = threading.Thread(target=talk, args=(listening, script))
            thread.start()
        yield


def probe(name: str, **env: str) -> subprocess.CompletedProcess[str]:
    program = IMAGES / name / "bin" / "probe"
    return subprocess.run(
        [program], capture_output=True, text=True, timeout=DEADLINE, env={**os.environ, **env}
    )


@pytest.mark.parametrize("name", RIGHT)
def test_the_right_answer_is_enough_and_costs_little(name: str) -> None:
    with serving(RIGHT[name]):
        done = probe(name)
        assert done.returncode == 0, done.stderr
        assert "probe:" not in done.stderr
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        for _ in range(5):
            assert probe(name).returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert used / 5 < LIMIT


@pytest.mark.parametrize("name", WRONG)
def test_another_answer_or_none_is_a_failure(name: str) -> None:
    with serving(WRONG[name]):
        done = probe(name)
        assert done.returncode != 0, done.stdout
    done = probe(name)
    assert done.returncode != 0, done.stdout


@pytest.mark.parametrize(
    ("prefix", "path"), [("/", "/"), ("", "/"), ("/webmail/", "/webmail/"), ("a/b", "/a/b/")]
)
def test_webmail_is_asked_below_its_prefix(prefix: str, path: str) -> None:
    with socket.create_server(("127.0.0.1", 8090)) as listening:
        asked: list[bytes] = []

        def answer() -> None:
            client, _ = listening.accept()
            with client:
                asked.append(read_request(client))
                client.sendall(PAGE.encode())

        thread = threading.Thread(target=answer)
        thread.start()
        assert probe("webmail", WEBMAIL_PREFIX=prefix).returncode == 0
        thread.join()
    assert asked[0].startswith(f"GET {path}?_task=login HTTP/1.0\r\n".encode())
