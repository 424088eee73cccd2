"""Questions for snapshots that are answered without one."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import structlog

from accounts.snapshots.access import Tokens
from accounts.snapshots.application import SnapshotApplication
from accounts.store.errors import DatastoreUnavailable


class Shelf:
    """A shelf that has nothing, for a reason."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def wait(self, *_: Any) -> Any:
        raise self._error


AWAY = DatastoreUnavailable("away")


def status(query: bytes, error: Exception = AWAY) -> int:
    """Return the status of an answer to root on a unix socket."""
    sent: list[Any] = []

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/snapshots/v1/senders",
        "query_string": query,
        "headers": [],
        "client": ("uid", 0),
    }
    application = SnapshotApplication(Shelf(error), Tokens)  # type: ignore[arg-type]  # only `wait`
    asyncio.run(application(scope, receive, send))
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    return int(sent[0]["status"])


@pytest.mark.parametrize("query", [b"", b"wait=0", b"wait=.5", b"wait=1e", b"x=1&wait=55.5"])
def test_a_question_that_can_be_read(query: bytes) -> None:
    assert status(query) == (400 if query.endswith(b"e") else 503)


@pytest.mark.parametrize(
    "query",
    [
        b"wait=-1",
        b"wait=.",
        b"wait=nan",
        b"wait=1.2.3",
        b"wait=\xb2",
        b"wait=%C2%B2",
        b"wait=99999999999",
        b"&".join([b"wait=1"] * 11),
        b"&".join([b"x"] * 5000),
    ],
)
def test_a_question_that_cannot(query: bytes) -> None:
    assert status(query) == 400


def test_a_mistake_is_logged() -> None:
    with structlog.testing.capture_logs() as logged:
        assert status(b"", RuntimeError("a mistake")) == 500
    (entry,) = logged
    assert (entry["log_level"], entry["snapshot"]) == ("error", "senders")
