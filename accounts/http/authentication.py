"""Authentication of a request: a token, or the login of an administrator or a mailbox."""

from __future__ import annotations

import asyncio
import base64
import binascii
from dataclasses import replace
from http import HTTPStatus

from sqlalchemy import Connection
from starlette.requests import Request

from accounts import login, login_driver
from accounts.attempts import AttemptKind, ClientAddress
from accounts.directory import administrators, domains, mailboxes, second_factors, tokens
from accounts.directory.administrators import Administrator
from accounts.directory.owner import find_login_owner
from accounts.directory.tokens import ApiToken
from accounts.http.context import Context
from accounts.http.principals import Principal, Role
from accounts.http.problems import ApiProblem, WrongField, too_many, unavailable
from accounts.http.rates import Buckets, network_of
from accounts.passwords import BadPassword, Busy, Password, needs_upgrade
from accounts.store.errors import DatastoreError, NoSuchObject, RefusalError
from gatepost.logs import get_logger

MAX_CREDENTIALS = 2000
"""Maximum length of the field Authorization."""
NOTE_USE = 60
"""Seconds between two records of the use of a token."""

# RFC 9110 section 11.6.1, RFC 6750 section 3, RFC 7617 section 2.1
CHALLENGE = 'Bearer realm="gatepost", Basic realm="gatepost", charset="UTF-8"'

log = get_logger("accounts")


class Refused(ApiProblem):
    """Authentication failed. `name` is the claimed login, as far as it is known."""

    def __init__(self, detail: str, name: str = "") -> None:
        super().__init__(HTTPStatus.UNAUTHORIZED, detail, headers={"WWW-Authenticate": CHALLENGE})
        self.name = name


