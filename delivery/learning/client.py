"""Client of the service that teaches the spam filter, for commands."""

from __future__ import annotations

import http.client
import json
import socket
from typing import Any, Final
from urllib.parse import urlencode

from delivery.settings import DeliverySettings
from gatepost.errors import StartError
from gatepost.listen import Inet, SocketAddress

TIMEOUT: Final = 330.0
"""Seconds for an answer: a scan may take 300."""
MAX_ANSWER: Final = 1 << 20
"""Octets of an answer."""


class LearningAwayError(StartError):
    """The service, or the scanner behind it, is away: other requests would fail as well."""


class LearningClient:
    """Client with one connection, which is opened when it is needed."""

    def __init__(self, address: SocketAddress, token: bytes = b"") -> None:
        self._address = address
        self._head = {"Authorization": f"Bearer {token.decode('ascii')}"} if token else {}
        self._connection = _Connection(address)

    @classmethod
    def of(cls, settings: DeliverySettings) -> LearningClient:
        """Return the client of the configured service; raises `StartError`."""
        address = settings.night.learning
        if address is None:
            if not settings.learning.listen:
                raise StartError("delivery.learning.listen names no address: nothing can be taught")
            address = settings.learning.listen[0]
        token = b""
        if settings.learning.token_file is not None:
            try:
                token = settings.learning.token_file.read().strip()
                token.decode("ascii")
            except (OSError, ValueError) as error:
                raise StartError(f"delivery.learning.token_file: {error}") from None
        return cls(address, token)

    def learn(self, user: str, lesson: str, message: bytes, source: str = "command") -> bool:
        """Teach a message; returns False if it was known. Raises `StartError`."""
        parameters = {"user": user, "class": lesson, "source": source}
        return bool(self._ask("POST", "/learn", parameters, message)["learned"])

    def forget(self, user: str, message: bytes) -> bool:
        """Undo the lesson of a message; returns False if it was not known. Raises `StartError`."""
        return bool(self._ask("POST", "/forget", {"user": user}, message)["forgotten"])

    def reset(self, user: str) -> bool:
        """Forget all lessons; returns False if there were none. Raises `StartError`."""
        return bool(self._ask("POST", "/reset", {"user": user})["forgotten"])

    def score(self, user: str, message: bytes) -> dict[str, Any]:
        """Return the verdict about a message; raises `StartError`."""
        return self._ask("POST", "/score", {"user": user}, message)

    def stats(self, user: str) -> dict[str, Any]:
        """Return what a user has taught; raises `StartError`."""
        return self._ask("GET", "/stats", {"user": user})

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _ask(
        self, method: str, path: str, parameters: dict[str, str], body: bytes = b""
    ) -> dict[str, Any]:
        target = f"{path}?{urlencode({key: value for key, value in parameters.items() if value})}"
        try:
            status, octets = self._send(method, target.removesuffix("?"), body)
            answer = json.loads(octets)
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            reason = str(error) or type(error).__name__
            text = f"the service that teaches ({self._address}): {reason}"
            raise LearningAwayError(text) from None
        except (ValueError, RecursionError):
            self._connection.close()
            raise LearningAwayError(f"{self._address} is not the service that teaches") from None
        if status == 200 and isinstance(answer, dict):
            return answer
        reason = str(answer.get("error")) if isinstance(answer, dict) else str(status)
        is_away = not isinstance(answer, dict) or answer.get("away", True)
        if status == 401 or (status == 503 and is_away):
            raise LearningAwayError(reason)
        raise StartError(reason)

    def _send(self, method: str, target: str, body: bytes) -> tuple[int, bytes]:
        try:
            return self._send_once(method, target, body)
        except (ConnectionError, http.client.RemoteDisconnected):
            # it was idle for too long; all requests may be made twice
            self._connection.close()
            return self._send_once(method, target, body)

    def _send_once(self, method: str, target: str, body: bytes) -> tuple[int, bytes]:
        self._connection.request(method, target, body, self._head)
        answer = self._connection.getresponse()
        octets = answer.read(MAX_ANSWER)
        if answer.will_close:
            self._connection.close()
        return answer.status, octets


class _Connection(http.client.HTTPConnection):
    def __init__(self, address: SocketAddress) -> None:
        self._address = address
        host = (address.host or "127.0.0.1") if isinstance(address, Inet) else "localhost"
        port = address.port if isinstance(address, Inet) else None
        super().__init__(host, port, timeout=TIMEOUT)

    def connect(self) -> None:
        """Connect, also to a unix socket; raises `OSError`."""
        if isinstance(self._address, Inet):
            super().connect()
            return
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(TIMEOUT)
        self.sock.connect(str(self._address.path))
