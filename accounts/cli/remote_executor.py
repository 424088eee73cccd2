"""Executor of operations by the service, over its REST API."""

from __future__ import annotations

import http.client
import json
import ssl
from http import HTTPStatus
from urllib.parse import urlsplit

from accounts.api_settings import ApiSettings
from accounts.cli.api_connection import ApiConnection
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
        self._connection = ApiConnection(settings)

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
        connection = self._connection
        try:
            connection.connect()
        except ssl.SSLError as error:
            reason = getattr(error, "verify_message", "") or error.reason or str(error)
            raise Away(f"cannot trust {self._url}: {reason}") from None
        except TimeoutError:
            raise Away(f"cannot reach {self._url}: {connection.deadline}") from None
        except OSError as error:
            raise Away(f"cannot reach {self._url}: {error.strerror or error}") from None
        try:
            connection.post(f"{self._path}/batch", octets, headers)
            with connection.getresponse() as response:
                received = response.read(MAX_ANSWER + 1)
                if response.length and len(received) <= MAX_ANSWER:
                    raise http.client.IncompleteRead(received, response.length)
        except TimeoutError:
            raise self._unanswered(str(connection.deadline)) from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise self._unanswered(reason) from None
        finally:
            connection.close()
        if len(received) > MAX_ANSWER:
            raise Away(f"{self._url} gave an answer of more than {MAX_ANSWER} octets")
        return response.status, received

    def _unanswered(self, reason: str) -> Away:
        return Away(
            f"{self._url} gave no answer; the change may or may not have been made: "
            f"{escape(reason)}"
        )


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
