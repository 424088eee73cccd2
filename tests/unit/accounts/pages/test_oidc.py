"""Login through an identity provider, as the browser sees it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import structlog

from accounts.directory import mailboxes
from accounts.oidc.settings import OidcSettings
from accounts.pages import cookies
from gatepost.config import SecretFile
from tests.testbed.identity_provider import CLIENT, CLIENT_SECRET, REDIRECT
from tests.unit.accounts.pages.browser import Browser, PagesSite

ANNA = "anna@a.example"


@pytest.fixture
def single(make_site: Callable[..., PagesSite], tmp_path: Path) -> PagesSite:
    """A site whose provider names Anna."""
    secret = tmp_path / "secret"
    secret.write_text(CLIENT_SECRET)
    secret.chmod(0o600)
    site = make_site()
    site.oidc = OidcSettings(
        issuer=site.provider.issuer,
        name="Example ID",
        client_id=CLIENT,
        client_secret_file=SecretFile(secret),
        redirect_uri=REDIRECT,
        administrators={"Boss@id.example": "root"},
    )
    site.provider.claims = {"email": ANNA, "email_verified": True}
    return site


def lead(browser: Browser, url: str = "/login/oidc") -> str:
    """Follow the link to the provider and log in there; return the way back."""
    answered = browser.get(url)
    assert answered.status == 303, browser.page.text
    assert answered.headers["location"].startswith("https://id.example/authorize?")
    assert answered.headers["cache-control"] == "no-store"
    return browser.site.provider.log_in(answered.headers["location"])


def log_in(site: PagesSite, name: str | None = None, **claims: Any) -> Browser:
    if name is not None:
        site.provider.claims = site.provider.claims | {"email": name}
    site.provider.claims |= claims
    browser = site.browser()
    browser.get(lead(browser))
    return browser


def refusal(browser: Browser) -> str:
    assert browser.last.status in (422, 429, 503), browser.last.status
    assert cookies.SESSION not in browser.cookies
    assert browser.page.forms[-1].action == "/login", "the password stays another way in"
    return browser.page.text


def test_the_owner_of_a_mailbox_logs_in(single: PagesSite) -> None:
    browser = single.browser()
    browser.open("/login?next=/filters")
    assert "Log in with Example ID" in browser.page.text
    link = next(one for one in browser.page.links if "/login/oidc" in one)
    assert link == "/login/oidc?next=%2Ffilters"
    assert browser.get(lead(browser, link)).headers["location"] == "/filters"
    assert cookies.EXCHANGE not in browser.cookies
    assert ANNA in browser.open("/").text
    assert "Testbrowser" in browser.open("/security").text


def test_an_administrator_of_the_list_logs_in(single: PagesSite) -> None:
    browser = log_in(single, "boss@ID.example")
    assert "/domains" in browser.follow().links


@pytest.mark.parametrize("name", ["root", "ada", "root@id.example", "boss@id.example.evil.example"])
def test_nobody_else_becomes_an_administrator(single: PagesSite, name: str) -> None:
    assert "may not log in here" in refusal(log_in(single, name))


@pytest.mark.parametrize("name", ["Boss", "BOSS", "bo\u017fs", "boss "])
def test_another_name_of_the_provider_is_somebody_else(single: PagesSite, name: str) -> None:
    fields = single.oidc.model_dump(exclude_unset=True)
    named = {"claim": "preferred_username", "administrators": {"boss": "root"}}
    single.oidc = OidcSettings(**(fields | named))
    assert "may not log in here" in refusal(log_in(single, preferred_username=name))
    assert "/domains" in log_in(single, preferred_username="boss").follow().links


def test_a_name_with_a_letter_that_looks_alike_is_somebody_else(single: PagesSite) -> None:
    fields = single.oidc.model_dump(exclude_unset=True)
    single.oidc = OidcSettings(**(fields | {"administrators": {"kai@id.example": "root"}}))
    assert "may not log in here" in refusal(log_in(single, "\u212aai@id.example"))
    assert "/domains" in log_in(single, "Kai@id.example").follow().links


@pytest.mark.parametrize(
    "name",
    ["nobody@a.example", "anna", "@", "anna@b.example", "*@a.example", "x" * 5000, "a\0@a.example"],
)
def test_an_address_without_a_mailbox(single: PagesSite, name: str) -> None:
    assert "may not log in here" in refusal(log_in(single, name))


def test_the_case_of_an_address_does_not_matter(single: PagesSite) -> None:
    assert log_in(single, "Anna@A.example").last.status == 303


@pytest.mark.parametrize("change", [{"enabled": False}, {"may_login": False}])
def test_who_may_not_log_in_may_not_by_the_provider(
    single: PagesSite, change: dict[str, Any]
) -> None:
    single.api.desk.write(lambda write: mailboxes.change(write, ANNA, None, **change))
    assert "may not log in here" in refusal(log_in(single))


def test_a_provider_for_some_domains(single: PagesSite) -> None:
    single.oidc = single.oidc.model_copy(update={"domains": ("b.example",)})
    assert "may not log in here" in refusal(log_in(single))
    single.oidc = single.oidc.model_copy(update={"domains": ("a.example",)})
    assert log_in(single).last.status == 303


def test_an_answer_for_another_browser(single: PagesSite) -> None:
    attacker, victim = single.browser(), single.browser()
    back = lead(attacker)
    victim.get(back)
    assert "another browser began it" in refusal(victim)
    lead(victim)
    victim.get(back)
    assert "did not confirm" in refusal(victim)


def test_an_answer_counts_once(single: PagesSite) -> None:
    browser = single.browser()
    back = lead(browser)
    kept = browser.cookies[cookies.EXCHANGE]
    assert browser.get(back).status == 303
    browser.cookies = {cookies.EXCHANGE: kept}
    browser.get(back)
    assert "did not confirm" in refusal(browser)


def test_a_login_that_took_too_long(single: PagesSite) -> None:
    browser = single.browser()
    back = lead(browser)
    single.api.desk.clock.now += 601
    browser.get(back)
    assert "took too long" in refusal(browser)


def test_a_provider_that_refuses(single: PagesSite) -> None:
    browser = single.browser()
    back = lead(browser)
    browser.get(back.replace("code=", "error=access_denied&x="))
    assert "did not confirm" in refusal(browser)
    assert cookies.EXCHANGE not in browser.cookies


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/token", "/keys"])
def test_a_provider_that_is_away(single: PagesSite, path: str) -> None:
    browser = single.browser()
    if path.startswith("/."):
        single.provider.answers[path] = (503, None)
        browser.get("/login/oidc")
    else:
        back = lead(browser)
        single.provider.answers[path] = (503, None)
        browser.get(back)
    assert "Try again" in refusal(browser)
    assert browser.last.status == 503
    browser.submit(login=ANNA, password="correct horse staple")
    assert browser.last.status == 303


@pytest.mark.parametrize("foreign", ["//evil.example", "https://evil.example/", "/\\evil.example"])
def test_the_way_behind_it_is_one_of_ours(single: PagesSite, foreign: str) -> None:
    browser = single.browser()
    browser.get(lead(browser, f"/login/oidc?next={foreign}"))
    assert browser.last.headers["location"] == "/"


def test_many_failures_ask_the_provider_no_more(single: PagesSite) -> None:
    browser, late = single.browser(), single.browser()
    good = lead(late)
    for _ in range(100):
        if browser.get("/login/oidc").status == 429:
            break
        browser.get("/login/oidc?state=forged&code=x")
    before = len(single.provider.asked)
    for url in ("/login/oidc", "/login/oidc?state=forged&code=x"):
        assert browser.get(url).status == 429
        assert int(browser.last.headers["retry-after"]) > 0
    late.get(good)
    assert "Too many" in refusal(late), "the network counts, and not the browser"
    assert len(single.provider.asked) == before
    other = single.browser(client="198.51.100.9")
    assert other.get(lead(other)).status == 303


def test_without_a_provider_there_is_no_page(site: PagesSite) -> None:
    browser = site.browser()
    assert browser.get("/login/oidc").status == 404
    assert browser.get("/login/oidc?state=x&code=y").status == 404
    assert "Log in with" not in browser.open("/login").text


# again


def test_the_provider_confirms_instead_of_the_password(single: PagesSite) -> None:
    browser = log_in(single)
    single.api.desk.clock.now += 3600
    page = browser.open("/app-passwords")
    assert "Or log in with Example ID again" in page.text
    link = next(one for one in page.links if "again=1" in one)
    single.provider.claims |= {"auth_time": int(single.api.desk.clock.now)}
    back = lead(browser, link)
    assert browser.get(back).headers["location"] == "/app-passwords"
    browser.follow()
    browser.submit(name="phone")
    assert browser.last.status == 200, browser.page.text
    assert "phone" in browser.page.text


@pytest.mark.parametrize("seen", [int(time.time()) - 3600, None], ids=["old", "none"])
def test_an_old_login_at_the_provider_confirms_nothing(single: PagesSite, seen: object) -> None:
    browser = log_in(single)
    single.api.desk.clock.now += 3600
    single.provider.claims |= {"auth_time": seen}
    browser.get(lead(browser, "/login/oidc?again=1"))
    assert browser.last.status == 422
    assert "Your current password" in browser.open("/app-passwords").text


@pytest.mark.parametrize(
    "seen",
    [int(time.time()) - 3600, None, True, -1, 1 << 70],
    ids=["old", "none", "truth", "negative", "huge"],
)
def test_a_login_without_a_password_confirms_nothing(single: PagesSite, seen: object) -> None:
    # a provider that remembers the browser, which nobody attends
    browser = log_in(single, auth_time=seen)
    assert "Your current password" in browser.open("/app-passwords").text
    assert browser.submit(name="phone").status == 422
    # nor does another login in place of the session
    browser.get(lead(browser))
    assert "Your current password" in browser.open("/app-passwords").text


def test_somebody_else_confirms_nothing(single: PagesSite) -> None:
    browser = log_in(single)
    single.api.desk.clock.now += 3600
    single.provider.claims |= {
        "email": "boss@id.example",
        "auth_time": int(single.api.desk.clock.now),
    }
    browser.get(lead(browser, "/login/oidc?again=1"))
    assert browser.last.status == 422
    assert "somebody else" in browser.page.text
    assert "Your current password" in browser.open("/app-passwords").text
    assert "/domains" not in browser.open("/").links


def test_no_secret_is_logged(single: PagesSite) -> None:
    with structlog.testing.capture_logs() as logged:
        browser = single.browser()
        back = lead(browser)
        exchange = browser.cookies[cookies.EXCHANGE]
        browser.get(back)
        other = single.browser()
        other.get(lead(other) + "x")
    assert [one for one in logged if one.get("protocol") == "oidc"]
    code = back.partition("code=")[2].partition("&")[0]
    for secret in (exchange.partition(".")[0], code, CLIENT_SECRET, "an-access-token", "eyJ"):
        assert secret not in str(logged)
