"""Pages of administrators, tokens and deleted mailboxes."""

from __future__ import annotations

import re

import pytest

from accounts.directory import administrators, deleted_mailboxes, mailboxes, tokens
from accounts.store.errors import NoSuchObject
from tests.unit.accounts.http.api import HASH, SECRET
from tests.unit.accounts.pages.browser import Browser, HtmlForm, PagesSite

ANNA, BOB = "anna@a.example", "bob@b.example"
HOSTILE = '"><script>alert(1)</script>'


def rights_of(browser: Browser) -> HtmlForm:
    return next(one for one in browser.page.forms if "role" in one.fields)


def secret_of(browser: Browser) -> str:
    found = re.search(r'class="secret">([^<]+)<', browser.octets.decode())
    assert found is not None
    return found.group(1)


def get(site: PagesSite, login: str) -> administrators.Administrator:
    return site.api.desk.read(lambda c: administrators.get(c, login))


def test_an_administrator_is_made_with_a_password_shown_once(site: PagesSite) -> None:
    browser = site.browser("root")
    browser.open("/administrators/new")
    browser.submit(login="carla", role="domains", domains="a.example\nb.example")
    assert browser.last.status == 200
    secret = secret_of(browser)
    assert get(site, "carla").domains == ("a.example", "b.example")
    assert site.browser("carla", secret).page.links
    assert "carla" in browser.open("/administrators").text
    browser.open("/administrators/carla")
    assert secret not in browser.octets.decode()
    browser.open("/administrators/new")
    assert browser.submit(login="carla").status == 409
    assert browser.submit(login=HOSTILE).status == 422
    assert HOSTILE in [value for _, a in browser.page.tags for value in a.values()]


def test_a_form_without_a_role_makes_no_global_administrator(site: PagesSite) -> None:
    browser = site.browser("root")
    for number, role in enumerate((None, "", "GLOBAL", "root")):
        browser.open("/administrators/new")
        browser.submit(login=f"x{number}", role=role)
        assert get(site, f"x{number}").role == "domains"


def test_rights_are_changed_and_sessions_end(site: PagesSite) -> None:
    ada, root = site.browser("ada"), site.browser("root")
    root.open("/administrators/ada")
    stale = rights_of(root)
    root.submit(stale, domains="b.example")
    assert get(site, "ada").domains == ("b.example",)
    assert root.submit(stale, domains="a.example").status == 409
    assert ada.get("/mailboxes/" + ANNA).status == 403
    root.open("/administrators/ada")
    root.submit(rights_of(root), enabled=None)
    assert not get(site, "ada").enabled
    assert ada.get("/").status == 303


def test_another_password_is_shown_once_and_ends_sessions(site: PagesSite) -> None:
    ada, root = site.browser("ada"), site.browser("root")
    root.open("/administrators/ada")
    root.submit(root.form("/administrators/ada/password"))
    secret = secret_of(root)
    assert ada.get("/").status == 303
    assert site.browser().log_in("ada", SECRET).status != 303
    assert site.browser("ada", secret).page.links


def test_the_last_global_administrator_stays(site: PagesSite) -> None:
    browser = site.browser("root")
    browser.open("/administrators/root")
    form = rights_of(browser)
    for change in ({"enabled": None}, {"role": "domains"}):
        assert browser.submit(form, **change).status == 422
    browser.open("/administrators/root/remove")
    assert browser.submit().status == 422
    assert get(site, "root").enabled
    # with two, each still needs the other to do it
    site.api.desk.write(lambda w: administrators.add(w, "gert", role="global", password=HASH))
    browser.open("/administrators/root/remove")
    assert browser.submit().status == 422
    other = site.browser("gert")
    other.open("/administrators/root/remove")
    assert other.submit().status == 303
    with pytest.raises(NoSuchObject):
        get(site, "root")


def test_removal_names_the_tokens_that_go_with_it(site: PagesSite) -> None:
    site.api.desk.write(
        lambda w: tokens.add(w, "nightly", scopes=["all:read"], administrator="ada")
    )
    browser = site.browser("root")
    assert "nightly" in browser.open("/administrators/ada/remove").text
    browser.submit()
    assert browser.last.status == 303
    with pytest.raises(NoSuchObject):
        get(site, "ada")


@pytest.mark.parametrize(
    "path",
    [
        *("/administrators/new", "/administrators/ada", "/administrators/ada/remove", "/tokens"),
        *("/administrators/ada/password", "/tokens/remove?id=1"),
    ],
)
def test_all_of_it_needs_the_password_again(site: PagesSite, path: str) -> None:
    browser = site.browser("root")
    before = site.api.desk.counts() | {"audit": 0}
    site.api.desk.clock.now += 700
    browser.get(path)
    token = browser.page.forms[0].fields["csrf"][0]
    raw = f"csrf={token}&login=eve&role=global&name=x&scope-all=write&tag=*&enabled=1"
    for wrong in ("", "&current_password=wrong"):
        assert browser.send("POST", path, (raw + wrong).encode()).status == 422, path
    assert site.api.desk.counts() | {"audit": 0} == before
    assert get(site, "ada").role == "domains"


