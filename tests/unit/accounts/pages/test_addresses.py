"""Page of own aliases."""

from __future__ import annotations

import pytest

from accounts.directory import aliases, domains, personal_aliases
from accounts.directory.personal_aliases import PersonalAlias
from tests.unit.accounts.pages.browser import Browser, PagesSite

ANNA, BOB = "anna@a.example", "bob@b.example"


def own(site: PagesSite, mailbox: str = ANNA) -> list[PersonalAlias]:
    return site.api.desk.read(lambda c: personal_aliases.find(c, mailbox))


def allow(site: PagesSite, **values: object) -> None:
    site.api.desk.write(lambda w: domains.change(w, "a.example", None, **values))  # type: ignore[arg-type]


def make(browser: Browser, **values: str) -> None:
    browser.open("/addresses")
    browser.submit(next(f for f in browser.page.forms if "description" in f.fields), **values)


def test_a_disposable_address_takes_one_click(site: PagesSite) -> None:
    browser = site.browser(ANNA)
    make(browser)
    page = browser.follow()
    (made,) = own(site)
    assert made.kind == "disposable"
    assert f"Your new address: {made.address}" in page.text
    assert "You have 1 of 20." in page.text


def test_a_link_shows_no_foreign_address_as_one_s_own(site: PagesSite) -> None:
    theirs = site.api.desk.write(lambda w: personal_aliases.add(w, BOB)).address
    browser = site.browser(ANNA)
    for address in (theirs, "evil@a.example", ANNA):
        assert "Your new address" not in browser.open(f"/addresses?address={address}").text
        for path in ("edit", "remove"):
            assert browser.get(f"/addresses/{path}?address={address}").status == 404
            token = browser.page.forms[0].fields["csrf"][0]
            raw = f"csrf={token}&tag=*".encode()
            assert browser.send("POST", f"/addresses/{path}?address={address}", raw).status == 404
    assert [one.address for one in own(site, BOB)] == [theirs]


def test_a_note_and_an_end(site: PagesSite) -> None:
    browser = site.browser(ANNA)
    make(browser, description='"><img onerror=1>', expires="2035-01-31")
    page = browser.follow()
    assert '"><img onerror=1>' in page.text
    assert "2035-02-01 00:00 UTC" in page.text
    make(browser, expires="2001-01-01", description="keep me")
    assert browser.last.status == 422
    assert "in the future" in browser.page.text
    assert any(f.fields.get("description") == ["keep me"] for f in browser.page.forms)


def test_named_addresses_are_off_until_the_domain_allows_them(site: PagesSite) -> None:
    browser = site.browser(ANNA)
    page = browser.open("/addresses")
    assert not any("name" in one.fields for one in page.forms)
    token = page.forms[0].fields["csrf"][0]
    assert browser.send("POST", "/addresses", f"csrf={token}&name=anni".encode()).status == 422
    allow(site, named_aliases=2, named_alias_pattern="{name}-*")
    page = browser.open("/addresses")
    assert "like anna-*" in page.text
    form = browser.form()
    for name, status in (("other", 422), ("", 422), ("anna-" + "x" * 10_000, 422)):
        browser.submit(form, name=name)
        assert browser.last.status == status
        assert any(f.fields.get("name") == [name] for f in browser.page.forms)
    browser.submit(form, name="Anna-Shop")
    assert browser.last.status == 303
    assert [one.address for one in own(site)] == ["anna-shop@a.example"]
    browser.submit(form, name="anna-shop")
    assert browser.last.status == 409


def test_no_form_is_left_at_the_limit(site: PagesSite) -> None:
    allow(site, disposable_aliases=1)
    browser = site.browser(ANNA)
    make(browser)
    page = browser.follow()
    assert "You have 1 of 1." in page.text
    assert not any("description" in one.fields for one in page.forms)
    token = page.forms[0].fields["csrf"][0]
    assert browser.send("POST", "/addresses", f"csrf={token}".encode()).status == 422
    allow(site, disposable_aliases=0)
    assert "does not allow" in browser.open("/addresses").text


def test_an_address_is_switched_off_and_removed(site: PagesSite) -> None:
    browser = site.browser(ANNA)
    make(browser)
    page = browser.follow()
    link = next(one for one in page.links if "/addresses/edit" in one)
    browser.open(link)
    stale = browser.form()
    browser.submit(enabled=None, description="off")
    assert "saved" in browser.follow().text
    (made,) = own(site)
    assert (made.enabled, made.description) == (False, "off")
    # another browser that has the page of before
    assert browser.submit(stale, description="late").status == 409
    browser.open(link)
    browser.open(next(one for one in browser.page.links if "/addresses/remove" in one))
    assert "switch it off" in browser.page.text
    browser.submit()
    assert "removed" in browser.follow().text
    assert own(site) == []


@pytest.mark.parametrize("login", ["ada", "root"])
def test_administrators_set_the_limits_and_see_the_addresses(site: PagesSite, login: str) -> None:
    made = site.api.desk.write(lambda w: personal_aliases.add(w, ANNA))
    browser = site.browser(login)
    browser.open("/domains/a.example")
    browser.submit(named_aliases="7", disposable_aliases="3", named_alias_pattern="{name}.*")
    found = site.api.desk.read(lambda c: domains.get(c, "a.example"))
    assert (found.named_aliases, found.disposable_aliases) == (7, 3)
    assert found.named_alias_pattern == "{name}.*"
    for wrong in ({"named_aliases": "-1"}, {"named_aliases": ""}, {"named_alias_pattern": "x"}):
        browser.open("/domains/a.example")
        assert browser.submit(None, **wrong).status == 422
    assert made.address in browser.open("/aliases").text
    assert "owner of the mailbox made" in browser.open(f"/aliases/{made.address}").text
    browser.submit(enabled=None)
    assert not site.api.desk.read(lambda c: aliases.get(c, made.address)).enabled


def test_an_address_that_an_administrator_switched_off_stays_off(site: PagesSite) -> None:
    made = site.api.desk.write(lambda w: personal_aliases.add(w, ANNA))
    browser = site.browser(ANNA)
    link = f"/addresses/edit?address={made.address}"
    browser.open(link)
    before = browser.form()
    administrator = site.browser("ada")
    administrator.open(f"/aliases/{made.address}")
    administrator.submit(enabled=None)
    # a page from before, and a form that somebody has written, with the right tag
    assert browser.submit(before, enabled="on").status == 409
    assert "administrator has switched" in browser.open(link).text
    form = browser.form()
    assert "enabled" not in form.fields
    assert not any("/addresses/remove" in one for one in browser.page.links)
    form.fields["enabled"] = ["on"]
    assert browser.submit(form).status == 422
    browser.open(f"/addresses/remove?address={made.address}")
    assert browser.submit().status == 422
    assert [(one.address, one.enabled) for one in own(site)] == [(made.address, False)]
    browser.open(link)
    browser.submit(description="shop")
    assert [(one.description, one.is_locked) for one in own(site)] == [("shop", True)]
