"""Pages of administrators."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest

from accounts.directory import aliases, app_passwords, dkim_keys, domains, mailboxes, sender_rights
from accounts.store.transaction import Write
from tests.unit.accounts.http.api import HASH, SECRET
from tests.unit.accounts.pages.browser import Browser, PagesSite
from tests.unit.accounts.pages.test_filters import HOSTILE, assert_plain


@pytest.fixture
def root(site: PagesSite) -> Browser:
    return site.browser("root")


def test_a_first_hour(site: PagesSite, root: Browser) -> None:
    root.open("/domains/new")
    root.submit(name="Müller.example", description="<b>Firma</b>")
    page = root.follow()
    assert "xn--mller-kva.example" in page.text
    assert "It was added." in page.text
    where = "/domains/xn--mller-kva.example"
    root.open(f"{where}/keys")
    root.submit(selector="s1", algorithm="ed25519")
    page = root.follow()
    assert "s1 (ed25519): new" in page.text
    root.open(f"{where}/keys/s1?do=activate")
    root.submit()
    assert "(ed25519): active" in root.follow().text
    root.open(f"{where}/keys/s1?do=retire")
    root.submit()
    assert "(ed25519): retired" in root.follow().text
    root.open(f"{where}/keys/s1?do=remove")
    root.submit()
    assert "not signed" in root.follow().text
    root.open("/mailboxes/new")
    root.submit(address="max@müller.example", password="a long phrase of words", quota="2 GB")
    assert "max@xn--mller-kva.example" in root.follow().text
    assert root.form("/mailboxes/max@xn--mller-kva.example").fields["quota"] == ["2 GB"]
    assert "max@" in site.browser("max@müller.example", "a long phrase of words").page.text
    root.open("/aliases/new")
    root.submit(address="info@xn--mller-kva.example", targets="max@xn--mller-kva.example\n")
    root.follow()
    assert "info@xn" in root.open("/mailboxes/max@xn--mller-kva.example").text
    root.open(f"{where}/remove")
    assert "1 mailboxes, 1 aliases and 0 keys" in root.page.text
    root.submit()
    assert "removed" in root.follow().text
    assert root.get(where).status == 404


def test_a_mailbox_is_changed(site: PagesSite, root: Browser) -> None:
    where = "/mailboxes/anna@a.example"
    root.open(where)
    root.submit(
        root.form(where),
        display_name="Anna\u202e",
        quota="1.5 GB",
        forwards="x@c.example, y@c.example",
        may_send=None,
        keep_copy=None,
    )
    assert root.last.status == 422
    root.submit(
        root.form(where),
        display_name="Anna",
        quota="1.5 GB",
        forwards="x@c.example, y@c.example",
        may_send=None,
    )
    assert root.last.status == 303, root.page.text
    found = site.api.desk.read(lambda c: mailboxes.get(c, "anna@a.example"))
    assert (found.display_name, found.quota, found.may_send) == ("Anna", 1_500_000_000, False)
    assert found.forwards == ("x@c.example", "y@c.example")
    root.open(where)
    assert root.form(where).fields["quota"] == ["1500 MB"]
    root.submit(root.form(f"{where}/delegates"), sender="bob@b.example")
    assert root.last.status == 303
    root.open(where)
    root.submit(
        next(f for f in root.page.forms if "bob@b.example" in f.fields.get("sender", "")),
        remove="1",
    )
    assert site.api.desk.read(lambda c: sender_rights.find(c, mailbox="anna@a.example")) == []


def test_a_mailbox_gets_a_password(site: PagesSite, root: Browser) -> None:
    anna = site.browser("anna@a.example")
    where = "/mailboxes/anna@a.example"
    root.open(where)
    assert root.submit(root.form(f"{where}/password"), password="short").status == 422
    root.submit(root.form(f"{where}/password"), password="yet another phrase")
    assert root.last.status == 303
    assert anna.get("/").status == 303
    assert site.browser("anna@a.example", "yet another phrase").get("/").status == 200


def test_a_mailbox_is_removed_behind_a_question(site: PagesSite, root: Browser) -> None:
    site.api.desk.clock.now += 700
    where = "/mailboxes/anna@a.example"
    page = root.open(f"{where}/remove")
    assert "kept for 30 days" in page.text
    assert root.submit(current_password="wrong").status == 422
    assert root.get(where).status == 200
    root.open(f"{where}/remove")
    assert root.submit(current_password=SECRET).status == 303
    assert root.get(where).status == 404


def test_two_administrators_edit_the_same_mailbox(site: PagesSite) -> None:
    where = "/mailboxes/anna@a.example"
    first, second = site.browser("root"), site.browser("ada")
    for browser in (first, second):
        browser.open(where)
    assert first.submit(first.form(where), display_name="First").status == 303
    assert second.submit(second.form(where), display_name="Second").status == 409
    assert "Saved meanwhile: First" in second.page.text
    assert second.form(where).fields["display_name"] == ["Second"]
    assert second.submit(second.form(where)).status == 303
    found = site.api.desk.read(lambda c: mailboxes.get(c, "anna@a.example"))
    assert found.display_name == "Second"


def test_an_alias_is_changed_and_removed(site: PagesSite, root: Browser) -> None:
    site.api.desk.alias("info@a.example", "anna@a.example")
    where = "/aliases/info@a.example"
    root.open(where)
    root.submit(targets="bob@b.example\nx@c.example", expires="2040-01-31", enabled=None)
    found = site.api.desk.read(lambda c: aliases.get(c, "info@a.example"))
    assert found.targets == ("bob@b.example", "x@c.example")
    assert found.enabled is False
    root.open(where)
    assert root.form().fields["expires"] == ["2040-01-31"]
    root.submit()
    again = site.api.desk.read(lambda c: aliases.get(c, "info@a.example"))
    assert again.expires == found.expires
    root.open(f"{where}/remove")
    root.submit()
    assert root.get(where).status == 404


def test_lists_have_pages(site: PagesSite, root: Browser) -> None:
    def many(write: Write) -> None:
        for number in range(120):
            mailboxes.add(write, f"u{number:03}@a.example")

    site.api.desk.write(many)
    seen: list[str] = []
    url: str | None = "/mailboxes?text=u"
    pages = 0
    while url is not None:
        page = root.open(url)
        assert len(root.last.octets) < 10 << 10
        seen += [one.rpartition("/")[2] for one in page.links if "/mailboxes/u" in one]
        url = next((one for one in page.links if "after=" in one), None)
        pages += 1
    assert pages == 3
    assert seen == [f"u{number:03}@a.example" for number in range(120)]
    assert "text=u" in next(one for one in root.open("/mailboxes?text=u").links if "after=" in one)


def test_the_search_finds_everything(site: PagesSite, root: Browser) -> None:
    site.api.desk.alias("anna.alias@a.example", "anna@a.example")
    page = root.open("/?text=anna")
    assert {"/mailboxes/anna@a.example", "/aliases/anna.alias@a.example"} <= set(page.links)
    assert "/domains/a.example" in root.open("/?text=a.exa").links


def test_dns_records_are_shown_beside_the_expected_ones(site: PagesSite, root: Browser) -> None:
    site.dns[("a.example", "MX")] = ("10 <img>.example",)
    site.dns[("a.example", "TXT")] = ('v=spf1 "><script>alert(1)</script> -all',)
    page = root.open("/domains/a.example/dns")
    (loads,) = [a for _, a in page.tags if "hx-get" in a]
    assert loads["hx-get"] == "/domains/a.example/dns?now=1"
    page = root.open("/domains/a.example/dns?now=1")
    assert "<script>alert(1)</script>" in page.text
    assert "wrong" in page.text
    assert_plain(root)
    assert root.get("/domains/a.example/dns?now=1", **{"hx-request": "true"}).status == 200
    assert not any(tag == "main" for tag, _ in root.page.tags)
    assert root.get("/domains/a.example/zone").status == 200
    assert root.last.headers["content-disposition"] == 'attachment; filename="a.example.zone"'
    assert root.last.headers["content-type"].startswith("text/plain")
    assert b"v=spf1" in root.octets


def test_records_that_need_work_come_first(site: PagesSite, root: Browser) -> None:
    # in the order of the check, the host of the MX is before SPF and DMARC
    site.dns[("a.example", "MX")] = ("10 mail.example",)
    site.dns[("mail.example", "A")] = ("192.0.2.1",)
    page = root.open("/domains/a.example/dns?now=1")
    states = re.findall("(right|advice|wrong|no answer) [A-Za-z]", page.text.partition("Found")[2])
    order = ["wrong", "advice", "no answer", "right"]
    assert states == sorted(states, key=order.index)
    assert {"wrong", "right"} <= set(states)


def test_changes_are_listed_a_page_at_a_time(site: PagesSite, root: Browser) -> None:
    def many(write: Write) -> None:
        for number in range(60):
            mailboxes.change(write, "anna@a.example", None, display_name=f'<img src="{number}">')

    site.api.desk.write(many)
    page = root.open("/audit?object=anna@a.example")
    assert_plain(root)
    assert '<img src=\\"59\\">' in page.text
    assert '<img src=\\"5\\">' not in page.text
    older = next(one for one in page.links if "before=" in one)
    assert '<img src=\\"5\\">' in root.open(older).text
    ada = site.browser("ada")
    assert "Name a domain" in ada.open("/audit").text
    assert '<img src=\\"59\\">' in ada.open("/audit?object=anna@a.example").text


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_in_each_field_of_an_administrator(
    site: PagesSite, root: Browser, text: str
) -> None:
    site.api.desk.alias("info@a.example", "anna@a.example")
    for url in (
        "/domains/new",
        "/domains/a.example",
        "/domains/a.example/keys",
        "/mailboxes/new",
        "/mailboxes/anna@a.example",
        "/aliases/new",
        "/aliases/info@a.example",
    ):
        root.open(url)
        form = root.form(url)
        for field in [one for one in form.fields if one != "csrf"]:
            root.open(url)
            root.submit(root.form(url), **{field: text})
            assert root.last.status in (303, 400, 404, 409, 422), (url, field, root.page.text)
            assert_plain(root)
    for url in (
        "/?text=",
        "/mailboxes?domain=",
        "/audit?object=",
        "/audit?actor=",
        "/mailboxes?after=",
    ):
        assert root.get(url + quote(text)).status in (200, 400, 422), url
        assert_plain(root)
    assert site.api.desk.read(lambda c: domains.get(c, "a.example")).enabled
    for url in ("/domains", "/mailboxes", "/aliases", "/audit", "/mailboxes/anna@a.example"):
        root.open(url)
        assert_plain(root)


def test_a_removed_app_password_of_another(site: PagesSite, root: Browser) -> None:
    site.api.desk.write(lambda w: app_passwords.add(w, "anna@a.example", password=HASH, name="ph"))
    page = root.open("/mailboxes/anna@a.example")
    form = next(f for f in page.forms if f.fields.get("name") == ["ph"])
    root.submit(form)
    assert root.last.status == 303
    assert site.api.desk.read(lambda c: app_passwords.find(c, "anna@a.example")) == []


def test_a_key_may_be_retired_only_as_it_was_seen(site: PagesSite, root: Browser) -> None:
    where = "/domains/a.example/keys"
    root.open(where)
    root.submit(selector="s1", algorithm="ed25519")
    root.open(f"{where}/s1?do=remove")
    other = site.browser("ada")
    other.open(f"{where}/s1?do=activate")
    assert other.submit().status == 303
    assert root.submit().status == 409
    (key,) = site.api.desk.read(lambda c: dkim_keys.find(c, domain="a.example"))
    assert key.state == "active"
