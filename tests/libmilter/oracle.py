"""The oracle's process, and how a conversation is played to it."""

from __future__ import annotations

import contextlib
import json
import selectors
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.libmilter.conversation import Conversation, Played, answers
from tests.testbed.closing import Closing
from tests.testbed.process import tail
from tests.testbed.waiting import DEADLINE, wait_until
from tests.unit.milters.test_protocol import OFFER, QUIT


class OracleError(Exception):
    """The oracle has ended or does not answer; the message has the end of its log."""


class Oracle(Closing):
    """libmilter in a process of its own, from construction to `close()`."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="gatepost-libmilter-"))
        self._socket, self._log = self._folder / "socket", self._folder / "log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.libmilter.filter", str(self._socket)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        try:
            wait_until(self._socket.exists, "the socket of libmilter", check=self._check)
            # What one MTA agrees to opens ways in libmilter's table of states that stay open for
            # the whole process, as they are where a process serves one MTA: all of them, at once.
            self.play(Conversation(OFFER + QUIT))
        except BaseException:
            self.close()
            raise

    def play(self, conversation: Conversation) -> Played:
        """Return what libmilter makes of it; raises `OracleError`."""
        self._ask(json.dumps({"rules": conversation.rules, "wishes": conversation.wishes}))
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(DEADLINE)
            connection.connect(str(self._socket))
            said = _converse(connection, conversation.octets)
        return Played(self._ask(""), answers(said))

    def close(self) -> None:
        """End the process."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self._process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)  # mostly gone with the process

    def _ask(self, line: str) -> Any:
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(line + "\n")
            process.stdin.flush()
        told = process.stdout.readline()
        if not told:
            process.wait(DEADLINE)
            self._check()
        return json.loads(told)

    def _check(self) -> None:
        if (code := self._process.poll()) is not None:
            raise OracleError(f"libmilter's process ended with {code}:\n{tail(self._log)}")


def _converse(connection: socket.socket, octets: bytes) -> bytes:
    """Say it all, read until the other side hangs up."""
    connection.setblocking(False)
    said, sent = bytearray(), 0
    with selectors.DefaultSelector() as selector:
        selector.register(connection, selectors.EVENT_READ | selectors.EVENT_WRITE)
        while True:
            ready = selector.select(DEADLINE)
            if not ready:
                raise OracleError(f"libmilter was silent for {DEADLINE} s")
            ((_, mask),) = ready
            try:
                if mask & selectors.EVENT_READ:
                    received = connection.recv(65536)
                    if not received:
                        return bytes(said)
                    said += received
                if mask & selectors.EVENT_WRITE:
                    sent += connection.send(octets[sent : sent + 65536])
                    if sent == len(octets):
                        connection.shutdown(socket.SHUT_WR)
                        selector.modify(connection, selectors.EVENT_READ)
            except (BrokenPipeError, ConnectionResetError):
                # it hung up before it had read all: what it had said is still to be read
                sent = len(octets)
                selector.modify(connection, selectors.EVENT_READ)
