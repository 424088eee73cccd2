"""Questions of Outlook, those of attackers among them, and the answers."""

from __future__ import annotations

import datetime
import time

import pytest

from accounts.autoconfig.outlook import (
    MAX_REQUEST,
    QuestionError,
    Refusal,
    parse_question,
    refusal_answer,
    settings_answer,
)
from tests.unit.accounts.autoconfig.offered import question, settings, without_namespaces

MOBILE = "http://schemas.microsoft.com/exchange/autodiscover/mobilesync/responseschema/2006"
LAUGHS = "".join(
    f'<!ENTITY {chr(98 + number)} "{f"&{chr(97 + number)};" * 10}">' for number in range(9)
)
BOMB = f'<!DOCTYPE x [<!ENTITY a "ha">{LAUGHS}]>'
OUTSIDE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'


def test_a_question() -> None:
    asked = parse_question(question(" Anna@Example.org\n"))
    assert asked.address == "Anna@Example.org"
    assert asked.is_for_us
    assert not parse_question(question("a@b.example", schema=MOBILE)).is_for_us
    utf16 = question("a@b.example").decode().replace("utf-8", "utf-16").encode("utf-16")
    assert parse_question(utf16).address == "a@b.example"
    bare = b"<a><Request><EMailAddress>a@b.example</EMailAddress></Request></a>"
    assert parse_question(bare).is_for_us
    assert parse_question(question("")).address == ""
    assert parse_question(question("&lt;&#97;@b.example")).address == "<a@b.example"


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"emailaddress=anna@example.org",
        b'{"Email": "anna@example.org"}',
        b"\xff\xfe\x00",
        b"<Autodiscover/>",
        question("&j;", before=BOMB),
        question("&a;", before=OUTSIDE),
        question("x", before="<!DOCTYPE x SYSTEM 'http://evil.example/x.dtd'>"),
        question("x", before="<?php echo 1 ?>"),
        question("&nothing;"),
        question("a" * 2000),
        question("a@b.example</EMailAddress><EMailAddress>c@d.example"),
        question("a@b.example").replace(b"utf-8", b"x-unknown"),
        question("a@b.example").replace(b"utf-8", b"idna"),
        question("a@b.example") + b"<more/>",
        b"<Request>" * 21 + b"</Request>" * 21,
        b"<a>" * 5000,
        b"<Request " + b" ".join(b'a%d="1"' % number for number in range(1500)),
        question("a@b.example") + b" " * MAX_REQUEST,
        b"<x>" + b"a" * (10 << 20) + b"</x>",
    ],
    ids=lambda octets: str(octets[:20]),
)
def test_a_question_that_cannot_be_read(octets: bytes) -> None:
    begun = time.process_time()
    with pytest.raises(QuestionError):
        parse_question(octets)
    assert time.process_time() - begun < 0.5


def test_the_servers() -> None:
    octets = settings_answer(settings(name="Muster & Co."), "anna@example.org")
    assert (
        b'xmlns="http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006"' in octets
    )
    assert (
        b'<Response xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/'
        b'responseschema/2006a">' in octets
    )
    root = without_namespaces(octets)
    account = root.find("Response/Account")
    assert account is not None
    assert account.findtext("AccountType") == "email"
    assert account.findtext("Action") == "settings"
    assert root.findtext("Response/User/DisplayName") == "Muster & Co."
    found = [
        tuple(one.findtext(name) for name in ("Type", "Port", "SSL", "Encryption", "SPA"))
        for one in account.iter("Protocol")
    ]
    assert found == [
        ("IMAP", "993", "on", "SSL", "off"),
        ("POP3", "995", "on", "SSL", "off"),
        ("SMTP", "465", "on", "SSL", "off"),
    ]
    for one in account.iter("Protocol"):
        assert one.findtext("LoginName") == "anna@example.org"
        assert one.findtext("AuthRequired") == "on"


def test_starttls_where_there_is_nothing_else() -> None:
    some = settings(pop3="a.example:110", submission="b.example:587")
    root = without_namespaces(settings_answer(some, "a@b.example"))
    found = [(one.findtext("Server"), one.findtext("Encryption")) for one in root.iter("Protocol")]
    assert found == [("a.example", "TLS"), ("b.example", "TLS")]


def test_an_address_is_text_and_never_markup() -> None:
    root = without_namespaces(settings_answer(settings(), "a&b'c@example.org"))
    assert root.findtext("Response/Account/Protocol/LoginName") == "a&b'c@example.org"


@pytest.mark.parametrize("refusal", list(Refusal))
def test_a_refusal_has_no_settings(refusal: Refusal) -> None:
    octets = refusal_answer(refusal, datetime.datetime(2026, 11, 26, 9, 8, 7, 5, datetime.UTC))
    root = without_namespaces(octets)
    error = root.find("Response/Error")
    assert error is not None
    assert error.get("Time") == "09:08:07.000005"
    assert error.findtext("ErrorCode") == str(refusal.value[0])
    assert error.findtext("Message")
    assert root.find(".//Protocol") is None
