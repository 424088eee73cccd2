"""Autoconfig over HTTP: the requests of mail programs, and those of attackers."""

from __future__ import annotations

import dataclasses
import plistlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from accounts.autoconfig.signer import Signer
from accounts.http.application import application
from accounts.http.autoconfig import APPLE, OUTLOOK, THUNDERBIRD
from accounts.lookup.ask import Unavailable
from gatepost.config import SecretFile
from tests.testbed.certificate import self_signed
from tests.unit.accounts.autoconfig.offered import (
    checked_config,
    question,
    settings,
    without_namespaces,
)
from tests.unit.accounts.http.api import Answered, Api, Who, check_problem

MOBILE = "http://schemas.microsoft.com/exchange/autodiscover/mobilesync/responseschema/2006"


class Programs:
    """Mail programs at an API that offers autoconfig."""

    def __init__(self, api: Api, **context: Any) -> None:
        self.api = api
        api.app = application(
            dataclasses.replace(api.context, **({"autoconfig": settings()} | context))
        )

    def get(self, path: str, query: str = "", host: str = "autoconfig.a.example") -> Answered:
        return self.api.call("GET", path, query=query, root="", who=Who(), headers={"host": host})

    def post(self, octets: bytes, path: str = OUTLOOK, media: str = "text/xml") -> Answered:
        return self.api.call(
            "POST", path, raw=octets, root="", who=Who(), headers={"content-type": media}
        )

    def error(self, octets: bytes) -> str:
        """Return the code with which a question of Outlook is refused."""
        answered = self.post(octets)
        assert answered.status == 200
        root = without_namespaces(answered.octets)
        assert root.find(".//Protocol") is None
        return root.findtext("Response/Error/ErrorCode", "")


@pytest.fixture
def programs(api: Api) -> Programs:
    return Programs(api)


@pytest.mark.parametrize("path", THUNDERBIRD)
def test_thunderbird(programs: Programs, path: str) -> None:
    for query in (
        "emailaddress=anna%40a.example",
        "emailaddress=nobody%40A.Example.",
        "emailaddress=EVOLUTIONUSER%40a.example&emailmd5=0123456789abcdef",
        "emailaddress=",
        "emailaddress=anna",
        "",
    ):
        answered = programs.get(path, query)
        assert answered.status == 200
        assert answered.headers["content-type"].startswith("text/xml")
        root = checked_config(answered.octets)
        assert root.findtext("emailProvider/domain") == "a.example"
        assert b"anna" not in answered.octets


def test_a_program_that_names_no_domain_we_know(programs: Programs) -> None:
    for host in ("mail.example.org", "mail.example.org:8080", "[::1]:80", "x" * 999, "é", ""):
        answered = programs.get(THUNDERBIRD[1], host=host)
        root = checked_config(answered.octets)
        assert root.findtext("emailProvider/domain") == "mail.example.org"
        assert programs.get(APPLE, host=host).status == 200
    for host in ("b.example", "B.Example:443", "autodiscover.b.example"):
        root = checked_config(programs.get(THUNDERBIRD[1], host=host).octets)
        assert root.findtext("emailProvider/domain") == "b.example"


def test_no_answer_says_whether_an_address_exists(programs: Programs) -> None:
    there, not_there = "anna@a.example", "nobody@a.example"
    paths = [(THUNDERBIRD[0], "emailaddress"), (APPLE, "email")]
    for path, name in paths:
        known, unknown = (programs.get(path, f"{name}={address}") for address in (there, not_there))
        assert known.status == unknown.status == 200
        assert known.headers.keys() == unknown.headers.keys()
    known, unknown = (programs.post(question(one)) for one in (there, not_there))
    assert known.octets == unknown.octets.replace(not_there.encode(), there.encode())


def test_a_domain_of_somebody_else(programs: Programs) -> None:
    for query in ("emailaddress=anna%40other.example", "emailaddress=anna%40%3Cb%3E"):
        check_problem(programs.get(THUNDERBIRD[0], query), 404, "no mailboxes here")
    check_problem(programs.get(APPLE, "email=anna%40other.example"), 404, "no mailboxes here")
    assert programs.error(question("anna@other.example")) == "500"
    # nor is one that is disabled
    api = programs.api
    off, always = {"enabled": False}, {"If-Match": "*"}
    assert api.call("PATCH", "/domains/a.example", off, headers=always).status == 200
    assert programs.get(THUNDERBIRD[0], "emailaddress=anna%40a.example").status == 404
    assert programs.error(question("anna@a.example")) == "500"


