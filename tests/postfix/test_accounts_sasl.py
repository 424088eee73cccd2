"""A real smtpd that asks accounts whether a login is right, with swaks and by hand."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from accounts.listeners import auth_server
from accounts.protocols.dovecot_auth import Accepted, AuthRequest, AuthUnavailable, Denied, Verdict
from tests.daemon.accounts_serving import Serving, bounds
from tests.postfix.conftest import StartPostfix
from tests.testbed import swaks
from tests.testbed.ports import free_port
from tests.testbed.postfix import PrivatePostfix, Service
from tests.testbed.postfix_files import SUBMISSION_RESTRICTIONS
from tests.testbed.sink import Sink
from tests.testbed.smtp import RawClient, Reply
from tests.testbed.swaks import Client, Exchange
from tests.testbed.waiting import wait_until

ALICE, SECRET = "alice@gatepost.test", "älice: secret=="


class Logins:
    """A handler that knows Alice, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[AuthRequest] = []
        self.mood = "well"

    async def answer(self, event: AuthRequest) -> Verdict:
        self.asked.append(event)
        if self.mood == "broken":
            raise OSError("the database is away")
        if self.mood == "silent":
            await asyncio.Event().wait()
        if self.mood == "away":
            return AuthUnavailable()
        if event.login.lower() != ALICE or event.password != SECRET:
            return Denied("" if self.mood == "well" else self.mood)
        return Accepted(ALICE)


@pytest.fixture
def logins() -> Logins:
    return Logins()


Start = Callable[..., tuple[Serving, PrivatePostfix]]


@pytest.fixture
def start(logins: Logins, directory: Path, start_postfix: StartPostfix) -> Iterator[Start]:
    """Starts the server and a Postfix that asks it."""
    serving: list[Serving] = []

    def starting(
        *, unix: bool = False, port: int = 0, **limits: float
    ) -> tuple[Serving, PrivatePostfix]:
        path = directory / "auth" if unix else None
        serving.append(
            Serving(lambda: auth_server(logins.answer, bounds(**limits)), path, port=port)
        )
        address = str(path) if path else serving[-1].postfix
        settings = {**SUBMISSION_RESTRICTIONS, "smtpd_sasl_path": address}
        return serving[-1], start_postfix([Service("submission", settings)])

    yield starting
    for one in serving:
        one.close()


def send(postfix: PrivatePostfix, mechanism: str, password: str, login: str = ALICE) -> Exchange:
    return swaks.send(
        postfix.port("submission"),
        sender=ALICE,
        recipients=["bob@example.org"],
        subject=f"by {mechanism}",
        client=Client("203.0.113.5"),
        options=["--auth", mechanism, "--auth-user", login, "--auth-password", password],
    )


def plain(password: str = SECRET, login: str = ALICE, identity: str = "") -> str:
    return base64.b64encode(f"{identity}\0{login}\0{password}".encode()).decode()


def auth(client: RawClient, password: str = SECRET) -> Reply:
    return client.command(f"AUTH PLAIN {plain(password)}")


@pytest.fixture(params=["inet", "unix"])
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_submission_by_plain_and_login(
    start: Start, logins: Logins, sink: Sink, family: str
) -> None:
    _, postfix = start(unix=family == "unix")
    for mechanism in ("PLAIN", "LOGIN"):
        sent = send(postfix, mechanism, SECRET)
        assert sent.accepted, sent.transcript
        assert sent.reply_to("AUTH").code in (235, 334)
        sink.wait_for_subject(f"by {mechanism}")
        event = logins.asked[-1]
        assert (event.mechanism, event.login, event.service) == (mechanism, ALICE, "smtp")
        assert event.client == ip_address("203.0.113.5")
        assert not event.secured
    assert postfix.log_text().count(f"sasl_username={ALICE}") == 2


def test_a_wrong_password_is_535(start: Start, logins: Logins) -> None:
    _, postfix = start()
    for mechanism in ("PLAIN", "LOGIN"):
        refused = send(postfix, mechanism, "wrong").reply
        assert (refused.code, refused.text[:5]) == (535, "5.7.8")
    logins.mood = "too many attempts"
    refused = send(postfix, "PLAIN", "wrong").reply
    assert refused.code == 535
    assert refused.text.endswith("too many attempts")