class Authentication:
    """Authenticator of requests."""

    def __init__(self, context: Context, buckets: Buckets) -> None:
        self._context = context
        self._buckets = buckets
        self._noted: dict[int, int] = {}

    async def principal(self, request: Request, client: ClientAddress | None) -> Principal:
        """Return the principal of a request; raises `ApiProblem`, and `DatastoreError`."""
        fields = request.headers.getlist("authorization")
        if not fields:
            raise Refused("A token or a login is needed.")
        scheme, _, credentials = fields[0].partition(" ")
        if len(fields) > 1 or len(fields[0]) > MAX_CREDENTIALS:
            raise Refused("The field Authorization is not valid.")
        match scheme.lower():
            case "bearer":
                return await self._by_token(credentials.strip(), client)
            case "basic":
                name, password = _parse_basic(credentials.strip())
                found = await self.by_password(name, password, client)
                await self._insist_on_password_alone(found)
                return found
            case _:
                raise Refused("A token (Bearer) or a login (Basic) is needed.")

    async def by_password(
        self, name: str, password: Password, client: ClientAddress | None
    ) -> Principal:
        """Return the principal of a login and a password.

        If an administrator and a mailbox have the same name, it is the administrator.
        """
        administrator = await self._context.database.read(lambda c: _administrator(c, name))
        if administrator is not None or "@" not in name:
            return await self._administrator_by_password(name, administrator, password, client)
        return await self._mailbox_by_password(name, password, client)

    async def confirm(self, principal: Principal, text: str, client: ClientAddress | None) -> None:
        """Check the password of an authenticated principal; raises `ApiProblem`.

        A token, or an unattended browser, must not be enough to change a password.
        """
        name = principal.name
        try:
            password = Password(text)
            if principal.role is Role.MAILBOX:
                await self._mailbox_by_password(name, password, client)
            else:
                found = await self._context.database.read(lambda c: _administrator(c, name))
                await self._administrator_by_password(name, found, password, client)
        except (BadPassword, Refused):
            raise ApiProblem(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "current_password: It is not right.",
                errors=[WrongField("current_password", "It is not right.")],
            ) from None

    async def _insist_on_password_alone(self, principal: Principal) -> None:
        """Raise `Refused` if the password of an account is not enough to log in."""
        if self._context.factor_rule.binds(principal) or await self._context.database.read(
            lambda c: _has_factor(c, principal)
        ):
            text = (
                "This account needs a second factor, which only the web pages ask for: use a token."
            )
            raise Refused(text, principal.name)

    async def _mailbox_by_password(
        self, name: str, password: Password, client: ClientAddress | None
    ) -> Principal:
        context = self._context
        ended = await login_driver.authenticate(
            login.verify(
                name,
                password,
                login.Protocol.API,
                client,
                context.clock(),
                attempts=context.attempts,
                settings=context.passwords,
            ),
            context.ask,
            context.workers,
        )
        log.info(
            "login",
            result=ended.outcome.value,
            reason=ended.reason.value,
            address=ended.address,
            protocol="api",
            client=str(client or ""),
        )
        if ended.outcome is login.LoginOutcome.OK:
            context.succeeded(ended, password)
            return Principal(ended.address, Role.MAILBOX, mailbox=ended.address)
        if ended.reason is login.Reason.TOO_MANY_ATTEMPTS:
            raise too_many("There were too many wrong passwords.", ended.seconds)
        if ended.outcome is login.LoginOutcome.TEMPORARY:
            raise unavailable("The login cannot be checked now. Try again.", 1)
        if ended.outcome is login.LoginOutcome.DISABLED:
            raise Refused("This account may not log in here.", ended.address)
        raise Refused("The login or the password is wrong.", ended.address)

    async def _administrator_by_password(
        self,
        name: str,
        found: Administrator | None,
        password: Password,
        client: ClientAddress | None,
    ) -> Principal:
        context = self._context
        account = attempts_name(found.login if found is not None else name)
        decision = context.attempts.decide(account, client, password.forms[0], context.clock())
        right: bool | None = None
        try:
            if decision.kind is AttemptKind.LATER:
                raise too_many("There were too many wrong passwords.", decision.seconds)
            if decision.kind is AttemptKind.CHECK and decision.seconds > 0:
                await asyncio.sleep(decision.seconds)
            stored = () if found is None or found.password is None else (found.password,)
            if decision.kind is AttemptKind.REPEATED:
                is_right = False
            else:
                checked = await context.workers.check(password, stored, name)
                is_right = checked.index is not None
            right = is_right if not is_right or (found is not None and found.enabled) else None
        finally:
            if decision.kind is AttemptKind.CHECK:
                context.attempts.end(decision, right, context.clock())
        result = {True: "ok", False: "wrong", None: "disabled"}[right]
        log.info(
            "login",
            result=result,
            administrator=found.login if found is not None else "",
            protocol="api",
            client=str(client or ""),
        )
        told = found.login if found is not None else ""
        if not is_right or found is None:
            raise Refused("The login or the password is wrong.", told)
        if not found.enabled:
            raise Refused("This account may not log in here.", told)
        await self._upgrade(found, password)
        return _of_administrator(found)

    async def _upgrade(self, found: Administrator, password: Password) -> None:
        """Store a better hash of an administrator's password, if the stored one is old."""
        context, stored = self._context, found.password
        try:
            if stored is None or not needs_upgrade(stored, context.passwords):
                return
            hashed = await context.workers.hash(password)
            await context.database.record(
                lambda c: administrators.upgrade_password(c, found.login, stored, hashed)
            )
        except (Busy, DatastoreError):
            log.warning("hash not replaced", administrator=found.login)

    async def _by_token(self, text: str, client: ClientAddress | None) -> Principal:
        context = self._context
        settings, now = context.settings, context.clock()
        bucket = f"tokens {network_of(client)}"
        limits = (settings.failure_rate, settings.failure_burst)
        if (wait := self._buckets.wait(bucket, *limits, now)) > 0:
            raise too_many("Too many tokens were not valid.", wait)
        found = await context.database.read(lambda c: _by_text(c, text))
        if isinstance(found, str):
            self._buckets.take(bucket, *limits, now)
            raise Refused("The token is not valid.", found)
        token, principal = found
        if token.expires is not None and token.expires <= now:
            self._buckets.take(bucket, *limits, now)
            raise Refused("The token has expired.", f"token {token.id}")
        await self._note_use(token, int(now))
        return principal

    def check_failures(self, client: ClientAddress | None) -> None:
        """Raise `ApiProblem` if too many logins through the provider failed."""
        settings = self._context.settings
        bucket = f"provider {network_of(client)}"
        limits = (settings.failure_rate, settings.failure_burst)
        if (wait := self._buckets.wait(bucket, *limits, self._context.clock())) > 0:
            raise too_many("Too many logins through the provider failed.", wait)

    def note_failure(self, client: ClientAddress | None) -> None:
        """Count a login through the provider that failed."""
        settings = self._context.settings
        bucket = f"provider {network_of(client)}"
        limits = (settings.failure_rate, settings.failure_burst)
        self._buckets.take(bucket, *limits, self._context.clock())

    async def _note_use(self, token: ApiToken, now: int) -> None:
        """Record the use of a token, once a minute."""
        if now - max(token.last_used or 0, self._noted.get(token.id, 0)) < NOTE_USE:
            return
        if len(self._noted) > 10_000:
            self._noted.clear()
        self._noted[token.id] = now
        await self._context.database.record(lambda c: tokens.note_use(c, token.id, now))