@pytest.mark.parametrize(
    "path", [OUTLOOK, "/Autodiscover/Autodiscover.xml", "/AutoDiscover/AUTODISCOVER.XML"]
)
def test_outlook(programs: Programs, path: str) -> None:
    for media in ("text/xml", "text/xml; charset=utf-8", "application/xml", ""):
        answered = programs.post(question("Anna@A.example"), path, media)
        assert answered.status == 200
        assert answered.headers["content-type"].startswith("text/xml")
        root = without_namespaces(answered.octets)
        assert root.findtext("Response/Account/Protocol/LoginName") == "anna@a.example"
    assert programs.api.call("GET", path, root="", who=Who()).status == 200


def test_what_outlook_is_refused(programs: Programs) -> None:
    assert programs.error(question("")) == "600"
    assert programs.error(b"") == "600"
    assert programs.error(question("no address")) == "600"
    assert programs.error(question("<b>@a.example")) == "600"
    assert programs.error(question("anna@a.example", before="<!DOCTYPE x>")) == "600"
    assert programs.error(question("anna@a.example", schema=MOBILE)) == "601"


def test_a_body_without_end_is_not_read(programs: Programs) -> None:
    check_problem(programs.post(b"<a>" * (4 << 20)), 413)
    check_problem(programs.post(question("a@a.example") + b" " * 20_000), 413)


def test_apple(programs: Programs) -> None:
    answered = programs.get(APPLE, "email=Anna%40a.example")
    assert answered.headers["content-type"] == "application/x-apple-aspen-config"
    assert answered.headers["content-disposition"] == 'attachment; filename="mail.mobileconfig"'
    (account,) = plistlib.loads(answered.octets)["PayloadContent"]
    assert account["EmailAddress"] == "anna@a.example"
    (account,) = plistlib.loads(programs.get(APPLE).octets)["PayloadContent"]
    assert "EmailAddress" not in account
    for text in ("anna", "%00@a.example", "%3Ca%3E@a.example", "a" * 3000, "@a.example"):
        check_problem(programs.get(APPLE, f"email={text}"), 400)


def test_a_profile_is_signed_if_there_is_a_key(api: Api, tmp_path: Path) -> None:
    pem = tmp_path / "profile.pem"
    pem.write_text("".join(self_signed("mail.example.org")))
    pem.chmod(0o600)
    programs = Programs(api, signer=Signer.read(SecretFile(pem)))
    octets = programs.get(APPLE, "email=anna%40a.example").octets
    assert octets[:1] == b"\x30"
    assert b"com.apple.mail.managed" in octets


def test_while_the_database_is_away(api: Api) -> None:
    async def ask(*_: object) -> Any:
        raise Unavailable

    programs = Programs(api, ask=ask)
    for answered in (
        programs.get(THUNDERBIRD[0], "emailaddress=anna%40a.example"),
        programs.get(APPLE, "email=anna%40a.example"),
        programs.post(question("anna@a.example")),
    ):
        check_problem(answered, 503)
        assert answered.headers["retry-after"]


def test_without_servers_there_is_nothing(api: Api) -> None:
    for path in (*THUNDERBIRD, APPLE, OUTLOOK):
        answered = api.call("GET", path, root="", who=Who())
        check_problem(answered, 404, "no such path")


def test_a_network_that_asks_too_much_waits(make_api: Callable[..., Api]) -> None:
    programs = Programs(make_api(network_burst=3))
    answers = [programs.get(path).status for path in (*THUNDERBIRD, APPLE)]
    assert answers == [200, 200, 200]
    answered = programs.post(question("anna@a.example"))
    check_problem(answered, 429)
    assert answered.headers["retry-after"]


def test_nothing_that_was_asked_is_in_the_audit_log(programs: Programs) -> None:
    before = len(programs.api.audit(limit=500))
    programs.get(THUNDERBIRD[0], "emailaddress=anna%40other.example")
    programs.post(question("anna@other.example"))
    assert len(programs.api.audit(limit=500)) == before
