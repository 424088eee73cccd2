"""Dispatcher of requests: limits, authentication, access, body, operation, answer.

Each refusal of an authenticated principal is entered in the audit log. Refusals of other clients
are, up to a rate. All have a line in the log.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import Response

from accounts.attempts import ClientAddress
from accounts.http import access, body
from accounts.http.authentication import Authentication, Refused
from accounts.http.call import ApiReply, Call, IfMatch, actor_of
from accounts.http.client import client_of
from accounts.http.context import Context
from accounts.http.models.base import NoQuery
from accounts.http.operation import Operation
from accounts.http.principals import Principal
from accounts.http.problems import ApiProblem, of_store, too_many, unavailable
from accounts.http.rates import Buckets, network_of
from accounts.lookup.ask import Unavailable
from accounts.passwords import Busy
from accounts.store.errors import DatastoreError, RefusalError
from accounts.store.seal import SealError
from accounts.store.transaction import Actor, Write
from gatepost.logs import get_logger
from gatepost.metrics import Counter

MAX_QUERY = 20
"""Maximum number of parameters of a query."""
NOBODY_RATE = 1.0
NOBODY_BURST = 100
"""Entries of the audit log about unauthenticated requests: per second, and at once."""
MAX_AUDITED = 200
"""Characters of a subject in the audit log that comes from a client."""

REQUESTS = Counter(
    "gatepost_accounts_http_requests_total",
    "API requests by operation and status",
    ["operation", "status"],
)

log = get_logger("accounts")


class Dispatcher:
    """Dispatcher of requests to operations."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._buckets = Buckets()
        self.authentication = Authentication(context, self._buckets)

    async def answer(self, request: Request, operation: Operation) -> Response:
        """Return the answer to a request; raises nothing."""
        started = time.monotonic()
        client = client_of(request, self._context.settings.proxies)
        who = _PrincipalName()
        try:
            async with asyncio.timeout(self._context.settings.request_timeout):
                response = await self._perform(request, operation, client, who)
        except TimeoutError:
            response = unavailable("The request took too long.").response()
        except ApiProblem as problem:
            response = problem.response()
        except Exception:  # a bug; the client learns no details
            log.exception("internal error in an operation", operation=operation.name)
            response = ApiProblem(
                HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong; the log says what."
            ).response()
        status = int(response.status_code)
        REQUESTS.labels(operation.name, str(status)).inc()
        log.info(
            "request",
            operation=operation.name,
            status=status,
            actor=who.name,
            client=str(client or ""),
            seconds=round(time.monotonic() - started, 3),
        )
        return response

    def check_network(self, request: Request) -> None:
        """Raise `ApiProblem` if the network of a client has made too many requests."""
        settings = self._context.settings
        network = network_of(client_of(request, settings.proxies))
        wait = self._buckets.take(
            f"network {network}",
            settings.network_rate,
            settings.network_burst,
            self._context.clock(),
        )
        if wait > 0:
            raise too_many("Too many requests come from this network.", wait)

    def check_principal(self, principal: Principal) -> None:
        """Raise `ApiProblem` if a principal has made too many requests."""
        settings = self._context.settings
        wait = self._buckets.take(
            f"principal {principal.key}",
            settings.principal_rate,
            settings.principal_burst,
            self._context.clock(),
        )
        if wait > 0:
            raise too_many("This login or token makes too many requests.", wait)

    async def _perform(
        self,
        request: Request,
        operation: Operation,
        client: ClientAddress | None,
        who: _PrincipalName,
    ) -> Response:
        self.check_network(request)
        check_origin(request)
        principal, is_write = None, operation.is_write
        try:
            principal = await self.authentication.principal(request, client)
            who.name = actor_of(principal, client).name
            call = await self._read(request, operation, principal, client)
            is_write = is_write if operation.writes is None else operation.writes(call)
            if operation.prepare is not None:
                call = replace(call, prepared=await operation.prepare(call))
            reply = await operation.handle(call)
        except Refused as refused:
            await self._note_nobody(operation, request, client, refused)
            raise
        except ApiProblem as problem:
            if principal is not None and _is_noted(problem.status, is_write):
                await self.note(
                    f"api.{operation.name}", request, actor_of(principal, client), problem.detail
                )
            raise
        except access.Forbidden as error:
            assert principal is not None  # noqa: S101
            if not error.action:  # refusals within a transaction are in the audit log already
                await self.note(
                    f"api.{operation.name}", request, actor_of(principal, client), str(error)
                )
            raise ApiProblem(HTTPStatus.FORBIDDEN, str(error)) from None
        except (DatastoreError, Unavailable, Busy) as error:
            if isinstance(error, SealError):
                log.error("secrets cannot be used", error=str(error))  # noqa: TRY400 # no traceback needed
            is_noted = not isinstance(error, RefusalError) or bool(error.action)
            if principal is not None and is_write and not is_noted:
                await self.note(
                    f"api.{operation.name}", request, actor_of(principal, client), str(error)
                )
            raise of_store(error) from None
        return respond(operation, reply, request)

    async def _read(
        self,
        request: Request,
        operation: Operation,
        principal: Principal,
        client: ClientAddress | None,
    ) -> Call:
        """Return the checked call of a request."""
        settings = self._context.settings
        self.check_principal(principal)
        params = request.path_params
        access.check_role(principal, operation)
        access.check_targets(principal, operation, params, None, complete=False)
        query = body.validate(operation.query or NoQuery, _query(request), strict=False)
        matching = IfMatch(None)
        if operation.matches:
            matching = IfMatch.parse(request.headers.get("if-match"))
        given = None
        if operation.takes is not None:
            body.check_type(request)
        octets = await body.read(request, settings.max_body)
        if operation.takes is not None:
            given = body.validate(operation.takes, body.parse(octets))
        elif octets:
            raise ApiProblem(HTTPStatus.BAD_REQUEST, "This operation takes no body.")
        touched = given if operation.takes is not None else query
        access.check_targets(principal, operation, params, touched, complete=True)
        call = Call(
            self._context, self.authentication, principal, client, params, query, given, matching
        )
        if operation.counts_as is not None:
            self._buckets.owe(
                f"principal {principal.key}",
                operation.counts_as(call) - 1,
                settings.principal_rate,
                settings.principal_burst,
                self._context.clock(),
            )
        return call

    async def _note_nobody(
        self, operation: Operation, request: Request, client: ClientAddress | None, refused: Refused
    ) -> None:
        """Enter an unauthenticated request, unless there are too many: a flood must not fill the
        database."""
        now = self._context.clock()
        if self._buckets.take("audit", NOBODY_RATE, NOBODY_BURST, now) > 0:
            return
        actor = Actor(refused.name or "nobody", None if client is None else str(client))
        await self.note(f"api.{operation.name}", request, actor, refused.detail)

    async def note(self, action: str, request: Request, actor: Actor, detail: str) -> None:
        """Enter a refusal in the audit log; raises nothing."""
        refusal = RefusalError(detail)
        refusal.action = action
        refusal.subject = request.url.path[:MAX_AUDITED]

        def refuse(write: Write) -> None:
            del write
            raise refusal

        with contextlib.suppress(
            DatastoreError
        ):  # this is the refusal itself, or the database is away
            await self._context.database.write(actor, refuse)


