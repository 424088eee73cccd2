"""Dovecot's authentication protocol: whole, octet by octet, and whatever else comes."""

from __future__ import annotations

import base64
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.protocols.dovecot_auth import (
    MAX_LINE,
    MAX_PENDING,
    Accepted,
    AuthConnection,
    AuthRequest,
    AuthUnavailable,
    Code,
    Denied,
    Verdict,
)
from accounts.protocols.sasl import MAX_LOGIN, MAX_PASSWORD, MAX_RESPONSE
from gatepost.conversation import Answered
from tests.unit.accounts.protocols.streams import events, in_any_portions, most_kept

HELLO = b"VERSION\t1\t0\nCPID\t4711\n"


def connection() -> AuthConnection:
    return AuthConnection(12296, 2, "46cc85ccd2833ca39a49c059fa3d3ccf")


def read(data: bytes) -> list[Any]:
    return in_any_portions(connection, HELLO + data, b"AUTH\t99\tPLA")


def b64(text: bytes | str) -> bytes:
    return base64.b64encode(text.encode() if isinstance(text, str) else text)


def plain(login: str, password: str, identity: str = "") -> bytes:
    return b64(f"{identity}\0{login}\0{password}")


def login(number: int, mechanism: str = "PLAIN", **more: Any) -> AuthRequest:
    facts = {"service": "imap", "client": None, "server": None, "secured": False, **more}
    return AuthRequest(number, mechanism, "harrie", "frop", **facts)


def test_the_greeting_is_what_clients_wait_for() -> None:
    assert connection().greeting.decode().split("\n") == [
        "VERSION\t1\t1",
        "MECH\tPLAIN\tplaintext",
        "MECH\tLOGIN\tplaintext",
        "SPID\t12296",
        "CUID\t2",
        "COOKIE\t46cc85ccd2833ca39a49c059fa3d3ccf",
        "DONE",
        "",
    ]


def test_several_log_ins_on_one_connection() -> None:
    """Dovecot's own client: PLAIN, LOGIN in steps, and a wrong password."""
    data = (
        b"AUTH\t1\tPLAIN\tservice=imap\tresp=AGhhcnJpZQBmcm9w\n"
        b"AUTH\t2\tLOGIN\tservice=imap\nCONT\t2\taGFycmll\nCONT\t2\tZnJvcA==\n"
        b"AUTH\t3\tPLAIN\tservice=imap\tresp=AGhhcnJpZQBmcm9w\n"
    )
    assert read(data) == [
        login(1),
        Answered(b"CONT\t2\tVXNlcm5hbWU6\n"),
        Answered(b"CONT\t2\tUGFzc3dvcmQ6\n"),
        login(2, "LOGIN"),
        login(3),
    ]


@pytest.mark.parametrize(
    "parameters",
    [
        b"service=smtp\tnologin\tlip=192.0.2.1\trip=198.51.100.7\tsecured",  # Postfix
        b"service=smtp\tsecured\trip=198.51.100.7\tlip=192.0.2.1\tnologin",  # Exim
        b"secured=tls\tx=y\tno-penalty\t\trip=198.51.100.7\tservice=smtp\tlip=192.0.2.1",
    ],
)
def test_parameters_come_in_any_order(parameters: bytes) -> None:
    (event,) = read(b"AUTH\t7\tPLAIN\t" + parameters + b"\tresp=AGhhcnJpZQBmcm9w\n")
    there: dict[str, Any] = {
        "client": ip_address("198.51.100.7"),
        "server": ip_address("192.0.2.1"),
    }
    assert event == login(7, service="smtp", secured=True, **there)


def test_as_chasquid_asks() -> None:
    """A client of minor version 1 whose identity is the login itself."""
    response = b"dXNlcm5hbWUAdXNlcm5hbWUAcGFzc3dvcmQ="
    sent = b"AUTH\t1\tPLAIN\tservice=smtp\tsecured\tno-penalty\tnologin\tresp=" + response + b"\n"
    (event,) = in_any_portions(connection, b"VERSION\t1\t1\nCPID\t1\n" + sent)
    assert (event.login, event.password) == ("username", "password")


def test_ipv6_and_what_is_no_address() -> None:
    (event,) = read(b"AUTH\t1\tPLAIN\trip=2001:db8::1\tlip=unknown\tresp=AGhhcnJpZQBmcm9w\n")
    assert event == login(1, service="", client=ip_address("2001:db8::1"))
    (event,) = read(b"AUTH\t1\tPLAIN\trip=::ffff:192.0.2.1\tresp=AGhhcnJpZQBmcm9w\n")
    assert event.client == ip_address("192.0.2.1")


def test_a_mechanism_may_be_written_small() -> None:
    """Postfix hands on what its client wrote."""
    (event,) = read(b"AUTH\t1\tplain\tservice=imap\tresp=AGhhcnJpZQBmcm9w\n")
    assert event == login(1)


def test_plain_without_an_initial_response() -> None:
    data = b"AUTH\t1\tPLAIN\tservice=imap\nCONT\t1\tAGhhcnJpZQBmcm9w\n"
    assert read(data) == [Answered(b"CONT\t1\t\n"), login(1)]


