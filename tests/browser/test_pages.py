"""Every page of every role on a desk and on a phone, as people and screen readers meet it."""

from __future__ import annotations

import os
import plistlib
import re
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import PagesServer
from tests.daemon.accounts_process import SECRET
from tests.testbed.chromium import DESKTOP, PHONE, Chromium, Device, Visit

SCREENSHOTS = "GATEPOST_SCREENSHOTS"
DEVICES = [DESKTOP, PHONE]
ANNA = "anna@example.org"

OWN = {
    "home": "/",
    "filters": "/filters",
    "filter": "/filters/edit?name=Postfix%20list",
    "filter-remove": "/filters/remove?name=Postfix%20list",
    "away": "/away",
    "forwarding": "/forwarding",
    "addresses": "/addresses",
    "spam": "/spam",
    "trace": "/trace?words=4XyzAb12CdZ1",
    "trace-none": "/trace?words=nobody@example.net&time=hour",
    "app-passwords": "/app-passwords",
    "app-password-remove": "/app-passwords/remove?name=Phone",
    "security": "/security",
    "password": "/security/password",
    "second-factor": "/security/second-factor",
    "factor-app": "/security/second-factor/app",
    "factor-passkey": "/security/second-factor/passkey",
    "factor-codes": "/security/second-factor/codes",
    "factor-remove": "/security/second-factor/remove",
}
ADMINISTRATION = {
    "overview": "/",
    "search": "/?text=anna",
    "domains": "/domains",
    "domain": "/domains/example.org",
    "keys": "/domains/example.org/keys",
    "dns": "/domains/example.org/dns?now=1",
    "mailboxes": "/mailboxes",
    "mailbox": f"/mailboxes/{ANNA}",
    "mailbox-new": "/mailboxes/new",
    "mailbox-remove": f"/mailboxes/{ANNA}/remove",
    "mailbox-factors": f"/mailboxes/{ANNA}/second-factors",
    "aliases": "/aliases",
    "alias": "/aliases/info@example.org",
    "alias-new": "/aliases/new",
    "alias-remove": "/aliases/info@example.org/remove",
    "changes": f"/audit?object={ANNA}",
    "trace": "/trace?words=4XyzAb12CdZ1",
    "quarantine": "/quarantine",
    "quarantine-mail": "{held}",
    "quarantine-delete": "{held}/delete",
    "greylist": "/greylist?text=192.0.2.7",
    "greylist-exceptions": "/greylist/exceptions?kind=client&pattern=192.0.2.7",
    "security": "/security",
    "deleted-mailboxes": "/deleted-mailboxes",
    "deleted-restore": "/deleted-mailboxes/restore?address=gone@example.org&number=1",
    "deleted-purge": "/deleted-mailboxes/purge?address=gone@example.org&number=1",
}
GLOBAL = {
    "domain-new": "/domains/new",
    "domain-remove": "/domains/example.org/remove",
    "administrators": "/administrators",
    "administrator-new": "/administrators/new",
    "administrator": "/administrators/ada",
    "administrator-remove": "/administrators/ada/remove",
    "tokens": "/tokens",
    "token-remove": "/tokens/remove?id=1",
    "import": "/import",
    "factors-of-others": "/security/second-factor/others",
}
PAGES = {ANNA: OWN, "ada": ADMINISTRATION, "root": ADMINISTRATION | GLOBAL}


def log_in(visit: Visit, login: str, password: str = SECRET) -> None:
    visit.open("/login")
    visit.page.fill("[name=login]", login)
    visit.page.fill("[name=password]", password)
    visit.page.click("main button")
    visit.page.locator("form.logout, .logout").first.wait_for()


def look(visit: Visit, device: Device, name: str, axe: str) -> None:
    """Check what a page is like, and keep a picture of it if that is wanted."""
    folded = "document.querySelectorAll('main details')"
    visit.page.evaluate(f"{folded}.forEach(one => {{ one.open = true }})")
    if folder := os.environ.get(SCREENSHOTS):
        visit.page.screenshot(path=Path(folder) / f"{name}-{device.name}.png", full_page=True)
    assert not visit.is_wider_than_the_screen(), name
    assert violations(visit, axe) == [], name
    assert visit.complaints() == [], name
    assert visit.foreign() == [], name


def violations(visit: Visit, axe: str) -> list[Any]:
    """Return what axe finds against WCAG 2.2 AA, and what it thinks best."""
    visit.page.evaluate(axe)
    found = visit.page.evaluate(
        "async () => (await axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a',"
        " 'wcag21aa', 'wcag22aa', 'best-practice']})).violations"
    )
    return [(one["id"], [node["html"][:200] for node in one["nodes"][:3]]) for one in found]


