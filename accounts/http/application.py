"""ASGI application of the API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from accounts.http import autoconfig, openapi
from accounts.http.context import ServedContext
from accounts.http.dispatch import Dispatcher
from accounts.http.operation import Operation
from accounts.http.paths import ROOT
from accounts.http.problems import ApiProblem, problem_response
from accounts.http.resources.table import OPERATIONS

HEADERS: Final = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
)
"""Header fields of every answer. None is about CORS: no page of another site may read an answer."""

_Endpoint = Callable[[Request], Awaitable[Response]]


def application(
    context: ServedContext, pages: Callable[[Dispatcher], ASGIApp] | None = None
) -> Starlette:
    """Return the application. Use it only in the event loop of the datastore.

    `pages` makes the application that answers all other paths.
    """
    dispatcher = Dispatcher(context)
    document = openapi.text().encode()

    async def openapi_document(request: Request) -> Response:
        try:
            dispatcher.check_network(request)
        except ApiProblem as problem:
            return problem.response()
        return Response(document, media_type="application/json")

    routes = [Route(f"{ROOT}/openapi.json", openapi_document, methods=["GET"])]
    by_path: dict[str, dict[str, Operation]] = {}
    for operation in OPERATIONS:
        by_path.setdefault(operation.path, {})[operation.method] = operation
    # a path with parameters is tried last
    for path in sorted(by_path, key=lambda path: ":path}" in path):
        methods = by_path[path]
        routes.append(Route(ROOT + path, _endpoint(dispatcher, methods), methods=list(methods)))
    routes += autoconfig.routes(context, dispatcher)
    if pages is not None:
        routes.append(Route(f"{ROOT}/{{rest:path}}", _no_such_path))
        routes.append(Route("/{rest:path}", pages(dispatcher)))
    return Starlette(
        routes=routes,
        middleware=[Middleware(Headers)],
        exception_handlers={HTTPException: _http_error},
    )


def _endpoint(dispatcher: Dispatcher, operations: dict[str, Operation]) -> _Endpoint:
    async def answer(request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        return await dispatcher.answer(request, operations[method])

    return answer


async def _no_such_path(_: Request) -> Response:
    raise HTTPException(HTTPStatus.NOT_FOUND)


async def _http_error(_: Request, error: Exception) -> Response:
    """Return the error for a path or a method that does not exist."""
    assert isinstance(error, HTTPException)  # noqa: S101
    status = HTTPStatus(error.status_code)
    said = {
        HTTPStatus.NOT_FOUND: "There is no such path.",
        HTTPStatus.METHOD_NOT_ALLOWED: "The path does not support this method.",
    }
    return problem_response(status, said.get(status, status.phrase + "."), (), error.headers)


class Headers:
    """Middleware that adds security header fields to every answer that has not its own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""

        async def send_with(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = list(message.get("headers", ()))
                names = {name.lower() for name, _ in given}
                message["headers"] = given + [one for one in HEADERS if one[0] not in names]
            await send(message)

        await self._app(scope, receive, send_with)
