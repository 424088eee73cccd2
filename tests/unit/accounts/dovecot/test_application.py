"""The application that Dovecot asks, without a socket: tokens, mistakes, lists that break off."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from accounts.dovecot.application import PAGE, dovecot_application, has_token
from accounts.dovecot.questions import DovecotQuestions
from accounts.store.database import Database
from accounts.store.errors import DatastoreUnavailable
from gatepost.logs import get_logger
from tests.unit.accounts.dovecot.bench import Bench
from tests.unit.accounts.lookup.sample import sample_world

TOKEN = b"0123456789abcdef"


class Rules(Bench):
    dovecot_token: bytes | None = TOKEN


class Pages:
    """A datastore that has pages of addresses, and then is away."""

    def __init__(self, *pages: list[str]) -> None:
        self._pages: Iterator[list[str]] = iter(pages)

    async def read(self, work: object) -> list[str]:
        del work
        for page in self._pages:
            return page
        raise DatastoreUnavailable("away")


def scope(path: str = "/", *fields: bytes, client: tuple[str, int] | None = ("::1", 1)) -> Any:
    headers = [(b"authorization", field) for field in fields]
    return {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"user=anna@example.org",
        "headers": headers,
        "client": client,
        "server": ("a", 1),
        "scheme": "http",
        "root_path": "",
        "http_version": "1.1",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
    }


def get(rules: Rules, database: object, path: str) -> tuple[list[dict[str, Any]], str]:
    """Ask over a unix socket; the messages of the answer, and the exception that ended it."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    async def run() -> str:
        questions = DovecotQuestions(
            lambda: rules, lambda login, password: None, get_logger("test")
        )
        app = dovecot_application(cast(Database, database), lambda: rules, questions)
        try:
            await app(scope(path, client=None), receive, send)
        except Exception as error:
            return type(error).__name__
        return ""

    return sent, asyncio.run(run())


def word(sent: list[dict[str, Any]]) -> tuple[int, str]:
    fields = dict(sent[0]["headers"])
    return sent[0]["status"], fields.get(b"x-gatepost-answer", b"").decode()


@pytest.fixture
def rules() -> Rules:
    return Rules(sample_world())


def test_a_list_ends_with_an_empty_line(rules: Rules) -> None:
    first, second = [f"{number}@a" for number in range(PAGE)], ["z@a"]
    sent, error = get(rules, Pages(first, second), "/dovecot/users")
    assert error == ""
    text = b"".join(message.get("body", b"") for message in sent).decode()
    assert text == "\n".join([*first, *second, "", ""])
    assert not sent[-1]["more_body"]
    sent, _ = get(rules, Pages([]), "/dovecot/users")
    assert b"".join(message.get("body", b"") for message in sent) == b"\n"


def test_a_list_that_breaks_has_no_end(rules: Rules) -> None:
    first = [f"{number}@a" for number in range(PAGE)]
    sent, error = get(rules, Pages(first), "/dovecot/users")
    assert error == "DatastoreUnavailable"  # which closes the connection
    assert word(sent) == (200, "ok")
    assert all(message["more_body"] for message in sent[1:])
    text = b"".join(message.get("body", b"") for message in sent[1:])
    assert not text.endswith(b"\n\n")


def test_a_list_that_cannot_begin_is_temporary(rules: Rules) -> None:
    sent, _ = get(rules, Pages(), "/dovecot/users")
    assert word(sent) == (503, "temporary")


def test_a_mistake_of_ours_is_temporary(rules: Rules) -> None:
    assert word(get(rules, Pages(), "/dovecot/userdb")[0]) == (200, "ok")
    rules.source.state = "broken"
    sent, error = get(rules, Pages(), "/dovecot/userdb")
    assert word(sent) == (503, "temporary")
    assert error == ""


def test_an_answer_that_takes_too_long_is_temporary(
    rules: Rules, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def wait(self: DovecotQuestions, user: str, protocol: str) -> None:
        del self, user, protocol
        await asyncio.sleep(60)

    monkeypatch.setattr(DovecotQuestions, "userdb", wait)
    rules.settings = rules.settings.model_copy(update={"login_timeout": 0.05})
    assert word(get(rules, Pages(), "/dovecot/userdb")[0]) == (503, "temporary")


RIGHT = b"Bearer " + TOKEN


def shown(*fields: bytes, token: bytes | None = TOKEN) -> bool:
    return has_token(Request(scope("/", *fields)), token)


def test_tokens() -> None:
    assert shown(RIGHT)
    assert shown(b"bearer  " + TOKEN)
    for fields in ((), (RIGHT, RIGHT), (TOKEN,), (b"Basic " + TOKEN,), (RIGHT + b"x",), (b"",)):
        assert not shown(*fields)
    # without one that is asked for, and on a unix socket
    assert shown(token=None)
    assert has_token(Request(scope(client=None)), TOKEN)


@given(st.binary(max_size=40))
def test_any_other_token_is_none(octets: bytes) -> None:
    assert shown(b"Bearer " + octets) == (octets.decode("latin-1").strip() == TOKEN.decode())