def test_login_with_the_name_in_the_initial_response() -> None:
    data = b"AUTH\t1\tLOGIN\tservice=imap\tresp=aGFycmll\nCONT\t1\tZnJvcA==\n"
    assert read(data) == [Answered(b"CONT\t1\tUGFzc3dvcmQ6\n"), login(1, "LOGIN")]


@pytest.mark.parametrize(
    ("mechanism", "response", "reason"),
    [
        ("PLAIN", b"", "not a PLAIN response"),
        ("PLAIN", b"=", "not a PLAIN response"),
        ("PLAIN", b64("testuser\0"), "not a PLAIN response"),
        ("PLAIN", b64("\0fa\0il\0ing\0withthis"), "not a PLAIN response"),
        ("PLAIN", b64("@\0\0"), "no login, or one that is too long"),
        ("PLAIN", b64("\0u@d\0"), "no password, or one that is too long"),
        ("PLAIN", b64("\0" + "x" * (MAX_LOGIN + 1) + "\0pw"), "no login, or one that is too long"),
        ("PLAIN", b64(b"\0\xff\0pw"), "a login that is not UTF-8"),
        ("PLAIN", b64(b"\0u\0\xff"), "a password that is not UTF-8"),
        ("PLAIN", b64("\0a\nb\0pw"), "a control character in the login"),
        ("PLAIN", b"AHVAZABwYXNz=", "the response is not base64"),
        ("PLAIN", b"AHVAZABwYXNz====", "the response is not base64"),
        ("PLAIN", b"=AAA", "the response is not base64"),
        ("PLAIN", b"AHVAZABwYXN", "the response is not base64"),
        ("PLAIN", b"AHVA ZABwYXNz", "the response is not base64"),
        ("PLAIN", b"this is not base64 encoded", "the response is not base64"),
        ("PLAIN", b"A" * (MAX_RESPONSE + 4), "the response is too long"),
        (
            "PLAIN",
            plain("masteruser", "masterpass", "normaluser"),
            "the response asks for another authorization identity",
        ),
        ("LOGIN", b"=", "no login, or one that is too long"),
        ("LOGIN", b64("test user\0user"), "a control character in the login"),
        ("CRAM-MD5", b64("x"), "Unsupported authentication mechanism"),
        ("", b"", "Unsupported authentication mechanism"),
        ("\xff", b"", "Unsupported authentication mechanism"),
    ],
)
def test_a_response_that_cannot_be_right_is_refused(
    mechanism: str, response: bytes, reason: str
) -> None:
    data = b"AUTH\t1\t%b\tservice=smtp\tresp=%b\n" % (mechanism.encode(), response)
    first, second = read(data + b"AUTH\t2\tPLAIN\tservice=imap\tresp=AGhhcnJpZQBmcm9w\n")
    assert first == Answered(f"FAIL\t1\treason={reason}\n".encode(), reason)
    assert second == login(2)


def test_an_endless_password_is_refused_and_the_longest_one_is_not() -> None:
    longest = "p" * MAX_PASSWORD
    one, two, three, four = read(
        b"AUTH\t1\tPLAIN\tresp=" + plain("u", longest) + b"\n"
        b"AUTH\t2\tPLAIN\tresp=" + plain("u", longest + "p") + b"\n"
        b"AUTH\t3\tLOGIN\tresp=" + b64("u") + b"\nCONT\t3\t" + b64(longest + "p") + b"\n"
    )
    assert one.password == longest
    assert two.reply.startswith(b"FAIL\t2\t")
    assert three.reply == b"CONT\t3\tUGFzc3dvcmQ6\n"
    assert four.reply.startswith(b"FAIL\t3\t")


def test_the_identity_may_be_the_login_in_other_letters() -> None:
    (event,) = read(b"AUTH\t1\tPLAIN\tresp=" + plain("anna@x", "p", "Anna@X") + b"\n")
    assert event.login == "anna@x"


def test_unknown_commands_and_a_cancelled_login_are_nothing() -> None:
    data = b"NEW\t1\n\nCPID\t2\nAUTH\t1\tLOGIN\nCANCEL\t1\nCANCEL\t9\nCONT\t1\taGFycmll\n"
    assert read(data) == [
        Answered(b"CONT\t1\tVXNlcm5hbWU6\n"),
        Answered(b"FAIL\t1\treason=the login was given up\n", "the login was given up"),
    ]


def test_log_ins_that_were_given_up_do_not_add_up() -> None:
    """Postfix says nothing of a client that sends ``*``."""
    begun = b"".join(b"AUTH\t%d\tLOGIN\n" % n for n in range(1, 500))
    *_, last = read(begun + b"CONT\t499\taGFycmll\n")
    assert last == Answered(b"CONT\t499\tUGFzc3dvcmQ6\n")
    one = connection()
    events(one, HELLO + begun)
    assert len(one._pending) == MAX_PENDING


