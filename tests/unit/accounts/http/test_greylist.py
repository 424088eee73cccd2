"""The greylist over the API: questions to policy servers that are not there, or lie, and
exceptions."""

from __future__ import annotations

import asyncio
import hashlib
import json
from functools import partial
from typing import Any

import pytest

from accounts import greylist_asking
from accounts.directory import daemon_states, greylist_questions
from accounts.greylist_asking import ask_policy_servers
from accounts.greylist_exchange import GreylistExchangeServer
from accounts.snapshots.access import Tokens
from accounts.snapshots.contents import CONTENTS, SnapshotInputs
from accounts.snapshots.history import read_changes, read_history
from gatepost.greylist_exchange import (
    MAX_ROWS,
    PATH,
    ExchangeRequest,
    GreylistAnswer,
    GreylistQuestion,
    GreylistRow,
    decode_questions,
    encode_request,
)
from gatepost.reports.report import StateReport
from tests.unit.accounts.desk import NOW
from tests.unit.accounts.http.api import Api, Who, check_problem

TOKEN = "0123456789abcdef"
TO_ANNA = GreylistRow("net:192.0.2.0/24", "x@x.example", "anna@a.example", False, "passed", NOW)
TO_BOB = TO_ANNA._replace(recipient="bob@b.example", last=NOW - 5)
CLIENT = GreylistRow("net:192.0.2.0/24", "", "", True, "allowed", NOW - 9)


