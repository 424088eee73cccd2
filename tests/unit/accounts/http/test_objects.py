"""The operations on each kind of object: what is added can be read, changed, listed and removed."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from accounts.directory import dkim_keys
from tests.unit.accounts.http.api import HASH, RULE, SEAL, SECRET, Api, check_problem, login
from tests.unit.accounts.secrets_suite import ED25519

Values = dict[str, Any]
BOX = "/mailboxes/anna@a.example"
MINE = "/me"

# collection, what is added, path of it, a change
VERSIONED: list[tuple[str, Values, str, Values]] = [
    ("/domains", {"name": "Bücher.example"}, "/domains/xn--bcher-kva.example", {"max_aliases": 3}),
    (
        "/mailboxes",
        {"address": "New@a.example", "password": SECRET, "quota": 5},
        "/mailboxes/new@a.example",
        {"quota": None, "forwards": ["x@example.net"], "keep_copy": True},
    ),
    (
        "/aliases",
        {"address": "sales-*@a.example", "targets": ["anna@a.example"]},
        "/aliases/sales-*@a.example",
        {"targets": ["anna@a.example", "x@example.net"], "expires": 2_000_000_000},
    ),
    (
        "/administrators",
        {"login": "eve", "domains": ["b.example"], "password": SECRET},
        "/administrators/eve",
        {"domains": ["a.example", "b.example"]},
    ),
    (f"{BOX}/rules", {"name": "a/b c", "rule": RULE}, f"{BOX}/rules/a/b c", {"enabled": False}),
    (
        f"{BOX}/remote-accounts",
        {"protocol": "imap", "host": "imap.example.net", "login": "x", "secret": "s3cret-there"},
        f"{BOX}/remote-accounts/1",
        {"interval": 600},
    ),
]


@pytest.mark.parametrize(("where", "added", "path", "change"), VERSIONED)
def test_an_object_with_a_version(
    api: Api, where: str, added: Values, path: str, change: Values
) -> None:
    made = api.call("POST", where, added)
    assert made.status == 201, made.octets
    assert made.headers["location"].startswith(f"/api/v1{where}/")
    is_numbered = where.endswith("remote-accounts")
    if is_numbered:
        path = f"{where}/{made.json['id']}"
    assert api.call("POST", where, added).status == 409
    read = api.call("GET", path)
    assert (read.status, read.json | made.json, read.tag) == (200, read.json, made.tag)
    # one domain alone is shown with how much is in it
    counts = {"mailboxes": 0, "aliases": 0, "dkim_keys": 0} if where == "/domains" else {}
    assert read.json == made.json | counts
    assert made.json in api.call("GET", where).json["items"]

    changed = api.call("PATCH", path, change, headers=read.tag)
    assert changed.status == 200, changed.octets
    assert changed.json == made.json | change | {
        "version": read.json["version"] + 1,
        **({"changed": changed.json["changed"]} if "changed" in read.json else {}),
    }
    # the second of two people who change what they read
    lost = api.call("PATCH", path, change, headers=read.tag)
    check_problem(lost, 409, "changed meanwhile")
    check_problem(api.call("DELETE", path, headers=read.tag), 409, "changed meanwhile")
    assert api.last().details["refused"].startswith("It was changed meanwhile")
    check_problem(api.call("PATCH", path, change), 428, "If-Match")
    check_problem(api.call("DELETE", path), 428, "If-Match")
    assert api.call("GET", path).json == changed.json | counts

    gone = api.call("DELETE", path, headers=changed.tag)
    assert (gone.status, gone.octets) == (204, b"")
    check_problem(api.call("GET", path), 404)
    # one that is added again is another one, though its version is the same
    api.desk.clock.now += 1
    again = api.call("POST", where, added)
    assert again.json["version"] == made.json["version"]
    if is_numbered:
        path = f"{where}/{again.json['id']}"
    if not path.startswith(f"{BOX}/rules"):  # a rule has no time; its id is another one
        check_problem(api.call("PATCH", path, change, headers=made.tag), 409)
    assert api.call("PATCH", path, change, headers={"If-Match": "*"}).status == 200


def test_rights_app_passwords_and_listed_senders(api: Api) -> None:
    right = api.call("POST", f"{BOX}/sender-rights", {"sender": "@b.example"})
    assert right.status == 201
    assert api.call("GET", f"{BOX}/sender-rights").json["items"] == [right.json]
    assert api.call("DELETE", f"{BOX}/sender-rights/@b.example").status == 204
    check_problem(api.call("DELETE", f"{BOX}/sender-rights/@b.example"), 404)

    made = api.call("POST", "/me/app-passwords", {"name": "phone"}, who=api.anna)
    assert made.status == 201
    assert len(made.json["password"]) == 34
    (listed,) = api.call("GET", f"{BOX}/app-passwords").json["items"]
    assert listed == {key: value for key, value in made.json.items() if key != "password"}
    assert api.call("DELETE", "/me/app-passwords/phone", who=api.anna).status == 204

    sender = api.call(
        "POST", "/me/listed-senders", {"kind": "block", "pattern": "@x.example"}, who=api.anna
    )
    assert sender.status == 201
    assert api.call("GET", f"{BOX}/listed-senders").json["items"] == [sender.json]
    assert api.call("DELETE", f"{BOX}/listed-senders/block/@x.example").status == 204


def test_preferences_begin_with_version_0(api: Api) -> None:
    read = api.call("GET", "/me/preferences", who=api.anna)
    assert read.headers["etag"] == '"0"'
    made = api.call(
        "PATCH",
        "/me/preferences",
        {"greylist": False, "spam_junk_score": 5},
        who=api.anna,
        headers=read.tag,
    )
    assert made.json == read.json | {"greylist": False, "spam_junk_score": 5.0, "version": 1}
    check_problem(
        api.call("PATCH", f"{BOX}/preferences", {"greylist": True}, headers=read.tag), 409
    )


def test_the_preferences_of_a_domain(api: Api) -> None:
    where = "/domains/a.example"
    read = api.call("GET", f"{where}/preferences", who=api.ada)
    assert read.json == {
        "spam_junk_score": None,
        "languages": [],
        "subject_tag": None,
        "rule_scores": {},
        "version": 0,
    }
    change = {"languages": ["de", "en"], "subject_tag": "[S]", "rule_scores": {"BAYES_99": 5}}
    made = api.call("PATCH", f"{where}/preferences", change, who=api.ada, headers=read.tag)
    assert made.json == read.json | change | {"version": 1}
    again = api.call("PATCH", f"{where}/preferences", {"languages": []}, headers=read.tag)
    check_problem(again, 409)
    for wrong in (
        {"languages": ["tlh"]},
        {"languages": ["en"] * 200},
        {"subject_tag": "a\r\nBcc: b@c.example"},
        {"rule_scores": {"body A /(a+)+$/": 1}},
        {"rule_scores": {"A": 101}},
        {"greylist": False},
    ):
        refused = api.call("PATCH", f"{where}/preferences", wrong, headers={"If-Match": "*"})
        check_problem(refused, 422)
    sender = {"kind": "allow", "pattern": "@x.example"}
    made = api.call("POST", f"{where}/listed-senders", sender, who=api.ada)
    assert made.json == {"domain": "a.example", **sender}
    assert api.call("GET", f"{where}/listed-senders").json["items"] == [made.json]
    assert api.call("DELETE", f"{where}/listed-senders/allow/@x.example").status == 204
    # a mailbox has no say in those of its domain
    check_problem(api.call("GET", f"{where}/preferences", who=api.anna), 403)


def test_rules_are_put_into_an_order(api: Api) -> None:
    for name in ("one", "two"):
        assert (
            api.call("POST", "/me/rules", {"name": name, "rule": RULE}, who=api.anna).status == 201
        )
    ordered = api.call("PUT", "/me/rules", {"names": ["two", "one"]}, who=api.anna)
    assert [rule["name"] for rule in ordered.json["items"]] == ["two", "one"]
    check_problem(api.call("PUT", "/me/rules", {"names": ["two"]}, who=api.anna), 422, "names")


def test_rules_that_cannot_be_sieve(api: Api) -> None:
    made = api.call("POST", "/me/rules", {"name": "one", "rule": RULE}, who=api.anna)
    bad = [
        ({"actions": [{"kind": "discard"}]}, "rule"),
        (RULE | {"actions": []}, "rule.actions"),
        (RULE | {"actions": [{"kind": "execute", "program": "id"}]}, "rule.actions.0"),
        (RULE | {"actions": [{"kind": "redirect", "address": "x"}]}, "rule.actions.0.address"),
        (RULE | {"name": "two"}, "rule"),
        (RULE | {"script": "stop;"}, "rule.script"),
    ]
    for rule, field in bad:
        for method, path in (("POST", "/me/rules"), ("PATCH", "/me/rules/one")):
            body = {"name": "x", "rule": rule}
            refused = api.call(method, path, body, who=api.anna, headers=made.tag)
            check_problem(refused, 422)
            assert refused.json["errors"][0]["field"] == field
            assert api.last().object == "anna@a.example"
    (rule,) = api.call("GET", "/me/rules", who=api.anna).json["items"]
    assert rule == made.json


def test_dkim_keys(api: Api) -> None:
    for selector in ("s1", "s2"):
        api.desk.write(lambda w: dkim_keys.add(w, SEAL, "a.example", selector, private=ED25519))  # noqa: B023
    keys = "/domains/a.example/dkim-keys"
    first, _ = api.call("GET", keys, who=api.ada).json["items"]
    assert first["record_name"] == "s1._domainkey.a.example"
    assert first["public_record"].startswith("v=DKIM1")
    assert "private" not in first
    check_problem(api.call("POST", f"{keys}/s1/activate", who=api.ada), 428)
    for selector in ("s1", "s2"):
        tag = api.call("GET", f"{keys}/{selector}").tag
        assert (
            api.call("POST", f"{keys}/{selector}/activate", who=api.ada, headers=tag).status == 200
        )
    states = [key["state"] for key in api.call("GET", keys).json["items"]]
    assert states == ["retired", "active"]
    found = api.call("GET", keys, query="state=active").json["items"]
    assert [key["selector"] for key in found] == ["s2"]
    any_tag = {"If-Match": "*"}
    check_problem(api.call("DELETE", f"{keys}/s2", headers=any_tag), 422, "retire it first")
    assert api.call("POST", f"{keys}/s2/retire", headers=any_tag).json["state"] == "retired"
    assert api.call("DELETE", f"{keys}/s2", headers=any_tag).status == 204


def test_a_mailbox_and_an_alias_are_renamed(api: Api) -> None:
    tag = api.call("GET", BOX).tag
    body = {"address": "anne@a.example", "keep_alias": True}
    made = api.call("POST", f"{BOX}/rename", body, headers=tag)
    assert made.json["address"] == "anne@a.example"
    alias = api.call("GET", "/aliases/anna@a.example")
    assert alias.json["targets"] == ["anne@a.example"]
    renamed = api.call(
        "POST", "/aliases/anna@a.example/rename", {"address": "a@a.example"}, headers=alias.tag
    )
    assert renamed.json["address"] == "a@a.example"


def test_passwords_are_set_and_never_shown(api: Api) -> None:
    new = "another horse entirely"
    assert api.call("PUT", f"{BOX}/password", {"password": new}, who=api.ada).status == 204
    anna = login("anna@a.example", new)
    assert api.call("GET", "/me", who=anna).json["mailbox"] == "anna@a.example"
    wrong = {"current_password": SECRET, "password": "a third one, longer"}
    check_problem(api.call("PUT", "/me/password", wrong, who=api.anna), 422, "current_password")
    right = wrong | {"current_password": new}
    assert api.call("PUT", "/me/password", right, who=api.anna).status == 204
    assert api.call("GET", "/me", who=login("anna@a.example", right["password"])).status == 200
    weak = api.call("PUT", f"{BOX}/password", {"password": "password1"})
    check_problem(weak, 422, "password")
    assert weak.json["errors"][0]["field"] == "password"
    assert api.call("PUT", f"{BOX}/password", {"password": None}).status == 204
    assert api.call("GET", BOX).json["has_password"] is False
    assert api.call("PUT", "/administrators/ada/password", {"password": new}).status == 204
    assert api.call("GET", "/me", who=login("ada", new)).json["domains"] == ["a.example"]
    right = {"current_password": new, "password": "yet another phrase"}
    assert api.call("PUT", "/me/password", right, who=api.ada).status == 204
    assert api.call("GET", "/me", who=login("ADA", right["password"])).status == 200


def test_no_answer_and_no_entry_has_a_secret(api: Api) -> None:
    remote = {
        "protocol": "imap",
        "host": "imap.example.net",
        "login": "x",
        "secret": "s3cret-there",
    }
    made = api.call("POST", f"{BOX}/remote-accounts", remote)
    path = f"{BOX}/remote-accounts/{made.json['id']}"
    put = api.call("PUT", f"{path}/secret", {"secret": "s3cret-anew"}, headers=made.tag)
    token = api.call("POST", "/me/tokens", {"name": "t", "scopes": ["me:read"]}, who=api.anna).json
    answers = [made, put]
    for where in ("/mailboxes", BOX, "/administrators", "/tokens", "/audit", "/me/tokens", path):
        answers.append(api.call("GET", where, who=api.anna if where == "/me/tokens" else api.root))
        assert answers[-1].status == 200
    told = b" ".join(one.octets for one in answers)
    for secret in (HASH, "argon2", "s3cret", token["token"], token["token"][3:]):
        assert secret.encode() not in told


def test_lists_have_pages(api: Api) -> None:
    names = [f"m{number:02}@a.example" for number in range(7)]
    for name in names:
        api.desk.mailbox(name)
    found, query, pages = [], "domain=a.example&text=m0&limit=3", 0
    while query:
        page = api.call("GET", "/mailboxes", query=query)
        found += [one["address"] for one in page.json["items"]]
        pages += 1
        link = page.headers.get("link", "")
        assert not link or link.endswith('>; rel="next"')
        query = link.partition("?")[2].partition(">")[0]
        assert not query or ("domain=a.example" in query and "limit=3" in query)
    assert (found, pages) == (names, 3)
    entries, query = [], "limit=4"
    while query:
        page = api.call("GET", "/audit", query=query)
        entries += [one["id"] for one in page.json["items"]]
        query = page.headers.get("link", "").partition("?")[2].partition(">")[0]
    assert entries == sorted(entries, reverse=True)
    assert len(entries) == len(api.audit(limit=1000))
    for query in (
        "limit=0",
        "limit=501",
        "limit=x",
        "limt=3",
        "after=%00",
        "limit=3&limit=4",
        "%ff=1",
    ):
        answered = api.call("GET", "/mailboxes", query=query)
        check_problem(answered, 400 if query in ("limit=3&limit=4", "%ff=1") else 422)


def test_administrators_cannot_shut_themselves_out(api: Api) -> None:
    tag = {"If-Match": "*"}
    check_problem(api.call("DELETE", "/administrators/root", headers=tag), 422, "Another")
    for change in ({"enabled": False}, {"role": "domains"}):
        check_problem(
            api.call("PATCH", "/administrators/root", change, headers=tag), 422, "Another"
        )
    assert api.call("DELETE", "/administrators/ada", headers=tag).status == 204
    check_problem(api.call("GET", "/me", who=api.ada), 401)


def test_the_last_global_administrator_stays(api: Api) -> None:
    program, tag = api.token(["all:write"]), {"If-Match": "*"}
    where = "/administrators/root"
    ways: list[tuple[str, Any]] = [
        ("PATCH", {"enabled": False}),
        ("PATCH", {"role": "domains"}),
        ("DELETE", None),
    ]
    for method, body in ways:
        for query in ("", "last=false"):
            told = api.call(method, where, body, who=program, headers=tag, query=query)
            check_problem(told, 422, "root is the last global administrator who is enabled")
        check_problem(
            api.call(method, where, body, who=program, headers=tag, query="last=perhaps"), 422
        )
    change = partial(api.call, "PATCH", where, who=program, headers=tag)
    assert change({"enabled": False}, query="last=true").json["enabled"] is False
    change({"enabled": True})
    api.call("POST", "/administrators", {"login": "second", "role": "global"})
    assert api.call("DELETE", where, who=program, headers=tag).status == 204
    where = "/administrators/second"
    check_problem(api.call("DELETE", where, who=program, headers=tag), 422, "second is the last")
    assert api.call("DELETE", where, who=program, headers=tag, query="last=true").status == 204


def test_targets_are_added_and_removed(api: Api) -> None:
    tag, path = {"If-Match": "*"}, "/aliases/x@a.example"
    api.call("POST", "/aliases", {"address": "x@a.example", "targets": ["a@y.example"]})
    change = {"add_targets": ["B@y.example", "anna@a.example"], "remove_targets": ["a@y.example"]}
    made = api.call("PATCH", path, change, headers=tag)
    assert made.json["targets"] == ["B@y.example", "anna@a.example"]
    made = api.call("PATCH", path, {"remove_targets": ["ANNA@a.example"]}, headers=tag)
    assert made.json["targets"] == ["B@y.example"]
    for wrong, text in (
        ({"remove_targets": ["no@y.example"]}, "does not lead to"),
        ({"remove_targets": ["B@y.example"]}, "at least one"),
        ({"add_targets": ["x"], "remove_targets": ["B@y.example"]}, "add_targets"),
        ({"targets": ["c@y.example"], "add_targets": ["d@y.example"]}, "replaces all"),
        ({"add_targets": ["x@a.example"]}, "x@a.example"),
    ):
        check_problem(api.call("PATCH", path, wrong, headers=tag), 422, text)
    assert api.call("GET", path).json["targets"] == ["B@y.example"]


def test_dkim_keys_are_drawn_or_taken_over(api: Api) -> None:
    keys = "/domains/a.example/dkim-keys"
    for body, algorithm in (
        ({"selector": "r"}, "rsa"),
        ({"selector": "e", "algorithm": "ed25519"}, "ed25519"),
        ({"selector": "i", "private": ED25519.decode()}, "ed25519"),
    ):
        made = api.call("POST", keys, body, who=api.ada)
        assert made.status == 201, made.octets
        assert (made.json["algorithm"], made.json["state"]) == (algorithm, "new")
        assert made.headers["location"] == f"/api/v1{keys}/{body['selector']}"
        assert b"PRIVATE" not in made.octets
    for wrong, field in (
        ({"selector": "r", "algorithm": "dsa"}, "algorithm"),
        ({"selector": "x", "algorithm": "rsa", "private": ED25519.decode()}, "algorithm"),
        ({"selector": "x", "private": "x"}, "private"),
        ({"selector": "a b"}, "selector"),
    ):
        refused = api.call("POST", keys, wrong)
        check_problem(refused, 422)
        assert refused.json["errors"][0]["field"] == field
        assert api.last().details["refused"]
    check_problem(api.call("POST", keys, {"selector": "r"}), 409)
    foreign = api.call("POST", "/domains/b.example/dkim-keys", {"selector": "r"}, who=api.ada)
    check_problem(foreign, 403)
    assert "PRIVATE" not in str(api.audit())
