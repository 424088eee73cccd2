"""Second factors of the pages: an app for codes, recovery codes, and the two steps of a login."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from accounts.directory import (
    administrators,
    deleted_mailboxes,
    login_steps,
    mailboxes,
    totp_secrets,
)
from accounts.pages import cookies
from accounts.pages.table import PAGES
from accounts.store import schema
from tests.unit.accounts.http.api import SECRET, login
from tests.unit.accounts.pages.browser import Browser, PagesSite
from tests.unit.accounts.pages.factors import (
    HERE,
    add_app,
    begin_app,
    code_of,
    codes_of,
    next_code,
    password_step,
)
from tests.unit.accounts.pages.test_protection import url_of

ANNA = "anna@a.example"


def is_inside(browser: Browser) -> bool:
    """Return whether a browser sees a page behind the login."""
    return browser.get("/security").status == 200


def said(browser: Browser) -> str:
    return browser.page.text


# adding


def test_an_app_counts_after_its_first_code(site: PagesSite) -> None:
    browser = site.browser(ANNA)
    secret = begin_app(browser)
    assert "data:image/svg+xml" in str(browser.page.tags)
    # until then the password alone is enough
    assert is_inside(site.browser(ANNA))
    browser.submit(first_code="000000" if code_of(browser, secret) != "000000" else "111111")
    assert browser.last.status == 422
    assert "Secret:" in said(browser)
    browser.submit(first_code=code_of(browser, secret))
    assert len(set(codes_of(browser))) == 10
    assert "Secret:" not in said(browser)
    password_step(site.browser(), ANNA)
    assert [one.action for one in site.api.audit(object=ANNA)][:3] == [
        "recovery-codes.make",
        "session.remove",
        "second-factor.add",
    ]
    assert secret.hex() not in str(site.api.audit())


def test_the_secret_is_encrypted(site: PagesSite) -> None:
    secret = add_app(site.browser(ANNA))
    with open(site.api.desk.settings.path or "", "rb") as file:
        assert secret not in file.read()


def test_the_first_factor_ends_sessions_that_began_without(site: PagesSite) -> None:
    thief, owner = site.browser(ANNA), site.browser(ANNA)
    add_app(owner)
    assert not is_inside(thief)
    assert is_inside(owner)


def test_a_new_secret_is_not_shown_again(site: PagesSite) -> None:
    browser = site.browser(ANNA)
    begin_app(browser)
    assert "Secret:" not in browser.open(f"{HERE}/app").text
    # nor to a stolen session, without the password
    form = browser.form()
    site.api.desk.clock.now += 700
    for fields in ({"do": "confirm", "first_code": "000000"}, {}):
        browser.submit(form, current_password="wrong", **fields)
        assert browser.last.status == 422
        assert "Secret:" not in said(browser)


def test_a_new_secret_is_old_after_some_minutes(make_site: Callable[..., PagesSite]) -> None:
    site = make_site(confirm_after=3600)
    browser = site.browser(ANNA)
    secret = begin_app(browser)
    site.api.desk.clock.now += totp_secrets.MAX_PENDING
    browser.submit(first_code=code_of(browser, secret))
    assert browser.last.status == 404
    assert "Begin again" in said(browser)


def test_a_second_app_is_refused(site: PagesSite) -> None:
    browser = site.browser(ANNA)
    add_app(browser)
    browser.open(f"{HERE}/app")
    assert browser.submit().status == 409


# the second step of a login


def test_a_code_completes_the_login(site: PagesSite) -> None:
    secret = add_app(site.browser(ANNA))
    browser = site.browser()
    password_step(browser, ANNA)
    assert cookies.SESSION not in browser.cookies
    assert not is_inside(browser)
    browser.open("/login/step?next=%2Ffilters")
    browser.submit(code=next_code(browser, secret))
    assert browser.last.headers["location"] == "/filters"
    assert is_inside(browser)
    assert cookies.FORM not in browser.cookies


def test_the_password_alone_opens_nothing(site: PagesSite) -> None:
    """Neither a page, nor the API, nor with the secret of the step as that of a session."""
    for name in (ANNA, "root", "ada"):
        add_app(site.browser(name))
        thief = site.browser()
        password_step(thief, name)
        thief.cookies[cookies.SESSION] = thief.cookies[cookies.FORM]
        assert not is_inside(thief)
        answered = site.api.call("GET", "/me", who=login(name))
        assert answered.status == 401
        assert "second factor" in answered.json["detail"]
        body = {"current_password": SECRET, "password": "another long phrase"}
        assert site.api.call("PUT", "/me/password", body, who=login(name)).status == 401
        assert site.api.last().details["refused"].startswith("This account needs a second")


def test_a_code_counts_once(site: PagesSite) -> None:
    secret = add_app(site.browser(ANNA))
    first, second = site.browser(), site.browser()
    password_step(first, ANNA)
    password_step(second, ANNA)
    code = next_code(first, secret)
    first.submit(code=code)
    assert is_inside(first)
    second.submit(code=code)
    assert second.last.status == 422
    assert "used already" in said(second)
    # neither the code before it
    second.submit(code=code_of(second, secret, -1))
    assert second.last.status == 422
    second.submit(code=next_code(second, secret))
    assert is_inside(second)


def test_the_first_code_counts_once_too(site: PagesSite) -> None:
    secret = add_app(site.browser(ANNA))
    browser = site.browser()
    password_step(browser, ANNA)
    browser.submit(code=code_of(browser, secret))
    assert "used already" in said(browser)


@pytest.mark.parametrize(("steps", "works"), [(-2, False), (-1, True), (1, True), (2, False)])
def test_clocks_may_differ_by_one_step(site: PagesSite, steps: int, works: bool) -> None:
    browser = site.browser(ANNA)
    secret = add_app(browser)
    site.api.desk.clock.now += 300
    other = site.browser()
    password_step(other, ANNA)
    other.submit(code=code_of(other, secret, steps))
    assert is_inside(other) is works


@pytest.mark.parametrize(
    "code", ["", " ", "12345", "1234567", "١٢٣٤٥٦", "x" * 5000, "a\0b", "<b>", "½23456", "-" * 70]
)
def test_what_is_no_code_is_refused(site: PagesSite, code: str) -> None:
    add_app(site.browser(ANNA))
    browser = site.browser()
    password_step(browser, ANNA)
    browser.submit(code=code)
    assert browser.last.status == 422
    assert not is_inside(browser)


def test_codes_may_have_spaces(site: PagesSite) -> None:
    secret = add_app(site.browser(ANNA))
    browser = site.browser()
    password_step(browser, ANNA)
    code = next_code(browser, secret)
    browser.submit(code=f" {code[:3]} {code[3:]} ")
    assert is_inside(browser)


def test_wrong_codes_are_delayed(site: PagesSite) -> None:
    secret = add_app(site.browser(ANNA))
    browser = site.browser()
    statuses = []
    right = {code_of(browser, secret, step) for step in (-1, 0, 1)}
    guesses = (f"{n:06}" for n in range(1000) if f"{n:06}" not in right)
    password_step(browser, ANNA)
    for _ in range(30):
        browser.submit(code=next(guesses))
        statuses.append(browser.last.status)
        if browser.last.status == 303:
            password_step(browser, ANNA)
        if browser.last.status == 429:
            break
    assert statuses[-1] == 429
    assert int(browser.last.headers["retry-after"]) > 0
    # not even the right one, for a while
    browser.submit(code=code_of(browser, secret, 1))
    assert browser.last.status == 429


def test_a_step_ends_after_some_wrong_codes(site: PagesSite) -> None:
    secret = add_app(site.browser(ANNA))
    browser = site.browser()
    password_step(browser, ANNA)
    for number in range(login_steps.MAX_FAILURES):
        # somebody with many addresses, and without the delays
        browser.client = f"203.0.{number}.7"
        site.api.attempts.forget_account(f"second factor of {ANNA}")
        browser.submit(code=f"{number:06}")
        is_last = number + 1 == login_steps.MAX_FAILURES
        assert browser.last.status == (303 if is_last else 422), said(browser)
    browser.submit(code=next_code(browser, secret))
    assert browser.last.headers["location"] == "/login?ended=1"
    assert not is_inside(browser)


def test_after_a_hundred_wrong_codes_no_code_counts(site: PagesSite) -> None:
    browser = site.browser(ANNA)
    secret = begin_app(browser)
    browser.submit(first_code=code_of(browser, secret))
    codes = codes_of(browser)
    site.api.desk.run(
        site.api.desk.database.record(
            lambda c: c.execute(schema.totp.update().values(failures=totp_secrets.MAX_FAILURES))
        )
    )
    other = site.browser()
    password_step(other, ANNA)
    other.submit(code=next_code(other, secret))
    assert other.last.status == 422
    assert "Use a recovery code" in said(other)
    other.submit(code=codes[0])
    assert is_inside(other)
    # which shows that it was the owner
    again = site.browser()
    password_step(again, ANNA)
    again.submit(code=next_code(again, secret))
    assert is_inside(again)


def test_a_step_belongs_to_its_browser(site: PagesSite) -> None:
    secret = add_app(site.browser(ANNA))
    owner, thief = site.browser(), site.browser()
    password_step(owner, ANNA)
    # no cookie, or one of another login
    assert thief.get("/login/step").headers["location"] == "/login?ended=1"
    thief.open("/login")
    thief.submit(thief.form("/login"), login="nobody", password="wrong")
    form = thief.form("/login")
    form.action = "/login/step"
    thief.submit(form, code=next_code(thief, secret))
    assert thief.last.headers["location"] == "/login?ended=1"
    assert not is_inside(thief)
    owner.submit(code=code_of(owner, secret))
    assert is_inside(owner)


def test_a_step_of_one_account_takes_no_code_of_another(site: PagesSite) -> None:
    add_app(site.browser("root"))
    own = add_app(site.browser(ANNA))
    browser = site.browser()
    password_step(browser, "root")
    browser.submit(code=next_code(browser, own))
    assert browser.last.status == 422
    assert not is_inside(browser)


def test_a_step_cannot_be_used_twice(site: PagesSite) -> None:
    secret = add_app(site.browser(ANNA))
    browser, copy = site.browser(), site.browser()
    password_step(browser, ANNA)
    copy.cookies, copy.page, copy.here = dict(browser.cookies), browser.page, browser.here
    browser.submit(code=next_code(browser, secret))
    copy.submit(code=next_code(copy, secret))
    assert copy.last.headers["location"] == "/login?ended=1"
    assert not is_inside(copy)


def test_a_step_ends_after_some_minutes(site: PagesSite) -> None:
    secret = add_app(site.browser(ANNA))
    browser = site.browser()
    password_step(browser, ANNA)
    site.api.desk.clock.now += login_steps.LIFETIME
    browser.submit(code=next_code(browser, secret))
    assert browser.last.headers["location"] == "/login?ended=1"
    assert not is_inside(browser)


def test_steps_are_bounded(site: PagesSite) -> None:
    add_app(site.browser(ANNA))
    for _ in range(login_steps.MAX_STEPS + 5):
        password_step(site.browser(), ANNA)
    assert site.api.desk.count(schema.login_step) == login_steps.MAX_STEPS
    site.api.desk.clock.now += login_steps.LIFETIME
    password_step(site.browser(), ANNA)
    assert site.api.desk.count(schema.login_step) == 1


@pytest.mark.parametrize("how", ["reset", "password", "disabled", "removed", "no-login"])
def test_a_step_ends_when_the_account_changes(site: PagesSite, how: str) -> None:
    secret = add_app(site.browser(ANNA))
    browser = site.browser()
    password_step(browser, ANNA)
    changes: dict[str, Callable[[], object]] = {
        "reset": lambda: site.api.call("DELETE", f"/mailboxes/{ANNA}/second-factors"),
        "password": lambda: site.api.desk.write(
            lambda w: mailboxes.change(w, ANNA, None, password=None)
        ),
        "disabled": lambda: site.api.desk.write(
            lambda w: mailboxes.change(w, ANNA, None, enabled=False)
        ),
        "no-login": lambda: site.api.desk.write(
            lambda w: mailboxes.change(w, ANNA, None, may_login=False)
        ),
        "removed": lambda: site.api.desk.write(lambda w: mailboxes.remove(w, ANNA)),
    }
    changes[how]()
    browser.submit(code=next_code(browser, secret))
    assert browser.last.headers["location"] == "/login?ended=1"
    assert not is_inside(browser)


def test_a_lost_key_file_is_no_wrong_code(site: PagesSite) -> None:
    add_app(site.browser(ANNA))
    site.api.desk.run(
        site.api.desk.database.record(
            lambda c: c.execute(schema.totp.update().values(secret=b"\1abcd" + b"x" * 60))
        )
    )
    browser = site.browser()
    password_step(browser, ANNA)
    browser.submit(code="123456")
    assert browser.last.status == 500
    assert "encrypt" in said(browser)
    assert not is_inside(browser)


# recovery codes


def test_a_recovery_code_works_once(site: PagesSite) -> None:
    browser = site.browser(ANNA)
    secret = begin_app(browser)
    browser.submit(first_code=code_of(browser, secret))
    codes = codes_of(browser)
    other = site.browser()
    password_step(other, ANNA)
    other.submit(code=codes[3].upper().replace("-", " "))
    assert is_inside(other)
    assert "9 recovery codes" in other.open(HERE).text
    again = site.browser()
    password_step(again, ANNA)
    again.submit(code=codes[3])
    assert again.last.status == 422
    used = next(one for one in site.api.audit(object=ANNA) if one.action == "recovery-code.use")
    assert used.details == {"left": 9}
    assert codes[3] not in str(site.api.audit())


def test_recovery_codes_are_kept_as_digests(site: PagesSite) -> None:
    browser = site.browser(ANNA)
    add_app(browser)
    codes = codes_of(browser)
    with open(site.api.desk.settings.path or "", "rb") as file:
        content = file.read()
    for code in codes:
        assert code.encode() not in content
        assert code.replace("-", "").encode() not in content


def test_new_recovery_codes_replace_the_old_ones(site: PagesSite) -> None:
    browser = site.browser(ANNA)
    add_app(browser)
    old = codes_of(browser)
    browser.open(f"{HERE}/codes")
    assert codes_of(browser) == []
    browser.submit()
    new = codes_of(browser)
    assert len(new) == 10
    assert not set(old) & set(new)
    other = site.browser()
    password_step(other, ANNA)
    other.submit(code=old[0])
    assert other.last.status == 422
    other.submit(code=new[0])
    assert is_inside(other)


def test_recovery_codes_of_others_do_not_work(site: PagesSite) -> None:
    browser = site.browser("ada")
    add_app(browser)
    codes = codes_of(browser)
    add_app(site.browser(ANNA))
    other = site.browser()
    password_step(other, ANNA)
    other.submit(code=codes[0])
    assert other.last.status == 422


# what needs the password again


def test_an_action_needs_the_code_as_well(site: PagesSite) -> None:
    browser = site.browser(ANNA)
    secret = add_app(browser)
    site.api.desk.clock.now += 700
    browser.open("/app-passwords")
    form = browser.form("/app-passwords")
    assert "code" in form.fields
    browser.submit(form, name="Phone", current_password=SECRET)
    assert browser.last.status == 422
    browser.submit(form, name="Phone", current_password=SECRET, code="000000")
    assert browser.last.status == 422
    browser.submit(form, name="Phone", current_password="wrong", code=code_of(browser, secret))
    assert browser.last.status == 422
    assert site.api.desk.count(schema.app_password) == 0
    browser.submit(form, name="Phone", current_password=SECRET, code=code_of(browser, secret))
    assert browser.last.status == 200
    assert site.api.desk.count(schema.app_password) == 1


def test_another_password_needs_the_code_as_well(site: PagesSite) -> None:
    browser = site.browser(ANNA)
    secret = add_app(browser)
    site.api.desk.clock.now += 700
    browser.open("/security/password")
    new = "another long phrase of words"
    fields: dict[str, Any] = {"current_password": SECRET, "password": new, "repeated": new}
    browser.submit(**fields)
    assert browser.last.status == 422
    browser.submit(**fields, code=code_of(browser, secret))
    assert browser.last.status == 303
    other = site.browser()
    password_step(other, ANNA, new)


def test_removal_needs_the_password_and_a_code(site: PagesSite) -> None:
    browser = site.browser(ANNA)
    secret = add_app(browser)
    codes = codes_of(browser)
    browser.open(f"{HERE}/remove")
    tries: tuple[dict[str, Any], ...] = (
        {},
        {"current_password": SECRET},
        {"code": next_code(browser, secret)},
        {"current_password": "wrong", "code": code_of(browser, secret)},
        {"current_password": SECRET, "code": "000000"},
    )
    for fields in tries:
        browser.submit(**fields)
        assert browser.last.status == 422, fields
    browser.submit(current_password=SECRET, code=code_of(browser, secret))
    assert browser.last.status == 303
    assert "was removed" in browser.follow().text
    assert is_inside(site.browser(ANNA))
    assert site.api.desk.count(schema.recovery_code) == 0
    assert codes


# the rule


@pytest.mark.parametrize("rule", ["administrators", "everyone"])
def test_the_rule_leads_to_a_second_factor(make_site: Callable[..., PagesSite], rule: str) -> None:
    site = make_site(second_factor=rule)
    names = ["root", "ada"] + ([ANNA] if rule == "everyone" else [])
    for name in names:
        browser = site.browser()
        browser.log_in(name)
        assert browser.get("/").headers["location"] == HERE
        page = browser.open(HERE)
        assert "needs a second factor" in page.text
        token = browser.page.forms[0].fields["csrf"][0]
        for one in PAGES:
            if one.enrols or not one.roles:
                continue
            assert browser.get(url_of(one.path)).headers["location"] == HERE, one.path
            if one.act is not None:
                browser.send("POST", url_of(one.path), f"csrf={token}".encode())
                assert browser.last.headers["location"] == HERE, one.path
        secret = add_app(browser)
        assert len(codes_of(browser)) == 10
        assert is_inside(browser)
        site.api.desk.clock.now += 60
        other = site.browser()
        password_step(other, name)
        other.submit(code=code_of(other, secret))
        assert is_inside(other)
    if rule == "administrators":
        assert is_inside(site.browser(ANNA))


# others remove it


def test_an_administrator_removes_those_of_a_mailbox(site: PagesSite) -> None:
    owner = site.browser(ANNA)
    add_app(owner)
    browser = site.browser("ada")
    assert "App for codes" in browser.open(f"/mailboxes/{ANNA}/second-factors").text
    site.api.desk.clock.now += 700
    browser.open(f"/mailboxes/{ANNA}/second-factors")
    browser.submit(current_password="wrong")
    assert browser.last.status == 422
    browser.submit(current_password=SECRET)
    assert browser.last.status == 303
    assert not is_inside(owner)
    assert is_inside(site.browser(ANNA))
    last = site.api.audit(object=ANNA, limit=1)[0]
    assert (last.actor, last.action, last.details) == (
        "ada",
        "second-factor.reset",
        {"kinds": ["app"]},
    )
    # there is nothing left to remove
    assert "no second factor" in browser.open(f"/mailboxes/{ANNA}/second-factors").text


def test_a_global_administrator_removes_those_of_another(site: PagesSite) -> None:
    owner = site.browser("ada")
    add_app(owner)
    browser = site.browser("root")
    add_app(browser)
    page = browser.open(f"{HERE}/others")
    assert "Login" in page.text
    assert browser.get(f"{HERE}/others?login=nobody").status == 404
    browser.open(f"{HERE}/others?login=ada")
    assert browser.submit().status == 303
    assert not is_inside(owner)
    assert is_inside(site.browser("ada"))
    assert site.api.audit(object="ada", limit=1)[0].action == "second-factor.reset"
    # the own one goes with a password and a code alone
    browser.open(f"{HERE}/others?login=root")
    assert browser.submit().status == 422
    password_step(site.browser(), "root")


def test_factors_come_back_with_a_deleted_mailbox(site: PagesSite) -> None:
    secret = add_app(site.browser(ANNA))
    site.api.desk.write(lambda w: mailboxes.remove(w, ANNA))
    assert site.api.desk.count(schema.totp) == 0
    site.api.desk.write(lambda w: deleted_mailboxes.restore(w, ANNA))
    browser = site.browser()
    password_step(browser, ANNA)
    browser.submit(code=next_code(browser, secret))
    assert is_inside(browser)


def test_factors_go_with_their_administrator(site: PagesSite) -> None:
    add_app(site.browser("ada"))
    site.api.desk.write(lambda w: administrators.remove(w, "ada"))
    assert site.api.desk.count(schema.totp) == 0
    assert site.api.desk.count(schema.recovery_code) == 0
