"""Client of doveadm's HTTP API for commands, which wait for its answer."""

from __future__ import annotations

import http.client
import ssl
from base64 import b64encode
from typing import Final
from urllib.parse import urlsplit

from gatepost.errors import StartError

PATH: Final = "/doveadm/v1"
"""The path of the API, for a URL without one."""
_PATTERN: Final = frozenset("*?")


def is_pattern(user: str) -> bool:
    """Return whether doveadm takes the name of a user for a pattern of several (doveadm(1), -u)."""
    return not _PATTERN.isdisjoint(user)


def ask_doveadm(url: str, key: bytes, body: bytes, *, timeout: float, max_answer: int) -> bytes:
    """Send commands in JSON, and return the answer of at most `max_answer` octets.

    `timeout` is in seconds, for each step. Raises `StartError` for a refusal, `OSError` and
    `http.client.HTTPException` if there is no answer.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context()
        connection = http.client.HTTPSConnection(host, parts.port, timeout=timeout, context=context)
    else:
        connection = http.client.HTTPConnection(host, parts.port, timeout=timeout)
    path = parts.path if parts.path not in ("", "/") else PATH
    headers = {
        "Authorization": f"X-Dovecot-API {b64encode(key).decode()}",
        "Content-Type": "application/json",
    }
    try:
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        if answer.status != 200:
            raise StartError(f"doveadm answers {answer.status} {answer.reason}")
        read = answer.read(max_answer + 1)
    finally:
        connection.close()
    if len(read) > max_answer:
        raise StartError(f"the answer of doveadm has more than {max_answer} octets")
    return read
