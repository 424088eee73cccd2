"""Second factors, added and used as in a browser."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

from accounts.one_time_code import STEP, code_at
from tests.unit.accounts.http.api import SECRET
from tests.unit.accounts.pages.authenticator import Authenticator
from tests.unit.accounts.pages.browser import Browser

HERE = "/security/second-factor"


def code_of(browser: Browser, secret: bytes, steps: int = 0) -> str:
    """Return the code that an app shows at the time of the service, or some steps away."""
    return code_at(secret, int(browser.site.api.desk.clock()) // STEP + steps)


def next_code(browser: Browser, secret: bytes) -> str:
    """Wait for another code."""
    browser.site.api.desk.clock.now += STEP
    return code_of(browser, secret)


def begin_app(browser: Browser) -> bytes:
    """Ask for a secret and read it from the page."""
    browser.open(f"{HERE}/app")
    browser.submit()
    assert browser.last.status == 200, browser.page.text
    found = re.search(r"Secret: ((?:[A-Z2-7]{4} ?)+)", browser.page.text)
    assert found is not None, browser.page.text
    return base64.b32decode(found.group(1).replace(" ", ""))


def add_app(browser: Browser) -> bytes:
    """Add an app and return its secret."""
    secret = begin_app(browser)
    answered = browser.submit(first_code=code_of(browser, secret))
    assert answered.status in (200, 303), browser.page.text
    return secret


def codes_of(browser: Browser) -> list[str]:
    """Return the recovery codes on the page."""
    return re.findall(r"\b[a-z2-9]{4}(?:-[a-z2-9]{4}){3}\b", browser.page.text)


def challenge(browser: Browser, path: str) -> Any:
    """Ask for a challenge, as the script does, with the token of the page."""
    token = browser.form().fields["csrf"][0]
    browser.send("POST", path, f"csrf={token}".encode())
    assert browser.last.status == 200, browser.octets
    return json.loads(browser.octets)


def add_passkey(browser: Browser, key: Authenticator | None = None) -> Authenticator:
    """Add a passkey."""
    key = key or Authenticator()
    browser.open(f"{HERE}/passkey")
    made = key.create(challenge(browser, f"{HERE}/passkey/challenge"))
    browser.submit(name="Phone", new_passkey=made)
    return key


def password_step(browser: Browser, login: str, password: str = SECRET) -> None:
    """Give the password, after which a second factor is needed."""
    answered = browser.log_in(login, password)
    assert answered.status == 303
    assert answered.headers["location"].startswith("/login/step")
    browser.follow()
