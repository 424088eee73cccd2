"""Several operations in one transaction, with the rights of the one who asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from accounts.http.batch import MAX_LISTS, MAX_PREPARED
from accounts.http.models.batch import MAX_OPERATIONS
from tests.unit.accounts.http.api import RULE, SECRET, Api, Who, check_problem, login

BOX = {"address": "anna@a.example"}


def part(operation: str, body: Any = None, match: str | None = "*", **params: str) -> Any:
    return {"operation": operation, "params": params, "body": body, "if_match": match}


def send(api: Api, *parts: Any, who: Who | None = None, dry_run: bool = False) -> Any:
    return api.call("POST", "/batch", {"operations": list(parts), "dry_run": dry_run}, who=who)


def names(api: Api) -> list[str]:
    return [one["name"] for one in api.call("GET", "/domains").json["items"]]


def test_each_operation_has_its_answer(api: Api) -> None:
    done = send(
        api,
        part("add-domain", {"name": "c.example"}),
        part("add-mailbox", {"address": "x@c.example", "password": SECRET}),
        part("get-domain", domain="c.example"),
        part("remove-mailbox", address="bob@b.example"),
    )
    assert done.status == 200, done.octets
    first, second, third, last = done.json["items"]
    assert (first["status"], first["body"]["name"]) == (201, "c.example")
    assert second["body"]["has_password"] is True
    assert (third["body"]["mailboxes"], third["tag"]) == (1, first["tag"])
    assert (last["status"], last["body"], last["next"]) == (204, None, None)
    assert names(api) == ["a.example", "b.example", "c.example"]
    # the password was hashed
    assert api.call("GET", "/me", who=login("x@c.example")).json["mailbox"] == "x@c.example"
    assert SECRET not in str(api.audit())
    assert [entry.action for entry in api.audit(limit=3)] == [
        "mailbox.remove",
        "mailbox.add",
        "domain.add",
    ]


def test_all_are_done_or_none(api: Api) -> None:
    before = api.desk.database.generation
    new = part("add-domain", {"name": "c.example"})
    for wrong, status in (
        (part("add-domain", {"name": "a.example"}), 409),
        (part("get-domain", domain="d.example"), 404),
        (part("add-domain", {"name": "x y"}), 422),
        (part("change-domain", {"description": "x"}, '"0"', domain="a.example"), 409),
        (part("change-domain", {"description": "x"}, None, domain="a.example"), 428),
        (part("set-password", {"password": "short"}, **BOX), 422),
        (part("add-dkim-key", {"selector": "x", "algorithm": "dsa"}, domain="a.example"), 422),
        (part("remove-domain", {"x": 1}, domain="a.example"), 422),
        (part("remove-domain"), 422),
        (part("remove-domain", domain="a.example", other="x"), 422),
        (part("no-operation"), 422),
        (part("batch", {"operations": [new]}), 422),
        (part("set-own-password", {"current_password": "x", "password": "y"}), 422),
    ):
        check_problem(send(api, new, wrong), status)
        assert api.last().details["refused"]
    assert names(api) == ["a.example", "b.example"]
    assert api.desk.database.generation == before


def test_a_dry_run_leaves_nothing_but_refusals(api: Api) -> None:
    new = part("add-domain", {"name": "c.example"})
    entries = len(api.audit(limit=1000))
    done = send(api, new, part("get-domain", domain="c.example"), dry_run=True)
    assert done.json["items"][1]["body"]["name"] == "c.example"
    assert names(api) == ["a.example", "b.example"]
    assert len(api.audit(limit=1000)) == entries
    check_problem(send(api, part("remove-domain", domain="d.example"), dry_run=True), 404)
    last = api.last()
    assert (last.action, last.object) == ("domain.remove", "d.example")


def test_each_operation_needs_its_rights(api: Api) -> None:
    read = part("get-domain", domain="a.example")
    foreign = part("get-domain", domain="b.example")
    reader = api.token(["domains:read"], administrator="root")
    assert send(api, read, who=reader).status == 200
    check_problem(send(api, read, part("list-mailboxes"), who=reader), 403, "mailboxes:read")
    check_problem(send(api, part("add-domain", {"name": "c.example"}), who=reader), 403)
    assert send(api, read, who=api.ada).status == 200
    check_problem(send(api, read, foreign, who=api.ada), 403, "not one of")
    check_problem(send(api, part("add-domain", {"name": "c.example"}), who=api.ada), 403)
    limit = part("change-domain", {"max_mailboxes": 9}, domain="a.example")
    check_problem(send(api, limit, who=api.ada), 403, "Only a global administrator")
    moved = part("rename-mailbox", {"address": "anna@b.example"}, **BOX)
    check_problem(send(api, moved, who=api.ada), 403)
    for parts in ((read,), (part("list-rules", address="bob@b.example"),)):
        check_problem(send(api, *parts, who=api.anna), 403)
    check_problem(send(api, read, who=Who()), 401)


def test_an_owner_does_several_things_at_once(api: Api) -> None:
    done = send(
        api,
        part("own-add-rule", {"name": "one", "rule": RULE}),
        part("own-change-preferences", {"greylist": False}),
        part("list-rules", **BOX),
        who=api.anna,
    )
    assert [one["name"] for one in done.json["items"][2]["body"]["items"]] == ["one"]
    assert api.call("GET", "/me/preferences", who=api.anna).json["greylist"] is False


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"operations": []},
        {"operations": [{}]},
        {"operations": [{"operation": 1}]},
        {"operations": ["get-me"]},
        {"operations": [{"operation": "get-me", "params": {"x": 1}}]},
        {"operations": [{"operation": "get-me", "query": {"x": ["y"]}}]},
        {"operations": [{"operation": "list-domains", "query": {"limit": 501}}]},
        {"operations": [{"operation": "list-domains", "query": {"limt": 1}}]},
        {"operations": [{"operation": "get-me"}] * (MAX_OPERATIONS + 1)},
        {"operations": [{"operation": "get-me"}], "dry_run": "yes"},
        {"operations": [{"operation": "get-me"}], "more": 1},
    ],
)
def test_a_batch_that_is_none(api: Api, body: Any) -> None:
    check_problem(api.call("POST", "/batch", body), 422)


def test_waits_after_wrong_passwords_end_with_what_is_kept(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    forgotten: list[str] = []
    monkeypatch.setattr(api.attempts, "forget_account", forgotten.append)
    new = part("set-password", {"password": "another horse entirely"}, **BOX)
    assert send(api, new, dry_run=True).status == 200
    check_problem(send(api, new, part("get-domain", domain="d.example")), 404)
    assert forgotten == []
    assert send(api, new).status == 200
    assert forgotten == [BOX["address"]]


def test_few_operations_of_a_batch_may_take_long(api: Api) -> None:
    parts = [part("set-password", {"password": SECRET}, **BOX)] * (MAX_PREPARED + 1)
    check_problem(send(api, *parts), 422, "At most 20 operations")


def test_few_operations_of_a_batch_list_objects(api: Api) -> None:
    """Each answer has up to 500 objects: 200 of them would fill the memory."""
    for who, name in ((api.anna, "list-own-audit"), (api.anna, "own-list-rules"),
                      (api.ada, "list-mailboxes")):  # fmt: skip
        parts = [{"operation": name}] * (MAX_LISTS + 1)
        check_problem(send(api, *parts, who=who), 422, "At most 20 operations")
        assert len(send(api, *parts[1:], who=who).json["items"]) == MAX_LISTS


@pytest.mark.parametrize("dry_run", [False, True])
def test_an_owner_finds_what_was_refused_to_them(api: Api, dry_run: bool) -> None:
    change = part("own-change-preferences", {"greylist": False})
    missing = {"operation": "own-get-rule", "params": {"name": "x"}}
    check_problem(send(api, change, missing, who=api.anna, dry_run=dry_run), 404)
    entry = api.last()
    assert (entry.action, entry.object) == ("preferences.change", "anna@a.example")
    (told, *_) = api.call("GET", "/me/audit", who=api.anna).json["items"]
    assert told["id"] == entry.id


@pytest.mark.parametrize("dry_run", [False, True])
def test_each_operation_of_a_batch_counts_as_a_request(
    make_api: Callable[..., Api], dry_run: bool
) -> None:
    """A batch must not hold the lock of the database for 200 times as long as a request."""
    api = make_api(principal_rate=1, principal_burst=5)
    change = part("own-change-preferences", {"greylist": False})
    assert send(api, *[change] * 10, who=api.anna, dry_run=dry_run).status == 200
    refused = send(api, change, who=api.anna)
    check_problem(refused, 429)
    assert refused.headers["retry-after"] == "6"
    assert send(api, change).status == 404  # others do not wait
    api.desk.clock.now += 6
    assert send(api, change, who=api.anna).status == 200
    assert send(api, change, who=api.anna).status == 429


def test_a_full_batch(make_api: Callable[..., Api]) -> None:
    api = make_api()
    parts = [part("add-domain", {"name": f"d{n}.example"}) for n in range(MAX_OPERATIONS)]
    assert len(send(api, *parts).json["items"]) == MAX_OPERATIONS
    api.desk.clock.now += 1  # the next request has a permit
    listed = {"operation": "list-domains", "query": {"limit": 3}}
    (page,) = send(api, listed).json["items"]
    assert page["next"] == page["body"]["items"][-1]["name"]
