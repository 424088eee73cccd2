"""Searches in the journal over the API, by role."""

from __future__ import annotations

import pytest

from accounts.directory import aliases, domains, mailboxes
from accounts.journal.settings import JournalSettings
from accounts.journal.table import MAX_TIMES
from accounts.snapshots.contents import CONTENTS
from accounts.snapshots.history import read_changes, read_history
from tests.unit.accounts.desk import NOW
from tests.unit.accounts.http.api import HASH, Api, Who, check_problem
from tests.unit.accounts.journal.journal_suite import mail

ANNA, BOB = "anna@a.example", "bob@b.example"


class JournalApi:
    """An API with a journal."""

    def __init__(self, api: Api) -> None:
        self.api = api
        api.desk.run(
            api.journal.add(
                [
                    mail(1, ANNA, BOB, at=NOW),
                    mail(2, "far@x.example", at=NOW, sender=ANNA, login=ANNA),
                    mail(3, "far@x.example", at=NOW, sender=ANNA),
                ]
            )
        )

    def found(self, words: str = "", *, path: str = "/trace", who: Who | None = None) -> list[str]:
        answered = self.api.call("GET", path, query=f"words={words}", who=who)
        assert answered.status == 200, answered.octets
        return sorted(f"{one['queue_id']} {one['recipient']}" for one in answered.json["items"])

    def audit(self) -> list[tuple[str, str, str]]:
        found = self.api.call("GET", "/audit").json["items"]
        return [
            (one["actor"].partition(" ")[0], one["action"], one["object"])
            for one in reversed(found)
            if one["action"].startswith("trace.")
        ]


@pytest.fixture
def traced(api: Api) -> JournalApi:
    return JournalApi(api)


def test_each_role_sees_its_own(traced: JournalApi) -> None:
    api = traced.api
    everything = [f"4Q1 {ANNA}", f"4Q1 {BOB}", "4Q2 far@x.example", "4Q3 far@x.example"]
    assert traced.found() == everything
    # of a.example: its recipients, and what its logins sent; not what names it as sender
    assert traced.found(who=api.ada) == [f"4Q1 {ANNA}", "4Q2 far@x.example"]
    assert traced.found(path="/me/trace", who=api.anna) == [f"4Q1 {ANNA}", "4Q2 far@x.example"]
    for word in (BOB, "4Q3"):
        assert traced.found(word, who=api.ada) == []
        assert traced.found(word, path="/me/trace", who=api.anna) == []
    check_problem(api.call("GET", "/trace", who=api.anna), 403)
    scoped = api.token(["mailboxes:read"], administrator="root")
    check_problem(api.call("GET", "/trace", who=scoped), 403)


def test_the_owner_sees_aliases_of_their_own_alone(traced: JournalApi) -> None:
    api = traced.api
    api.desk.write(lambda w: aliases.add(w, "own@a.example", targets=[ANNA]))
    api.desk.write(lambda w: aliases.add(w, "team@a.example", targets=[ANNA, "x@a.example"]))
    api.desk.write(lambda w: domains.add(w, "aa.example", alias_of="a.example"))
    for number, name in enumerate(("own@a.example", "team@a.example", "anna+x@aa.example"), 4):
        api.desk.run(api.journal.add([mail(number, name, at=NOW)]))
    found = traced.found("sender@example.com", path="/me/trace", who=api.anna)
    assert found == [f"4Q1 {ANNA}", "4Q4 own@a.example", "4Q6 anna+x@aa.example"]


def test_a_new_owner_does_not_see_the_mail_of_the_one_before(traced: JournalApi) -> None:
    api = traced.api
    api.desk.clock.now += 60
    api.desk.write(lambda w: mailboxes.remove(w, ANNA))
    api.desk.write(lambda w: mailboxes.add(w, ANNA, password=HASH))
    owner = api.token(["trace:read"], mailbox=ANNA)
    assert traced.found(path="/me/trace", who=owner) == []
    api.desk.run(api.journal.add([mail(4, ANNA, at=api.desk.clock())]))
    assert traced.found(path="/me/trace", who=owner) == [f"4Q4 {ANNA}"]
    # the administrators of the domain see both
    assert f"4Q1 {ANNA}" in traced.found(who=api.ada)