@pytest.mark.parametrize("mood", ["away", "broken", "silent"])
def test_a_temporary_failure_is_454_and_passes(
    start: Start, logins: Logins, mood: str, family: str
) -> None:
    _, postfix = start(answer=1, unix=family == "unix")
    logins.mood = mood
    for mechanism in ("PLAIN", "LOGIN"):
        failed = send(postfix, mechanism, SECRET).reply
        assert (failed.code, failed.text[:5]) == (454, "4.7.0")
    with RawClient(postfix.port("submission")) as client:
        client.hello()
        assert auth(client).code == 454
        logins.mood = "well"
        assert auth(client).code == 235


def test_responses_in_every_form(start: Start, logins: Logins) -> None:
    _, postfix = start()
    name, secret = (base64.b64encode(text.encode()).decode() for text in (ALICE, SECRET))
    forms: list[list[str]] = [
        [f"AUTH PLAIN {plain()}"],
        [f"auth plain {plain()}"],
        [f"AUTH PLAIN {plain(identity=ALICE)}"],
        ["AUTH PLAIN", plain()],
        ["AUTH LOGIN", name, secret],
        [f"AUTH Login {name}", secret],
    ]
    for form in forms:
        with RawClient(postfix.port("submission")) as client:
            client.hello()
            replies = [client.command(line).code for line in form]
            assert replies == [*([334] * (len(form) - 1)), 235], form
    assert [event.password for event in logins.asked] == [SECRET] * len(forms)


@pytest.mark.parametrize(
    "form",
    [
        ["AUTH PLAIN ="],
        ["AUTH PLAIN AAAA"],
        ["AUTH PLAIN x"],
        ["AUTH PLAIN", ""],
        [f"AUTH PLAIN {plain(identity='bob@gatepost.test')}"],
        [f"AUTH PLAIN {plain(login='x' * 500)}"],
        [f"AUTH PLAIN {plain('p' * 5000)}"],
        ["AUTH LOGIN", ""],
        ["AUTH LOGIN", "AAAA"],
        ["AUTH LOGIN", "YWxpY2U=", "/w=="],
        ["AUTH LOGIN", "YWxpY2U=", ""],
    ],
)
def test_what_cannot_be_right_is_refused_and_asks_nobody(
    start: Start, logins: Logins, form: list[str]
) -> None:
    _, postfix = start()
    with RawClient(postfix.port("submission")) as client:
        client.hello()
        *_, last = [client.command(line) for line in form]
        assert last.code == 535
        assert logins.asked == []
        assert auth(client).code == 235


def test_a_client_that_gives_up_takes_nothing_from_the_next(start: Start) -> None:
    _, postfix = start()
    with RawClient(postfix.port("submission")) as client:
        client.hello()
        for _ in range(40):
            assert client.command("AUTH LOGIN").code == 334
            assert client.command("*").code == 501
        assert auth(client).code == 235


def test_a_silent_connection_that_was_closed_costs_no_login(
    start: Start, logins: Logins, family: str
) -> None:
    """An smtpd process keeps its connection; when it needs it again it has to notice."""
    server, postfix = start(idle=0.2, unix=family == "unix")
    with RawClient(postfix.port("submission")) as client:
        client.hello()
        for _ in range(3):
            assert auth(client, "wrong").code == 535
            wait_until(lambda: not server.server.connections, "the server to close")
        assert auth(client).code == 235


def test_a_restart_costs_no_login(start: Start, logins: Logins) -> None:
    port = free_port()
    server, postfix = start(port=port)
    with RawClient(postfix.port("submission")) as client:
        client.hello()
        assert auth(client, "wrong").code == 535
        server.close()
        with Serving(lambda: auth_server(logins.answer), port=port):
            assert auth(client).code == 235


def test_while_nobody_listens_it_is_temporary(start: Start) -> None:
    server, postfix = start()
    with RawClient(postfix.port("submission")) as client:
        client.hello()
        assert auth(client, "wrong").code == 535
        server.close()
        assert auth(client).code == 454


def test_a_slow_verdict_holds_nobody_else_up(start: Start, logins: Logins) -> None:
    _, postfix = start(answer=5)
    with RawClient(postfix.port("submission")) as slow:
        slow.hello()
        logins.mood = "silent"
        slow.send(f"AUTH PLAIN {plain()}\r\n".encode())
        wait_until(lambda: logins.asked, "it to be asked")
        logins.mood = "well"
        begun = time.monotonic()
        with RawClient(postfix.port("submission")) as other:
            other.hello()
            assert auth(other).code == 235
        assert time.monotonic() - begun < 4
        assert slow.read_reply().code == 454
