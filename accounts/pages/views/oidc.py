"""Login through an identity provider: the way there, and the way back."""

from __future__ import annotations

from http import HTTPStatus

from sqlalchemy import Connection
from starlette.responses import RedirectResponse, Response

from accounts.address import AccountAddressError, parse_mailbox_address
from accounts.directory import web_sessions
from accounts.http.authentication import find_owner
from accounts.http.principals import Principal
from accounts.http.problems import ApiProblem, unavailable
from accounts.oidc.client import OidcClient
from accounts.oidc.errors import OidcError, ProviderAwayError
from accounts.oidc.exchange import LoginExchange
from accounts.oidc.settings import OidcSettings
from accounts.pages import cookies
from accounts.pages.views.signing_in import begin, next_of, show_login
from accounts.pages.visit import Visit
from gatepost.logs import get_logger

log = get_logger("accounts")


async def show(visit: Visit) -> Response:
    """Lead to the provider, or take its answer."""
    client = visit.provider
    if client is None or not client.settings.is_on:
        raise ApiProblem(HTTPStatus.NOT_FOUND, "There is no such page.")
    is_back = "state" in visit.query or "error" in visit.query
    try:
        visit.authentication.check_failures(visit.client)
        return await (_take(visit, client) if is_back else _lead(visit, client))
    except ApiProblem as problem:
        visit.problem = problem
    except OidcError as error:
        visit.authentication.note_failure(visit.client)
        log.warning("login", result="refused", protocol="oidc", error=str(error), client=_ip(visit))
        visit.problem = _problem(error)
    if visit.visitor is not None:
        return visit.page("error.html")
    response = await show_login(visit)
    cookies.drop(response, cookies.EXCHANGE)
    return response


async def _lead(visit: Visit, client: OidcClient) -> Response:
    """Lead to the provider. A link begins it: the answer must fit to a cookie of this browser."""
    is_again = visit.visitor is not None and "again" in visit.query
    wanted = next_of(visit, visit.query.get("next", ""))
    exchange = LoginExchange.begin(visit.now, wanted, is_again=is_again)
    response = RedirectResponse(await client.way(exchange), HTTPStatus.SEE_OTHER.value)
    cookies.put(response, cookies.EXCHANGE, exchange.to_cookie())
    return response


async def _take(visit: Visit, client: OidcClient) -> Response:
    """Take the answer of the provider: begin a session, or confirm that of this browser."""
    exchange = LoginExchange.parse(cookies.read_exchange(visit.request), visit.now)
    if exchange is None:
        raise _refused("This login took too long, or another browser began it. Begin again.")
    answer = await client.name(exchange, dict(visit.query))
    settings = client.settings
    found = await visit.context.database.read(lambda c: principal_of(c, answer.name, settings))
    told = "" if found is None else found.name
    result = "ok" if found is not None else "unknown"
    log.info("login", result=result, name=told, protocol="oidc", client=_ip(visit))
    if found is None:
        raise _refused("The provider names an account that may not log in here.")
    response = RedirectResponse(next_of(visit, exchange.wanted), HTTPStatus.SEE_OTHER.value)
    if exchange.is_again:
        await _confirm(visit, found)
    else:
        # a provider that remembers this browser asks for no password, which confirms nothing
        confirmed = min(answer.seen, visit.now)
        cookies.put(response, cookies.SESSION, await begin(visit, found, confirmed))
        cookies.drop(response, cookies.FORM)
    cookies.drop(response, cookies.EXCHANGE)
    return response


async def _confirm(visit: Visit, found: Principal) -> None:
    """Note that the visitor has shown again who they are; raises `ApiProblem`."""
    session, visitor = visit.session, visit.visitor
    if session is None or visitor is None:
        raise _refused("Your session has ended. Log in again.")
    if (visitor.role, visitor.name) != (found.role, found.name):
        raise _refused("The provider names somebody else than the owner of this session.")
    now, row = visit.now, session.id
    await visit.context.database.record(
        lambda c: web_sessions.note_use(c, row, now, confirmed=True)
    )


def principal_of(connection: Connection, name: str, settings: OidcSettings) -> Principal | None:
    """Return whom the provider names; None if that may not log in, or is not there."""
    administrator = settings.administrator(name)
    if administrator is not None:
        return find_owner(connection, administrator, None)
    try:
        address = parse_mailbox_address(name)
    except AccountAddressError:
        return None
    if settings.domains is not None and address.domain not in settings.domains:
        return None
    return find_owner(connection, None, str(address))


def _problem(error: OidcError) -> ApiProblem:
    if isinstance(error, ProviderAwayError):
        return unavailable("The provider does not answer as it should. Try again, or later.")
    return _refused("The provider did not confirm this login. Begin again.")


def _refused(text: str) -> ApiProblem:
    return ApiProblem(HTTPStatus.UNPROCESSABLE_ENTITY, text)


def _ip(visit: Visit) -> str:
    return str(visit.client or "")