def test_a_new_owner_of_an_alias_does_not_see_the_mail_of_the_one_before(
    traced: JournalApi,
) -> None:
    api = traced.api
    api.desk.run(api.journal.add([mail(4, "shop@a.example", at=NOW)]))
    api.desk.run(api.journal.add([mail(5, "anna@aa.example", at=NOW)]))
    api.desk.clock.now += 60
    api.desk.write(lambda w: aliases.add(w, "shop@a.example", targets=[ANNA]))
    api.desk.write(lambda w: domains.add(w, "aa.example", alias_of="a.example"))
    seen = [f"4Q1 {ANNA}", "4Q2 far@x.example"]
    assert traced.found(path="/me/trace", who=api.anna) == seen
    for number, name in enumerate(("shop@a.example", "anna@aa.example", "shop+x@aa.example"), 6):
        api.desk.run(api.journal.add([mail(number, name, at=api.desk.clock())]))
        seen.append(f"4Q{number} {name}")
    assert traced.found(path="/me/trace", who=api.anna) == seen
    assert traced.found("shop@a.example", path="/me/trace", who=api.anna) == ["4Q6 shop@a.example"]


def test_any_number_of_new_addresses_can_be_searched(traced: JournalApi) -> None:
    api = traced.api
    for number in range(2 * MAX_TIMES):
        api.desk.clock.now += 60
        name = f"a{number}@a.example"
        api.desk.write(lambda w: aliases.add(w, name, targets=[ANNA]))  # noqa: B023
        api.desk.run(api.journal.add([mail(10 + number, name, at=api.desk.clock())]))
    # the oldest ones have a time in common, before which nothing is shown
    for number in (0, MAX_TIMES - 1, MAX_TIMES, 2 * MAX_TIMES - 1):
        name = f"a{number}@a.example"
        found = [f"4Q{10 + number} {name}"] if number else []
        assert traced.found(name, path="/me/trace", who=api.anna) == found


def test_searches_by_administrators_are_in_the_audit_log(traced: JournalApi) -> None:
    api = traced.api
    traced.found(BOB)
    traced.found("4Q1", who=api.ada)
    traced.found("4Q1", path="/me/trace", who=api.anna)
    assert traced.audit() == [("root", "trace.search", BOB), ("ada", "trace.search", "4Q1")]


def test_a_search_changes_no_snapshot(traced: JournalApi) -> None:
    before = traced.api.desk.read(read_history)
    traced.found(BOB)
    changes = traced.api.desk.read(lambda connection: read_changes(connection, before))
    assert [name for name, one in CONTENTS.items() if one.is_concerned(changes)] == []


def test_an_address_is_erased_by_those_who_may(traced: JournalApi) -> None:
    api = traced.api
    check_problem(api.call("DELETE", f"/trace/{BOB}", who=api.ada), 403)
    check_problem(api.call("DELETE", f"/trace/{ANNA}", who=api.anna), 403)
    assert api.call("DELETE", f"/trace/{ANNA}", who=api.ada).status == 204
    api.desk.run(api.journal.settle())
    assert traced.found() == [f"4Q1 {BOB}"]
    assert api.call("DELETE", "/trace/far@x.example").status == 204
    check_problem(api.call("DELETE", "/trace/nonsense"), 422)
    assert traced.audit()[-2:] == [
        ("root", "trace.search", ""),
        ("root", "trace.erase", "far@x.example"),
    ]


@pytest.mark.parametrize(
    "query", ["words=a b c d e", "words=" + "x" * 401, "limit=101", "words=a%00"]
)
def test_other_questions_are_refused(traced: JournalApi, query: str) -> None:
    check_problem(traced.api.call("GET", "/trace", query=query.replace(" ", "+")), 422)


def test_without_a_journal_it_says_so(traced: JournalApi) -> None:
    traced.api.journal_settings = JournalSettings(days=0)
    check_problem(traced.api.call("GET", "/trace"), 404)
    check_problem(traced.api.call("DELETE", f"/trace/{ANNA}"), 404)


@pytest.mark.parametrize("digits", [30, 400])
def test_a_time_may_be_far_away(traced: JournalApi, digits: int) -> None:
    api = traced.api
    for path, who in (("/trace", None), ("/me/trace", api.anna)):
        for name, is_any in (("since", False), ("until", True)):
            found = api.call("GET", path, query=f"{name}={10**digits}", who=who)
            assert (found.status, bool(found.json["items"])) == (200, is_any)