def test_a_token_is_shown_once_and_revoked(site: PagesSite) -> None:
    browser = site.browser("root")
    browser.open("/tokens")
    rights = {"scope-domains": "read", "scope-me": "write"}
    browser.submit(None, name="backup", owner="ada", expires="2035-01-31", **rights)
    assert browser.last.status == 200
    secret = secret_of(browser)
    made = site.api.desk.read(lambda c: tokens.find(c, administrator="ada"))[-1]
    assert (made.name, set(made.scopes)) == ("backup", {"domains:read", "me:write"})
    page = browser.open("/tokens")
    assert secret not in browser.octets.decode()
    assert "2035-02-01 00:00 UTC" in page.text
    link = f"/tokens/remove?id={made.id}"
    assert link in page.links
    assert "backup" in browser.open(link).text
    browser.submit()
    assert "removed" in browser.follow().text
    assert browser.get(link).status == 404


def test_a_token_needs_a_right_and_an_owner_that_is_there(site: PagesSite) -> None:
    browser = site.browser("root")
    before = site.api.desk.count(tokens._TABLE)
    for values, status in (
        ({"name": "x"}, 422),
        ({"name": "x", "scope-all": "admin"}, 422),
        ({"name": "x", "scope-all": "read", "owner": "nobody"}, 422),
        ({"name": "x", "scope-all": "read", "owner": "no@a.example"}, 422),
        ({"name": "", "scope-all": "read"}, 422),
        ({"name": "x" * 10_000, "scope-all": "read"}, 422),
    ):
        browser.open("/tokens")
        answered = browser.submit(None, **values).status
        assert answered in (status, 404), values
    assert site.api.desk.count(tokens._TABLE) == before
    for url in ("/tokens/remove", "/tokens/remove?id=x", "/tokens/remove?id=99999999999999999"):
        assert browser.get(url).status == 404
    assert browser.get("/tokens?after=x").status == 200


def deleted(site: PagesSite, *addresses: str) -> None:
    for address in addresses:
        site.api.desk.write(lambda w, one=address: mailboxes.remove(w, one))  # type: ignore[misc]


def test_a_deleted_mailbox_comes_back(site: PagesSite) -> None:
    deleted(site, ANNA)
    browser = site.browser("ada")
    page = browser.open("/deleted-mailboxes")
    assert ANNA in page.text
    browser.open(next(one for one in page.links if "/restore?" in one))
    browser.submit()
    assert "The mailbox is back." in browser.follow().text
    assert site.api.desk.read(lambda c: mailboxes.get(c, ANNA)).password == HASH
    assert ANNA not in browser.open("/deleted-mailboxes").text


def test_mail_is_removed_for_good_behind_the_address_and_the_password(site: PagesSite) -> None:
    deleted(site, ANNA)
    browser = site.browser("root")
    page = browser.open("/deleted-mailboxes?text=anna")
    link = next(one for one in page.links if "/purge?" in one)
    site.api.desk.clock.now += 700
    browser.open(link)
    assert browser.submit(address=ANNA, current_password="wrong").status == 422
    assert browser.submit(address="", current_password=SECRET).status == 422
    assert not site.api.desk.read(lambda c: deleted_mailboxes.find(c))[0].is_due
    assert browser.submit(address=ANNA.upper()).status == 303
    assert site.api.desk.read(lambda c: deleted_mailboxes.find(c))[0].is_due
    assert not any("/purge?" in one for one in browser.open("/deleted-mailboxes").links)


def test_deleted_mailboxes_of_others_are_out_of_reach(site: PagesSite) -> None:
    deleted(site, BOB)
    number = site.api.desk.read(lambda c: deleted_mailboxes.find(c))[0].id
    browser = site.browser("ada")
    assert "bob" not in browser.open("/deleted-mailboxes").text
    token = browser.page.forms[0].fields["csrf"][0]
    for action in ("restore", "purge"):
        for one in (number, "", "x", -1, 10**17):
            url = f"/deleted-mailboxes/{action}?address={BOB}&number={one}"
            assert browser.get(url).status == 404
            raw = f"csrf={token}&address={BOB}".encode()
            assert browser.send("POST", url, raw).status == 404
    (left,) = site.api.desk.read(lambda c: deleted_mailboxes.find(c))
    assert not left.is_due
