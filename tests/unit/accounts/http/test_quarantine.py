"""Mail in quarantine over the API, by role."""

from __future__ import annotations

import base64

import pytest

from accounts.quarantine.holders import MissingHolder
from gatepost.quarantine.client import HolderAwayError
from gatepost.quarantine.holder import NotHeldError
from tests.unit.accounts.http.api import Api, check_problem
from tests.unit.accounts.http.stub_holders import CONTENT, HOLDER

ANNA, BOB = "anna@a.example", "bob@b.example"


def entries(api: Api) -> list[tuple[str, str, str]]:
    return [
        (one.actor.partition(" ")[0], one.action, one.object)
        for one in reversed(api.audit(limit=50))
        if "quarantine" in one.action
    ]


def test_each_role_sees_its_own(api: Api) -> None:
    api.quarantine.keep("2", ANNA, BOB)
    found = api.call("GET", "/quarantine").json
    assert [(one["id"], one["recipients"]) for one in found["mails"]] == [
        ("1", [BOB]),
        ("2", [ANNA, BOB]),
    ]
    (mail,) = api.call("GET", "/quarantine", who=api.ada).json["mails"]
    assert (mail["id"], mail["recipients"], mail["has_others"]) == ("2", [ANNA], True)
    check_problem(api.call("GET", "/quarantine", who=api.anna), 403)
    assert entries(api) == [("anna@a.example", "api.list-quarantine", "/api/v1/quarantine")]


def test_a_holder_that_is_away_is_named(api: Api) -> None:
    api.quarantine.missing = (MissingHolder("inet:10029@192.0.2.1", "no answer\x1b"),)
    found = api.call("GET", "/quarantine").json
    assert found["missing"] == [{"address": "inet:10029@192.0.2.1", "problem": "no answer\\x1b"}]
    assert len(found["mails"]) == 1


def test_a_mail_is_shown_as_text_and_that_is_noted(api: Api) -> None:
    octets = b"Subject: =?utf-8?q?=E2=80=AEx?=\r\nContent-Type: text/html\r\n\r\n<b>hi</b>"
    api.quarantine.keep("2", ANNA, octets=octets, subject="a\u202eb")
    found = api.call("GET", f"/quarantine/{HOLDER}/2", who=api.ada).json
    assert found["text"] == "hi"
    assert found["is_html"]
    assert found["fields"][0] == {"name": "Subject", "value": "\\u202ex"}
    assert found["mail"]["subject"] == "a\\u202eb"
    assert entries(api) == [("ada", "quarantine.show", "4XyzAb12")]
    assert api.last().details["recipients"] == [ANNA]


def test_only_a_global_administrator_gets_the_octets(api: Api) -> None:
    api.quarantine.keep("2", ANNA)
    check_problem(api.call("GET", f"/quarantine/{HOLDER}/2/message", who=api.ada), 403)
    found = api.call("GET", f"/quarantine/{HOLDER}/2/message").json
    assert base64.b64decode(found["content"]) == CONTENT
    assert entries(api)[-1] == ("root", "quarantine.fetch", "4XyzAb12")


def test_a_release_reaches_own_domains_only_and_is_noted_first(api: Api) -> None:
    api.quarantine.keep("2", ANNA, BOB)
    done = api.call("POST", f"/quarantine/{HOLDER}/2/release", who=api.ada)
    assert (done.status, done.json) == (200, {"released": [ANNA], "kept": []})
    assert api.quarantine.released == [ANNA]
    ((action, mail_id, by),) = api.quarantine.done
    assert (action, mail_id, by.partition(" ")[0]) == ("release", "2", "ada")
    assert entries(api) == [("ada", "quarantine.release", "4XyzAb12")]
    details = api.last().details
    assert details["message_id"] == "<1@example.com>"
    assert details["sender"] == "sender@example.com"
    check_problem(api.call("POST", f"/quarantine/{HOLDER}/2/release", who=api.ada), 404)


def test_a_recipient_who_was_refused_is_named(api: Api) -> None:
    api.quarantine.keep("2", ANNA, BOB).replies[BOB] = "552 5.2.2 over quota"
    done = api.call("POST", f"/quarantine/{HOLDER}/2/release").json
    assert done["kept"] == [{"recipient": BOB, "reply": "552 5.2.2 over quota"}]


def test_deletion_needs_all_recipients(api: Api) -> None:
    api.quarantine.keep("2", ANNA, BOB)
    api.quarantine.keep("3", ANNA)
    check_problem(api.call("DELETE", f"/quarantine/{HOLDER}/2", who=api.ada), 403, "other domains")
    assert api.quarantine.done == []
    assert api.call("DELETE", f"/quarantine/{HOLDER}/3", who=api.ada).status == 204
    assert list(api.quarantine.kept) == ["1", "2"]
    assert entries(api)[-1] == ("ada", "quarantine.delete", "4XyzAb12")


def test_the_second_of_two_is_told(api: Api) -> None:
    api.quarantine.problem = NotHeldError("It is gone.")
    check_problem(api.call("POST", f"/quarantine/{HOLDER}/1/release"), 404, "gone")
    check_problem(api.call("DELETE", f"/quarantine/{HOLDER}/1"), 404, "gone")
    api.quarantine.problem = HolderAwayError("It does not answer.")
    check_problem(api.call("DELETE", f"/quarantine/{HOLDER}/1"), 503)


@pytest.mark.parametrize("operation", ["release-quarantined-mail", "delete-quarantined-mail"])
def test_in_a_batch_it_is_alone_and_not_tried(api: Api, operation: str) -> None:
    part = {"operation": operation, "params": {"holder": HOLDER, "id": "1"}}
    for body in (
        {"operations": [part], "dry_run": True},
        {"operations": [part, {"operation": "get-me"}]},
        {"operations": [part, part]},
    ):
        check_problem(api.call("POST", "/batch", body), 422, "alone")
    assert api.quarantine.done == []
    check_problem(api.call("POST", "/batch", {"operations": [part]}, who=api.ada), 404)
    assert api.call("POST", "/batch", {"operations": [part]}).status == 200
    assert len(api.quarantine.done) == 1
