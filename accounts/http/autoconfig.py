"""Routes of autoconfig, without a login; every address of a domain gets the same answer."""

from __future__ import annotations

import asyncio
import datetime
import re
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final, cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from accounts.address import (
    AccountAddress,
    AccountAddressError,
    parse_domain,
    parse_mailbox_address,
)
from accounts.autoconfig import apple, outlook, thunderbird
from accounts.autoconfig.settings import AutoconfigSettings
from accounts.autoconfig.signer import SignerError
from accounts.http import body
from accounts.http.client import client_of
from accounts.http.context import ServedContext
from accounts.http.dispatch import REQUESTS, Dispatcher
from accounts.http.problems import ApiProblem, of_store, unavailable
from accounts.lookup.ask import Ask, DomainRow, Unavailable
from gatepost.logs import get_logger

THUNDERBIRD: Final = (
    "/mail/config-v1.1.xml",
    "/.well-known/autoconfig/mail/config-v1.1.xml",
)
OUTLOOK: Final = "/autodiscover/autodiscover.xml"
APPLE: Final = "/email.mobileconfig"

_LABELS = ("autoconfig.", "autodiscover.")
_PORT = re.compile(r":\d{1,5}\Z")

log = get_logger("accounts")

_Work = Callable[[Request], Awaitable[Response]]


def routes(context: ServedContext, dispatcher: Dispatcher) -> list[Route]:
    """Return the routes; without servers in the configuration they answer 404."""
    asked = _Autoconfig(context, dispatcher)
    found = [
        Route(path, asked.guarded("autoconfig-thunderbird", asked.thunderbird), methods=["GET"])
        for path in THUNDERBIRD
    ]
    found.append(Route(APPLE, asked.guarded("autoconfig-apple", asked.apple), methods=["GET"]))
    spelt = Route(
        OUTLOOK, asked.guarded("autoconfig-outlook", asked.outlook), methods=["GET", "POST"]
    )
    # programs also use Autodiscover/Autodiscover.xml and AutoDiscover/AutoDiscover.xml
    spelt.path_regex = re.compile(spelt.path_regex.pattern, re.IGNORECASE)
    return [*found, spelt]


class _Autoconfig:
    """Handlers of the requests of mail programs."""

    def __init__(self, context: ServedContext, dispatcher: Dispatcher) -> None:
        self._context = context
        self._dispatcher = dispatcher

    def guarded(self, name: str, work: _Work) -> _Work:
        """Return an endpoint that runs `work` within the limits of the API, and logs it."""

        async def answer(request: Request) -> Response:
            started = time.monotonic()
            settings = self._context.settings
            try:
                self._dispatcher.check_network(request)
                async with asyncio.timeout(settings.request_timeout):
                    response = await work(request)
            except TimeoutError:
                response = unavailable("The request took too long.").response()
            except ApiProblem as problem:
                response = problem.response()
            except Unavailable as error:
                response = of_store(error).response()
            except Exception:  # a bug; the client learns no details
                log.exception("internal error in an operation", operation=name)
                response = ApiProblem(
                    HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong; the log says what."
                ).response()
            REQUESTS.labels(name, str(response.status_code)).inc()
            log.info(
                "request",
                operation=name,
                status=response.status_code,
                actor="",
                client=str(client_of(request, settings.proxies) or ""),
                seconds=round(time.monotonic() - started, 3),
            )
            return response

        return answer

    async def thunderbird(self, request: Request) -> Response:
        """Answer Thunderbird and programs with the same requests."""
        settings = self._settings()
        # the local part is ignored: the program fills in its own address
        _, at, name = request.query_params.get("emailaddress", "").rpartition("@")
        domain = await self._domain_named(name) if at else await self._domain_of_host(request)
        content = thunderbird.client_config(settings, domain)
        return Response(content, media_type=thunderbird.MEDIA_TYPE)

    async def outlook(self, request: Request) -> Response:
        """Answer Outlook; refusals have status 200, as those of Exchange do."""
        settings = self._settings()
        octets = await body.read(request, outlook.MAX_REQUEST)
        found: str | outlook.Refusal
        try:
            question = outlook.parse_question(octets)
            address = parse_mailbox_address(question.address)
        except (outlook.QuestionError, AccountAddressError):
            found = outlook.Refusal.REQUEST
        else:
            found = outlook.Refusal.SCHEMA
            if question.is_for_us:
                known = await self._is_ours(address.domain)
                found = str(address) if known else outlook.Refusal.ADDRESS
        if isinstance(found, outlook.Refusal):
            now = datetime.datetime.fromtimestamp(self._context.clock(), datetime.UTC)
            content = outlook.refusal_answer(found, now)
        else:
            content = outlook.settings_answer(settings, found)
        return Response(content, media_type=outlook.MEDIA_TYPE)

    async def apple(self, request: Request) -> Response:
        """Answer with a profile, for an address or for a domain."""
        settings = self._settings()
        text = request.query_params.get("email", "")
        if text:
            address = _address(text)
            if not await self._is_ours(address.domain):
                raise _unknown()
            content = apple.profile(settings, address.domain, str(address))
        else:
            content = apple.profile(settings, await self._domain_of_host(request))
        return await profile_answer(self._context, content)

    def _settings(self) -> AutoconfigSettings:
        settings = self._context.autoconfig
        if not settings.is_offered:
            raise ApiProblem(HTTPStatus.NOT_FOUND, "There is no such path.")
        return settings

    async def _domain_named(self, text: str) -> str:
        """Return the domain that a program named; raises `ApiProblem` if it is not ours."""
        try:
            domain = parse_domain(text)
        except AccountAddressError:
            raise _unknown() from None
        if not await self._is_ours(domain):
            raise _unknown()
        return domain

    async def _domain_of_host(self, request: Request) -> str:
        """Return the domain of the host in the request; if it is not ours, that of the servers."""
        host = _PORT.sub("", request.headers.get("host", "")[:300].lower())
        for label in _LABELS:
            host = host.removeprefix(label)
        try:
            domain = parse_domain(host)
        except AccountAddressError:
            domain = ""
        if domain and await self._is_ours(domain):
            return domain
        _, server = self._settings().incoming[0]
        return server.host

    async def _is_ours(self, domain: str) -> bool:
        """Return whether a domain can have mailboxes here; raises `Unavailable`."""
        (answer,) = await self._context.ask((Ask("domain", domain),))
        row = cast(DomainRow | None, answer)
        return row is not None and row.enabled and not row.is_relay


def _address(text: str) -> AccountAddress:
    try:
        return parse_mailbox_address(text)
    except AccountAddressError as error:
        raise ApiProblem(HTTPStatus.BAD_REQUEST, str(error)) from None


def _unknown() -> ApiProblem:
    return ApiProblem(HTTPStatus.NOT_FOUND, "The domain has no mailboxes here.")


async def profile_answer(context: ServedContext, content: bytes) -> Response:
    """Return the answer with a profile for Apple's devices, signed if there is a key.

    Raises `ApiProblem` if it cannot be signed.
    """
    try:
        signer = context.signer
    except SignerError as error:
        log.error("profiles cannot be signed", error=str(error))  # noqa: TRY400 # no traceback needed
        raise unavailable("Profiles cannot be signed; the log says why.", 60) from None
    if signer is not None:
        content = await asyncio.to_thread(signer.sign, content)
    return Response(
        content,
        media_type=apple.MEDIA_TYPE,
        headers={"Content-Disposition": f'attachment; filename="{apple.FILE_NAME}"'},
    )
