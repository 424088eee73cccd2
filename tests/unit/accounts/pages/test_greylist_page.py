"""The pages of the greylist, by role."""

from __future__ import annotations

from functools import partial

import pytest

from accounts.directory import daemon_states
from accounts.greylist_asking import GreylistFound
from accounts.http.resources import greylist
from gatepost.greylist_exchange import GreylistRow
from gatepost.journal.record import JournalRecord
from gatepost.reports.report import StateReport
from tests.unit.accounts.desk import NOW
from tests.unit.accounts.pages.browser import PagesSite

HOSTILE = '"><img src=x onerror=alert(1)><script>alert(1)</script>'
ROW = GreylistRow("net:192.0.2.0/24", "x@x.example", "anna@a.example", False, "passed", NOW)
FOUND = GreylistFound((ROW,), 0, ("mx1",), (), (), False, False)
NOBODY = GreylistFound((), 0, (), (), (), False, False)


class StubServers:
    """Policy servers with one answer to all questions."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.found = FOUND
        self.asked: list[tuple[str, str, frozenset[str] | None]] = []
        monkeypatch.setattr(greylist, "ask_policy_servers", self.ask)

    async def ask(
        self,
        database: object,
        kind: str,
        text: str,
        domains: frozenset[str] | None,
        clock: object,
    ) -> GreylistFound:
        del database, clock
        self.asked.append((kind, text, domains))
        return self.found


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> StubServers:
    return StubServers(monkeypatch)


def test_a_search_shows_what_is_found(site: PagesSite, servers: StubServers) -> None:
    browser = site.browser("root")
    browser.open("/greylist")
    assert servers.asked == []
    assert browser.form().method == "get"
    browser.open("/greylist?text=192.0.2.7")
    text = browser.page.text
    assert "net:192.0.2.0/24 x@x.example anna@a.example passed" in text
    site.browser("ada").open("/greylist?text=x@x.example")
    assert servers.asked == [
        ("find", "192.0.2.7", None),
        ("find", "x@x.example", frozenset({"a.example"})),
    ]


def test_a_link_of_another_site_only_fills_in_the_form(
    site: PagesSite, servers: StubServers
) -> None:
    browser = site.browser("root")
    browser.get("/greylist?text=x", **{"sec-fetch-site": "cross-site"})
    assert browser.form().fields == {"text": ["x"]}
    assert servers.asked == []


def test_policy_servers_that_do_not_answer(site: PagesSite, servers: StubServers) -> None:
    browser = site.browser("root")
    servers.found = NOBODY
    assert "No policy server has reported lately" in browser.open("/greylist?text=x").text
    servers.found = GreylistFound((), 0, (), ("mx2",), (), False, False)
    text = browser.open("/greylist?text=x").text
    assert "These policy servers do not answer: mx2." in text
    assert "no such record" not in text
    servers.found = GreylistFound((), 0, ("mx1",), (), ("mx1: " + HOSTILE,), True, True)
    page = browser.open("/greylist?text=x")
    assert HOSTILE in page.text
    assert "only digests" in page.text


def test_forgetting_names_whose_mail_it_is(site: PagesSite, servers: StubServers) -> None:
    browser = site.browser("ada")
    browser.open("/greylist?text=x@x.example")
    assert "Forget for a.example" in browser.page.text
    assert browser.submit().status == 303
    assert "The records are forgotten." in browser.follow().text
    assert ("forget", "x@x.example", frozenset({"a.example"})) in servers.asked
    # the domain of somebody else, or all
    for domain in ("b.example", ""):
        browser.open("/greylist?text=x@x.example")
        assert browser.submit(domain=domain).status == 403
    root = site.browser("root")
    servers.found = FOUND
    root.open("/greylist?text=x@x.example")
    servers.found = NOBODY
    root.submit()
    assert "Not all policy servers answered" in root.follow().text
    assert servers.asked[-2] == ("forget", "x@x.example", None)


def test_exceptions_are_added_and_removed(site: PagesSite) -> None:
    browser = site.browser("ada")
    browser.open("/greylist/exceptions?kind=sender&pattern=x@x.example&domain=a.example")
    form = browser.form()
    assert form.fields["kind"] == ["sender"]
    assert form.fields["pattern"] == ["x@x.example"]
    assert browser.submit(note=HOSTILE).status == 303
    page = browser.follow()
    assert "It was added." in page.text
    assert HOSTILE in page.text
    assert browser.submit(domain="b.example", pattern="y@x.example").status == 403
    assert browser.submit(domain="", pattern="y@x.example").status == 403
    assert browser.submit(domain="a.example", pattern="no name").status == 422
    assert browser.form().fields["pattern"] == ["no name"]
    root = site.browser("root")
    root.open("/greylist/exceptions")
    assert root.submit(kind="client", pattern="192.0.2.0/24").status == 303
    root.follow()
    assert "192.0.2.0/24 all" in root.page.text
    assert "192.0.2.0/24" not in browser.open("/greylist/exceptions").text
    remove = browser.form("/greylist/exceptions/remove")
    other = root.form("/greylist/exceptions/remove")
    assert browser.submit(remove, domain="").status == 403
    browser.open("/greylist/exceptions")
    assert browser.submit(remove).status == 303
    assert "x@x.example" not in browser.follow().text
    root.open("/greylist/exceptions")
    assert root.submit(root.form("/greylist/exceptions/remove")).status == 303
    assert other.fields["domain"] == ["a.example"]


def test_a_delayed_mail_leads_to_the_exception(site: PagesSite) -> None:
    record = JournalRecord(
        NOW,
        "policyd",
        "defer",
        reason="greylist-new",
        client="192.0.2.7",
        sender="x@x.example",
        recipients=("anna@a.example",),
    )
    site.api.desk.run(site.api.journal.add([record]))
    browser = site.browser("ada")
    browser.open("/trace?words=anna@a.example&time=all")
    assert "/greylist" in browser.page.links
    link = next(one for one in browser.page.links if "kind=client" in one)
    browser.open(link)
    fields = browser.form().fields
    assert (fields["pattern"], fields["domain"]) == (["192.0.2.7"], ["a.example"])
    owner = site.browser("anna@a.example")
    owner.open("/trace?words=anna@a.example&time=all")
    assert not [one for one in owner.page.links if "greylist" in one]


def test_a_question_without_an_answer_ends(
    site: PagesSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a policy server that reports, but does not answer."""
    monkeypatch.setattr("accounts.greylist_asking.PATIENCE", 0.3)
    report = StateReport("policyd", "mx1", "1", NOW)
    database = site.api.desk.database
    site.api.desk.run(database.record(partial(daemon_states.note, report=report, now=NOW)))
    text = site.browser("root").open("/greylist?text=x").text
    assert "These policy servers do not answer: mx1." in text
