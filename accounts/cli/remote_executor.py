"""Executor of operations by the service, over its REST API."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

from accounts.api_settings import ApiSettings
from accounts.cli.executor import Away, Declined, OperationStep, StepResult
from accounts.http import body
from accounts.http.paths import ROOT
from accounts.http.problems import MAX_TEXT
from gatepost.errors import StartError
from gatepost.printable import escape
from gatepost.version import __version__

MAX_ANSWER = 64 << 20
"""Octets of an answer: a page of 500 objects with long lists has a few million."""

_TRY_AGAIN = (
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
)


class RemoteExecutor:
    """Executor with the permissions of a token."""

    def __init__(self, settings: ApiSettings) -> None:
        if settings.url is None:
            raise StartError("the URL of the API is not set: set url in [accounts.api]")
        self._url = settings.url
        self._token = _token(settings)
        self._path = _path(settings.url)
        self._connection = _connection(settings)

    def do(self, *steps: OperationStep, dry_run: bool = False) -> list[StepResult]:
        """Do all steps in one request."""
        parts = [step.as_part() for step in steps]
        status, received = self._ask(body.written({"operations": parts, "dry_run": dry_run}))
        try:
            answer = json.loads(received)
            if status == HTTPStatus.OK:
                pairs = zip(steps, answer["items"], strict=True)
                return [StepResult(one["body"], one["tag"], one["next"]) for _, one in pairs]
            sentence = escape(str(answer["detail"])[:MAX_TEXT])
        except (ValueError, KeyError, TypeError, RecursionError):
            raise Away(
                f"{self._url} gave an answer that is not from the API (status {status})"
            ) from None
        if status in _TRY_AGAIN:
            raise Away(f"{self._url}: {sentence}")
        raise Declined(sentence, status)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _ask(self, octets: bytes) -> tuple[int, bytes]:
        headers = {
            "Authorization": f"Bearer {self._token}",
            "Content-Type": "application/json",
            "User-Agent": f"gatepost/{__version__}",
        }
        try:
            self._connection.connect()
        except ssl.SSLError as error:
            reason = getattr(error, "verify_message", "") or error.reason or str(error)
            raise Away(f"cannot trust {self._url}: {reason}") from None
        except OSError as error:
            raise Away(f"cannot reach {self._url}: {error.strerror or error}") from None
        try:
            self._connection.request("POST", f"{self._path}/batch", octets, headers)
            response = self._connection.getresponse()
            received = response.read(MAX_ANSWER + 1)
            if response.length and len(received) <= MAX_ANSWER:
                raise http.client.IncompleteRead(received, response.length)
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise Away(
                f"{self._url} gave no answer; the change may or may not have been made: "
                f"{escape(reason)}"
            ) from None
        finally:
            self._connection.close()
        if len(received) > MAX_ANSWER:
            raise Away(f"{self._url} gave an answer of more than {MAX_ANSWER} octets")
        return response.status, received


class _UnixConnection(http.client.HTTPConnection):
    """HTTP connection to a unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Connect."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _connection(settings: ApiSettings) -> http.client.HTTPConnection:
    assert settings.url is not None  # noqa: S101
    if settings.url.startswith("unix:"):
        return _UnixConnection(settings.url.removeprefix("unix:"), settings.timeout)
    url = urlsplit(settings.url)
    host = url.hostname or ""
    if url.scheme == "http":
        return http.client.HTTPConnection(host, url.port or 80, timeout=settings.timeout)
    return http.client.HTTPSConnection(
        host, url.port or 443, timeout=settings.timeout, context=_trust(settings.ca_file)
    )


def _trust(file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=None if file is None else str(file))
    except (OSError, ssl.SSLError) as error:
        reason = "it has no certificate" if isinstance(error, ssl.SSLError) else error.strerror
        raise StartError(f"cannot read the certificates in {file}: {reason}") from None


def _path(url: str) -> str:
    path = "" if url.startswith("unix:") else urlsplit(url).path.rstrip("/")
    return path if path.endswith(ROOT) else path + ROOT


def _token(settings: ApiSettings) -> str:
    file = settings.token_file
    if file is None:
        raise StartError(
            "the API requires a token: set token_file in [accounts.api], or use --token-file"
        )
    try:
        text = file.read_text("ascii").strip()
    except OSError as error:
        raise StartError(f"cannot read the token in {file}: {error.strerror}") from None
    except ValueError as error:
        raise StartError(f"the token cannot be used: {error}") from None
    if not text or len(text) > 200 or not text.isprintable() or " " in text:
        raise StartError(f"{file} must have a token as its only line")
    return text
