"""ASGI application of the pages: session, role, form, page, and errors as pages."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from http import HTTPStatus

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from accounts.directory import web_sessions
from accounts.http import body
from accounts.http.access import Forbidden
from accounts.http.authentication import find_owner
from accounts.http.call import actor_of
from accounts.http.client import client_of
from accounts.http.context import ServedContext
from accounts.http.dispatch import Dispatcher, check_origin
from accounts.http.problems import ApiProblem, of_store, unavailable
from accounts.lookup.ask import Unavailable
from accounts.oidc.client import OidcClient
from accounts.pages import assets, cookies, csrf
from accounts.pages.dns import DomainChecks
from accounts.pages.form import WebForm
from accounts.pages.language import choose
from accounts.pages.multipart import read_multipart
from accounts.pages.page import WebPage
from accounts.pages.settings import PagesSettings
from accounts.pages.table import PAGES
from accounts.pages.visit import MAX_NEXT, Visit
from accounts.passwords import Busy
from accounts.store.errors import DatastoreError
from accounts.store.seal import SealError
from gatepost.logs import get_logger
from gatepost.metrics import Counter

HEADERS = (
    (b"cache-control", b"no-store"),
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        b"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
    (b"referrer-policy", b"same-origin"),
)
"""Header fields of pages, which the API has in another form."""
NOTE_USE = 60
"""Seconds between two records of the use of a session."""

REQUESTS = Counter(
    "gatepost_accounts_pages_requests_total",
    "Requests for web pages by page and status",
    ["page", "status"],
)

log = get_logger("accounts")


class WebPages:
    """The pages as an ASGI application. `settings` returns those in use; their path stays."""

    def __init__(
        self,
        context: ServedContext,
        dispatcher: Dispatcher,
        settings: Callable[[], PagesSettings],
        checks: DomainChecks,
        provider: OidcClient | None = None,
    ) -> None:
        self._checks = checks
        self._context = context
        self._dispatcher = dispatcher
        self._provider = provider
        self._settings = settings
        self._prefix = settings().prefix.rstrip("/")
        routes = [
            Route(f"{self._prefix}/static/{{name}}", self._asset, methods=["GET"]),
            *(self._route(page) for page in PAGES),
        ]
        self._router = Router(routes, redirect_slashes=False, default=self._unknown)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if self._prefix and scope["path"] == self._prefix:
            response: ASGIApp = RedirectResponse(f"{self._prefix}/", HTTPStatus.SEE_OTHER.value)
            await response(scope, receive, send)
            return
        await self._router(scope, receive, send)

    # answers

    def _route(self, page: WebPage) -> Route:
        async def answer(request: Request) -> Response:
            return await self._answer(request, page)

        methods = ["GET"] if page.act is None else ["GET", "POST"]
        return Route(self._prefix + page.path, answer, methods=methods, name=page.name)

    async def _asset(self, request: Request) -> Response:
        found = {one.url: one for one in assets.assets().values()}
        asset = found.get(f"/static/{request.path_params['name']}")
        if asset is None:
            return await self._error(request, HTTPStatus.NOT_FOUND, "There is no such page.")
        return _with_headers(assets.answer(asset, request))

    async def _unknown(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        response = await self._error(request, HTTPStatus.NOT_FOUND, "There is no such page.")
        await response(scope, receive, send)

    async def _error(self, request: Request, status: HTTPStatus, text: str) -> Response:
        visit = self._visit(request)
        return _with_headers(_failed(visit, ApiProblem(status, text)))

    async def _answer(self, request: Request, page: WebPage) -> Response:
        """Return the answer to a request; raises nothing."""
        visit = self._visit(request)
        try:
            async with asyncio.timeout(self._context.settings.request_timeout):
                response = await self._guarded(visit, page)
        except TimeoutError:
            response = _failed(visit, unavailable("The request took too long."))
        except Exception:  # a bug; the visitor learns no details
            log.exception("internal error in a page", page=page.name)
            text = "Something went wrong; the log says what."
            response = _failed(visit, ApiProblem(HTTPStatus.INTERNAL_SERVER_ERROR, text))
        status = int(response.status_code)
        REQUESTS.labels(page.name, str(status)).inc()
        actor = "" if visit.visitor is None else visit.visitor.name
        log.info("page", page=page.name, status=status, actor=actor, client=str(visit.client or ""))
        return _with_headers(response)

    async def _guarded(self, visit: Visit, page: WebPage) -> Response:
        try:
            self._dispatcher.check_network(visit.request)
            check_origin(visit.request)
            await self._find_session(visit)
            if visit.visitor is not None:
                self._dispatcher.check_principal(visit.visitor)
        except (ApiProblem, DatastoreError) as error:
            return _failed(visit, _problem(error))
        if page.roles and visit.visitor is None:
            return _to_login(visit)
        if page.roles and visit.principal.role not in page.roles:
            refusal = Forbidden("This page is for others.")
            await self._note(visit, page, refusal)
            return _failed(visit, _problem(refusal))
        if visit.request.method != "POST":
            return await self._shown(visit, page)
        assert page.act is not None  # noqa: S101 # no other page has a route for POST
        try:
            await _read_form(visit, page)
        except ApiProblem as problem:
            return _failed(visit, problem)
        try:
            return await page.act(visit)
        except (ApiProblem, DatastoreError, Unavailable, Busy) as error:
            if isinstance(error, SealError):
                log.error("secrets cannot be used", error=str(error))  # noqa: TRY400 # no traceback needed
            if isinstance(error, Forbidden) and not error.action:
                await self._note(visit, page, error)
            visit.problem = _problem(error)
        return await self._shown(visit, page)

    async def _shown(self, visit: Visit, page: WebPage) -> Response:
        try:
            return await page.show(visit)
        except (ApiProblem, DatastoreError, Unavailable, Busy) as error:
            if isinstance(error, Forbidden) and not error.action:
                await self._note(visit, page, error)
            # an action on an object that is gone: the reason is what counts
            return _failed(visit, visit.problem or _problem(error))

    async def _note(self, visit: Visit, page: WebPage, refusal: Forbidden) -> None:
        actor = actor_of(visit.principal, visit.client)
        await self._dispatcher.note(f"pages.{page.name}", visit.request, actor, str(refusal))

    # the session

    def _visit(self, request: Request) -> Visit:
        return Visit(
            request,
            self._settings(),
            self._context,
            self._dispatcher.authentication,
            self._checks,
            self._provider,
            client_of(request, self._context.settings.proxies),
            choose(request.headers.get("accept-language", "")),
            cookies.read(request, cookies.FORM),
        )

    async def _find_session(self, visit: Visit) -> None:
        """Find the session of a cookie; its owner has the rights of now. Raises
        `DatastoreError`."""
        secret = cookies.read(visit.request, cookies.SESSION)
        if not secret:
            return
        now, limits = visit.now, visit.limits
        database = self._context.database

        def find(connection: Connection) -> None:
            session = web_sessions.find_by_secret(connection, secret, now, limits)
            if session is None:
                return
            visitor = find_owner(connection, session.administrator, session.mailbox)
            if visitor is not None:
                visit.session, visit.visitor, visit.secret = session, visitor, secret

        await database.read(find)
        session = visit.session
        if session is not None and now - session.last_used >= NOTE_USE:
            # a full disk must not hide the pages from who has to mend it
            with contextlib.suppress(DatastoreError):
                await database.record(lambda c: web_sessions.note_use(c, session.id, now))


async def _read_form(visit: Visit, page: WebPage) -> None:
    """Read the form of a request, which must have a token of ours; raises `ApiProblem`."""
    header = visit.request.headers.get("content-type", "")
    media = header.partition(";")[0].strip().lower()
    if page.takes_file and media == "multipart/form-data":
        form = read_multipart(header, await body.read(visit.request, page.largest))
    elif media == "application/x-www-form-urlencoded":
        form = WebForm.parse(await body.read(visit.request, page.largest))
    else:
        text = "The form has to be of the type application/x-www-form-urlencoded."
        raise ApiProblem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, text)
    if not visit.secret or not csrf.is_token(form.text("csrf"), visit.secret):
        text = (
            "This form was not made for this session, or the browser keeps no cookies. Open the "
            "page again."
        )
        raise ApiProblem(HTTPStatus.FORBIDDEN, text)
    visit.form = form


def _problem(error: Exception) -> ApiProblem:
    match error:
        case ApiProblem():
            return error
        case Forbidden():
            return ApiProblem(HTTPStatus.FORBIDDEN, str(error))
        case DatastoreError() | Unavailable() | Busy():
            return of_store(error)
    raise error


def _failed(visit: Visit, problem: ApiProblem) -> Response:
    """Return a page about an error."""
    visit.problem = problem
    return visit.page("error.html")


def _to_login(visit: Visit) -> Response:
    """Return the way to the login, and back to this page behind it."""
    path = visit.request.url.path
    if visit.request.method == "POST":
        return visit.go("/login", ended=1)
    query = visit.request.url.query
    wanted = f"{path}?{query}" if query else path
    is_home = path == visit.url("/")
    return visit.go("/login", next=None if is_home or len(wanted) > MAX_NEXT else wanted)


def _with_headers(response: Response) -> Response:
    for name, value in HEADERS:
        response.headers.setdefault(name.decode(), value.decode())
    return response
