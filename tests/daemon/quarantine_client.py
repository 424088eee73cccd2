"""A client of a holder of mail, as a test uses it."""

from __future__ import annotations

import http.client
import json
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.testbed.ports import LOOPBACK, free_port
from tests.testbed.waiting import DEADLINE

TOKEN = "0123456789abcdef0123"


class HolderClient:
    """A client with a token, of a service that `settings` configure."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.token = TOKEN
        self.token_file = folder / "quarantine.token"
        self.token_file.write_text(TOKEN + "\n")
        self.token_file.chmod(0o600)

    @property
    def settings(self) -> dict[str, Any]:
        return {"listen": f"inet:{self.port}@{LOOPBACK}", "token_file": str(self.token_file)}

    def post(
        self, path: str, body: Any = None, *, raw: bytes | None = None, method: str = "POST"
    ) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=DEADLINE)
        head = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        with closing(connection):
            octets = json.dumps(body).encode() if raw is None else raw
            connection.request(method, path, octets, head)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def ask(self, path: str, **values: Any) -> dict[str, Any]:
        status, octets = self.post(path, {"domains": None, **values})
        assert status == 200, octets
        answer: dict[str, Any] = json.loads(octets.partition(b"\n")[0])
        return answer

    def mails(self, **values: Any) -> list[dict[str, Any]]:
        mails: list[dict[str, Any]] = self.ask("/list", **{"limit": 100, **values})["mails"]
        return mails

    def content(self, mail_id: str, most: int = 1 << 20) -> bytes:
        status, octets = self.post("/read", {"domains": None, "id": mail_id, "most": most})
        assert status == 200
        return octets.partition(b"\n")[2]
