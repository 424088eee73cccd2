"""Pages of the owner of a mailbox."""

from __future__ import annotations

from accounts.directory import app_passwords, mailboxes, sender_rights
from tests.unit.accounts.http.api import SECRET
from tests.unit.accounts.pages.browser import PagesSite

ANNA = "anna@a.example"


def names(site: PagesSite) -> list[str]:
    return [one.name for one in site.api.desk.read(lambda c: app_passwords.find(c, ANNA))]


def test_an_app_password_is_shown_once(site: PagesSite) -> None:
    browser = site.browser(ANNA)
    browser.open("/app-passwords")
    browser.submit(name="phone", protocols=["imap"], expires="2035-01-31")
    assert browser.last.status == 200
    shown = browser.page.text
    assert "shown only now" in shown
    (made,) = site.api.desk.read(lambda c: app_passwords.find(c, ANNA))
    assert made.protocols == ("imap",)
    page = browser.open("/app-passwords")
    assert "phone" in page.text
    assert "shown only now" not in page.text
    assert "2035-02-01 00:00 UTC" in page.text


def test_an_app_password_needs_a_name_of_its_own(site: PagesSite) -> None:
    browser = site.browser(ANNA)
    for name, status in (("phone", 200), ("phone", 409), ("", 422), ("x" * 10_000, 422)):
        browser.open("/app-passwords")
        browser.submit(name=name)
        assert browser.last.status == status, name
    assert names(site) == ["phone"]
    browser.open("/app-passwords")
    browser.submit(name="other", protocols=None)
    assert browser.last.status == 422
    assert browser.form().fields["name"] == ["other"]


def test_an_app_password_is_removed_behind_a_question(site: PagesSite) -> None:
    browser = site.browser(ANNA)
    for name in ("my phone/ä?&", "b"):
        browser.open("/app-passwords")
        browser.submit(name=name)
    page = browser.open("/app-passwords")
    link = next(one for one in page.links if "remove" in one and "phone" in one)
    assert "my phone/ä?&" in browser.open(link).text
    assert len(names(site)) == 2
    browser.submit()
    assert "removed" in browser.follow().text
    assert names(site) == ["b"]
    assert browser.get(link).status == 404


def test_dangerous_actions_need_the_password_again(site: PagesSite) -> None:
    browser = site.browser(ANNA)
    browser.open("/app-passwords")
    browser.submit(name="phone")
    site.api.desk.clock.now += 700
    browser.open("/app-passwords/remove?name=phone")
    assert "current_password" in browser.form().fields
    for wrong in ("", "wrong"):
        browser.submit(current_password=wrong)
        assert browser.last.status == 422
    assert names(site) == ["phone"]
    browser.submit(current_password=SECRET)
    assert browser.last.status == 303
    assert names(site) == []
    # for a while it is not asked for again
    browser.open("/app-passwords")
    assert "current_password" not in browser.form().fields


def test_the_home_page_has_the_mailbox(site: PagesSite) -> None:
    site.api.desk.write(
        lambda w: mailboxes.change(w, ANNA, None, forwards=["x@c.example"], quota=5_000_000_000)
    )
    site.api.desk.write(lambda w: sender_rights.add(w, ANNA, "@a.example"))
    page = site.browser(ANNA).page
    assert "x@c.example" in page.text
    assert "@a.example" in page.text
    assert "cannot be told" in page.text
