"""Stub of a Pyzor server: every digest was reported `count` times, or it never answers."""

from __future__ import annotations

import contextlib
import socketserver
import threading

from tests.testbed.closing import Closing

PORT = 24441
"""The port of Pyzor."""


class PyzorServer(Closing):
    """A UDP server with a thread; with `count` None, it takes questions and answers none."""

    def __init__(self, host: str, count: int | None = 0) -> None:
        self.count = count
        self.questions = 0
        outer = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                question, server = self.request
                outer.questions += 1
                answer = outer._answer(question)
                if answer is not None:
                    with contextlib.suppress(OSError):
                        server.sendto(answer, self.client_address)

        self._server = socketserver.UDPServer((host, PORT), Handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )
        self._thread.start()
        self.address = f"{host}:{PORT}"

    def close(self) -> None:
        """End the thread and close the socket."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _answer(self, question: bytes) -> bytes | None:
        if self.count is None:
            return None
        fields = dict(line.partition(b":")[::2] for line in question.splitlines())
        thread = fields[b"Thread"].strip().decode()
        return (
            f"Code: 200\nDiag: OK\nPV: 2.1\nThread: {thread}\nCount: {self.count}\nWL-Count: 0\n\n"
        ).encode()