class _PrincipalName:
    """Name of the principal, for the log."""

    name = ""


def check_origin(request: Request) -> None:
    """Raise `ApiProblem` for a write from a page of another site.

    A browser may add a remembered login to such a request, but it also names the origin.
    """
    if request.method in ("GET", "HEAD"):
        return
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    is_foreign = site not in (None, "same-origin", "none")
    if origin is not None and site is None:
        is_foreign = urlsplit(origin).netloc != request.headers.get("host", "")
    if is_foreign:
        raise ApiProblem(HTTPStatus.FORBIDDEN, "Pages of other sites may not use the API.")


def respond(operation: Operation, reply: ApiReply, request: Request) -> Response:
    """Return the answer to a completed operation."""
    headers = {}
    if reply.tag is not None:
        headers["ETag"] = reply.tag
    if reply.location is not None and operation.status is HTTPStatus.CREATED:
        headers["Location"] = reply.location
    if reply.next is not None:
        headers["Link"] = f'<{_next(request, reply.next)}>; rel="next"'  # RFC 8288 section 3
    if operation.gives is None:
        return Response(status_code=operation.status, headers=headers)
    return _json(operation.shown(reply), operation.status, headers)


def _json(value: object, status: HTTPStatus, headers: Mapping[str, str]) -> Response:
    octets = json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")
    return Response(
        octets, status_code=status, headers=dict(headers), media_type="application/json"
    )


def _next(request: Request, key: str | int) -> str:
    name = "before" if request.url.path.endswith("/audit") else "after"
    pairs = [(field, value) for field, value in request.query_params.items() if field != name]
    query = urlencode([*pairs, (name, str(key))])
    return f"{quote(request.url.path, safe='/@')}?{query}"


def _query(request: Request) -> dict[str, str]:
    """Return the parameters of the query; raises `ApiProblem` for a duplicate."""
    text = request.scope["query_string"].decode("ascii", "replace")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_QUERY)
    except ValueError:
        raise ApiProblem(HTTPStatus.BAD_REQUEST, "The query cannot be read.") from None
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ApiProblem(HTTPStatus.BAD_REQUEST, "A parameter of the query comes twice.")
    return made


def _is_noted(status: HTTPStatus, is_write: bool) -> bool:
    """Return whether a refusal goes into the audit log: writes do, floods do not."""
    return is_write and 400 <= status < 500 and status != HTTPStatus.TOO_MANY_REQUESTS
