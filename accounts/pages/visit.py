"""Visit: a request for a page, with its session, and the ways to answer."""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from accounts.attempts import ClientAddress
from accounts.directory import web_sessions
from accounts.directory.web_sessions import SessionLimits, WebSession
from accounts.http import access, body
from accounts.http.authentication import Authentication
from accounts.http.batch import perform
from accounts.http.call import Call
from accounts.http.context import ServedContext
from accounts.http.models.batch import BatchPart
from accounts.http.principals import Principal
from accounts.http.problems import ApiProblem
from accounts.http.resources.table import BY_NAME
from accounts.oidc.client import OidcClient
from accounts.pages import csrf, menu, notes
from accounts.pages.assets import assets, takes_gzip
from accounts.pages.dns import DomainChecks
from accounts.pages.form import WebForm
from accounts.pages.language import catalogue
from accounts.pages.proof import FactorProof, FactorProver
from accounts.pages.rendering import render
from accounts.pages.settings import PagesSettings

ROWS = 50
"""Rows of a list on one page."""
MAX_NEXT = 500
"""Characters of the path that a login leads to."""
COMPRESSED = 600
"""Octets from which a page is compressed."""


@dataclass
class Visit:
    """A request for a page. `secret` is that of the cookie, which the tokens of forms are made of.

    `problem` is why the action was refused, while the page is shown again. `factors` are the kinds
    of second factors of the visitor. `hostname` is the host name of this server in gatepost.toml.
    `has_confirmed`: this request may do what needs the password again.
    """

    request: Request
    settings: PagesSettings
    context: ServedContext
    authentication: Authentication
    checks: DomainChecks
    provider: OidcClient | None
    client: ClientAddress | None
    language: str
    secret: str = field(repr=False)
    session: WebSession | None = None
    visitor: Principal | None = None
    form: WebForm = field(default_factory=WebForm)
    problem: ApiProblem | None = None
    factors: frozenset[str] = frozenset()
    hostname: str = "localhost"
    has_confirmed: bool = False

    # who and what

    @property
    def principal(self) -> Principal:
        """The principal of a page that needs a login."""
        assert self.visitor is not None  # noqa: S101
        return self.visitor

    @property
    def own(self) -> WebSession:
        """The session of a page that needs a login."""
        assert self.session is not None  # noqa: S101
        return self.session

    @property
    def params(self) -> Mapping[str, str]:
        """The parameters of the path."""
        return self.request.path_params

    @property
    def query(self) -> Mapping[str, str]:
        """The parameters of the query."""
        return self.request.query_params

    @property
    def now(self) -> int:
        """The time in seconds since the epoch."""
        return int(self.context.clock())

    @property
    def limits(self) -> SessionLimits:
        """The limits of sessions."""
        return SessionLimits(int(self.settings.idle), int(self.settings.lifetime))

    @property
    def is_confirmed(self) -> bool:
        """Return whether the password was given a short time ago."""
        return self.own.confirmed > self.now - self.settings.confirm_after

    @property
    def must_enrol(self) -> bool:
        """Return whether the visitor has to add a second factor before anything else."""
        return (
            self.visitor is not None
            and not self.factors
            and self.settings.second_factor.binds(self.visitor)
        )

    @property
    def prover(self) -> FactorProver:
        """The prover of second factors."""
        return FactorProver(self.context, self.settings.host or self.hostname, self.client)

    @property
    def has_passkeys(self) -> bool:
        """Return whether passkeys work at the address that the browser has."""
        try:
            here = urlsplit(f"//{self.request.headers.get('host', '')}").hostname
        except ValueError:
            return False
        return here == self.prover.host

    def proof(self, purpose: str, secret: str | None = None) -> FactorProof:
        """Return the proof of a second factor in the form."""
        form = self.form
        return FactorProof(
            purpose, secret or self.secret, form.text("code"), form.secret("passkey")
        )

    def gettext(self, text: str) -> str:
        """Return a text in the language of the visitor."""
        return catalogue(self.language).gettext(text)

    def url(self, path: str, **query: str | int | None) -> str:
        """Return the URL of a page; a parameter that is None is left out."""
        given = {name: value for name, value in query.items() if value is not None}
        base = self.settings.prefix.rstrip("/") + quote(path, safe="/@+*:")
        return f"{base}?{urlencode(given)}" if given else base

    # operations of the API

    async def run(self, *parts: BatchPart) -> list[Any]:
        """Do operations in one transaction, with the rights of the visitor; return the answers.

        Each has the members `body`, `tag` and `next`. Raises `ApiProblem`, `Forbidden` and
        `DatastoreError`.
        """
        return await perform(self._call(), BY_NAME, parts, dry_run=False)

    async def run_alone(self, name: str, given: dict[str, Any]) -> Any:
        """Do an operation that cannot be part of a transaction; return its answer.

        Raises the same errors.
        """
        operation = BY_NAME[name]
        assert operation.takes is not None  # noqa: S101
        access.check_role(self.principal, operation)
        reply = await operation.handle(self._call(body.validate(operation.takes, given)))
        return operation.shown(reply)

    async def run_reply(
        self, name: str, given: dict[str, Any], params: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Do an operation that takes a while and stands alone; return the body of its answer.

        Raises the same errors as `run`.
        """
        operation = BY_NAME[name]
        assert operation.takes is not None  # noqa: S101
        assert operation.prepare is not None  # noqa: S101
        where = dict(params or {})
        access.check_role(self.principal, operation)
        taken = body.validate(operation.takes, given)
        access.check_targets(self.principal, operation, where, taken, complete=True)
        call = replace(self._call(taken), params=where)
        reply = await operation.handle(replace(call, prepared=await operation.prepare(call)))
        shown: dict[str, Any] = operation.shown(reply)
        return shown

    async def confirm(self, *, always: bool = False) -> None:
        """Check the password in a form, and the second factor if there is one.

        Unless `always`, they need not be there if they were given a short time ago. Raises
        `ApiProblem`, with the wait after wrong passwords.
        """
        if self.is_confirmed and not always:
            self.has_confirmed = True
            return
        password = self.form.secret("current_password")
        await self.authentication.confirm(self.principal, password, self.client)
        if self.factors:
            await self.prover.prove(self.principal.login_owner, self.proof("confirm"))
        self.has_confirmed = True
        now, row = self.now, self.own.id
        await self.context.database.record(
            lambda c: web_sessions.note_use(c, row, now, confirmed=True)
        )

    def _call(self, given: Any = None) -> Call:
        return Call(self.context, self.authentication, self.principal, self.client, {}, body=given)

    # answers

    def page(self, template: str, status: HTTPStatus = HTTPStatus.OK, **values: Any) -> Response:
        """Return a page made of a template."""
        problem = self.problem
        if problem is not None:
            status = problem.status
        common = {
            "language": self.language,
            "url": self.url,
            "asset": lambda name: self.url(assets()[name].url),
            "csrf": csrf.make_token(self.secret) if self.secret else "",
            "principal": self.visitor,
            "menu": [] if self.must_enrol else menu.entries(self.visitor, self.gettext),
            "is_here": self._is_here,
            "note": notes.sentence(self.query.get("done", ""), self.gettext),
            "form": self.form,
            "problem": problem,
            "wrong": {} if problem is None else {one.field: one.text for one in problem.errors},
            "asks_password": self.session is not None and not self.is_confirmed,
            "provider": self._provider_name,
            "here": self.request.url.path,
            "factors": self.factors,
            "has_passkeys": self.has_passkeys,
            "passkey_script": "passkey" in self.factors and not self.is_confirmed,
        }
        text = render(self.language, template, common | values)
        # HTML has no NUL; what was typed is shown again as it is otherwise
        octets = text.replace("\0", "\ufffd").encode("utf-8", "replace")
        headers = {"Vary": "Accept-Encoding, Accept-Language, Cookie"}
        if problem is not None:
            headers |= {
                name: value for name, value in problem.headers.items() if name == "Retry-After"
            }
        if len(octets) >= COMPRESSED and takes_gzip(self.request):
            octets = gzip.compress(octets, 6, mtime=0)
            headers["Content-Encoding"] = "gzip"
        return Response(octets, status.value, headers, media_type="text/html")

    @property
    def _provider_name(self) -> str:
        """The name of the identity provider; empty if there is none."""
        if self.provider is None or not self.provider.settings.is_on:
            return ""
        return self.provider.settings.name

    def _is_here(self, path: str) -> bool:
        here, url = self.request.url.path, self.url(path)
        return here == url or (path != "/" and here.startswith(f"{url}/"))

    def go(self, path: str, note: str | None = None, **query: str | int | None) -> Response:
        """Return the way to another page, which shows a note."""
        url = self.url(path, **query, done=note)
        return RedirectResponse(url, HTTPStatus.SEE_OTHER.value)


def step(
    operation: str,
    params: Mapping[str, str] | None = None,
    query: Mapping[str, str | int | bool | None] | None = None,
    body: dict[str, Any] | None = None,
    tag: str | None = None,
) -> BatchPart:
    """Return one operation for `Visit.run`; a parameter of the query that is None is left out."""
    given: dict[str, Any] = {"operation": operation, "params": dict(params or {})}
    given["query"] = {name: value for name, value in (query or {}).items() if value is not None}
    if body is not None:
        given["body"] = body
    if tag is not None:
        given["if_match"] = tag
    return BatchPart(**given)


def is_led_here(visit: Visit) -> bool:
    """Return whether another site has led the browser here."""
    return visit.request.headers.get("sec-fetch-site", "") in ("cross-site", "same-site")


def chosen(values: Sequence[str], text: str) -> str:
    """Return a text if it is one of the values, and else the first of them."""
    return text if text in values else values[0]
