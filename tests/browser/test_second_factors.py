"""Second factors in a browser: an app with its QR code, and passkeys of a virtual authenticator."""

from __future__ import annotations

import base64
import time
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import CDPSession

from accounts.one_time_code import STEP, code_at
from tests.browser.conftest import PagesServer
from tests.browser.test_pages import DEVICES, log_in, look
from tests.daemon.accounts_process import SECRET
from tests.testbed.chromium import DESKTOP, Chromium, Device, Visit

PASSWORD = "a long phrase of words"
HERE = "/security/second-factor"


def make_mailbox(server: PagesServer, chromium: Chromium, address: str) -> None:
    """Add somebody whose second factors are nobody else's."""
    visit = chromium.visit(server.origin)
    log_in(visit, "root")
    visit.open("/mailboxes/new")
    visit.page.fill("[name=address]", address)
    visit.page.fill("[name=password]", PASSWORD)
    visit.page.click("main button:has-text('Add')")
    visit.page.locator("h1", has_text=address).wait_for()
    visit.close()


def at_localhost(server: PagesServer, chromium: Chromium, device: Device = DESKTOP) -> Visit:
    """Return a browser at the host name of the pages; browsers trust this one without TLS."""
    return chromium.visit(f"http://localhost:{urlsplit(server.origin).port}", device)


def give_password(visit: Visit, login: str) -> None:
    visit.open("/login")
    visit.page.fill("[name=login]", login)
    visit.page.fill("[name=password]", PASSWORD)
    visit.page.get_by_role("button", name="Log in", exact=True).click()
    visit.page.locator("h1", has_text="Second factor").wait_for()


def authenticator(visit: Visit) -> tuple[CDPSession, str]:
    """Plug in an authenticator that knows its owner."""
    session = visit.page.context.new_cdp_session(visit.page)
    session.send("WebAuthn.enable")
    made = session.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2",
                "transport": "internal",
                "hasResidentKey": True,
                "hasUserVerification": True,
                "isUserVerified": True,
                "automaticPresenceSimulation": True,
            }
        },
    )
    return session, made["authenticatorId"]


@pytest.mark.parametrize("device", DEVICES, ids=lambda one: one.name)
def test_an_app(server: PagesServer, chromium: Chromium, axe: str, device: Device) -> None:
    address = f"app-{device.name}@example.org"
    make_mailbox(server, chromium, address)
    visit = chromium.visit(server.origin, device)
    page = visit.page
    log_in(visit, address, PASSWORD)
    visit.open(f"{HERE}/app")
    page.click("text=Show the secret")
    text = page.locator("code.secret").inner_text().replace(" ", "")
    secret = base64.b32decode(text)
    # the picture is there, and big enough for a camera
    size = page.evaluate("(i => [i.naturalWidth, i.clientWidth])(document.querySelector('img'))")
    assert min(size) >= 150
    look(visit, device, "factor-secret", axe)
    page.fill("[name=first_code]", code_at(secret, int(time.time()) // STEP - 1))
    page.click("text=Add the app")
    page.locator("h1", has_text="Recovery codes").wait_for()
    codes = page.locator("main li code").all_inner_texts()
    assert len(codes) == 10
    look(visit, device, "factor-recovery", axe)
    visit.open(HERE)
    look(visit, device, "factor-app-there", axe)
    visit.open(f"{HERE}/remove")
    look(visit, device, "factor-app-removal", axe)
    visit.close()

    visit = chromium.visit(server.origin, device)
    page = visit.page
    give_password(visit, address)
    look(visit, device, "login-step", axe)
    visit.open("/security")
    page.locator("[name=password]").wait_for()
    give_password(visit, address)
    page.fill("[name=code]", code_at(secret, int(time.time()) // STEP))
    page.click("main button:has-text('Log in')")
    page.locator(".logout").wait_for()
    visit.close()

    visit = chromium.visit(server.origin, device)
    give_password(visit, address)
    visit.page.fill("[name=code]", codes[0])
    visit.page.click("main button:has-text('Log in')")
    visit.page.locator(".logout").wait_for()
    visit.close()


def test_a_passkey(server: PagesServer, chromium: Chromium, axe: str) -> None:
    address = "passkey@example.org"
    make_mailbox(server, chromium, address)
    visit = at_localhost(server, chromium)
    page = visit.page
    session, number = authenticator(visit)
    log_in(visit, address, PASSWORD)
    visit.open(f"{HERE}/passkey")
    look(visit, DESKTOP, "factor-passkey", axe)
    page.fill("[name=name]", "Laptop")
    page.click("text=Make a passkey")
    page.locator(".passkey-done").wait_for()
    page.click("text=Add the passkey")
    page.locator("h1", has_text="Recovery codes").wait_for()
    (made,) = session.send("WebAuthn.getCredentials", {"authenticatorId": number})["credentials"]
    assert made["isResidentCredential"]
    assert made["rpId"] == "localhost"
    # the same authenticator again: the browser refuses, and the page says so
    visit.open(f"{HERE}/passkey")
    page.click("text=Make a passkey")
    page.locator(".passkey-failed").wait_for()
    visit.open(HERE)
    look(visit, DESKTOP, "factor-passkey-there", axe)

    # as the second factor
    page.locator(".logout button").click()
    give_password(visit, address)
    page.click("text=Use a passkey")
    page.locator(".logout").wait_for()
    # in place of everything
    page.locator(".logout button").click()
    page.click("text=Use a passkey")
    page.locator(".logout").wait_for()
    assert address in page.locator(".who").inner_text()
    # to remove it
    visit.open(HERE)
    page.click("td a:has-text('Remove')")
    page.fill("[name=current_password]", PASSWORD)
    page.click("text=Use a passkey")
    page.locator(".passkey-done").wait_for()
    page.click("button:text-is('Remove')")
    page.locator("text=was removed").wait_for()
    page.locator(".logout button").click()
    log_in(visit, address, PASSWORD)
    assert visit.complaints() == []
    visit.close()


def test_passkeys_are_not_offered_elsewhere(server: PagesServer, chromium: Chromium) -> None:
    visit = chromium.visit(server.origin)
    visit.open("/login")
    assert visit.page.locator("[data-passkey]").count() == 0
    log_in(visit, "root", SECRET)
    visit.open(f"{HERE}/passkey")
    visit.page.locator("text=another one").wait_for()
    visit.close()
