"""Rules of a login: which mailbox is meant, which of its passwords match, and what is allowed.

`verify` is a generator, without a clock, a database or a thread. It yields

* a tuple of `accounts.lookup.ask.Ask`, and is sent a tuple of answers or thrown `Unavailable`;
* a `Wait`, and is sent None after that time;
* a `PasswordCheck`, and is sent the `Checked` of `PasswordWorkers.check` or thrown `Busy`.

It returns a `Login`. `accounts.login_driver` runs it in an event loop. No `repr()` here contains a
password.

The order matters. A login that does not exist, one without a password and one with a wrong password
take the same steps and the same time. Only somebody who knows the password learns that an account
is disabled.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, TypeAlias, cast

from accounts.attempts import AttemptKind, Attempts, ClientAddress
from accounts.lookup.ask import AppPasswordRow, Ask, LoginRow, Unavailable
from accounts.lookup.login_name import ParsedLogin, find_login_name, read_login_name
from accounts.passwords import (
    BadPassword,
    Busy,
    Checked,
    Password,
    PasswordSettings,
    StoredPasswordError,
    needs_upgrade,
)

MAX_APP_PASSWORDS: Final = 50
"""App passwords of a mailbox that are tried; imported ones may be slow to check."""


class Protocol(StrEnum):
    """Protocol of a login. `API` is the REST API and the web pages."""

    IMAP = "imap"
    POP3 = "pop3"
    SMTP = "smtp"
    SIEVE = "sieve"
    API = "api"


class LoginOutcome(StrEnum):
    """Outcome of a login."""

    OK = "ok"
    WRONG = "wrong"
    DISABLED = "disabled"
    """The password is right, and the login is not allowed: a permanent error."""
    TEMPORARY = "temporary"
    """The password could not be checked; the program should try again. Never tell it that the
    password is wrong."""


class Reason(StrEnum):
    """Reason of an outcome, as an id for log, metrics and documentation."""

    OK = "ok"
    MALFORMED_LOGIN = "malformed-login"
    MALFORMED_PASSWORD = "malformed-password"
    UNKNOWN_USER = "unknown-user"
    NO_PASSWORD = "no-password"
    UNUSABLE_HASH = "unusable-hash"
    WRONG_PASSWORD = "wrong-password"
    REPEATED_PASSWORD = "repeated-password"
    DISABLED = "disabled"
    DOMAIN_DISABLED = "domain-disabled"
    MAY_NOT_LOGIN = "may-not-login"
    MAY_NOT_SEND = "may-not-send"
    APP_PASSWORD_PROTOCOL = "app-password-protocol"
    APP_PASSWORD_EXPIRED = "app-password-expired"
    TOO_MANY_ATTEMPTS = "too-many-attempts"
    BUSY = "busy"
    DATABASE = "database-unavailable"


@dataclass(frozen=True, slots=True)
class Wait:
    """A request to wait, in seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class PasswordCheck:
    """A request to check a password against stored ones; `login` is the address of the mailbox.

    If `stored` is empty, the work is done all the same.
    """

    password: Password
    stored: tuple[str, ...] = field(repr=False)
    login: str = ""


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """An effect: the mailbox was used at this time."""

    mailbox: int
    at: int


@dataclass(frozen=True, slots=True)
class AppPasswordUsed:
    """An effect: the app password was used at this time from this address."""

    app_password: int
    at: int
    client: str | None


@dataclass(frozen=True, slots=True)
class Upgrade:
    """An effect: hash the password again, and store the hash if `stored` is still the stored
    one."""

    mailbox: int
    stored: str = field(repr=False)


Effect: TypeAlias = LoggedIn | AppPasswordUsed | Upgrade


@dataclass(frozen=True, slots=True)
class Login:
    """Result of a login. `address` is the mailbox, or else the address that was typed.

    `address` is empty when the login was not an address: some people type their password there.
    `row` is set if the outcome is OK. `app_password` is the name of the app password that matched.
    `seconds` is the time to wait after `too-many-attempts`. `problems` has a sentence for each
    stored password that cannot be used.
    """

    outcome: LoginOutcome
    reason: Reason
    address: str = ""
    row: LoginRow | None = field(repr=False, default=None)
    app_password: str | None = None
    seconds: float = 0.0
    problems: tuple[str, ...] = ()
    effects: tuple[Effect, ...] = ()


