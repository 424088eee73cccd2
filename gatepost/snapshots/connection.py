"""Connection to accounts for small requests, each with a short answer."""

from __future__ import annotations

import http.client
import ssl
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Final, NamedTuple

from gatepost.snapshots.client import FetchError, open_connection, path_of, read_token
from gatepost.snapshots.settings import AccountsSource

MAX_ANSWER: Final = 1 << 20
"""Octets of an answer."""
_PART: Final = 16 << 10


class AccountsAnswer(NamedTuple):
    """An answer of accounts; the body is empty unless the status is 200."""

    status: int
    body: bytes = b""


class AccountsConnection:
    """Connection that is opened when it is needed. Use it in one thread."""

    def __init__(
        self, source: AccountsSource, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._source = source
        self._monotonic = monotonic
        self._connection: http.client.HTTPConnection | None = None

    def ask(
        self,
        method: str,
        target: str,
        timeout: float,
        octets: bytes | None = None,
        media_type: str = "",
    ) -> AccountsAnswer:
        """Send a request and return the answer; raises `FetchError`.

        `timeout` is for each step, and for the whole body of the answer, in seconds.
        """
        try:
            headers = {"Content-Type": media_type} if media_type else {}
            if token := read_token(self._source):
                headers["Authorization"] = f"Bearer {token}"
            return self._ask(method, path_of(self._source) + target, octets, headers, timeout)
        except FetchError:
            self.close()
            raise
        except (OSError, ssl.SSLError, http.client.HTTPException) as error:
            self.close()
            raise FetchError("away", f"{type(error).__name__}: {error}") from None

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _ask(
        self,
        method: str,
        target: str,
        octets: bytes | None,
        headers: dict[str, str],
        timeout: float,
    ) -> AccountsAnswer:
        is_new = self._connection is None
        try:
            return self._try(method, target, octets, headers, timeout)
        except (ConnectionError, http.client.BadStatusLine):
            self.close()
            if is_new:
                raise
        # accounts had closed the idle connection
        return self._try(method, target, octets, headers, timeout)

    def _try(
        self,
        method: str,
        target: str,
        octets: bytes | None,
        headers: dict[str, str],
        timeout: float,
    ) -> AccountsAnswer:
        connection = self._connection
        if connection is None:
            connection = self._connection = open_connection(self._source)
            connection.timeout = timeout
            connection.connect()
        if connection.sock is not None:
            connection.sock.settimeout(timeout)
        connection.request(method, target, octets, headers)
        response = connection.getresponse()
        if response.status == HTTPStatus.OK:
            answer = AccountsAnswer(response.status, self._read(response, timeout))
            if response.will_close:
                self.close()
            return answer
        if response.status == HTTPStatus.NO_CONTENT and not response.will_close:
            response.read()  # it has no body
        else:
            self.close()
        return AccountsAnswer(response.status)

    def _read(self, response: http.client.HTTPResponse, timeout: float) -> bytes:
        body, end = bytearray(), self._monotonic() + timeout
        while part := response.read1(_PART):
            body += part
            if len(body) > MAX_ANSWER:
                raise FetchError("invalid", f"the answer has more than {MAX_ANSWER} octets")
            if self._monotonic() > end:
                raise FetchError("away", f"the answer took more than {timeout:g} s")
        if response.length:
            raise FetchError("away", "the answer broke off")
        response.close()  # `read1` leaves it open, and then there is no next request
        return bytes(body)
