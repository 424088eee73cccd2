"""Passkeys of the pages: as a second factor, and in place of login and password."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from accounts.directory import challenges, mailboxes, passkeys
from accounts.store import schema
from tests.unit.accounts.http.api import SECRET
from tests.unit.accounts.pages.authenticator import PRESENT, VERIFIED, Authenticator, coded, plain
from tests.unit.accounts.pages.browser import Browser, PagesSite
from tests.unit.accounts.pages.factors import (
    HERE,
    add_passkey,
    challenge,
    codes_of,
    password_step,
)

ANNA = "anna@a.example"


def is_inside(browser: Browser) -> bool:
    """Return whether a browser sees a page behind the login."""
    return browser.get("/security").status == 200


def enrol(site: PagesSite, key: Authenticator | None = None, login: str = ANNA) -> Authenticator:
    """Add a passkey to an account."""
    browser = site.browser(login)
    made = add_passkey(browser, key)
    assert len(codes_of(browser)) == 10, browser.page.text
    return made


def second_step(browser: Browser, key: Authenticator, login: str = ANNA) -> None:
    """Log in with the password and a passkey."""
    password_step(browser, login)
    browser.submit(passkey=key.get(challenge(browser, "/login/step/challenge")))


def without_password(browser: Browser, key: Authenticator) -> None:
    """Log in with a passkey alone."""
    browser.open("/login")
    browser.submit(passkey=key.get(challenge(browser, "/login/challenge")))


def test_a_passkey_is_a_second_factor(site: PagesSite) -> None:
    key = enrol(site)
    browser = site.browser()
    key.count = 7
    second_step(browser, key)
    assert browser.last.status == 303
    assert is_inside(browser)
    page = browser.open(HERE)
    assert "Phone" in page.text
    assert "second-factor.add" in {one.action for one in site.api.audit(object=ANNA)}


def test_a_passkey_alone_is_a_login(site: PagesSite) -> None:
    for login in (ANNA, "root"):
        key = enrol(site, login=login)
        browser = site.browser()
        without_password(browser, key)
        assert browser.last.status == 303
        assert login in browser.follow().text


def test_a_login_without_password_needs_to_know_its_owner(site: PagesSite) -> None:
    key = enrol(site)
    key.flags = PRESENT
    browser = site.browser()
    without_password(browser, key)
    assert browser.last.status == 422
    assert not is_inside(browser)
    # beside the password it is enough
    second_step(browser, key)
    assert is_inside(browser)


def _foreign_key(key: Authenticator) -> None:
    key.key = Authenticator().key


WRONG: dict[str, Callable[[Authenticator], Any]] = {
    "another site": lambda key: setattr(key, "origin", "https://evil.example"),
    "a host below": lambda key: setattr(key, "origin", "https://evil.mail.example"),
    "a host above": lambda key: setattr(key, "origin", "https://example"),
    "no tls": lambda key: setattr(key, "origin", "http://mail.example"),
    "a name in the origin": lambda key: setattr(key, "origin", "https://mail.example@evil.example"),
    "no origin": lambda key: setattr(key, "origin", ""),
    "another party": lambda key: setattr(key, "party", "evil.example"),
    "nobody present": lambda key: setattr(key, "flags", VERIFIED),
    "a frame": lambda key: key.client.update(crossOrigin=True),
    "a registration": lambda key: key.client.update(type="webauthn.create"),
    "another challenge": lambda key: key.client.update(challenge=coded(b"x" * 32)),
    "no challenge": lambda key: key.client.update(challenge=""),
    "another key": _foreign_key,
    "an unknown credential": lambda key: setattr(key, "credential", b"y" * 32),
    "a long credential": lambda key: setattr(key, "credential", b"y" * 2000),
    "another handle": lambda key: setattr(key, "handle", b"z" * 32),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_with_a_passkey(site: PagesSite, what: str) -> None:
    key = enrol(site)
    WRONG[what](key)
    browser = site.browser()
    without_password(browser, key)
    assert browser.last.status == 422, what
    second_step(browser, key)
    assert browser.last.status == 422, what
    assert not is_inside(browser)


BOTH = ("another site", "a host below", "no tls", "another party", "nobody present", "a frame")
WRONG_NEW = {one: WRONG[one] for one in BOTH} | {
    "a login": lambda key: key.client.update(type="webauthn.get"),
    "another challenge": lambda key: key.client.update(challenge=coded(b"x" * 32)),
    "a long credential": lambda key: setattr(key, "credential", b"y" * 1024),
}


@pytest.mark.parametrize("what", WRONG_NEW)
def test_what_is_wrong_with_a_new_passkey(site: PagesSite, what: str) -> None:
    key = Authenticator()
    WRONG_NEW[what](key)
    browser = site.browser(ANNA)
    add_passkey(browser, key)
    assert browser.last.status == 422, what
    assert site.api.desk.count(schema.passkey) == 0


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "[]",
        "null",
        '"x"',
        "{" * 3000,
        "[" * 15_000,
        "x" * 20_000,
        '{"id": "AA", "rawId": "AA", "type": "public-key", "response": {}}',
        '{"id": 1, "rawId": [], "type": {}, "response": "x"}',
        json.dumps(
            {
                "id": "AA",
                "rawId": "AA",
                "type": "public-key",
                "response": {
                    "clientDataJSON": coded(b"[]"),
                    "attestationObject": coded(b"\x9b" + b"\xff" * 8),
                    "authenticatorData": coded(b"\x5b" + b"\xff" * 8),
                    "signature": "%",
                },
            }
        ),
    ],
)
def test_octets_that_are_no_answer(site: PagesSite, text: str) -> None:
    browser = site.browser()
    browser.open("/login")
    challenge(browser, "/login/challenge")
    browser.submit(passkey=text)
    assert browser.last.status == 422
    browser = site.browser(ANNA)
    browser.open(f"{HERE}/passkey")
    challenge(browser, f"{HERE}/passkey/challenge")
    browser.submit(name="x", new_passkey=text)
    assert browser.last.status == 422


def test_an_answer_counts_once_and_for_one_browser(site: PagesSite) -> None:
    key = enrol(site)
    browser, other = site.browser(), site.browser()
    browser.open("/login")
    answer = key.get(challenge(browser, "/login/challenge"))
    other.open("/login")
    challenge(other, "/login/challenge")
    other.submit(passkey=answer)
    assert other.last.status == 422
    browser.submit(passkey=answer)
    assert is_inside(browser)
    again = site.browser()
    again.cookies = {}
    again.open("/login")
    again.submit(passkey=answer)
    assert again.last.status == 422
    assert not is_inside(again)


def test_a_challenge_is_for_one_purpose(site: PagesSite) -> None:
    key = enrol(site)
    browser = site.browser()
    password_step(browser, ANNA)
    answer = key.get(challenge(browser, "/login/challenge"))
    browser.submit(passkey=answer)
    assert browser.last.status == 422
    assert not is_inside(browser)


def test_a_challenge_is_old_after_some_minutes(site: PagesSite) -> None:
    key = enrol(site)
    browser = site.browser()
    browser.open("/login")
    answer = key.get(challenge(browser, "/login/challenge"))
    site.api.desk.clock.now += challenges.LIFETIME
    browser.submit(passkey=answer)
    assert browser.last.status == 422


def test_a_copied_passkey_is_noticed(site: PagesSite) -> None:
    key = enrol(site, Authenticator(count=5))
    for count, works in ((6, True), (6, False), (5, False), (0, False), (7, True)):
        key.count = count
        browser = site.browser()
        second_step(browser, key)
        assert is_inside(browser) is works, count


def test_a_passkey_opens_its_own_account_alone(site: PagesSite) -> None:
    enrol(site, login="root")
    own = enrol(site)
    browser = site.browser()
    second_step(browser, own, "root")
    assert browser.last.status == 422
    assert not is_inside(browser)


def test_a_passkey_is_there_once(site: PagesSite) -> None:
    key = enrol(site)
    browser = site.browser("ada")
    add_passkey(browser, key)
    assert browser.last.status == 409
    assert site.api.desk.count(schema.passkey) == 1


def test_a_disabled_account_stays_closed(site: PagesSite) -> None:
    key = enrol(site)
    site.api.desk.write(lambda w: mailboxes.change(w, ANNA, None, may_login=False))
    browser = site.browser()
    without_password(browser, key)
    assert browser.last.status == 422
    assert "may not log in" in browser.page.text
    assert not is_inside(browser)


def test_an_action_takes_a_passkey(site: PagesSite) -> None:
    key = enrol(site)
    browser = site.browser()
    without_password(browser, key)
    site.api.desk.clock.now += 700
    browser.open("/app-passwords")
    form = browser.form("/app-passwords")
    answer = key.get(challenge(browser, f"{HERE}/challenge"))
    browser.submit(form, name="Phone", current_password=SECRET, passkey="{}")
    assert browser.last.status == 422
    # a challenge is for one try
    browser.submit(form, name="Phone", current_password=SECRET, passkey=answer)
    assert browser.last.status == 422
    answer = key.get(challenge(browser, f"{HERE}/challenge"))
    browser.submit(form, name="Phone", current_password=SECRET, passkey=answer)
    assert browser.last.status == 200
    assert site.api.desk.count(schema.app_password) == 1


def test_a_passkey_is_removed(site: PagesSite) -> None:
    key = enrol(site)
    browser = site.browser()
    without_password(browser, key)
    other = Authenticator()
    add_passkey(browser, other)
    (first, second) = site.api.desk.read(
        lambda c: [one.id for one in c.execute(schema.passkey.select())]
    )
    browser.open(f"{HERE}/remove?passkey={first}")
    answer = other.get(challenge(browser, f"{HERE}/challenge"))
    browser.submit(current_password=SECRET, passkey=answer)
    assert browser.last.status == 303
    second_step(site.browser(), other)
    thief = site.browser()
    without_password(thief, key)
    assert thief.last.status == 422
    # not that of somebody else
    intruder = site.browser("root")
    assert intruder.get(f"{HERE}/remove?passkey={second}").status == 404


def test_passkeys_are_bounded(site: PagesSite) -> None:
    browser = site.browser(ANNA)
    for _ in range(passkeys.MAX_PASSKEYS + 1):
        add_passkey(browser)
    assert browser.last.status == 422
    assert site.api.desk.count(schema.passkey) == passkeys.MAX_PASSKEYS


def test_challenges_are_bounded(site: PagesSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(challenges, "MAX_CHALLENGES", 5)
    for _ in range(12):
        browser = site.browser()
        browser.open("/login")
        challenge(browser, "/login/challenge")
    assert site.api.desk.count(schema.web_challenge) == 5


def test_a_flood_of_challenges_ends_none_of_a_second_step(
    site: PagesSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(challenges, "MAX_CHALLENGES", 5)
    key, owner = enrol(site), site.browser()
    password_step(owner, ANNA)
    answer = key.get(challenge(owner, "/login/step/challenge"))
    for _ in range(6):
        stranger = site.browser()
        stranger.open("/login")
        challenge(stranger, "/login/challenge")
    owner.submit(passkey=answer)
    assert is_inside(owner)


def test_a_challenge_needs_the_token_of_the_page(site: PagesSite) -> None:
    browser = site.browser()
    browser.open("/login")
    for path in ("/login/challenge", "/login/step/challenge"):
        assert browser.send("POST", path, b"csrf=x").status == 403
    assert site.api.desk.count(schema.web_challenge) == 0


def test_passkeys_are_offered_at_their_host_alone(make_site: Callable[..., PagesSite]) -> None:
    site = make_site(host="pages.example")
    browser = site.browser(ANNA)
    assert "another one" in browser.open(f"{HERE}/passkey").text
    assert "passkey" not in site.browser().open("/login").text.lower()
    browser.get(f"{HERE}/passkey", host="pages.example:8443")
    assert "Name of the device" in browser.page.text
    for host in ("[", "[::1", "pages.example.evil.example", "a.pages.example", ""):
        assert browser.get(f"{HERE}/passkey", host=host).status == 200
        assert "Name of the device" not in browser.page.text
    browser.get(f"{HERE}/passkey", host="pages.example:8443")
    options = challenge(browser, f"{HERE}/passkey/challenge")["publicKey"]
    assert options["rp"]["id"] == "pages.example"
    assert ANNA.encode() not in plain(options["user"]["id"])
