"""Requests to an identity provider, over verified TLS, with bounds."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import urlencode, urlsplit

from accounts.oidc.errors import ProviderAwayError

MAX_ANSWER: Final = 262_144
"""Octets of an answer."""


class Fetch(Protocol):
    """Interface of a request to the provider, which waits for its answer."""

    def __call__(
        self,
        url: str,
        *,
        headers: dict[str, str],
        form: dict[str, str] | None,
        timeout: float,
        ca_file: Path | None,
    ) -> tuple[int, Any]:
        """Return the status and the JSON of an answer; with `form` it is a POST.

        Raises `ProviderAwayError`.
        """


def fetch(
    url: str,
    *,
    headers: dict[str, str],
    form: dict[str, str] | None,
    timeout: float,
    ca_file: Path | None,
) -> tuple[int, Any]:
    """Return the status and the JSON of an answer; with `form` it is a POST.

    `timeout` is in seconds, for everything together. A redirect is not followed. Raises
    `ProviderAwayError`.
    """
    parts = urlsplit(url)
    end = time.monotonic() + timeout
    try:
        context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
        connection = http.client.HTTPSConnection(
            parts.hostname or "", parts.port, timeout=timeout, context=context
        )
        try:
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            fields = {"Accept": "application/json"} | headers
            body = None
            if form is not None:
                body = urlencode(form).encode()
                fields["Content-Type"] = "application/x-www-form-urlencoded"
            connection.request("GET" if body is None else "POST", path, body, fields)
            answer = connection.getresponse()
            octets = _read(answer, connection, end)
            return answer.status, json.loads(octets)
        finally:
            connection.close()
    except (OSError, http.client.HTTPException) as error:
        raise ProviderAwayError(f"{url}: {error!s:.200}") from None
    except (ValueError, RecursionError):
        raise ProviderAwayError(f"{url}: the answer is no JSON") from None


def _read(
    answer: http.client.HTTPResponse, connection: http.client.HTTPSConnection, end: float
) -> bytes:
    """Read an answer until `end`, however slowly it comes."""
    read = bytearray()
    while True:
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer takes too long")
        if connection.sock is not None:
            connection.sock.settimeout(left)
        part = answer.read1(16_384)
        if not part:
            return bytes(read)
        read += part
        if len(read) > MAX_ANSWER:
            raise OSError(f"the answer has more than {MAX_ANSWER} octets")