LoginStep: TypeAlias = tuple[Ask, ...] | Wait | PasswordCheck
Verification: TypeAlias = Generator[LoginStep, Any, Login]


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A stored password; `refusal` is set when it must not be used here and now."""

    stored: str = field(repr=False)
    app_password: AppPasswordRow | None = field(repr=False, default=None)
    refusal: Reason | None = None


def verify(
    login: str,
    password: Password | str | bytes,
    protocol: Protocol,
    client: ClientAddress | None,
    now: float,
    *,
    attempts: Attempts,
    settings: PasswordSettings,
    default_domain: str = "",
) -> Verification:
    """Verify a login; `now` is in seconds since the epoch, `client` is the address of the user.

    A login without a domain is one in `default_domain`, unless that is empty.
    """
    try:
        secret = password if isinstance(password, Password) else Password(password)
    except BadPassword:
        return Login(LoginOutcome.WRONG, Reason.MALFORMED_PASSWORD)
    address = read_login_name(login, default_domain)
    if address is None:
        return Login(LoginOutcome.WRONG, Reason.MALFORMED_LOGIN)
    try:
        found = yield from find_login_name(address, "login")
    except Unavailable:
        return Login(LoginOutcome.TEMPORARY, Reason.DATABASE, str(address))
    # counted for the mailbox, so that alias domains allow no further attempts
    decision = attempts.decide(found.address, client, secret.forms[0], now)
    if decision.kind is AttemptKind.REPEATED:
        return Login(LoginOutcome.WRONG, Reason.REPEATED_PASSWORD, found.address)
    if decision.kind is AttemptKind.LATER:
        return Login(
            LoginOutcome.TEMPORARY,
            Reason.TOO_MANY_ATTEMPTS,
            found.address,
            seconds=decision.seconds,
        )
    right: bool | None = None
    try:
        if decision.seconds > 0:
            yield Wait(decision.seconds)
        candidates = _candidates(cast(LoginRow | None, found.row), protocol, now)
        stored = tuple(candidate.stored for candidate in candidates)
        try:
            checked = cast(Checked, (yield PasswordCheck(secret, stored, found.address)))
        except Busy:
            return Login(LoginOutcome.TEMPORARY, Reason.BUSY, found.address)
        result = _judge(found, candidates, checked, protocol, client, now, settings)
        right = {LoginOutcome.OK: True, LoginOutcome.WRONG: False}.get(result.outcome)
        return result
    finally:
        attempts.end(decision, right, now + decision.seconds)


def _candidates(row: LoginRow | None, protocol: Protocol, now: float) -> list[_Candidate]:
    """Return the stored passwords of a mailbox; those that may be used here and now come first."""
    if row is None:
        return []
    candidates = [_Candidate(row.password)] if row.password is not None else []
    for app_password in row.app_passwords[:MAX_APP_PASSWORDS]:
        refusal = None
        if protocol is Protocol.API or protocol not in app_password.protocols.split():
            refusal = Reason.APP_PASSWORD_PROTOCOL
        elif app_password.expires is not None and app_password.expires <= now:
            refusal = Reason.APP_PASSWORD_EXPIRED
        candidates.append(_Candidate(app_password.password, app_password, refusal))
    return sorted(candidates, key=lambda candidate: candidate.refusal is not None)


def _judge(
    found: ParsedLogin,
    candidates: list[_Candidate],
    checked: Checked,
    protocol: Protocol,
    client: ClientAddress | None,
    now: float,
    settings: PasswordSettings,
) -> Login:
    problems = tuple(text for _, text in checked.problems)
    row = cast(LoginRow | None, found.row)
    if checked.index is None or row is None:
        reason = _why_wrong(row, candidates, checked)
        return Login(LoginOutcome.WRONG, reason, found.address, problems=problems)
    matched = candidates[checked.index]
    app_password = matched.app_password
    name = app_password.name if app_password is not None else None
    refusal = matched.refusal or _refusal(found, row, protocol)
    if refusal is not None:
        return Login(
            LoginOutcome.DISABLED, refusal, found.address, app_password=name, problems=problems
        )
    at = int(now)
    effects: list[Effect] = [LoggedIn(row.id, at)]
    if app_password is not None:
        used_from = None if client is None else str(client)
        effects.append(AppPasswordUsed(app_password.id, at, used_from))
    elif _is_old(matched.stored, settings):
        effects.append(Upgrade(row.id, matched.stored))
    return Login(
        LoginOutcome.OK,
        Reason.OK,
        found.address,
        row=row,
        app_password=name,
        problems=problems,
        effects=tuple(effects),
    )


def _why_wrong(row: LoginRow | None, candidates: list[_Candidate], checked: Checked) -> Reason:
    if row is None:
        return Reason.UNKNOWN_USER
    if not candidates:
        return Reason.NO_PASSWORD
    if len(checked.problems) == len(candidates):
        return Reason.UNUSABLE_HASH
    return Reason.WRONG_PASSWORD


def _refusal(found: ParsedLogin, row: LoginRow, protocol: Protocol) -> Reason | None:
    if not found.in_force:
        return Reason.DOMAIN_DISABLED
    if not row.enabled:
        return Reason.DISABLED
    if protocol is Protocol.SMTP:
        # a mailbox that may send but not log in belongs to a machine, which reads no folders
        return None if row.may_send else Reason.MAY_NOT_SEND
    return None if row.may_login else Reason.MAY_NOT_LOGIN


def _is_old(stored: str, settings: PasswordSettings) -> bool:
    try:
        return needs_upgrade(stored, settings)
    except StoredPasswordError:  # cannot happen: a hash that matched was parsed before
        return False
