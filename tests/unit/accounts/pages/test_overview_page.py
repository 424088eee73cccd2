"""The first page of administrators: what it says, to whom, and with which link."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.directory import daemon_states
from accounts.journal.settings import JournalSettings
from gatepost.reports.queue_state import QueueDestination, QueueState
from gatepost.reports.report import StateReport
from tests.unit.accounts.desk import NOW
from tests.unit.accounts.journal.journal_suite import mail
from tests.unit.accounts.pages.browser import PagesSite

HOSTILE = '"><img src=x onerror=alert(1)><script>alert(1)</script>'


def report(site: PagesSite, **values: Any) -> None:
    one = StateReport("policyd", "mx1", "0.1.0", NOW)._replace(**values)
    site.api.desk.run(site.api.desk.database.record(lambda c: daemon_states.note(c, one, NOW)))


def test_all_is_well(site: PagesSite) -> None:
    report(site)
    page = site.browser("root").open("/")
    assert "Nothing needs attention" in page.text
    assert "Policy server mx1 works" in page.text
    assert "Never checked: 2." in page.text


def test_what_needs_attention_comes_first(site: PagesSite) -> None:
    report(site, remarks=("dnslists: not asked: zen.example",))
    report(site, component="milters", problems=("keys: s1.pem is missing",))
    site.api.desk.clock.now += 1
    text = site.browser("root").open("/").text
    assert "Policy server (mx1) works, but: dnslists: not asked: zen.example" in text
    assert "Milter (mx1) reports a problem: keys: s1.pem is missing" in text
    assert text.index("Needs attention") < text.index("Outcome")
    site.api.desk.clock.now += 600
    assert "Delivery" not in text
    browser = site.browser("root")
    assert "Milter (mx1) has not reported for a while." in browser.page.text


def test_the_queue_of_postfix(site: PagesSite) -> None:
    queue = QueueState(
        NOW,
        {"incoming": 1, "active": 2, "deferred": 40, "hold": 5, "maildrop": 3},
        NOW - 5 * 3600,
        (QueueDestination(HOSTILE, 38, NOW - 60, f"host said: 450 {HOSTILE}"),),
    )
    browser = site.browser("root")
    assert "Queue of Postfix" not in browser.page.text
    report(site, component="postfix", queue=queue)
    page = browser.open("/")
    assert "Mail has waited in the queue of mx1 for 5 hours." in page.text
    assert "mx1 6 40 5 2030-03-17 12:46 UTC" in page.text
    assert f"{HOSTILE} 38" in page.text
    assert not [tag for tag, _ in page.tags if tag == "img"]
    # young mail needs no attention, and none is as well
    report(site, component="postfix", queue=queue._replace(oldest=NOW - 60))
    assert "Nothing needs attention" in browser.open("/").text
    report(site, component="postfix", queue=QueueState(NOW, {}))
    assert "mx1 0 0 0 –" in browser.open("/").text
    assert "Queue of Postfix" not in site.browser("ada").page.text


def test_mail_is_a_table_with_bars(site: PagesSite) -> None:
    site.api.desk.run(site.api.journal.add([mail(n, "anna@a.example", at=NOW) for n in range(3)]))
    page = site.browser("root").open("/")
    assert "Accepted into the queue 3 0" in page.text
    bars = [given for tag, given in page.tags if tag == "rect"]
    assert [one["width"] for one in bars][:2] == ["100.0", "0.0"]
    # a screen reader has the numbers
    hidden = [given for tag, given in page.tags if tag == "svg"]
    assert {one["aria-hidden"] for one in hidden} == {"true"}
    assert len(hidden) == len(bars) == 20


def test_a_check_of_a_domain_is_shown_with_its_age(site: PagesSite) -> None:
    for login in ("root", "ada"):
        browser = site.browser(login)
        assert "a.example are wrong" not in browser.page.text
    browser.open("/domains/a.example/dns?now=1")
    for login in ("root", "ada"):
        page = site.browser(login).page
        assert "DNS records of a.example are wrong or missing." in page.text
        assert "as of 2030-03-17 17:46 UTC" in page.text
        assert "/domains/a.example/dns?now=1" in page.links
    site.browser("root").open("/domains/b.example/dns?now=1")
    assert "b.example" not in site.browser("ada").page.text


def test_the_administrator_of_a_domain_sees_no_services(site: PagesSite) -> None:
    report(site, problems=("loop: blocked",))
    text = site.browser("ada").open("/").text
    assert "mx1" not in text
    assert "Space" not in text
    assert "blocked" not in text


def test_without_a_journal(site: PagesSite) -> None:
    site.api.journal_settings = JournalSettings(days=0)
    assert "No record of mail is kept" in site.browser("root").page.text


@pytest.mark.parametrize("language", ["en", "de"])
def test_what_a_daemon_says_is_text(site: PagesSite, language: str) -> None:
    report(site, instance=HOSTILE, version=HOSTILE[:60], problems=(HOSTILE,), remarks=(HOSTILE,))
    browser = site.browser("root", language=language)
    page = browser.page
    assert [tag for tag, _ in page.tags if tag in ("img", "script")] == []
    assert HOSTILE in page.text