def attempts_name(administrator: str) -> str:
    """Return the name under which wrong passwords of an administrator are counted."""
    return f"administrator {administrator}"


def factor_attempts_name(account: str) -> str:
    """Return the name under which wrong codes of a second factor are counted."""
    return f"second factor of {account}"


def _has_factor(connection: Connection, principal: Principal) -> bool:
    owner = find_login_owner(connection, **principal.login_owner)
    return bool(second_factors.kinds(connection, owner))


def _parse_basic(credentials: str) -> tuple[str, Password]:
    try:
        octets = base64.b64decode(credentials, validate=True)
        name, colon, password = octets.decode().partition(":")
        if colon:
            return name, Password(password)
    except (binascii.Error, ValueError, BadPassword):
        pass
    raise Refused("The login cannot be read: it is NAME:PASSWORD in base64.")


def _administrator(connection: Connection, name: str) -> Administrator | None:
    try:
        return administrators.get(connection, name)
    except RefusalError:  # it does not exist, or is not a valid name
        return None


def _by_text(connection: Connection, text: str) -> tuple[ApiToken, Principal] | str:
    """Return a token and its principal, or only its owner if the token is not valid."""
    # with the time 0, expired tokens are found, too, so that the audit log can name them
    token = tokens.find_by_text(connection, text, 0)
    if token is None:
        return ""
    told = f"token {token.id}"
    if token.administrator is None and token.mailbox is None:
        scopes = frozenset(token.scopes)
        return token, Principal(
            token.name, Role.GLOBAL, scopes=scopes, token=token.id, expires=token.expires
        )
    found = find_owner(connection, token.administrator, token.mailbox)
    if found is None:
        return told
    return token, replace(
        found, scopes=frozenset(token.scopes), token=token.id, expires=token.expires
    )


def find_owner(
    connection: Connection, administrator: str | None, mailbox: str | None
) -> Principal | None:
    """Return the principal with the rights of an administrator or a mailbox; None if it may not log
    in, or is not there."""
    try:
        if administrator is not None:
            found = administrators.get(connection, administrator)
            return _of_administrator(found) if found.enabled else None
        if mailbox is not None and _may_log_in(connection, mailbox):
            return Principal(mailbox, Role.MAILBOX, mailbox=mailbox)
    except NoSuchObject:
        pass
    return None


def _may_log_in(connection: Connection, address: str) -> bool:
    mailbox = mailboxes.get(connection, address)
    domain = domains.get(connection, mailbox.domain)
    return mailbox.enabled and mailbox.may_login and domain.enabled


def _of_administrator(found: Administrator) -> Principal:
    return Principal(
        found.login, Role(found.role), frozenset(found.domains), administrator=found.id
    )