@pytest.mark.parametrize(
    "data",
    [
        b"AUTH\t1\tPLAIN\tresp=AGhhcnJpZQBmcm9w\n",
        b"VERSION\t2\t0\n",
        b"VERSION\n",
        b"VERSION\tx\n",
        b"\n",
        b"USER\t1\tanna\tservice=smtp\n",
        b"GET / HTTP/1.1\r\n",
        b"x" * (MAX_LINE + 1),
        HELLO + b"AUTH\n",
        HELLO + b"AUTH\t1\n",
        HELLO + b"AUTH\tx\tPLAIN\n",
        HELLO + b"AUTH\t-1\tPLAIN\n",
        HELLO + b"AUTH\t4294967296\tPLAIN\n",
        HELLO + b"AUTH\t" + b"9" * 5000 + b"\tPLAIN\n",
        HELLO + b"CONT\n",
        HELLO + b"CANCEL\n",
        HELLO + b"x" * (MAX_LINE + 1),
    ],
)
def test_what_cannot_be_followed_ends_the_connection(data: bytes) -> None:
    """A greeting for another socket of Dovecot (USER asks userdb) is among it."""
    (error,) = in_any_portions(connection, data)
    assert isinstance(error, str)


def test_one_number_is_in_use_once() -> None:
    assert read(b"AUTH\t1\tLOGIN\nAUTH\t1\tLOGIN\n")[1] == "the number of AUTH is in use"


def encoded(verdict: Verdict) -> bytes | None:
    return connection().encode(login(4), verdict)


@pytest.mark.parametrize(
    ("verdict", "octets"),
    [
        (Accepted("harrie@example.org"), b"OK\t4\tuser=harrie@example.org\n"),
        (Accepted("j\u00f6rg@example.org"), "OK\t4\tuser=jörg@example.org\n".encode()),
        (Denied(), b"FAIL\t4\tuser=harrie\n"),
        (Denied("wrong\npassword"), b"FAIL\t4\tuser=harrie\treason=wrong?password\n"),
        (
            Denied("disabled", Code.DISABLED),
            b"FAIL\t4\tuser=harrie\treason=disabled\tcode=user_disabled\n",
        ),
        (AuthUnavailable(), None),
        (Accepted(""), None),
        (Accepted("a\tb"), None),
    ],
)
def test_verdicts(verdict: Verdict, octets: bytes | None) -> None:
    assert encoded(verdict) == octets


def test_a_temporary_failure_closes_or_says_so() -> None:
    for expired in (False, True):
        assert connection().failure(login(4), expired=expired) is None
    exim = AuthConnection(1, 2, "3", close_when_unavailable=False)
    told = b"FAIL\t4\tuser=harrie\ttemp\tcode=temp_fail\n"
    assert exim.encode(login(4), AuthUnavailable()) == told
    assert exim.failure(login(4), expired=True) == told


def test_a_login_never_shows_its_password() -> None:
    assert "frop" not in repr(login(1))
    assert "frop" not in f"{login(1)}"


def test_memory_is_bounded() -> None:
    one = connection()
    assert events(one, HELLO) == []
    assert most_kept(one, b"AUTH\t1\t" + b"x" * 8000, 10_000) <= MAX_LINE + 8192


pieces = st.sampled_from(
    [
        *(b"AUTH\t", b"CONT\t", b"1", b"2", b"\t", b"\n", b"PLAIN\t", b"LOGIN\n", b"resp="),
        *(b"AGhhcnJpZQBmcm9w", b"aGFycmll", b"\x01t", b"=", b"CANCEL\t1\n", b"rip=1.2.3.4"),
    ]
)


@given(st.lists(st.one_of(pieces, st.binary(max_size=20)), max_size=40))
def test_anything_gives_events_or_the_error_in_any_portions(portions: list[bytes]) -> None:
    for data in (b"".join(portions), HELLO + b"".join(portions)):
        whole = events(connection(), data)
        assert events(connection(), *(data[n : n + 1] for n in range(len(data)))) == whole
        assert events(connection(), *(data[n : n + 7] for n in range(0, len(data), 7))) == whole


names = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=50)
secrets = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=50
)


@given(names, secrets, st.sampled_from(["PLAIN", "LOGIN"]), st.booleans())
def test_login_and_password_arrive_as_they_were_sent(
    name: str, password: str, mechanism: str, at_once: bool
) -> None:
    steps = {"PLAIN": [plain(name, password)], "LOGIN": [b64(name), b64(password)]}
    answers = steps[mechanism]
    data = b"AUTH\t1\t" + mechanism.encode()
    if at_once:
        data += b"\tresp=" + answers.pop(0)
    data += b"\n" + b"".join(b"CONT\t1\t%b\n" % answer for answer in answers)
    *_, event = events(connection(), HELLO + data)
    assert (event.mechanism, event.login, event.password) == (mechanism, name, password)


@given(st.text(max_size=100), st.text(max_size=300))
def test_an_answer_is_one_line_whatever_is_in_it(user: str, reason: str) -> None:
    for verdict in (Accepted(user), Denied(reason)):
        line = encoded(verdict)
        if line is not None:
            assert line.count(b"\n") == 1
            assert line.endswith(b"\n")
            assert b"\0" not in line
            assert line.count(b"\t") <= 3