@pytest.mark.parametrize("device", DEVICES, ids=lambda one: one.name)
@pytest.mark.parametrize("login", list(PAGES))
def test_every_page(
    server: PagesServer, chromium: Chromium, axe: str, login: str, device: Device
) -> None:
    visit = chromium.visit(server.origin, device)
    visit.open("/login")
    look(visit, device, "login", axe)
    log_in(visit, login)
    failed = []
    for name, path in PAGES[login].items():
        visit.open(path.replace("{held}", server.held))
        try:
            look(visit, device, f"{login.partition('@')[0]}-{name}", axe)
        except AssertionError as error:
            failed.append(str(error)[:1500])
            visit.forgive()
    assert not failed, "\n".join(failed)
    visit.close()


@pytest.mark.parametrize("device", DEVICES, ids=lambda one: one.name)
def test_pages_in_the_dark_in_german(
    server: PagesServer, chromium: Chromium, axe: str, device: Device
) -> None:
    visit = chromium.visit(server.origin, device, language="de-DE")
    visit.page.emulate_media(color_scheme="dark")
    log_in(visit, ANNA)
    for name in ("home", "filter", "app-passwords", "security"):
        visit.open(OWN[name])
        assert visit.page.get_attribute("html", "lang") == "de"
        look(visit, device, f"dark-{name}", axe)
    visit.close()


def test_the_keyboard_alone(server: PagesServer, chromium: Chromium) -> None:
    visit = chromium.visit(server.origin)
    visit.open("/login")
    visit.page.focus("[name=login]")
    visit.page.keyboard.type(ANNA)
    visit.page.keyboard.press("Tab")
    visit.page.keyboard.type(SECRET)
    visit.page.keyboard.press("Enter")
    visit.page.locator(".logout").wait_for()
    visit.open("/filters")
    visit.page.keyboard.press("Tab")
    assert visit.page.evaluate("document.activeElement.className") == "skip"
    visit.page.keyboard.press("Enter")
    assert visit.page.url.endswith("#content")
    visit.close()


@pytest.mark.parametrize("device", DEVICES, ids=lambda one: one.name)
def test_the_menu(server: PagesServer, chromium: Chromium, device: Device) -> None:
    visit = chromium.visit(server.origin, device)
    log_in(visit, ANNA)
    if device.is_phone:
        visit.page.click("nav summary")
    visit.page.locator("nav a:visible", has_text="Filters").click()
    visit.page.locator("h1", has_text="Filters").wait_for()
    small = visit.page.evaluate(
        "[...document.querySelectorAll('a, button, summary, input:not([type=hidden])')]"
        ".filter(e => e.checkVisibility() && !e.classList.contains('skip'))"
        ".map(e => [e.outerHTML.slice(0, 90), e.getBoundingClientRect()])"
        ".filter(([_, r]) => Math.min(r.width, r.height) < 24).map(([text, _]) => text)"
    )
    assert small == []
    visit.close()


def test_rows_of_tables_fit_on_a_phone(server: PagesServer, chromium: Chromium) -> None:
    wide = (
        "[...document.querySelectorAll('main .overflow-auto')]"
        ".filter(e => e.scrollWidth > e.clientWidth)"
    )
    for login, names in ((ANNA, ("filters",)), ("root", ("dns", "mailboxes", "aliases"))):
        visit = chromium.visit(server.origin, PHONE)
        log_in(visit, login)
        for name in names:
            visit.open(PAGES[login][name])
            assert visit.page.locator("main .overflow-auto td").count() > 0, name
            assert visit.page.evaluate(f"{wide}.length") == 0, name
        visit.close()


def test_the_records_arrive_by_themselves(
    server: PagesServer, chromium: Chromium, axe: str
) -> None:
    visit = chromium.visit(server.origin)
    log_in(visit, "root")
    visit.open("/domains/example.org/dns")
    visit.page.locator("table", has_text="MX").wait_for()
    assert violations(visit, axe) == []
    assert visit.complaints() == []
    visit.close()


