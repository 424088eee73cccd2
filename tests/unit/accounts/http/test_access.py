"""Access to the API: each operation for each role, scopes, tokens, and domains of others."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from accounts.directory import administrators, domains, mailboxes
from accounts.http.operation import Operation, Reach
from accounts.http.principals import AREAS, PROGRAM_SCOPES
from accounts.http.resources.table import OPERATIONS
from tests.unit.accounts.desk import NOW
from tests.unit.accounts.http.api import RULE, SECRET, Api, Who, check_problem, login

STAR = {"If-Match": "*"}

# a value for each parameter of a path, for somebody who has nothing to do with it
FOREIGN = {
    "domain": "b.example",
    "address": "bob@b.example",
    "selector": "s1",
    "login": "root",
    "id": "1",
    "sender": "x@b.example",
    "kind": "block",
    "pattern": "x@x.example",
    "name": "x",
    "holder": "virus-mx1",
    "alias": "x@b.example",
}
# those on single mails for which a role does not suffice: a mail of others is as one that is gone
HIDDEN = ("show-quarantined-mail", "release-quarantined-mail", "delete-quarantined-mail")
# a body for each operation that takes one, as valid as it can be
BODIES: dict[str, Any] = {
    "set-own-password": {"current_password": "x", "password": "y"},
    "add-greylist-exception": {"kind": "client", "pattern": "192.0.2.1"},
    "add-domain-greylist-exception": {"kind": "client", "pattern": "192.0.2.1"},
    "forget-greylist": {"text": "192.0.2.1"},
    "forget-domain-greylist": {"text": "192.0.2.1"},
    "batch": {"operations": [{"operation": "get-me"}]},
    "add-domain": {"name": "c.example"},
    "add-mailbox": {"address": "new@b.example"},
    "add-dkim-key": {"selector": "s9", "algorithm": "ed25519"},
    "rename-mailbox": {"address": "new@b.example"},
    "set-password": {"password": SECRET},
    "add-alias": {"address": "new@b.example", "targets": ["x@x.example"]},
    "rename-alias": {"address": "new@b.example"},
    "add-sender-right": {"sender": "x@b.example"},
    "add-app-password": {"name": "x"},
    "add-remote-account": {"protocol": "imap", "host": "a.example", "login": "x", "secret": "x"},
    "set-remote-secret": {"secret": "x"},
    "add-rule": {"name": "x", "rule": RULE},
    "order-rules": {"names": []},
    "add-listed-sender": {"kind": "block", "pattern": "x@x.example"},
    "add-domain-listed-sender": {"kind": "block", "pattern": "x@x.example"},
    "add-administrator": {"login": "eve", "role": "global", "password": SECRET},
    "set-administrator-password": {"password": SECRET},
    "add-token": {"name": "x", "scopes": ["tokens:read"], "administrator": "root"},
    "import-table": {"table": "address\nnew@b.example\n"},
    "add-own-token": {"name": "x", "scopes": ["me:read"]},
}


def send(api: Api, operation: Operation, who: Who, values: dict[str, str]) -> Any:
    path = operation.path.replace(":path", "").format(**values)
    body = BODIES.get(operation.name.removeprefix("own-"))
    if body is None and operation.takes is not None:
        body = {}
    return api.call(
        operation.method,
        path,
        body,
        who=who,
        query="text=192.0.2.1" if operation.name == "find-greylist" else "",
        headers={"If-Match": "*"} if operation.matches else {},
    )


def state(api: Api) -> Any:
    return (
        api.desk.read(lambda c: domains.find(c)),
        api.desk.read(lambda c: mailboxes.find(c)),
        api.desk.read(lambda c: administrators.find(c)),
    )


# lists that are empty for the administrator of a.example, or name no domain
EMPTY = {
    "list-aliases",
    "list-deleted-mailboxes",
    "trace-mail",
    "list-quarantine",
    "show-overview",
    "find-greylist",
    "list-greylist-exceptions",
}

# those that somebody may do for oneself, where no other is named
OWN = [o for o in OPERATIONS if not o.path.startswith("/me") and o.name != "batch"]


def test_what_belongs_to_others(make_api: Callable[..., Api]) -> None:
    api = make_api(principal_burst=1000, failure_burst=1000)
    for operation in OWN:
        check_that_it_is_closed(api, operation)


def check_that_it_is_closed(api: Api, operation: Operation) -> None:
    before = state(api)
    anna = send(api, operation, api.anna, FOREIGN)
    check_problem(anna, 403)
    entry = api.last()
    assert entry.actor.startswith("anna@a.example (token ")
    assert (entry.client, entry.action) == ("192.0.2.7", f"api.{operation.name}")
    ada = send(api, operation, api.ada, FOREIGN)
    if operation.name in HIDDEN:
        check_problem(ada, 404)
        assert b"b.example" not in ada.octets
        assert api.quarantine.done == []
    elif operation.reach is Reach.LISTED:
        assert ada.status == 200
        assert b"b.example" not in ada.octets
        has_none = operation.name in EMPTY
        assert has_none or b"a.example" in ada.octets
    else:
        check_problem(ada, 403)
        assert api.last().actor.startswith("ada (token ")
    assert state(api) == before
    nobody = send(api, operation, Who(), FOREIGN)
    check_problem(nobody, 401)
    assert nobody.headers["www-authenticate"].startswith("Bearer ")
    # nor does it tell whether the object is there
    nothing = {**FOREIGN, "domain": "c.example", "address": "nobody@c.example", "login": "nobody"}
    if operation.reach is not Reach.LISTED:
        assert send(api, operation, api.ada, nothing).json == ada.json
    assert send(api, operation, api.anna, nothing).json == anna.json


def test_scopes(api: Api) -> None:
    for operation in OPERATIONS:
        if operation.name == "batch":  # its parts need theirs
            continue
        check_scopes(api, operation)


def check_scopes(api: Api, operation: Operation) -> None:
    other = [f"{area}:write" for area in ("me", "audit", "domains") if area != operation.area]
    wrong = api.token([*other, f"{operation.area}:read"] if operation.is_write else other)
    refused = send(api, operation, wrong, FOREIGN)
    verb = "write" if operation.is_write else "read"
    check_problem(refused, 403, f"{operation.area}:{verb}")
    assert api.last().details["refused"] == refused.json["detail"]
    # administrators have every right, so to give one takes every right
    needed = "all" if operation.area == "administrators" else operation.area
    right = api.token([f"{needed}:{verb}"])
    assert send(api, operation, right, FOREIGN).status != 403


def test_the_owner_reads_the_own_mailbox(api: Api) -> None:
    for path in ("/me/mailbox", "/mailboxes/anna@a.example", "/mailboxes/Anna@A.example"):
        assert api.call("GET", path, who=api.anna).json["address"] == "anna@a.example"
    box = "/mailboxes/anna@a.example"
    check_problem(api.call("PATCH", box, {"quota": 1}, who=api.anna, headers=STAR), 403)
    check_problem(api.call("GET", "/me/mailbox", who=api.ada), 404, "no mailbox")


def test_an_administrator_of_a_domain_stays_in_it(api: Api) -> None:
    box = "/mailboxes/anna@a.example"
    for method, path, body in (
        ("POST", f"{box}/rename", {"address": "anna@b.example"}),
        ("POST", f"{box}/sender-rights", {"sender": "@b.example"}),
        ("POST", f"{box}/sender-rights", {"sender": "ceo@b.example"}),
        ("POST", "/mailboxes", {"address": "x@B.EXAMPLE"}),
        ("POST", "/mailboxes", {"address": "a.example@b.example"}),
        ("POST", "/mailboxes", {"address": "x@b.example@a.example@b.example"}),
        ("POST", "/aliases", {"address": "*@b.example", "targets": ["anna@a.example"]}),
        ("PATCH", box, {"store": "other"}),
        ("PATCH", "/domains/a.example", {"alias_of": "b.example"}),
        ("PATCH", "/domains/a.example", {"max_mailboxes": None}),
        ("PATCH", "/domains/a.example", {"transport": "smtp:[evil.example]"}),
        ("GET", "/audit", None),
    ):
        before = state(api)
        check_problem(api.call(method, path, body, who=api.ada, headers=STAR), 403)
        assert api.last().actor.startswith("ada (token ")
        assert state(api) == before
    changed = api.call(
        "PATCH", "/domains/A.example", {"description": "x"}, who=api.ada, headers=STAR
    )
    assert changed.status == 200
    assert (
        api.call("POST", f"{box}/sender-rights", {"sender": "@a.example"}, who=api.ada).status
        == 201
    )
    entries = api.call("GET", "/audit", who=api.ada, query="object=a.example").json["items"]
    assert entries[0]["details"]["description"] == ["", "x"]
    check_problem(api.call("GET", "/audit", who=api.ada, query="object=b.example"), 403)
    check_problem(api.call("GET", "/mailboxes/%00", who=api.ada), 422)


def test_tokens_give_no_more_than_they_have(api: Api) -> None:
    weak = api.token(["tokens:write", "rules:write"], administrator="root")
    for path in ("/tokens", "/me/tokens"):
        strong: dict[str, Any] = {"name": "x", "scopes": ["domains:read"]}
        if path == "/tokens":
            strong["administrator"] = "root"
        check_problem(api.call("POST", path, strong, who=weak), 403, "domains:read")
        check_problem(api.call("POST", path, strong | {"scopes": ["all:write"]}, who=weak), 403)
        assert api.call("POST", path, strong | {"scopes": ["rules:read"]}, who=weak).status == 201
        check_problem(api.call("POST", path, strong | {"scopes": ["root"]}, who=weak), 422)
    made = api.call("POST", "/me/tokens", {"name": "x", "scopes": ["me:read"]}, who=api.anna).json
    assert made["mailbox"] == "anna@a.example"
    # a token of somebody else is none of one's own
    check_problem(api.call("DELETE", f"/me/tokens/{made['id']}", who=api.ada), 404)
    shown = Who(f"Bearer {made['token']}")
    assert api.call("GET", "/me", who=shown).json["scopes"] == ["me:read"]
    assert api.call("DELETE", f"/me/tokens/{made['id']}", who=api.anna).status == 204
    check_problem(api.call("GET", "/me", who=shown), 401)


@pytest.mark.parametrize("scope", PROGRAM_SCOPES)
def test_scopes_of_daemons_are_given_by_global_administrators(api: Api, scope: str) -> None:
    """A login has all scopes, and yet no business with the data of everybody."""
    wanted = {"name": "x", "scopes": [scope]}
    for name in ("anna@a.example", "ada"):
        check_problem(api.call("POST", "/me/tokens", wanted, who=login(name)), 403, scope)
    for path in ("/tokens", "/me/tokens"):
        assert api.call("POST", path, wanted, who=login("root")).status == 201


GLOBAL = {"login": "eve", "role": "global", "password": SECRET}
OF_A = {"login": "eve", "domains": ["a.example"], "password": SECRET}
# scopes and the life of a token that is not a global administrator, and the owner
LIMITED: list[tuple[list[str], dict[str, Any]]] = [
    (["administrators:write"], {}),
    (["administrators:write", "tokens:write"], {"administrator": "root"}),
    ([f"{area}:write" for area in AREAS], {"administrator": "root"}),
    (["all:write"], {"administrator": "root", "expires": NOW + 3600}),
]


@pytest.mark.parametrize(("scopes", "rest"), LIMITED)
def test_a_limited_token_makes_no_global_administrator(
    api: Api, scopes: list[str], rest: dict[str, Any]
) -> None:
    api.desk.write(lambda w: administrators.add(w, "gert", role="global", enabled=False))
    limited = api.token(scopes, **rest)
    before = state(api)
    for method, path, body in (
        ("POST", "/administrators", GLOBAL),
        ("POST", "/administrators", {"login": "eve", "role": "global", "enabled": False}),
        ("PATCH", "/administrators/ada", {"role": "global"}),
        ("PATCH", "/administrators/ada", {"role": "global", "domains": []}),
        ("PATCH", "/administrators/gert", {"enabled": True}),
        ("PATCH", "/administrators/gert", {"role": "domains"}),
        ("PUT", "/administrators/gert/password", {"password": SECRET}),
        ("PUT", "/administrators/Root/password", {"password": SECRET}),
        ("DELETE", "/administrators/gert", None),
    ):
        given = STAR if method in ("PATCH", "DELETE") else {}
        refused = api.call(method, path, body, who=limited, headers=given)
        check_problem(refused, 403, "global administrator")
        entry = api.last()
        assert entry.details == {"refused": refused.json["detail"]}
        assert entry.action == f"administrator.{ACTIONS[method]}"
        assert "(token " in entry.actor
        # nor as a part of a batch
        part: dict[str, Any] = {"operation": OF_BATCH[method]}
        if method != "POST":
            part["params"] = {"login": path.split("/")[2]}
        if body is not None:
            part["body"] = body
        if given:
            part["if_match"] = "*"
        check_problem(api.call("POST", "/batch", {"operations": [part]}, who=limited), 403)
        assert state(api) == before


OF_BATCH = {
    "POST": "add-administrator",
    "PATCH": "change-administrator",
    "PUT": "set-administrator-password",
    "DELETE": "remove-administrator",
}
ACTIONS = {"POST": "add", "PATCH": "change", "PUT": "change", "DELETE": "remove"}


@pytest.mark.parametrize(("scopes", "rest"), [LIMITED[0], LIMITED[1], LIMITED[3]])
def test_a_limited_token_gives_an_administrator_no_more_rights(
    api: Api, scopes: list[str], rest: dict[str, Any]
) -> None:
    limited = api.token(scopes, **rest)
    before = state(api)
    for method, path, body in (
        ("POST", "/administrators", OF_A),
        ("PATCH", "/administrators/ada", {"domains": ["a.example", "b.example"]}),
        ("PATCH", "/administrators/ada", {"domains": ["B.Example"]}),
        ("PATCH", "/administrators/ada", {"enabled": True}),
        ("PUT", "/administrators/ada/password", {"password": SECRET}),
    ):
        check_problem(api.call(method, path, body, who=limited, headers=STAR), 403, "it cannot")
        assert state(api) == before
    # less is no problem
    less: tuple[dict[str, Any], ...] = (
        {"domains": ["A.example"]},
        {"domains": []},
        {"enabled": False},
    )
    for change in less:
        path = "/administrators/ada"
        assert api.call("PATCH", path, change, who=limited, headers=STAR).status == 200
    assert api.call("DELETE", path, who=limited, headers=STAR).status == 204


def test_rights_are_given_by_those_who_have_them(api: Api) -> None:
    """A login, a token for everything, and the scopes that an administrator of domains has."""
    for number, who in enumerate((login("root"), api.root, api.token(["all:write"]))):
        named = {"login": f"eve{number}"}
        assert api.call("POST", "/administrators", GLOBAL | named, who=who).status == 201
        path = f"/administrators/eve{number}"
        assert api.call("PATCH", path, {"role": "domains"}, who=who, headers=STAR).status == 200
        assert api.call("DELETE", path, who=who, headers=STAR).status == 204
    every = api.token([f"{area}:write" for area in AREAS])
    assert api.call("POST", "/administrators", OF_A, who=every).status == 201
    path = "/administrators/eve"
    change = {"domains": ["a.example", "b.example"]}
    assert api.call("PATCH", path, change, who=every, headers=STAR).status == 200


def test_a_token_makes_none_that_outlives_it(api: Api) -> None:
    wanted = {"name": "x", "scopes": ["rules:read"]}
    for owner in ({"administrator": "root"}, {"mailbox": "anna@a.example"}, {}):
        brief = api.token(["tokens:write", "rules:write"], expires=NOW + 60, **owner)
        paths = ["/tokens"] if not owner else ["/me/tokens"]
        for path in paths:
            for ends in ({}, {"expires": None}, {"expires": NOW + 61}):
                refused = api.call("POST", path, wanted | ends, who=brief)
                check_problem(refused, 403, "valid for longer")
                entry = api.last()
                assert (entry.action, entry.object) == ("token.add", "x")
                assert entry.details == {"refused": refused.json["detail"]}
            ends = {"expires": NOW + 60}
            assert api.call("POST", path, wanted | ends, who=brief).status == 201
    # nor one that is valid after its owner is shut out
    limited = api.token(["tokens:write", "rules:write"], administrator="root")
    for owner in ({}, {"administrator": "ada"}, {"mailbox": "anna@a.example"}):
        check_problem(api.call("POST", "/tokens", wanted | owner, who=limited), 403, "its owner")
    owner = {"administrator": "ROOT"}
    assert api.call("POST", "/tokens", wanted | owner, who=limited).status == 201
    assert api.call("POST", "/tokens", wanted, who=api.root).status == 201


def test_tokens_that_open_nothing(api: Api) -> None:
    expired = api.token(["all:write"], administrator="root", expires=NOW + 60)
    assert api.call("GET", "/me", who=expired).status == 200
    api.desk.clock.now += 60
    check_problem(api.call("GET", "/me", who=expired), 401, "expired")
    assert api.last().actor.startswith("token ")
    for text in ("gp_" + "A" * 43, "gp_", "", "x" * 1900, "x" * 5000, "\xff", "gp_' OR 1=1 --"):
        check_problem(api.call("GET", "/me", who=Who(f"Bearer {text}")), 401)
        assert api.last().actor == "nobody"
    for scheme in ("Digest x", "Basic", "Basic !", "Basic bm9jb2xvbg==", "Basic /w==", "Bearer"):
        check_problem(api.call("GET", "/me", who=Who(scheme)), 401)
    # the owner is shut out, and so are the tokens
    api.desk.write(lambda w: administrators.change(w, "ada", None, enabled=False))
    check_problem(api.call("GET", "/me", who=api.ada), 401)
    check_problem(api.call("GET", "/me", who=login("ada")), 401, "may not log in")
    api.desk.write(lambda w: mailboxes.change(w, "anna@a.example", None, may_login=False))
    check_problem(api.call("GET", "/me", who=api.anna), 401)
    check_problem(api.call("GET", "/me", who=login("anna@a.example")), 401, "may not log in")
    api.desk.write(lambda w: domains.change(w, "a.example", None, enabled=False))
    api.desk.write(lambda w: mailboxes.change(w, "anna@a.example", None, may_login=True))
    check_problem(api.call("GET", "/me", who=api.anna), 401)


def test_logins(api: Api) -> None:
    assert api.call("GET", "/me", who=login("root")).json["role"] == "global"
    assert api.call("GET", "/me", who=login("Anna@A.example")).json["role"] == "mailbox"
    answers = {
        api.call("GET", "/me", who=login(name, "wrong password")).octets
        for name in ("root", "nobody", "anna@a.example", "nobody@a.example", "x@nowhere.example")
    }
    assert len(answers) == 1  # nobody learns which of them there are
    # an app password is for mail alone
    api.desk.mailbox("app@a.example")
    check_problem(api.call("GET", "/me", who=login("app@a.example")), 401)


@pytest.mark.parametrize("name", ["root", "nobody", "anna@a.example"])
def test_wrong_passwords_make_wait(api: Api, name: str) -> None:
    statuses = [
        api.call("GET", "/me", who=login(name, f"wrong {number}")).status for number in range(7)
    ]
    assert statuses == [401] * 5 + [429] * 2
    answered = api.call("GET", "/me", who=login(name, "wrong again"))
    check_problem(answered, 429)
    assert int(answered.headers["retry-after"]) >= 1
    # the right password has to wait as well, from elsewhere, too
    assert api.call("GET", "/me", who=login(name), client="198.51.100.1").status == 429
    assert api.call("GET", "/me", who=login("ada")).status == 200
    api.desk.clock.now += 4000
    assert api.call("GET", "/me", who=login(name)).status == (401 if name == "nobody" else 200)


def test_a_removed_mailbox_has_no_tokens(api: Api) -> None:
    assert api.call("DELETE", "/mailboxes/anna@a.example", headers=STAR).status == 204
    check_problem(api.call("GET", "/me", who=api.anna), 401)


def test_an_old_hash_of_an_administrator_is_replaced(api: Api) -> None:
    digest = hashlib.sha1(b"an old phrase" + b"salt").digest()  # noqa: S324
    old = "{SSHA}" + base64.b64encode(digest + b"salt").decode()
    api.desk.write(lambda w: administrators.change(w, "ada", None, password=old))
    before = api.audit()
    for _ in range(2):
        assert api.call("GET", "/me", who=login("ada", "an old phrase")).status == 200
    stored = api.desk.read(lambda c: administrators.get(c, "ada")).password
    assert stored is not None
    assert stored.startswith("{ARGON2ID}")
    assert api.audit() == before
