"""Bad input: each gets a clear 4xx, nothing is half written, and the audit log has it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from accounts.http.resources.table import OPERATIONS
from tests.unit.accounts.http.api import SECRET, Api, Who, check_problem, login
from tests.unit.accounts.http.test_access import BODIES, FOREIGN

STAR = {"If-Match": "*"}
TAKING = [one for one in OPERATIONS if one.takes is not None and one.path[:4] != "/me/"]
VALUES = {**FOREIGN, "domain": "a.example", "address": "anna@a.example", "login": "ada"}
VALUES_OF_FIELDS: list[Any] = [
    "'; DROP TABLE domain; --",
    "<script>alert(1)</script>",
    "a\r\nb: c",
    "\u202egro.elpmaxe@anna",
    "x" * 300 + "@a.example",
    "../../etc/passwd",
    -1,
    1 << 63,
    [[["x"]]],
    "\ud800",
    "\0",
]


def counts(api: Api) -> dict[str, int]:
    return {name: n for name, n in api.desk.counts().items() if name not in ("audit", "state")}


def test_every_field(make_api: Callable[..., Api]) -> None:
    api = make_api(principal_burst=100_000, network_burst=100_000)
    for operation in TAKING:
        assert operation.takes is not None
        path = operation.path.replace(":path", "").format(**VALUES)
        start = BODIES.get(operation.name, {})
        before, done = counts(api), False
        for field in operation.takes.model_fields:
            octets = [json.dumps(start | {field: value}).encode() for value in VALUES_OF_FIELDS]
            answers = [api.call(operation.method, path, raw=one, headers=STAR) for one in octets]
            for answered in answers:
                assert answered.status < 500, (operation.name, field, answered.octets)
                done |= answered.status < 400
                if answered.status >= 400:
                    check_problem(answered, answered.status)
            # who is refused last stands last
            assert answers[-1].status >= 400, (operation.name, field)
            assert "refused" in api.last().details
        assert done or counts(api) == before


def test_every_parameter_of_a_path(make_api: Callable[..., Api]) -> None:
    api = make_api(principal_burst=100_000, network_burst=100_000)
    for operation in OPERATIONS:
        body = BODIES.get(operation.name, {} if operation.takes else None)
        for name in [one for one in VALUES if f"{{{one}" in operation.path]:
            for value in (
                "\0",
                "'; DROP TABLE domain; --",
                "../../etc/passwd",
                "x" * 300,
                "\u202e",
            ):
                path = operation.path.replace(":path", "").format(**VALUES | {name: value})
                answered = api.call(operation.method, path, body, headers=STAR)
                check_problem(answered, answered.status)
                assert 400 <= answered.status < 500, (operation.name, name, value)


def test_markup_and_sql_are_text(api: Api) -> None:
    for text in (
        "Robert'); DROP TABLE mailbox; --",
        "<script>alert(1)</script>",
        '"><img onerror=x>',
    ):
        made = api.call("PATCH", "/mailboxes/anna@a.example", {"display_name": text}, headers=STAR)
        assert made.json["display_name"] == text
        assert made.headers["content-type"] == "application/json"
        assert made.headers["x-content-type-options"] == "nosniff"


BAD_JSON: list[tuple[bytes, int]] = [
    (b"", 400),
    (b"{", 400),
    (b"nothing", 400),
    (b"[" * 10_000 + b"]" * 10_000, 400),
    (b'{"name":' * 10_000 + b"1" + b"}" * 10_000, 400),
    (b'{"name": "' + b"[" * 10_000 + b'"}', 422),
    (b"[" * 1_000_000, 400),
    (b'"' + b'\\"' * 500_000, 400),
    (b'{"description":"' + b"\\" * 999_999, 400),
    (b"[" + b"[]," * 300_000 + b"[]]", 400),
    (b'{"name": "x.example", "name": "y.example"}', 400),
    (b'{"name": NaN}', 400),
    (b'{"name": 1e999}', 400),
    (b'{"max_quota": ' + b"9" * 100_000 + b"}", 400),
    (b'{"name": "\xff"}', 400),
    (b'{"name": "a\x00b.example"}', 400),
    (b'{"name": "a\\u0000b.example"}', 422),
    (b'{"name": "\\ud800.example"}', 422),
    (b"[]", 422),
    (b"null", 422),
    (b'"x.example"', 422),
    (b'{"name": "x.example", "<script>": 1}', 422),
    (b'{"name": "x.example", "' + b"x" * 10_000 + b'": 1}', 422),
    (b'{"name": "x.example", "version": 7}', 422),
    (b'{"name": [' + b"1," * 500_000 + b"1]}", 400),
    (b"{" + b",".join(b'"%d": 1' % number for number in range(80_000)) + b"}", 400),
    (b"{" + b",".join(b'"%d": 1' % number for number in range(10_000)) + b"}", 422),
    (b'{"name": ["x.example"]}', 422),
    (b'{"name": "x.example", "enabled": "yes"}', 422),
    (b'{"name": "x.example", "enabled": 1}', 422),
    (b'{"name": "x.example", "max_quota": 1.5}', 422),
    (b'{"name": "x.example", "max_quota": -1}', 422),
    (b" " * (1 << 20) + b"{}", 413),
]


@pytest.mark.parametrize(("octets", "status"), BAD_JSON, ids=range(len(BAD_JSON)))
def test_bodies(api: Api, octets: bytes, status: int) -> None:
    before = counts(api)
    answered = api.call(
        "POST", "/domains", raw=octets, headers={"Content-Type": "application/json"}
    )
    check_problem(answered, status)
    assert len(answered.octets) < 5000
    assert counts(api) == before
    assert (api.last().actor, api.last().client) == ("root (token 1)", "192.0.2.7")
    assert api.last().details["refused"]


def test_an_error_names_each_field(api: Api) -> None:
    body = {"name": "x.example", "enabled": 3, "max_quota": "a", "colour": "red"}
    answered = api.call("POST", "/domains", body)
    check_problem(answered, 422)
    assert {one["field"]: one["text"] for one in answered.json["errors"]} == {
        "enabled": "It must be either true or false.",
        "max_quota": "It must be a whole number.",
        "colour": "There is no such field.",
    }


def test_a_password_of_an_error_is_not_repeated(api: Api) -> None:
    body = {"address": "x@a.example", "password": [SECRET], SECRET * 30: SECRET}
    answered = api.call("POST", "/mailboxes", body | {"quota": SECRET})
    check_problem(answered, 422)
    del body[SECRET * 30]
    assert SECRET.encode() not in api.call("POST", "/mailboxes", body).octets


@pytest.mark.parametrize(
    "media", ["", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=x"]
)
def test_media_types(api: Api, media: str) -> None:
    body = {"name": "x.example"}
    answered = api.call("POST", "/domains", body, headers={"Content-Type": media})
    check_problem(answered, 415)
    for good in ("Application/JSON", "application/json; charset=UTF-8", "application/json;"):
        assert api.call("POST", "/domains", body, headers={"Content-Type": good}).status in (
            201,
            409,
        )


def test_a_large_body_is_announced(api: Api) -> None:
    headers = {"Content-Length": "10485760", "Expect": "100-continue"}
    answered = api.call("POST", "/domains", {"name": "x.example"}, headers=headers)
    check_problem(answered, 413)
    assert answered.headers["connection"] == "close"
    check_problem(api.call("POST", "/domains", raw=b"x" * 10_485_760), 413)
    check_problem(api.call("GET", "/domains", {"a": 1}), 400, "no body")


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
def test_pages_of_other_sites(api: Api, headers: dict[str, str]) -> None:
    check_problem(api.call("POST", "/domains", {"name": "x.example"}, headers=headers), 403)
    fine = {"Origin": "https://mail.example", "Sec-Fetch-Site": "same-origin"}
    answered = api.call("POST", "/domains", {"name": "x.example"}, headers=fine)
    assert answered.status == 201
    assert not [name for name in answered.headers if name.startswith("access-control")]
    check_problem(api.call("OPTIONS", "/domains", headers=headers), 405)


def test_every_answer_has_the_fields_of_security(api: Api) -> None:
    for method, path in (
        ("GET", "/me"),
        ("GET", "/nothing"),
        ("PUT", "/me"),
        ("GET", "/openapi.json"),
    ):
        answered = api.call(method, path)
        assert answered.headers["cache-control"] == "no-store"
        assert answered.headers["content-security-policy"].startswith("default-src 'none'")
        assert answered.headers["x-content-type-options"] == "nosniff"
    check_problem(api.call("GET", "/nothing"), 404)
    check_problem(api.call("GET", "/", root=""), 404)
    refused = api.call("PUT", "/me")
    check_problem(refused, 405)
    assert "GET" in refused.headers["allow"]


def test_a_flood(make_api: Callable[..., Api]) -> None:
    api = make_api(principal_rate=1, principal_burst=5, network_rate=2, network_burst=10)
    statuses = [api.call("GET", "/me").status for _ in range(12)]
    assert statuses == [200] * 5 + [429] * 7
    answered = api.call("GET", "/me", who=api.ada)
    check_problem(answered, 429, "network")
    assert answered.headers["retry-after"] == "1"
    check_problem(api.call("GET", "/openapi.json"), 429)
    entries = len(api.audit(limit=1000))
    for _ in range(20):
        api.call("POST", "/domains", {"name": "x.example"})
    assert len(api.audit(limit=1000)) == entries  # a flood does not fill the database
    assert api.call("GET", "/me", who=api.ada, client="2001:db8::1").status == 200
    api.desk.clock.now += 2
    assert [api.call("GET", "/me").status for _ in range(3)] == [200, 200, 429]


def test_a_flood_of_tokens(api: Api) -> None:
    statuses = [
        api.call("GET", "/me", who=Who(f"Bearer gp_{number:043}")).status for number in range(25)
    ]
    assert statuses == [401] * 20 + [429] * 5
    check_problem(api.call("GET", "/me"), 429, "not valid")
    assert api.call("GET", "/me", client="198.51.100.9").status == 200
    api.desk.clock.now += 10
    assert api.call("GET", "/me").status == 200


def test_a_flood_of_nobody_does_not_fill_the_audit_log(make_api: Callable[..., Api]) -> None:
    api = make_api(network_burst=1000)
    for _ in range(150):
        check_problem(api.call("GET", "/me", who=Who()), 401)
    assert len(api.audit(limit=1000, actor="nobody")) == 100


def test_forwarded_addresses(make_api: Callable[..., Api]) -> None:
    api = make_api(proxies=["10.0.0.0/8"])
    for client, header, told in (
        ("192.0.2.7", "203.0.113.9", "192.0.2.7"),
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "6.6.6.6, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("10.0.0.1", "203.0.113.9, nonsense", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        (None, "203.0.113.9", None),
    ):
        api.call("POST", "/domains", {}, client=client, headers={"X-Forwarded-For": header})
        assert api.last().client == told


def test_etags_that_are_none(api: Api) -> None:
    for header in ("x", "1", 'W/"1"', '"', "", '"a" "b"', "*, *"):
        answered = api.call("PATCH", "/domains/a.example", {}, headers={"If-Match": header})
        check_problem(answered, 400, "If-Match")
    listed = f'"x", {api.call("GET", "/domains/a.example").headers["etag"]}'
    assert api.call("PATCH", "/domains/a.example", {}, headers={"If-Match": listed}).status == 200


def test_the_database_is_away(api: Api, tmp_path: Path) -> None:
    basic = login("anna@a.example")
    (tmp_path / "accounts0.db").unlink()
    for who in (api.root, basic, login("root")):
        answered = api.call("GET", "/domains", who=who)
        check_problem(answered, 503)
        assert int(answered.headers["retry-after"]) >= 1
    check_problem(api.call("POST", "/domains", {"name": "x.example"}), 503)


def test_lists_are_bounded(api: Api) -> None:
    body = {"forwards": [1] * 10_000}
    answered = api.call("PATCH", "/mailboxes/anna@a.example", body, headers=STAR)
    check_problem(answered, 422)
    assert len(answered.json["errors"]) <= 50