@pytest.mark.parametrize("device", DEVICES, ids=lambda one: one.name)
def test_a_first_hour(server: PagesServer, chromium: Chromium, axe: str, device: Device) -> None:
    """Domain, key, user, and the first filter and app password of that user."""
    domain = f"{device.name}.example"
    visit = chromium.visit(server.origin, device)
    page = visit.page
    log_in(visit, "root")
    visit.open("/domains")
    page.click("text=New domain")
    page.fill("[name=name]", domain)
    page.click("main button:has-text('Add')")
    page.locator("h1", has_text=domain).wait_for()
    page.click("a:has-text('Keys')")
    page.fill("[name=selector]", "s1")
    page.click("button:has-text('Make a key')")
    page.click("a:has-text('Activate')")
    page.click("button:has-text('Activate')")
    page.locator("h2", has_text="active").wait_for()
    look(visit, device, "root-keys-active", axe)
    visit.open("/mailboxes/new")
    page.fill("[name=address]", f"max@{domain}")
    page.fill("[name=password]", "a long phrase of words")
    page.click("main button:has-text('Add')")
    page.locator("h1", has_text=f"max@{domain}").wait_for()
    visit.close()

    visit = chromium.visit(server.origin, device)
    page = visit.page
    log_in(visit, f"max@{domain}", "a long phrase of words")
    visit.open("/filters/edit")
    page.fill("[name=name]", "News")
    page.select_option("[name=field-0]", "list-id")
    page.fill("[name=value-0]", "news")
    page.click("text=Another condition")
    page.fill("[name=value-1]", "x@y.example")
    page.fill("[name=folder]", "News")
    page.click("main button:has-text('Save')")
    page.get_by_role("cell", name="News", exact=True).wait_for()
    visit.open("/app-passwords")
    page.fill("[name=name]", "Phone")
    page.click("button:has-text('Make an app password')")
    secret = page.locator(".secret").inner_text()
    assert re.fullmatch(r"[a-z0-9-]{16,}", secret), secret
    look(visit, device, "app-password-made", axe)
    assert server.daemon.log_in(f"max@{domain}", secret).startswith("OK")
    with page.expect_download() as started:
        page.click("text=Download the profile")
    profile = plistlib.loads(Path(started.value.path()).read_bytes())
    assert profile["PayloadContent"][0]["IncomingPassword"] == secret
    visit.open("/addresses")
    page.click("text=Make a disposable address")
    assert page.locator(".secret").inner_text().endswith(f"@{domain}")
    look(visit, device, "address-made", axe)
    # the browser has no cookie that scripts can read
    assert page.evaluate("document.cookie") == ""
    visit.open("/security")
    page.locator(".logout button").click()
    page.locator("text=You are logged out").wait_for()
    page.go_back()
    page.reload()
    page.locator("[name=login]").wait_for()
    visit.close()


@pytest.mark.parametrize("device", DEVICES, ids=lambda one: one.name)
def test_a_table_is_imported(
    server: PagesServer, chromium: Chromium, axe: str, device: Device, tmp_path: Path
) -> None:
    table = tmp_path / "people.csv"
    address = f"{device.name}-import@example.org"
    table.write_text(f"address,display_name\n{address},Größe\nbad,\n")
    visit = chromium.visit(server.origin, device)
    page = visit.page
    log_in(visit, "root")
    visit.open("/import")
    page.set_input_files("[name=file]", table)
    page.click("text=Preview the changes")
    page.locator("td", has_text=address).wait_for()
    look(visit, device, "root-import-preview", axe)
    page.check("[name=partly]")
    page.click("button:text-is('Import')")
    page.locator("text=The table is imported.").wait_for()
    visit.open(f"/mailboxes/{address}")
    assert page.input_value("[name=display_name]") == "Größe"
    visit.close()


def test_markup_that_people_type_runs_nowhere(server: PagesServer, chromium: Chromium) -> None:
    hostile = '"><img src=/x onerror="document.title=1"><script>document.title=1</script>'
    visit = chromium.visit(server.origin)
    page = visit.page
    log_in(visit, ANNA)
    visit.open("/app-passwords")
    page.fill("[name=name]", hostile)
    page.click("button:has-text('Make an app password')")
    page.locator(".secret").wait_for()
    visit.open("/filters/edit")
    page.fill("[name=name]", hostile)
    page.fill("[name=value-0]", hostile)
    page.fill("[name=folder]", "a")
    page.click("main button:has-text('Save')")
    page.locator("h1", has_text="Filters").wait_for()
    for path in ("/app-passwords", "/filters", "/security"):
        visit.open(path)
        assert hostile in (page.text_content("main") or "") or path == "/security"
        assert page.title() != "1"
        assert page.locator("main img").count() == 0
    assert visit.complaints() == []
    visit.close()
