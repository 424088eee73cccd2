"""All rules of a login: who is meant, which password counts where, what is said and what is not."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.attempt_settings import AttemptSettings
from accounts.attempts import AttemptKind, Attempts
from accounts.login import (
    AppPasswordUsed,
    LoggedIn,
    Login,
    LoginOutcome,
    PasswordCheck,
    Protocol,
    Reason,
    Upgrade,
    verify,
)
from accounts.login_driver import authenticate
from accounts.lookup.ask import AppPasswordRow, Ask, DomainRow, LoginRow, RowAnswer, Unavailable
from accounts.passwords import (
    Busy,
    Checked,
    Password,
    PasswordSettings,
    PasswordWorkers,
    hash_password,
)

SETTINGS = PasswordSettings(memory=8192, passes=1)
NOW = 1_800_000_000.0
CLIENT = ipaddress.ip_address("192.0.2.10")
RIGHT = "gate-keeper 1"
PHONE, OLD, BRIEF = "phone-pass", "old-pass", "brief-pass"
STORED = hash_password(Password(RIGHT), SETTINGS)


def row(address: str = "anna@example.org", **changes: Any) -> LoginRow:
    base = LoginRow(
        id=7,
        address=address,
        display_name="Anna",
        password=STORED,
        quota=None,
        enabled=True,
        may_login=True,
        may_send=True,
        may_receive=True,
        store=None,
        app_passwords=(
            AppPasswordRow(1, "phone", "{PLAIN}" + PHONE, "imap smtp"),
            AppPasswordRow(2, "old laptop", "{PLAIN}" + OLD, "imap", expires=int(NOW)),
            AppPasswordRow(3, "guest", "{PLAIN}" + BRIEF, "imap", expires=int(NOW) + 1),
        ),
    )
    return base._replace(**changes)


class World:
    """Domains and mailboxes in dictionaries, and everything that was asked."""

    def __init__(self, *rows: LoginRow) -> None:
        self.domains = {
            "example.org": DomainRow("example.org"),
            "example.com": DomainRow("example.com", alias_of="example.org"),
            "off.example": DomainRow("off.example", alias_of="example.org", enabled=False),
            "closed.example": DomainRow("closed.example", enabled=False),
        }
        self.logins = {one.address: one for one in rows or (row(),)}
        self.attempts = Attempts(AttemptSettings(), b"key")
        self.available = True
        self.slept: list[float] = []
        self.steps: list[object] = []

    async def source(self, asks: tuple[Ask, ...]) -> tuple[RowAnswer, ...]:
        if not self.available:
            raise Unavailable
        self.steps.append(tuple(ask.table for ask in asks))
        tables: dict[str, dict[str, Any]] = {"domain": self.domains, "login": self.logins}
        return tuple(tables[ask.table].get(ask.key) for ask in asks)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def login(
        self,
        login: str = "anna@example.org",
        password: str | bytes = RIGHT,
        protocol: Protocol = Protocol.IMAP,
        *,
        now: float = NOW,
        client: Any = CLIENT,
        default_domain: str = "",
    ) -> Login:
        verification = verify(
            login,
            password,
            protocol,
            client,
            now,
            attempts=self.attempts,
            settings=SETTINGS,
            default_domain=default_domain,
        )
        return asyncio.run(authenticate(verification, self.source, WORKERS[0], self.sleep))


WORKERS: list[PasswordWorkers] = []


@pytest.fixture(autouse=True, scope="module")
def workers() -> Iterator[PasswordWorkers]:
    WORKERS[:] = [PasswordWorkers(SETTINGS)]
    yield WORKERS[0]
    WORKERS[0].close()


def test_the_right_password() -> None:
    result = World().login()
    assert (result.outcome, result.reason) == (LoginOutcome.OK, Reason.OK)
    assert result.address == "anna@example.org"
    assert result.row == row()
    assert result.app_password is None
    assert result.effects == (LoggedIn(7, int(NOW)),)


@pytest.mark.parametrize(
    ("login", "default_domain"),
    [
        ("Anna@Example.ORG", ""),
        ("anna@example.org.", ""),
        ("anna@example.com", ""),  # an alias domain
        ("ANNA@EXAMPLE.COM", ""),
        ("anna", "example.org"),
        ("anna", "example.com"),
    ],
)
def test_spellings_of_one_mailbox(login: str, default_domain: str) -> None:
    result = World().login(login, default_domain=default_domain)
    assert (result.outcome, result.address) == (LoginOutcome.OK, "anna@example.org")


@pytest.mark.parametrize(
    "login",
    [
        *("", "@", "anna", "anna@", "@example.org", "a\0nna@example.org", "../anna@example.org"),
        *("anna@example.org\n", "*@example.org", "x" * 300 + "@example.org", "a b@example.org"),
        "\ud800@x.y",
    ],
)
def test_a_login_that_is_no_address(login: str) -> None:
    world = World()
    result = world.login(login)
    assert (result.outcome, result.reason) == (LoginOutcome.WRONG, Reason.MALFORMED_LOGIN)
    assert result.address == ""  # it may be a password in the wrong field
    assert world.steps == []


@pytest.mark.parametrize("password", ["", "a\0b", "x" * 2000, b"\0"])
def test_a_password_that_cannot_be_one(password: str | bytes) -> None:
    result = World().login(password=password)
    assert (result.outcome, result.reason) == (LoginOutcome.WRONG, Reason.MALFORMED_PASSWORD)


def test_wrong_ones() -> None:
    locked, broken = row("locked@example.org", password="!", app_passwords=()), "{NONE}secrethash"
    world = World(
        row(),
        locked,
        row("broken@example.org", password=broken, app_passwords=()),
        row("none@example.org", password=None, app_passwords=()),
    )
    for login, password, reason in (
        ("anna@example.org", "nope", Reason.WRONG_PASSWORD),
        ("bert@example.org", "nope", Reason.UNKNOWN_USER),
        ("anna@elsewhere.example", "nope", Reason.UNKNOWN_USER),
        ("carl@example.com", "nope", Reason.UNKNOWN_USER),
        ("locked@example.org", "!", Reason.UNUSABLE_HASH),
        ("broken@example.org", "nope", Reason.UNUSABLE_HASH),
        ("none@example.org", "nope", Reason.NO_PASSWORD),
    ):
        result = world.login(login, password)
        assert (result.outcome, result.reason, result.row) == (LoginOutcome.WRONG, reason, None)
        assert result.effects == ()
    problems = world.login("broken@example.org", "other").problems
    assert problems == ("the scheme NONE is not supported",)


def test_unknown_and_wrong_take_the_same_steps() -> None:
    steps = []
    for login in ("anna@example.org", "bert@example.org", "anna@nowhere.example"):
        world = World()
        verification = verify(
            login, "nope", Protocol.IMAP, CLIENT, NOW, attempts=world.attempts, settings=SETTINGS
        )
        kinds = [type(next(verification))]
        answers = asyncio.run(world.source((Ask("domain", login[5:]), Ask("login", login))))
        kinds.append(type(verification.send(answers)))
        steps.append(kinds)
    assert steps == [[tuple, PasswordCheck]] * 3


# -- app passwords


@pytest.mark.parametrize(
    ("password", "protocol", "reason"),
    [
        (PHONE, Protocol.IMAP, Reason.OK),
        (PHONE, Protocol.SMTP, Reason.OK),
        (PHONE, Protocol.POP3, Reason.APP_PASSWORD_PROTOCOL),
        (PHONE, Protocol.SIEVE, Reason.APP_PASSWORD_PROTOCOL),
        (PHONE, Protocol.API, Reason.APP_PASSWORD_PROTOCOL),
        (OLD, Protocol.IMAP, Reason.APP_PASSWORD_EXPIRED),
        (OLD, Protocol.SMTP, Reason.APP_PASSWORD_PROTOCOL),
        (BRIEF, Protocol.IMAP, Reason.OK),
        (RIGHT, Protocol.API, Reason.OK),
    ],
)
def test_app_passwords(password: str, protocol: Protocol, reason: Reason) -> None:
    result = World().login(password=password, protocol=protocol)
    assert result.reason == reason
    assert (result.outcome is LoginOutcome.OK) == (reason is Reason.OK)
    assert (result.row is not None) == (reason is Reason.OK)


def test_an_app_password_never_opens_the_pages() -> None:
    every = AppPasswordRow(9, "all", "{PLAIN}all-pass", "imap pop3 smtp sieve api")
    result = World(row(app_passwords=(every,))).login(password="all-pass", protocol=Protocol.API)
    assert result.reason is Reason.APP_PASSWORD_PROTOCOL


def test_the_use_of_an_app_password_is_noted_and_it_is_not_hashed_anew() -> None:
    result = World().login(password=PHONE)
    assert result.app_password == "phone"
    assert result.effects == (
        LoggedIn(7, int(NOW)),
        AppPasswordUsed(1, int(NOW), "192.0.2.10"),
    )


def test_a_mailbox_with_app_passwords_only() -> None:
    world = World(row(password=None))
    assert world.login(password=PHONE).outcome is LoginOutcome.OK
    assert world.login(password=RIGHT).outcome is LoginOutcome.WRONG


# -- what is allowed


@pytest.mark.parametrize(
    ("changes", "protocol", "reason"),
    [
        ({"enabled": False}, Protocol.IMAP, Reason.DISABLED),
        ({"enabled": False}, Protocol.SMTP, Reason.DISABLED),
        ({"may_login": False}, Protocol.IMAP, Reason.MAY_NOT_LOGIN),
        ({"may_login": False}, Protocol.POP3, Reason.MAY_NOT_LOGIN),
        ({"may_login": False}, Protocol.SIEVE, Reason.MAY_NOT_LOGIN),
        ({"may_login": False}, Protocol.API, Reason.MAY_NOT_LOGIN),
        ({"may_login": False}, Protocol.SMTP, Reason.OK),
        ({"may_send": False}, Protocol.SMTP, Reason.MAY_NOT_SEND),
        ({"may_send": False}, Protocol.IMAP, Reason.OK),
        ({"may_receive": False}, Protocol.IMAP, Reason.OK),
    ],
)
def test_what_a_mailbox_may(changes: dict[str, Any], protocol: Protocol, reason: Reason) -> None:
    world = World(row(**changes))
    result = world.login(protocol=protocol)
    assert result.reason is reason
    assert (result.outcome is LoginOutcome.DISABLED) == (reason is not Reason.OK)
    # somebody without the password is told nothing of it
    assert world.login(password="nope", protocol=protocol).reason is Reason.WRONG_PASSWORD


def test_a_domain_that_is_disabled() -> None:
    world = World(row(), row("anna@closed.example"))
    for login in ("anna@off.example", "anna@closed.example"):
        assert world.login(login).reason is Reason.DOMAIN_DISABLED
        assert world.login(login, "nope").outcome is LoginOutcome.WRONG


def test_a_disabled_login_is_no_wrong_password() -> None:
    world = World(row(enabled=False))
    for _ in range(20):
        assert world.login().reason is Reason.DISABLED


# -- upgrades


@pytest.mark.parametrize(
    ("stored", "upgrade"),
    [
        (STORED, False),
        ("{SHA256-CRYPT}$5$i2zSdZGb0qMn3l3e$f46VennfP7vFgrNrLZ3f0dSSi7vhGQvRjam5LRc0dt.", True),
        ("{SSHA256}Upe86ZCda0FGzOe69R7PsLT9oRAeiF5zxlXmk4sJ0ARhLoc5", True),
        ("{PLAIN}Käse-9 brot", True),
    ],
    ids=["argon2id", "sha256-crypt", "ssha256", "plain"],
)
def test_an_old_hash_is_to_be_replaced(stored: str, upgrade: bool) -> None:
    password = RIGHT if stored == STORED else "Käse-9 brot"
    result = World(row(password=stored)).login(password=password)
    assert result.outcome is LoginOutcome.OK
    assert (Upgrade(7, stored) in result.effects) == upgrade


def test_no_upgrade_after_a_wrong_or_refused_login() -> None:
    world = World(row(password="{PLAIN}" + RIGHT, enabled=False))
    assert world.login().effects == ()
    assert world.login(password="nope").effects == ()


# -- limits and failures


def test_many_wrong_passwords_have_to_wait_and_are_then_refused_for_the_time_being() -> None:
    world = World()
    results = [world.login(password=f"wrong {n}") for n in range(9)]
    assert [r.outcome for r in results] == [LoginOutcome.WRONG] * 7 + [LoginOutcome.TEMPORARY] * 2
    assert results[-1].reason is Reason.TOO_MANY_ATTEMPTS
    assert results[-1].seconds > 5
    assert world.slept == [1.0, 3.0]
    # the right one is not even checked, so that a guesser learns nothing
    assert world.login().reason is Reason.TOO_MANY_ATTEMPTS
    assert world.login(now=NOW + 10).outcome is LoginOutcome.OK


def test_an_unknown_login_waits_just_as_long() -> None:
    known, unknown = World(), World()
    for number in range(12):
        first = known.login(password=f"wrong {number}")
        second = unknown.login("bert@example.org", f"wrong {number}")
        assert (first.outcome, first.seconds) == (second.outcome, second.seconds)
    assert known.slept == unknown.slept


def test_alias_domains_give_no_further_attempts() -> None:
    world = World()
    for number in range(12):
        login = "anna@example.com" if number % 2 else "anna@example.org"
        result = world.login(login, f"wrong {number}")
    assert result.reason is Reason.TOO_MANY_ATTEMPTS


def test_a_mail_program_with_the_old_password() -> None:
    world = World()
    reasons = [world.login(password="old one", now=NOW + 60 * n).reason for n in range(30)]
    assert reasons == [Reason.WRONG_PASSWORD] * 30
    assert world.login(password="old one", now=NOW + 60 * 29 + 1).reason is Reason.REPEATED_PASSWORD
    assert world.login(now=NOW + 60 * 30).outcome is LoginOutcome.OK
    assert world.slept == []


def test_a_database_that_is_away_is_temporary_and_counts_nothing() -> None:
    world = World()
    world.available = False
    for _ in range(20):
        result = world.login()
        assert (result.outcome, result.reason) == (LoginOutcome.TEMPORARY, Reason.DATABASE)
    world.available = True
    assert world.login().outcome is LoginOutcome.OK
    assert world.slept == []


def test_a_full_queue_is_temporary_and_counts_nothing() -> None:
    world = World()
    for number in range(20):
        verification = verify(
            "anna@example.org",
            f"any {number}",
            Protocol.IMAP,
            CLIENT,
            NOW,
            attempts=world.attempts,
            settings=SETTINGS,
        )
        next(verification)
        assert isinstance(verification.send((DomainRow("example.org"), row())), PasswordCheck)
        with pytest.raises(StopIteration) as stopped:
            verification.throw(Busy())
        assert stopped.value.value.reason is Reason.BUSY
    assert world.login().outcome is LoginOutcome.OK
    assert world.slept == []


def test_a_client_that_leaves_meanwhile_counts_nothing() -> None:
    world = World()

    class Hanging:
        def __init__(self) -> None:
            self.started = asyncio.Event()

        async def check(self, password: Password, stored: Sequence[str], login: str) -> Checked:
            self.started.set()
            await asyncio.Event().wait()
            raise AssertionError

    async def leave(number: int) -> None:
        checker = Hanging()
        verification = verify(
            "anna@example.org",
            f"any {number}",
            Protocol.IMAP,
            CLIENT,
            NOW,
            attempts=world.attempts,
            settings=SETTINGS,
        )
        task = asyncio.create_task(authenticate(verification, world.source, checker, world.sleep))
        await checker.started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    for number in range(4):
        asyncio.run(leave(number))
    decision = world.attempts.decide("anna@example.org", CLIENT, b"new", NOW)
    assert (decision.kind, decision.seconds) == (AttemptKind.CHECK, 0.0)
    assert len(decision.levels[0].entry.under_way) == 1


def test_nothing_shows_a_password() -> None:
    world = World(row(password="{PLAIN}" + RIGHT))
    shown = [repr(world.login()), repr(world.login(password="nope-secret"))]
    verification = verify(
        "anna@example.org",
        RIGHT,
        Protocol.IMAP,
        CLIENT,
        NOW,
        attempts=world.attempts,
        settings=SETTINGS,
    )
    next(verification)
    shown.append(repr(verification.send((DomainRow("example.org"), row()))))
    verification.close()
    for text in shown:
        for secret in (RIGHT, PHONE, "nope-secret", "$argon2id", "{PLAIN}"):
            assert secret not in text


@given(
    login=st.sampled_from(["anna@example.org", "anna@example.com", "bert@example.org"])
    | st.text(max_size=30),
    password=st.sampled_from([PHONE, OLD, "{PLAIN}" + PHONE, "!", STORED]) | st.text(max_size=20),
    protocol=st.sampled_from(Protocol),
    enabled=st.booleans(),
    may_login=st.booleans(),
    may_send=st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_only_a_right_password_of_an_enabled_mailbox_is_let_in(
    login: str, password: str, protocol: Protocol, enabled: bool, may_login: bool, may_send: bool
) -> None:
    world = World(row(enabled=enabled, may_login=may_login, may_send=may_send))
    result = world.login(login, password, protocol)
    allowed = may_send if protocol is Protocol.SMTP else may_login
    is_right = password == PHONE and protocol in (Protocol.IMAP, Protocol.SMTP)
    is_anna = result.address == "anna@example.org"
    assert (result.outcome is LoginOutcome.OK) == (is_anna and enabled and allowed and is_right)
    assert result.outcome is not LoginOutcome.TEMPORARY
    assert world.slept == []
