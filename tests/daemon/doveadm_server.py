"""A stand-in for doveadm's HTTP API, which takes down whom it is told to kick."""

from __future__ import annotations

import base64
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from tests.testbed.closing import Closing
from tests.testbed.ports import LOOPBACK, free_port
from tests.testbed.waiting import wait_until

KEY = "open sesame"


class Kick(NamedTuple):
    """A command that came in: the mask, and when, on the clock of `time.monotonic`."""

    mask: str
    at: float


class DoveadmServer(Closing):
    """The server, from `start()` on; it answers as doveadm 2.3 and 2.4 do.

    `sessions` are the masks that end any, `usage` the KiB that its users hold, `homes` the folders
    of mail; those in `stuck` cannot be removed. `broken`: it answers nothing that is expected.
    """

    def __init__(self, key: str = KEY, *, version: str = "2.4") -> None:
        self.version = version
        self.key = key
        self.port = free_port()
        self.kicks: list[Kick] = []
        self.sessions: set[str] = set()
        self.usage: dict[str, int] = {}
        self.homes: set[str] = set()
        self.stuck: set[str] = set()
        self.broken = False
        self.refused = 0
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        """Its URL."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def masks(self) -> list[str]:
        """The masks that came in."""
        return [kick.mask for kick in self.kicks]

    def wait_for(self, mask: str) -> Kick:
        """Wait for a kick."""
        return wait_until(
            lambda: next((kick for kick in self.kicks if kick.mask == mask), None),
            f"a kick of {mask}",
        )

    def start(self) -> None:
        """Begin to listen."""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                size = int(self.headers["Content-Length"])
                status, body = outer.answer(
                    self.path, self.headers["Authorization"], self.rfile.read(size)
                )
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer((LOOPBACK, self.port), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def answer(self, path: str, authorization: str, body: bytes) -> tuple[int, bytes]:
        """Return the status and the body of an answer."""
        expected = "X-Dovecot-API " + base64.b64encode(self.key.encode()).decode()
        if authorization != expected:
            self.refused += 1
            return 401, b""
        if self.broken or path != "/doveadm/v1":
            self.refused += 1
            return 500, b"no"
        answers: list[Any] = []
        for command, parameters, number in json.loads(body):
            if command == "quotaGet":
                answers.append([*self._quota(parameters["user"]), number])
                continue
            if command in ("fsDelete", "fsStat"):
                answers.append([*self._files(command, parameters), number])
                continue
            assert command == "kick"
            (mask,) = parameters["mask"]
            self.kicks.append(Kick(mask, time.monotonic()))
            has_any = mask in self.sessions
            if self.version == "2.4":
                result = [{"count": str(int(has_any))}]
                answers.append(["doveadmResponse", result, number])
            elif has_any:
                answers.append(["doveadmResponse", [{"result": mask}], number])
            else:
                answers.append(["error", {"type": "exitCode", "exitCode": 68}, number])
        return 200, json.dumps(answers).encode()

    def _quota(self, user: str) -> tuple[str, Any]:
        if user not in self.usage:
            return "error", {"type": "exitCode", "exitCode": 67}
        root = {"root": "User quota", "limit": "-", "percent": "0"}
        return "doveadmResponse", [
            {**root, "type": "STORAGE", "value": str(self.usage[user])},
            {**root, "type": "MESSAGE", "value": "3"},
        ]

    def _files(self, command: str, parameters: dict[str, Any]) -> tuple[str, Any]:
        """Answer as doveadm 2.4.1 does, which fails to remove a folder that does not exist."""
        assert parameters["filterName"] == "mailboxes"
        failed = "error", {"type": "exitCode", "exitCode": 75}
        if command == "fsDelete":
            (home,) = parameters["path"]
            assert parameters["recursive"] is True
            if home not in self.homes or home in self.stuck:
                return failed
            self.homes.remove(home)
            return "doveadmResponse", []
        home = parameters["path"]
        if home in self.homes:
            return "doveadmResponse", [{"path": home, "size": 4096}]
        return "error", {"type": "exitCode", "exitCode": 68}

    def close(self) -> None:
        """Stop to listen."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
