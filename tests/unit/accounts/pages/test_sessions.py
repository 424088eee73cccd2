"""Login, sessions and their end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from accounts.directory import administrators, mailboxes, web_sessions
from accounts.http.authentication import Authentication
from accounts.http.principals import Principal
from accounts.pages import cookies
from accounts.store import schema
from accounts.store.errors import DatastoreUnavailable
from accounts.store.transaction import Actor, Write
from tests.unit.accounts.http.api import HASH, SECRET
from tests.unit.accounts.pages.browser import Browser, PagesSite

ANNA = "anna@a.example"


def is_inside(browser: Browser) -> bool:
    """Return whether a browser sees a page behind the login."""
    status = browser.get("/security").status
    assert status in (200, 303)
    return status == 200


def test_each_role_logs_in(site: PagesSite) -> None:
    for login in (ANNA, "root", "ada"):
        browser = site.browser(login)
        assert login in browser.page.text
        assert is_inside(browser)


def test_a_page_leads_to_the_login_and_back(site: PagesSite) -> None:
    browser = site.browser()
    assert browser.get("/app-passwords?x=1").status == 303
    assert browser.last.headers["location"] == "/login?next=%2Fapp-passwords%3Fx%3D1"
    browser.follow()
    browser.submit(login=ANNA, password=SECRET)
    assert browser.last.headers["location"] == "/app-passwords?x=1"


@pytest.mark.parametrize(
    "foreign",
    [
        "//evil.example",
        "/\\evil.example",
        "https:evil.example",
        "https://evil.example/",
        "/%0d%0aSet-Cookie:x",
        "/\r\nx",
        "javascript:alert(1)",
        "x" * 600,
        "/\tx",
        "",
    ],
)
def test_a_login_leads_to_own_pages_alone(site: PagesSite, foreign: str) -> None:
    browser = site.browser()
    browser.open("/login")
    browser.submit(login=ANNA, password=SECRET, next=foreign)
    location = browser.last.headers["location"]
    assert location in ("/", "/%0d%0aSet-Cookie:x")
    assert "\n" not in location


def test_a_wrong_password_says_nothing_about_the_login(site: PagesSite) -> None:
    texts = set()
    for login in (ANNA, "nobody@a.example", "root", "nobody", "x" * 5000, "<b>", "a\0b"):
        browser = site.browser()
        browser.open("/login")
        browser.submit(login=login, password="wrong")
        assert browser.last.status == 422
        assert cookies.SESSION not in browser.cookies
        assert "wrong" not in str(browser.form("/login").fields)
        texts.add(next(w for w in browser.page.words if "password is" in w))
    assert len(texts) == 1


def test_wrong_passwords_are_delayed_like_all_logins(site: PagesSite) -> None:
    browser = site.browser()
    browser.open("/login")
    for count in range(60):
        browser.submit(login=ANNA, password=f"wrong {count}")
        if browser.last.status == 429:
            break
    assert browser.last.status == 429
    assert int(browser.last.headers["retry-after"]) > 0


def test_a_login_makes_a_new_secret(site: PagesSite) -> None:
    browser = site.browser()
    browser.cookies[cookies.SESSION] = "A" * 43
    browser.log_in(ANNA)
    first = browser.cookies[cookies.SESSION]
    assert first != "A" * 43
    assert cookies.FORM not in browser.cookies
    # the secret is nowhere in the datastore
    with open(site.api.desk.settings.path or "", "rb") as file:
        assert first.encode() not in file.read()


def test_a_stolen_session_is_dead_after_logout(site: PagesSite) -> None:
    owner, thief = site.browser(ANNA), site.browser()
    thief.cookies = dict(owner.cookies)
    assert is_inside(thief)
    owner.open("/")
    owner.submit(owner.form("/logout"))
    assert "logged out" in owner.follow().text
    assert cookies.SESSION not in owner.cookies
    assert not is_inside(thief)


def test_a_get_does_not_log_out(site: PagesSite) -> None:
    browser = site.browser(ANNA)
    browser.get("/logout")
    assert is_inside(browser)


def test_sessions_are_listed_and_ended(site: PagesSite) -> None:
    first, second, third = (site.browser(ANNA, client=f"192.0.2.{n}") for n in (1, 2, 3))
    page = first.open("/security")
    assert all(f"192.0.2.{n}" in page.text for n in (1, 2, 3))
    assert "Testbrowser/1.0" in page.text
    ends = [one for one in first.page.forms if "session" in one.fields]
    assert len(ends) == 2
    first.submit(ends[0])
    assert "has ended" in first.follow().text
    assert is_inside(first)
    assert [is_inside(second), is_inside(third)].count(False) == 1
    first.open("/security")
    first.submit(first.form("/security/end-others"))
    assert is_inside(first)
    assert not is_inside(second)
    assert not is_inside(third)


def test_nobody_ends_the_session_of_another(site: PagesSite) -> None:
    anna, bob = site.browser(ANNA), site.browser("bob@b.example")
    spare = site.browser("bob@b.example")
    bob.open("/security")
    (form,) = [one for one in bob.page.forms if "session" in one.fields]
    anna.open("/security")
    token = anna.page.forms[0].fields["csrf"]
    form.fields["csrf"] = token
    assert anna.submit(form).status == 404
    assert is_inside(spare)
    anna.submit(form, session="no number")
    assert anna.last.status == 422


def test_another_password_ends_all_other_sessions(site: PagesSite) -> None:
    for login in (ANNA, "root"):
        here, there = site.browser(login), site.browser(login)
        before = here.cookies[cookies.SESSION]
        here.open("/security/password")
        new = "quite another phrase"
        here.submit(current_password=SECRET, password=new, repeated=new)
        assert "changed" in here.follow().text
        assert here.cookies[cookies.SESSION] != before
        assert not is_inside(there)
        stolen = site.browser()
        stolen.cookies[cookies.SESSION] = before
        assert not is_inside(stolen)
        assert is_inside(site.browser(login, new))


def test_a_password_change_needs_the_present_one(site: PagesSite) -> None:
    browser = site.browser(ANNA)
    for given, about in (
        (
            {
                "current_password": "wrong",
                "password": "x y z long enough",
                "repeated": "x y z long enough",
            },
            "current_password",
        ),
        (
            {"current_password": SECRET, "password": "one long phrase", "repeated": "other phrase"},
            "repeated",
        ),
        ({"current_password": SECRET, "password": "short", "repeated": "short"}, "password"),
    ):
        browser.open("/security/password")
        browser.submit(None, **given)
        assert browser.last.status == 422
        invalid = [a["name"] for t, a in browser.page.tags if a.get("aria-invalid") == "true"]
        assert invalid == [about]
        assert all(value not in browser.octets.decode() for value in given.values())
    assert is_inside(site.browser(ANNA))


def test_sessions_end_with_time(make_site: Callable[..., PagesSite]) -> None:
    site = make_site(idle=600, lifetime=1500)
    browser, idle = site.browser(ANNA), site.browser(ANNA)
    for _ in range(4):
        site.api.desk.clock.now += 300
        assert is_inside(browser)
    assert not is_inside(idle)
    site.api.desk.clock.now += 301
    assert not is_inside(browser)
    # the next login removes what is left of them
    site.browser(ANNA)
    assert site.api.desk.count(schema.web_session) == 1


def test_who_may_not_log_in_any_more_is_out_at_once(site: PagesSite) -> None:
    anna, ada = site.browser(ANNA), site.browser("ada")
    site.api.desk.write(lambda w: mailboxes.change(w, ANNA, None, enabled=False))
    site.api.desk.write(lambda w: administrators.change(w, "ada", None, enabled=False))
    assert not is_inside(anna)
    assert not is_inside(ada)
    site.api.desk.write(lambda w: mailboxes.change(w, ANNA, None, enabled=True))
    site.api.desk.write(lambda w: administrators.change(w, "ada", None, enabled=True))
    assert not is_inside(anna)
    assert not is_inside(ada)
    bob = site.browser("bob@b.example")
    site.api.desk.write(lambda w: mailboxes.change(w, "bob@b.example", None, password=HASH))
    assert is_inside(bob)  # the same hash is no change
    site.api.desk.write(lambda w: mailboxes.remove(w, "bob@b.example"))
    assert not is_inside(bob)


@pytest.mark.parametrize("login", [ANNA, ANNA.upper(), "root"])
def test_a_login_is_void_if_the_password_changes_meanwhile(
    site: PagesSite, monkeypatch: pytest.MonkeyPatch, login: str
) -> None:
    check = Authentication.by_password
    other = HASH[:-4] + "AAA="

    def change(write: Write) -> None:
        if "@" in login:
            mailboxes.change(write, ANNA, None, password=other)
        else:
            administrators.change(write, login, None, password=other)

    async def slow(self: Authentication, *given: Any) -> Principal:
        found = await check(self, *given)
        await site.api.desk.database.write(Actor("owner"), change)
        return found

    monkeypatch.setattr(Authentication, "by_password", slow)
    thief = site.browser()
    assert thief.log_in(login).status == 422
    assert "changed meanwhile" in thief.page.text
    assert not is_inside(thief)
    assert site.api.desk.count(schema.web_session) == 0


def test_an_owner_has_a_bounded_number_of_sessions(site: PagesSite) -> None:
    first = site.browser(ANNA)
    site.api.desk.clock.now += 1
    for _ in range(web_sessions.MAX_SESSIONS):
        site.api.desk.run(
            site.api.desk.database.record(
                lambda c: web_sessions.begin(
                    c, int(site.api.desk.clock()), None, "\x1b[31m" * 900, mailbox=ANNA
                )
            )
        )
    assert site.api.desk.count(schema.web_session) == web_sessions.MAX_SESSIONS
    assert not is_inside(first)


def test_the_clock_of_a_session_is_noted_once_a_minute(site: PagesSite) -> None:
    browser = site.browser(ANNA)
    times = set()
    for _ in range(6):
        site.api.desk.clock.now += 20
        is_inside(browser)
        times.add(
            site.api.desk.read(lambda c: c.execute(schema.web_session.select()).one().last_used)
        )
    assert len(times) == 3


def test_pages_can_be_read_when_nothing_can_be_written(
    site: PagesSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = site.browser("root")
    site.api.desk.clock.now += 600

    async def full(*_: object) -> None:
        raise DatastoreUnavailable("database or disk is full")

    monkeypatch.setattr(site.api.desk.database, "record", full)
    assert browser.get("/domains").status == 200
    assert is_inside(browser)
    browser = site.browser()
    assert browser.log_in("root").status == 503
    assert cookies.SESSION not in browser.cookies