class PolicyServers:
    """Policy servers that fetch questions from an API and answer them."""

    def __init__(self, api: Api, *instances: str) -> None:
        self.api = api
        self.asked: list[GreylistQuestion] = []
        for one in instances:
            report = StateReport("policyd", one, "1", NOW)
            api.desk.run(
                api.desk.database.record(partial(daemon_states.note, report=report, now=NOW))
            )
        self.app = GreylistExchangeServer(
            api.desk.database,
            lambda: Tokens(plain=hashlib.sha256(TOKEN.encode()).digest()),
            self.nobody,
            api.desk.clock,
        )

    async def nobody(self, scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError(scope["path"])

    async def exchange(
        self,
        instance: str,
        *answers: GreylistAnswer,
        wait: float = 0.0,
        body: bytes = b"",
        **more: Any,
    ) -> Any:
        """Return the status, or the questions."""
        octets = body or encode_request(ExchangeRequest(instance, wait, answers))
        waiting = [{"type": "http.request", "body": octets, "more_body": False}]
        sent: list[Any] = []

        async def receive() -> Any:
            if waiting:
                return waiting.pop(0)
            return await asyncio.Event().wait()

        async def send(message: Any) -> None:
            sent.append(message)

        token = more.get("token", TOKEN)
        scope = {
            "type": "http",
            "path": PATH,
            "method": more.get("method", "POST"),
            "headers": [(b"authorization", b"Bearer " + token.encode())],
            "client": ("192.0.2.1", 4711),
        }
        await self.app(scope, receive, send)
        if sent[0]["status"] != 200:
            return sent[0]["status"]
        return decode_questions(sent[1]["body"])

    async def serve(self, instance: str, *rows: GreylistRow, **more: Any) -> None:
        """Answer one question with these rows."""
        (question,) = await self.exchange(instance, wait=20.0)
        self.asked.append(question)
        answer = GreylistAnswer(question.id, instance, rows)._replace(**more)
        assert await self.exchange(instance, answer) == []

    def ask(
        self, *serving: Any, kind: str = "find", domains: Any = None, patience: float = 9
    ) -> Any:
        async def both() -> Any:
            asking = ask_policy_servers(
                self.api.desk.database, kind, "192.0.2.7", domains, self.api.desk.clock, patience
            )
            found, *_ = await asyncio.gather(asking, *serving)
            return found

        return self.api.desk.run(both())


def test_each_policy_server_answers_once(api: Api) -> None:
    servers = PolicyServers(api, "mx1", "mx2")
    older = TO_ANNA._replace(last=NOW - 60, state="may retry")
    found = servers.ask(servers.serve("mx1", TO_ANNA, CLIENT), servers.serve("mx2", older, TO_BOB))
    # the same record of two stores is one, as it was last
    assert found.items == (TO_ANNA, TO_BOB, CLIENT)
    assert (found.answered, found.missing, found.is_partial) == (("mx1", "mx2"), (), False)
    assert [one.text for one in servers.asked] == ["192.0.2.7"] * 2
    assert api.desk.run(servers.exchange("mx1")) == []


def test_a_policy_server_that_does_not_answer_is_named(api: Api) -> None:
    servers = PolicyServers(api, "mx1", "mx2")
    found = servers.ask(servers.serve("mx2", problem="the store does not answer"), patience=1.0)
    assert (found.answered, found.missing) == (("mx2",), ("mx1",))
    assert found.problems == ("mx2: the store does not answer",)
    # one that has been silent for long is not waited for
    api.desk.clock.now += 600
    found = servers.ask()
    assert (found.answered, found.missing) == ((), ())


def test_an_administrator_of_a_domain_gets_its_rows_alone(api: Api) -> None:
    """Even if a policy server sends more."""
    servers = PolicyServers(api, "mx1")
    own = frozenset({"a.example"})
    found = servers.ask(servers.serve("mx1", TO_BOB, TO_ANNA, CLIENT), domains=own)
    assert found.items == (TO_ANNA,)
    assert servers.asked[0].domains == ("a.example",)


def test_answers_to_no_question_and_second_answers_are_dropped(api: Api) -> None:
    servers = PolicyServers(api, "mx1")
    stray = GreylistAnswer("f" * 32, "mx1", (TO_ANNA,))
    assert api.desk.run(servers.exchange("mx1", stray)) == []
    assert api.desk.counts()["greylist_answer"] == 0

    async def twice() -> None:
        (question,) = await servers.exchange("mx1", wait=20.0)
        for row in (TO_ANNA, TO_BOB):
            # in the name of another: it counts as that of the sender
            answer = GreylistAnswer(question.id, "mx9", (row,))
            await servers.exchange("mx1", answer)

    assert servers.ask(twice()).items == (TO_ANNA,)


def test_the_exchange_needs_a_token_and_a_form(api: Api) -> None:
    servers = PolicyServers(api)
    run = api.desk.run
    assert run(servers.exchange("mx1", token="0123456789abcdee")) == 401
    assert run(servers.exchange("mx1", method="GET")) == 405
    good = json.loads(encode_request(ExchangeRequest("mx1", 0, (GreylistAnswer("0" * 32, "x"),))))
    answer = good["answers"][0]
    wrong: tuple[Any, ...] = (
        [],
        {**good, "wait": "x"},
        {**good, "wait": -1},
        {**good, "instance": None},
        {**good, "answers": 1},
        {**good, "answers": [{**answer, "id": "x"}]},
        {**good, "answers": [{**answer, "rows": [{}]}]},
        {**good, "answers": [{**answer, "forgotten": 10**400}]},
    )
    for bad in wrong:
        assert run(servers.exchange("", body=json.dumps(bad).encode())) == 400, bad
    for octets in (b"{", b"\xff", b"[" * 9999):
        assert run(servers.exchange("", body=octets)) == 400
    assert run(servers.exchange("", body=b" " * (2 << 20))) == 413


def test_what_policy_servers_send_is_bounded(api: Api) -> None:
    servers = PolicyServers(api, "mx1")
    evil = tuple(
        TO_ANNA._replace(sender=f"{n}\x1b\0\u202e" + "x" * 9999) for n in range(3 * MAX_ROWS)
    )
    found = servers.ask(servers.serve("mx1", *evil, problem="\0" * 9999))
    assert len(found.items) == MAX_ROWS
    assert all(one.sender.isprintable() and len(one.sender) < 400 for one in found.items)
    assert len(found.problems[0]) < 500


def test_too_many_questions_are_refused(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(greylist_asking, "PATIENCE", 0.0)
    servers = PolicyServers(api, "mx1")
    for _ in range(greylist_questions.MAX_OPEN):
        servers.ask(patience=0.0)
    answered = api.call("GET", "/greylist", query="text=x")
    check_problem(answered, 422, "Too many people search")
    api.desk.clock.now += greylist_questions.KEPT + 1
    assert api.call("GET", "/greylist", query="text=x").status == 200
    # those before are gone
    assert api.desk.counts()["greylist_question"] == 1


def test_searching_and_forgetting_are_in_the_audit_log(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(greylist_asking, "PATIENCE", 0.0)
    before = api.desk.read(read_history)
    assert api.call("GET", "/greylist", query="text=192.0.2.7", who=api.ada).json["items"] == []
    assert api.call("POST", "/greylist/forget", {"text": "x@x.example"}).status == 200
    path = "/domains/a.example/greylist/forget"
    assert api.call("POST", path, {"text": "x@x.example"}, who=api.ada).status == 200
    noted = [(one.actor[:4].strip(), one.action, one.details) for one in api.audit(limit=3)]
    assert noted == [
        ("ada", "greylist.forget", {"to": "a.example"}),
        ("root", "greylist.forget", {"to": "all"}),
        ("ada", "greylist.search", {}),
    ]
    # and no snapshot is made anew
    changes = api.desk.read(lambda connection: read_changes(connection, before))
    assert [name for name, one in CONTENTS.items() if one.is_concerned(changes)] == []
    for text in ("", "%00", "x" * 401):
        check_problem(api.call("GET", "/greylist", query=f"text={text}"), 422)


def exceptions(api: Api, who: Who | None = None) -> list[tuple[str, str | None]]:
    found = api.call("GET", "/greylist-exceptions", who=who).json["items"]
    return [(one["pattern"], one["domain"]) for one in found]


def test_exceptions_by_role(api: Api) -> None:
    path = "/greylist-exceptions"
    made = api.call("POST", path, {"kind": "client", "pattern": "192.0.2.7", "note": "a bank"})
    assert made.status == 201
    assert made.json["added_by"].startswith("root")
    own = "/domains/a.example/greylist-exceptions"
    added = api.call("POST", own, {"kind": "sender", "pattern": "@X.example"}, who=api.ada)
    assert added.status == 201, added.octets
    assert exceptions(api) == [("192.0.2.7", None), ("@x.example", "a.example")]
    assert exceptions(api, api.ada) == [("@x.example", "a.example")]
    check_problem(api.call("POST", own, {"kind": "sender", "pattern": "@x.example"}), 409)
    # she can remove neither that of all recipients nor, by her domain, that of another
    number = made.json["id"]
    check_problem(api.call("DELETE", f"{path}/{number}", who=api.ada), 403)
    check_problem(api.call("DELETE", f"{own}/{number}", who=api.ada), 404)
    for text in ("x", "9" * 400, "-1"):
        check_problem(api.call("DELETE", f"{own}/{text}", who=api.ada), 404)
    assert api.call("DELETE", f"{own}/{added.json['id']}", who=api.ada).status == 204
    assert exceptions(api) == [("192.0.2.7", None)]
    entry = api.last()
    assert (entry.action, entry.object) == ("greylist-exception.remove", "@x.example")
    assert entry.details == {"kind": "sender", "to": "a.example"}


@pytest.mark.parametrize(
    ("kind", "pattern", "stored"),
    [
        ("client", "192.0.2.7", "192.0.2.7"),
        ("client", "192.0.2.7/24", "192.0.2.0/24"),
        ("client", "2001:db8::/32", "2001:db8::/32"),
        ("client", "Mail.Example.ORG", "mail.example.org"),
        ("sender", "X@bücher.example", "x@xn--bcher-kva.example"),
        ("sender", "@x.example", "@x.example"),
        ("client", "0.0.0.0/0", None),
        ("client", "10.0.0.0/8", None),
        ("client", "::/16", None),
        ("client", "1.2.3", None),
        ("client", "/.*/", None),
        ("client", "x@x.example", None),
        ("sender", "/.*/", None),
        ("sender", "@", None),
        ("sender", "postmaster@", None),
        ("sender", "x", None),
        ("client", "", None),
        ("other", "192.0.2.7", None),
    ],
)
def test_patterns(api: Api, kind: str, pattern: str, stored: str | None) -> None:
    answered = api.call("POST", "/greylist-exceptions", {"kind": kind, "pattern": pattern})
    if stored is None:
        check_problem(answered, 422)
    else:
        assert answered.json["pattern"] == stored


def test_an_exception_goes_into_the_snapshot_and_with_its_domain(api: Api) -> None:
    before = api.desk.read(read_history)
    own = "/domains/a.example/greylist-exceptions"
    for number in range(12):
        body = {"kind": "client", "pattern": f"192.0.2.{number}"}
        assert api.call("POST", own, body).status == 201
    changes = api.desk.read(lambda connection: read_changes(connection, before))
    assert [name for name, one in CONTENTS.items() if one.is_concerned(changes)] == ["greylist"]
    inputs: SnapshotInputs = None  # type: ignore[assignment]
    records = api.desk.read(lambda c: list(CONTENTS["greylist"].records(c, inputs)))
    assert [one[0] for one in records] == sorted(one[0] for one in records)
    assert records[1][1] == {"kind": "client", "pattern": "192.0.2.1", "domain": "a.example"}
    for path in ("/mailboxes/anna@a.example", "/domains/a.example"):
        assert api.call("DELETE", path, headers={"If-Match": "*"}).status == 204
    assert exceptions(api) == []
