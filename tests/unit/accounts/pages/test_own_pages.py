"""Pages of the owner of a mailbox."""

from __future__ import annotations

import json
import plistlib
from dataclasses import replace

from accounts.autoconfig import phone
from accounts.autoconfig.settings import AutoconfigSettings
from accounts.directory import app_passwords, mailboxes, sender_rights
from tests.unit.accounts.http.api import SECRET, Api
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
    assert "is not known now" in page.text


SERVERS = AutoconfigSettings.model_validate(
    {
        "imaps": "imap.a.example:993",
        "pop3": "pop.a.example:110",
        "submission": "smtp.a.example:587",
        "web_host": "web.a.example",
    }
)


def offering(site: PagesSite, **more: object) -> PagesSite:
    """Return the site with servers that mail programs are told."""
    site.api.context = replace(site.api.context, autoconfig=SERVERS, **more)  # type: ignore[arg-type]
    return PagesSite(site.api)


def test_a_phone_is_set_up_with_a_new_password(site: PagesSite) -> None:
    browser = offering(site).browser(ANNA)
    browser.open("/app-passwords")
    browser.submit(name="phone", protocols=["imap", "smtp"])
    page, octets = browser.page, browser.octets.decode()
    assert "imap.a.example:993" in page.text
    assert "https://web.a.example/email.mobileconfig?email=anna@a.example" in page.text
    assert octets.count("data:image/svg+xml") == 2
    form = browser.form("/app-passwords/profile")
    (password,) = form.fields["password"]
    browser.submit(form)
    headers = browser.last.headers
    assert headers["content-type"] == "application/x-apple-aspen-config"
    assert headers["content-disposition"] == 'attachment; filename="mail.mobileconfig"'
    assert headers["cache-control"] == "no-store"
    profile = plistlib.loads(browser.octets)
    (account,) = profile["PayloadContent"]
    assert account["IncomingMailServerHostName"] == "imap.a.example"
    assert account["EmailAccountType"] == "EmailTypeIMAP"
    assert account["OutgoingMailServerPortNumber"] == 587
    assert account["IncomingPassword"] == account["OutgoingPassword"] == password
    assert account["EmailAddress"] == account["IncomingMailServerUsername"] == ANNA
    # a second visit has neither
    page = browser.open("/app-passwords")
    assert password not in browser.octets.decode()
    assert not any(one.action.endswith("/profile") for one in page.forms)


def test_the_code_for_thunderbird() -> None:
    servers = phone.servers_for(SERVERS, ("imap", "smtp"))
    assert servers is not None
    code = phone.thunderbird_code(servers, ANNA, 'Änna "A"', "secret-word")
    assert code is not None
    assert json.loads(code) == [
        1,
        [1, 1],
        [0, "imap.a.example", 993, 3, 1, ANNA, "", "secret-word"],
        [[[0, "smtp.a.example", 587, 2, 1, ANNA, "secret-word"], [ANNA, 'Änna "A"']]],
    ]
    by_pop3 = phone.servers_for(SERVERS, ("pop3", "smtp"))
    assert by_pop3 is not None
    code = phone.thunderbird_code(by_pop3, ANNA, "", "x")
    assert code is not None
    assert json.loads(code)[2] == [1, "pop.a.example", 110, 2, 1, ANNA, "", "x"]
    assert phone.thunderbird_code(servers, "änna@a.example", "", "x") is None
    for protocols in (("imap",), ("smtp",), ("sieve", "smtp"), ()):
        assert phone.servers_for(SERVERS, protocols) is None
    assert phone.servers_for(AutoconfigSettings(), ("imap", "smtp")) is None


def test_a_password_that_a_phone_cannot_use_has_no_profile(site: PagesSite) -> None:
    browser = offering(site).browser(ANNA)
    browser.open("/app-passwords")
    browser.submit(name="reading", protocols=["imap"])
    assert browser.last.status == 200
    assert not any(one.action.endswith("/profile") for one in browser.page.forms)
    token = browser.page.forms[0].fields["csrf"][0]
    for raw in (
        "protocols=imap&protocols=smtp",
        "password=x&protocols=imap",
        "password=x&protocols=nothing",
        "password=%00&protocols=imap&protocols=smtp",
        f"password={'x' * 10_000}&protocols=imap&protocols=smtp",
    ):
        browser.send("POST", "/app-passwords/profile", f"csrf={token}&{raw}".encode())
        assert browser.last.status == 422, raw
    # without servers in the configuration there is nothing to say
    plain = PagesSite(replace_context(site)).browser(ANNA)
    plain.open("/app-passwords")
    plain.submit(name="tablet", protocols=["imap", "smtp"])
    assert plain.last.status == 200
    assert "data:image" not in plain.octets.decode()


def replace_context(site: PagesSite) -> Api:
    """Return the API without servers for mail programs."""
    site.api.context = replace(site.api.context, autoconfig=AutoconfigSettings())
    return site.api


def test_a_profile_tells_nothing_by_its_address(site: PagesSite) -> None:
    browser = offering(site).browser(ANNA)
    assert browser.get("/app-passwords/profile?password=x&protocols=imap").status == 200
    assert browser.last.headers["content-type"].startswith("text/html")


def test_a_profile_is_signed_if_there_is_a_key(site: PagesSite) -> None:
    class Seal:
        def sign(self, octets: bytes) -> bytes:
            return b"signed " + octets

    browser = offering(site, signer=Seal()).browser(ANNA)
    browser.open("/app-passwords")
    browser.submit(name="phone", protocols=["imap", "smtp"])
    browser.submit(browser.form("/app-passwords/profile"))
    assert browser.octets.startswith(b"signed <?xml")
