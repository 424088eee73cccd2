"""ASGI application for Dovecot's Lua script: `verify`, `userdb` and `users`.

An answer is `key<TAB>value<LF>` lines. The field `X-Gatepost-Answer` sums it up in a word (`Word`),
which matches the status. The script treats an answer without that field as a temporary failure.
Above all, a wrong token must not look like a wrong password.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus
from typing import Final, Protocol, TypeAlias

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from accounts.directory import deleted_mailboxes, mailboxes
from accounts.dovecot.form import FormError, parse_form, text_of
from accounts.dovecot.purge import number_of
from accounts.dovecot.questions import (
    DovecotQuestions,
    DovecotReply,
    Verify,
    Word,
    read_client,
)
from accounts.http import body
from accounts.http.problems import ApiProblem
from accounts.login_rules import LoginRules
from accounts.lookup.dovecot import Home
from accounts.store.database import Database
from accounts.store.errors import DatastoreUnavailable
from gatepost.daemon import RareWarnings
from gatepost.logs import get_logger
from gatepost.metrics import Counter

ROOT: Final = "/dovecot"
HEADER: Final = "X-Gatepost-Answer"
HEADERS: Final = {"content-type": "text/plain; charset=utf-8", "cache-control": "no-store"}
MAX_BODY: Final = 16_384
"""Octets of a form: a login and a password of 512 octets, with three characters for each."""
PAGE: Final = 1000
"""Mailboxes on each page that is read for the list of all."""

STATUSES: Final = {
    Word.OK: HTTPStatus.OK,
    # so a script that checks only the status lets nobody in
    Word.MISMATCH: HTTPStatus.FORBIDDEN,
    Word.DISABLED: HTTPStatus.FORBIDDEN,
    Word.UNKNOWN: HTTPStatus.NOT_FOUND,
    Word.TEMPORARY: HTTPStatus.SERVICE_UNAVAILABLE,
}

REQUESTS: Final = Counter(
    "gatepost_accounts_dovecot_requests_total",
    "Requests from Dovecot by kind (verify, userdb, users) and answer: ok, mismatch, disabled, "
    "unknown, temporary, token (wrong token), malformed",
    ["question", "answer"],
)

log = get_logger("accounts").bind(listener="dovecot")


class ServingRules(LoginRules, Protocol):
    """The rules in use, with the token that requests over TCP must carry, if it is set."""

    dovecot_token: bytes | None


class _Refused(Exception):  # noqa: N818 # not an error of ours
    """A refused request; `name` is for the metrics, `reason` for log and client."""

    def __init__(self, status: HTTPStatus, name: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.name = name
        self.reason = reason


_Handler: TypeAlias = Callable[[Request], Awaitable[DovecotReply | Response]]


def dovecot_application(
    database: Database, rules: Callable[[], ServingRules], questions: DovecotQuestions
) -> Starlette:
    """Return the application. Use it only in the event loop of the datastore."""
    serving = _Serving(database, rules, questions)
    return Starlette(
        routes=[
            Route(f"{ROOT}/verify", serving.endpoint("verify", serving.verify), methods=["POST"]),
            Route(f"{ROOT}/userdb", serving.endpoint("userdb", serving.userdb), methods=["GET"]),
            Route(f"{ROOT}/users", serving.endpoint("users", serving.users), methods=["GET"]),
        ]
    )


class _Serving:
    """The operations, each with a check of the token and the time limit of a login."""

    def __init__(
        self, database: Database, rules: Callable[[], ServingRules], questions: DovecotQuestions
    ) -> None:
        self._database = database
        self._rules = rules
        self._questions = questions
        self._warnings = RareWarnings(log, time.monotonic)

    def endpoint(self, name: str, handle: _Handler) -> Callable[[Request], Awaitable[Response]]:
        """Return an endpoint that answers, or reports a temporary failure; it raises nothing."""

        async def answer(request: Request) -> Response:
            try:
                said = await self._perform(request, handle)
            except _Refused as refused:
                REQUESTS.labels(name, refused.name).inc()
                self._warnings.warn(
                    "request from Dovecot refused", question=name, reason=refused.reason
                )
                return Response(f"{refused.reason}\n", refused.status, HEADERS)
            except TimeoutError:
                self._warnings.warn("request from Dovecot took too long", question=name)
                said = DovecotReply(Word.TEMPORARY)
            except Exception:  # a bug must not refuse a login
                log.exception("internal error in an answer to Dovecot", question=name)
                said = DovecotReply(Word.TEMPORARY)
            word = said.word if isinstance(said, DovecotReply) else Word.OK
            REQUESTS.labels(name, word.value).inc()
            return respond(said) if isinstance(said, DovecotReply) else said

        return answer

    async def _perform(self, request: Request, handle: _Handler) -> DovecotReply | Response:
        rules = self._rules()
        if not has_token(request, rules.dovecot_token):
            raise _Refused(HTTPStatus.FORBIDDEN, "token", "token")
        try:
            async with asyncio.timeout(rules.settings.login_timeout):
                return await handle(request)
        except FormError as error:
            raise _Refused(HTTPStatus.BAD_REQUEST, "malformed", str(error)) from None
        except ApiProblem as problem:
            raise _Refused(problem.status, "malformed", problem.detail) from None

    async def verify(self, request: Request) -> DovecotReply:
        """Check a password."""
        octets = await body.read(request, MAX_BODY)
        fields = parse_form(
            octets,
            ("user", "password", "protocol", "client", "session", "secured", "store", "proxy"),
        )
        password = fields.pop("password")
        texts = {name: text_of(value) for name, value in fields.items()}
        if not texts["user"] or not texts["protocol"]:
            raise FormError("user and protocol are required")
        return await self._questions.verify(
            Verify(
                texts["user"],
                password,
                texts["protocol"].lower(),
                read_client(texts["client"]),
                texts["session"],
                texts["secured"],
                texts["store"],
                is_proxy=texts["proxy"] == "yes",
            )
        )

    async def userdb(self, request: Request) -> DovecotReply:
        """Find a mailbox."""
        fields = parse_form(request.scope["query_string"], ("user", "protocol", "store"))
        user, protocol = text_of(fields["user"]), text_of(fields["protocol"])
        store = text_of(fields["store"])
        if not user:
            raise FormError("user is required")
        if protocol == "doveadm" and (number := number_of(user)) is not None:
            return await self._deleted(user, number)
        return await self._questions.userdb(user, protocol.lower(), store)

    async def _deleted(self, user: str, number: int) -> DovecotReply:
        """Find a deleted mailbox, for its size and for administrators."""
        try:
            found = await self._database.read(lambda c: deleted_mailboxes.get(c, number))
        except DatastoreUnavailable:
            return DovecotReply(Word.TEMPORARY)
        if found is None:
            return DovecotReply(Word.UNKNOWN)
        return DovecotReply(Word.OK, Home(user, None, found.home).fields())

    async def users(self, request: Request) -> DovecotReply | Response:  # noqa: ARG002  # of every handler
        """List all mailboxes, one on each line, with an empty line at the end."""
        try:
            first = await self._page("")
        except DatastoreUnavailable:
            return DovecotReply(Word.TEMPORARY)
        # an error after the first page closes the connection within the body
        return StreamingResponse(self._lines(first), HTTPStatus.OK, _headers(Word.OK))

    async def _lines(self, page: list[str]) -> AsyncIterator[bytes]:
        while page:
            yield "".join(f"{address}\n" for address in page).encode()
            page = await self._page(page[-1]) if len(page) == PAGE else []
        yield b"\n"

    async def _page(self, after: str) -> list[str]:
        return await self._database.read(lambda c: mailboxes.addresses(c, after, PAGE))


def has_token(request: Request, token: bytes | None) -> bool:
    """Return whether a request comes over a unix socket, needs no token, or has the right one.

    The time that this takes reveals nothing about the token.
    """
    if request.client is None or token is None:
        return True
    fields = request.headers.getlist("authorization")
    scheme, _, shown = fields[0].partition(" ") if len(fields) == 1 else ("", "", "")
    digests = [hashlib.sha256(one).digest() for one in (shown.strip().encode("latin-1"), token)]
    return hmac.compare_digest(*digests) and scheme.lower() == "bearer"


def respond(said: DovecotReply) -> Response:
    """Return an HTTP response."""
    lines = "".join(f"{key}\t{value}\n" for key, value in said.fields.items())
    return Response(lines.encode(), STATUSES[said.word], _headers(said.word))


def _headers(word: Word) -> dict[str, str]:
    return HEADERS | {HEADER: word.value}
