"""The page that says what became of a mail, by role."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import urlencode

import pytest
import structlog.testing

from accounts.http.principals import Principal, Role
from accounts.journal.mail_state import MailState
from accounts.journal.settings import JournalSettings
from accounts.pages.mail_states import words_of
from accounts.pages.menu import entries
from accounts.pages.views.trace import EVENTS
from accounts.pages.visit import ROWS
from gatepost.journal.record import JournalRecord
from tests.unit.accounts.desk import NOW
from tests.unit.accounts.http.api import Api
from tests.unit.accounts.journal.journal_suite import mail
from tests.unit.accounts.pages.browser import Browser, PagesSite

ANNA, BOB, FAR = "anna@a.example", "bob@b.example", "far@x.example"
HOSTILE = '"><img src=x onerror=alert(1)><script>alert(1)</script>'


class TraceVisit(NamedTuple):
    """A visitor who searches."""

    browser: Browser

    def search(self, words: str, time: str = "day", status: int = 200) -> str:
        """Send the form of the page; return the text of the answer."""
        self.browser.open("/trace")
        form = next(one for one in self.browser.page.forms if "words" in one.fields)
        assert form.method == "get"
        url = f"{form.action}?{urlencode({**form.fields, 'words': words, 'time': time})}"
        assert self.browser.get(url).status == status, self.browser.page.text
        return self.browser.page.text

    @property
    def mails(self) -> int:
        """The number of entries on the page."""
        return sum(tag == "article" for tag, _ in self.browser.page.tags)


def keep(site: PagesSite, *records: JournalRecord) -> None:
    site.api.desk.run(site.api.journal.add(records))


def visit(site: PagesSite, login: str, language: str = "") -> TraceVisit:
    return TraceVisit(site.browser(login, language=language))


@pytest.fixture
def traced(site: PagesSite) -> PagesSite:
    """The pages, with mail to two recipients, from a login, and under the name of that login."""
    keep(
        site,
        mail(1, ANNA, BOB, at=NOW),
        mail(2, FAR, at=NOW, sender=ANNA, login=ANNA),
        mail(3, FAR, at=NOW, sender=ANNA),
    )
    return site


def searches(api: Api) -> list[tuple[str, str]]:
    return [
        (one.actor.partition(" ")[0], one.object)
        for one in reversed(api.audit(limit=100))
        if one.action == "trace.search"
    ]


@pytest.mark.parametrize(
    ("login", "seen"),
    [(ANNA, {"4Q1", "4Q2"}), ("ada", {"4Q1", "4Q2"}), ("root", {"4Q1", "4Q2", "4Q3"})],
)
def test_each_role_sees_its_own_mail(traced: PagesSite, login: str, seen: set[str]) -> None:
    visitor = visit(traced, login)
    for words in ("", ANNA):
        text = visitor.search(words)
        assert {one for one in ("4Q1", "4Q2", "4Q3") if one in text} == seen
        # other recipients of the same mail are for those who may see all
        assert ("bob" in text) == (login == "root" and not words)
    for words in (BOB, "4Q3"):
        text = visitor.search(words)
        assert (visitor.mails > 0) == (login == "root")
        assert ("no record in this time" in text) == (login != "root")


def test_the_state_comes_first_and_then_what_to_do(site: PagesSite) -> None:
    keep(site, mail(1, ANNA, at=NOW))
    text = visit(site, ANNA).search("4Q1")
    order = [
        "Accepted 20",
        "There is no record of its delivery.",
        "give your administrator the queue id",
        "From sender@example.com",
        "Step by step",
        "milter: message accepted",
    ]
    places = [text.index(one) for one in order]
    assert places == sorted(places)
    # commands are for administrators
    assert "postqueue" not in text
    assert "postqueue" in visit(site, "root").search("4Q1")


def test_searches_by_administrators_are_in_the_audit_log(traced: PagesSite) -> None:
    visit(traced, "root").search(BOB)
    visit(traced, "ada").search("4Q1", time="all")
    visit(traced, ANNA).search("4Q1")
    assert searches(traced.api) == [("root", BOB), ("ada", "4Q1")]


def test_the_page_alone_searches_nothing(traced: PagesSite) -> None:
    for login in ("root", "ada", ANNA):
        page = visit(traced, login).browser.open("/trace")
        assert "4Q1" not in page.text
    assert searches(traced.api) == []


@pytest.mark.parametrize("site_of", ["cross-site", "same-site"])
def test_a_link_of_another_site_only_fills_in_the_form(traced: PagesSite, site_of: str) -> None:
    browser = traced.browser("root")
    url = "/trace?words=4Q1&time=all"
    browser.get(url, **{"sec-fetch-site": site_of})
    assert browser.last.status == 200
    assert "message accepted" not in browser.page.text
    form = next(one for one in browser.page.forms if "words" in one.fields)
    assert form.fields == {"words": ["4Q1"], "time": ["all"]}
    assert searches(traced.api) == []
    for own in ("none", "same-origin"):
        browser.get(url, **{"sec-fetch-site": own})
        assert "message accepted" in browser.page.text
    assert searches(traced.api) == [("root", "4Q1")] * 2


def test_the_time_bounds_the_search(site: PagesSite) -> None:
    clock = site.api.desk.clock
    for number, wait in ((3, 5 * 86_400), (2, 7200), (1, 60)):
        keep(site, mail(number, ANNA, at=clock()))
        clock.now += wait
    visitor = visit(site, ANNA)
    for time, count in (("hour", 1), ("day", 2), ("all", 3), ("../x", 2), ("", 2)):
        visitor.search(ANNA, time=time)
        assert visitor.mails == count, time
    # where a short time has nothing, the page leads to the longest
    visitor.search("4Q3", time="hour")
    link = next(one for one in visitor.browser.page.links if "time=all" in one)
    assert "4Q3" in visitor.browser.open(link).text


def test_nothing_found_is_a_sentence(site: PagesSite) -> None:
    text = visit(site, ANNA).search("nobody@x.example", time="all")
    assert "no server has tried to deliver such mail" in text
    assert "Search the last" not in text


@pytest.mark.parametrize("words", [HOSTILE, "';$(id)/../", "%_%", "a\0b", "\ud7ff\u202e", "ä" * 90])
@pytest.mark.parametrize("login", [ANNA, "ada", "root"])
def test_hostile_words_stay_words(traced: PagesSite, login: str, words: str) -> None:
    visitor = visit(traced, login)
    visitor.search(words, status=422 if "\0" in words or "\u202e" in words else 200)
    assert visitor.mails == 0
    assert not [tag for tag, _ in visitor.browser.page.tags if tag in ("script", "img")]
    form = next(one for one in visitor.browser.page.forms if "words" in one.fields)
    assert form.fields["words"] == [words.replace("\0", "\ufffd")]


def test_hostile_mail_stays_text(site: PagesSite) -> None:
    record = mail(1, ANNA, at=NOW, sender=f"{HOSTILE}@x.example", message_id=f"<{HOSTILE}>")
    keep(site, record)
    for login in (ANNA, "ada", "root"):
        visitor = visit(site, login)
        assert HOSTILE in visitor.search("4Q1")
        assert not [tag for tag, _ in visitor.browser.page.tags if tag in ("script", "img")]


@pytest.mark.parametrize("words", ["x" * 10_000, "x" * 401, "a b c d e", "a " * 5000])
def test_too_many_words_are_refused_beside_the_field(traced: PagesSite, words: str) -> None:
    visitor = visit(traced, "root")
    visitor.search(words, status=422)
    assert visitor.mails == 0
    (field,) = [a for tag, a in visitor.browser.page.tags if a.get("name") == "words"]
    assert field["aria-invalid"] == "true"
    assert "why-words" in (field["aria-describedby"] or "").split()
    assert any(a.get("id") == "why-words" for _, a in visitor.browser.page.tags)
    assert len(visitor.browser.octets) < 20_000
    assert searches(traced.api) == []


def test_without_a_journal_the_page_says_so(traced: PagesSite) -> None:
    traced.api.journal_settings = JournalSettings(days=0)
    for login, advice in ((ANNA, "Ask your administrator"), ("root", "[accounts.journal]")):
        browser = traced.browser(login)
        for url in ("/trace", "/trace?words=4Q1"):
            page = browser.open(url)
            assert "keeps no record" in page.text
            assert advice in page.text
            assert not [one for one in page.forms if "words" in one.fields]
    assert searches(traced.api) == []


def test_the_longest_time_is_that_of_the_journal(site: PagesSite) -> None:
    site.api.journal_settings = JournalSettings(days=30)
    assert "Last 30 days" in site.browser(ANNA).open("/trace").text
    site.api.journal_settings = JournalSettings(days=1)
    assert " days" not in site.browser(ANNA).open("/trace").text


def test_long_answers_are_bounded(site: PagesSite) -> None:
    keep(site, *(mail(n, ANNA, at=NOW - n) for n in range(1, ROWS + 11)))
    visitor = visit(site, "ada")
    visitor.search("")
    assert visitor.mails == ROWS
    keep(site, *(mail(999, ANNA, at=NOW + n / 100) for n in range(EVENTS + 10)))
    text = visitor.search("4Q999")
    assert f"The latest {EVENTS} steps:" in text
    assert text.count("milter: message") == EVENTS


@pytest.mark.parametrize("login", [ANNA, "ada", "root"])
def test_a_page_leads_to_the_mail_before(site: PagesSite, login: str) -> None:
    keep(site, *(mail(n, ANNA, at=NOW + 50 - n / 10) for n in range(1, 2 * ROWS + 11)))
    visitor = visit(site, login)
    browser = visitor.browser
    visitor.search(ANNA, time="all")
    seen: list[str] = []
    counts = []
    while True:
        counts.append(visitor.mails)
        seen += re.findall(r"Queue id (4Q\d+)", browser.page.text)
        following = [one for one in browser.page.links if "after=" in one]
        if not following:
            break
        assert "time=all" in following[0]
        assert "words=anna" in following[0]
        browser.open(following[0])
    assert counts == [ROWS, ROWS, 10]
    assert seen == [f"4Q{n}" for n in range(1, 2 * ROWS + 11)]


def test_a_page_after_the_last_mail_and_a_wrong_key(traced: PagesSite) -> None:
    browser = traced.browser("root")
    text = browser.open("/trace?words=4Q1&time=all&after=1.5-1").text
    assert "There is no earlier mail in this time." in text
    assert "The sender needs the bounce" not in text
    for key in ("x", "1.5-1'", "1.5", "nan-1", "1e9-1", "-1.5-1", "9" * 41, "٣.5-1"):
        assert browser.get(f"/trace?{urlencode({'words': '4Q1', 'after': key})}").status == 422


def test_words_come_back_after_the_login(traced: PagesSite) -> None:
    browser = traced.browser()
    assert browser.get("/trace?words=4Q1&time=all").status == 303
    browser.follow()
    browser.submit(login=ANNA, password="correct horse staple")
    assert "4Q1" in browser.follow().text


def test_the_words_reach_no_log(traced: PagesSite) -> None:
    with structlog.testing.capture_logs() as logged:
        for login in ("root", "ada", ANNA):
            visit(traced, login).search("secret-word@x.example")
            visit(traced, login).search("secret-word " * 9, status=422)
    assert [one for one in logged if one.get("page") == "trace"]
    assert "secret-word" not in str(logged)


def test_the_page_is_german(traced: PagesSite) -> None:
    visitor = visit(traced, ANNA, language="de")
    text = visitor.search("4Q1")
    assert "Wo ist meine Mail?" in text
    assert "Angenommen" in text
    assert "Queue-ID" in text
    # the journal's own sentences are English, and say so
    assert ("span", {"lang": "en"}) in visitor.browser.page.tags


@pytest.mark.parametrize("state", MailState)
def test_each_state_has_words(state: MailState) -> None:
    heading, advice = words_of(state, lambda text: text)
    assert heading
    assert advice.endswith(".")
    assert "`" not in advice


@pytest.mark.parametrize("role", Role)
def test_the_menu_has_at_most_seven_entries(role: Role) -> None:
    found = entries(Principal("x", role), lambda text: text)
    assert "/trace" in [one.path for one in found]
    assert len(found) <= 7


def test_app_passwords_are_below_security(site: PagesSite) -> None:
    assert "/app-passwords" in site.browser(ANNA).open("/security").links
    assert "/app-passwords" not in site.browser("root").open("/security").links
