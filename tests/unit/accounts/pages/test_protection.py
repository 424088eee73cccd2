"""Protection of the pages: headers, forms of other sites, roles, and what people type."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from accounts.directory import audit, domains
from accounts.http.principals import Role
from accounts.pages import csrf
from accounts.pages.table import PAGES
from tests.unit.accounts.http.api import SECRET
from tests.unit.accounts.pages.browser import Browser, PagesSite

ANNA = "anna@a.example"
LOGINS = {ANNA: Role.MAILBOX, "ada": Role.DOMAINS, "root": Role.GLOBAL}
PARAMS = {
    "domain": "b.example",
    "address": "bob@b.example",
    "selector": "s1",
    "holder": "virus-mx1",
    "id": "1",
    "login": "ada",
}
HIDDEN = ("quarantined-mail", "delete-quarantined-mail")


def url_of(path: str) -> str:
    for name, value in PARAMS.items():
        path = path.replace(f"{{{name}:path}}", value).replace(f"{{{name}}}", value)
    assert "{" not in path, path
    return path


def test_every_page_has_the_headers(site: PagesSite) -> None:
    browser = site.browser("root")
    for url in (*(url_of(page.path) for page in PAGES), "/nothing", "/static/nothing.css"):
        headers = browser.get(url).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "base-uri 'none'" in policy
        assert "form-action 'self'" in policy
        assert "unsafe" not in policy
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert "access-control-allow-origin" not in headers


def test_the_api_keeps_its_headers_and_errors(site: PagesSite) -> None:
    browser = site.browser("root")
    for url in ("/api/v1/me", "/api/v1/nothing", "/api/v1/"):
        answered = browser.get(url)
        assert answered.status in (401, 404)
        assert answered.headers["content-type"] == "application/problem+json"
        policy = answered.headers["content-security-policy"]
        assert policy == "default-src 'none'; frame-ancestors 'none'"


def test_files_are_kept_by_browsers_and_pages_are_not(site: PagesSite) -> None:
    browser = site.browser()
    page = browser.open("/login")
    names = [a.get("href") or a.get("src") for t, a in page.tags if t in ("link", "script")]
    assert len(names) >= 3
    for name in names:
        assert name is not None
        assert name.startswith("/static/")
        assert browser.get(name).status == 200
        assert "immutable" in browser.last.headers["cache-control"]


def test_there_is_nothing_inline_and_nothing_from_elsewhere(site: PagesSite) -> None:
    for login in LOGINS:
        browser = site.browser(login)
        for page in PAGES:
            browser.get(url_of(page.path))
            for tag, given in browser.page.tags:
                assert tag != "style"
                assert tag != "script" or given["src"]
                for name, value in given.items():
                    assert not name.startswith("on"), (page.path, tag, name)
                    assert not name.startswith("hx-on"), (page.path, tag, name)
                    assert name != "style"
                    if name in ("href", "src", "action", "hx-get", "hx-post"):
                        assert (value or "").startswith(("/", "#")), (page.path, value)
                        assert not (value or "").startswith("//")


def test_each_form_that_changes_something_has_a_token(site: PagesSite) -> None:
    for login in LOGINS:
        browser = site.browser(login)
        for page in PAGES:
            browser.get(url_of(page.path))
            for form in browser.page.forms:
                assert form.method == "get" or len(form.fields["csrf"]) == 1, page.path


def posts() -> list[str]:
    return [url_of(page.path) for page in PAGES if page.act is not None]


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "", "origin": "https://evil.example"},
        {"sec-fetch-site": "cross-site", "origin": "http://mail.example"},
    ],
)
def test_forms_of_other_sites_change_nothing(site: PagesSite, headers: dict[str, str]) -> None:
    for login in LOGINS:
        browser = site.browser(login)
        browser.open("/security")
        token = browser.page.forms[0].fields["csrf"][0]
        for url in posts():
            assert browser.send("POST", url, f"csrf={token}".encode(), headers).status == 403


def test_forms_need_the_token_of_their_session(site: PagesSite) -> None:
    for login in LOGINS:
        browser, other = site.browser(login), site.browser(login)
        other.open("/security")
        foreign = other.page.forms[0].fields["csrf"][0]
        for url in posts():
            site.api.desk.clock.now += 1  # there are more than the requests at once of a login
            for raw in (
                "",
                "csrf=",
                f"csrf={foreign}",
                "csrf=AAAA",
                "csrf=%C3%A4",
                "csrf=" + "A" * 88,
            ):
                assert browser.send("POST", url, raw.encode()).status == 403, (url, raw)
        assert browser.get("/security").status == 200


def test_a_login_form_of_another_site_does_not_work(site: PagesSite) -> None:
    browser = site.browser()
    raw = f"login={ANNA}&password={SECRET}".encode()
    assert browser.send("POST", "/login", raw).status == 403
    assert not browser.cookies


def test_tokens_differ_on_each_page_and_fit_their_secret_alone() -> None:
    made = {csrf.make_token("a") for _ in range(50)}
    assert len(made) == 50
    assert all(csrf.is_token(one, "a") and not csrf.is_token(one, "b") for one in made)
    for text in ("", "ä", "A" * 88, "====", "A" * 86 + "=="):
        assert not csrf.is_token(text, "a")


def test_forms_are_bounded(site: PagesSite) -> None:
    browser = site.browser(ANNA)
    assert browser.send("POST", "/app-passwords", b"a=" + b"x" * (300 << 10)).status == 413
    assert browser.send("POST", "/app-passwords", b"&".join([b"a=1"] * 1001)).status == 400
    kinds = {"content-type": "multipart/form-data; boundary=x"}
    assert browser.send("POST", "/app-passwords", b"x", kinds).status == 415
    for raw in (b"a=%FF", b"\xff=1", b"a=%ED%A0%80"):
        assert browser.send("POST", "/app-passwords", raw).status == 400


def test_pages_of_other_roles_are_refused_and_noted(site: PagesSite) -> None:
    for login, role in LOGINS.items():
        browser = site.browser(login)
        token = browser.page.forms[0].fields["csrf"][0]
        for page in PAGES:
            if not page.roles or role in page.roles:
                continue
            url = url_of(page.path)
            assert browser.get(url).status == 403, (login, url)
            assert "bob@b.example" not in browser.page.text
            if page.act is not None:
                assert browser.send("POST", url, f"csrf={token}".encode()).status == 403
    noted = site.api.desk.read(lambda c: audit.find(c, actor=ANNA, limit=500))
    assert {one.action for one in noted} >= {
        f"pages.{page.name}" for page in PAGES if page.roles and Role.MAILBOX not in page.roles
    }


def test_objects_of_other_domains_are_refused(site: PagesSite) -> None:
    """The administrator of a.example tries everything with what is in b.example."""
    site.api.desk.alias("bob2@b.example", "bob@b.example")
    browser = site.browser("ada")
    token = browser.page.forms[0].fields["csrf"][0]
    before = site.api.desk.counts()
    for page in PAGES:
        if "{" not in page.path:
            continue
        for url in (url_of(page.path), url_of(page.path).replace("bob@", "bob2@")):
            # a mail of others is as one that is gone
            status = 404 if page.name in HIDDEN else 403
            assert browser.get(url).status == status, url
            assert "bob" not in browser.page.text.lower()
            if page.act is not None:
                raw = f"csrf={token}&tag=*&sender=@a.example&name=x&password=long+enough+one"
                assert browser.send("POST", url, raw.encode()).status == status, url
    assert site.api.quarantine.done == []
    for url in ("/audit?object=b.example", "/audit?object=bob@b.example", "/audit?actor=root"):
        browser.get(url)
        assert "bob" not in browser.page.text.split("Of a domain")[-1].replace("bob@b", "")
    assert browser.get("/audit?object=b.example").status == 403
    assert "bob" not in browser.open("/?text=bob").text
    assert "b.example" not in browser.open("/domains").text
    assert "bob" not in browser.open("/mailboxes?domain=b.example").text
    assert "bob" not in browser.open("/aliases").text
    # nothing has changed but for the refusals
    after = site.api.desk.counts()
    assert {k: v for k, v in after.items() if k != "audit"} == {
        k: v for k, v in before.items() if k != "audit"
    }


def test_a_domain_administrator_cannot_reach_out(site: PagesSite) -> None:
    """New objects in another domain, rights to it, and reserved fields."""
    browser = site.browser("ada")
    for url, fields in (
        ("/mailboxes/new", {"address": "eve@b.example"}),
        ("/aliases/new", {"address": "eve@b.example", "targets": "anna@a.example"}),
    ):
        browser.open(url)
        browser.submit(None, **fields)
        assert browser.last.status == 403
    page = browser.open(f"/mailboxes/{ANNA}")
    form = next(f for f in page.forms if "sender" in f.fields)
    for sender in ("bob@b.example", "@b.example"):
        assert browser.submit(form, sender=sender).status == 403
    browser.open("/domains/a.example")
    form = browser.form()
    assert "transport" not in form.fields
    browser.submit(form, transport="smtp:[evil.example]", is_relay="1", description="mine")
    assert browser.last.status == 303
    found = site.api.desk.read(lambda c: domains.get(c, "a.example"))
    assert (found.transport, found.is_relay, found.description) == (None, False, "mine")


def test_without_a_login_there_is_nothing(site: PagesSite) -> None:
    browser = site.browser()
    browser.open("/login")
    token = browser.form().fields["csrf"][0]
    for page in PAGES:
        if not page.roles:
            continue
        assert browser.get(url_of(page.path)).status == 303
        assert browser.last.headers["location"].startswith("/login")
        assert not browser.last.octets
        if page.act is not None:
            browser.send("POST", url_of(page.path), f"csrf={token}".encode())
            assert browser.last.headers["location"] == "/login?ended=1"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE"])
def test_other_methods_do_nothing(site: PagesSite, method: str) -> None:
    browser = site.browser("root")
    for page in PAGES:
        assert browser.send(method, url_of(page.path)).status == 405


def test_pages_work_below_a_path(make_site: Callable[..., PagesSite]) -> None:
    site = make_site(prefix="/mail/admin")
    browser = site.browser()
    assert browser.get("/mail/admin").headers["location"] == "/mail/admin/"
    browser.get("/mail/admin/security")
    assert browser.last.headers["location"] == "/mail/admin/login?next=%2Fmail%2Fadmin%2Fsecurity"
    browser.follow()
    browser.submit(login=ANNA, password=SECRET)
    browser.follow()
    for link in [*browser.page.links, *(one.action for one in browser.page.forms)]:
        assert link.startswith(("/mail/admin/", "#"))
        assert browser.get(link).status == 200
    assert browser.get("/security").status == 404
    assert browser.get("/").status == 404


def test_a_client_cannot_name_its_address(site: PagesSite) -> None:
    browser: Browser = site.browser()
    browser.fields["x-forwarded-for"] = "203.0.113.99"
    browser.fields["x-real-ip"] = "<script>"
    browser.log_in(ANNA)
    page = browser.open("/security")
    assert "192.0.2.7" in page.text
    assert "203.0.113.99" not in page.text


def test_a_foreign_host_is_in_no_answer(site: PagesSite) -> None:
    browser = site.browser(ANNA)
    for page in PAGES:
        browser.get(url_of(page.path), host="evil.example")
        assert "evil.example" not in browser.octets.decode() + str(browser.last.headers)


def test_pages_are_small(site: PagesSite) -> None:
    browser = site.browser()
    page = browser.open("/login")
    first = len(browser.last.octets)
    for tag, given in page.tags:
        name = given.get("href") or given.get("src") or ""
        if tag in ("link", "script"):
            first += len(browser.get(name).octets)
    assert first <= 30 << 10
    for login in LOGINS:
        browser = site.browser(login)
        for one in PAGES:
            assert len(browser.get(url_of(one.path)).octets) <= 10 << 10


def test_a_visitor_makes_a_bounded_number_of_requests(make_site: Callable[..., PagesSite]) -> None:
    site = make_site(burst=20)
    browser, other = site.browser(ANNA), site.browser("ada")
    statuses = [browser.get("/filters").status for _ in range(30)]
    assert 429 in statuses
    assert "retry-after" in browser.last.headers
    assert other.get("/").status == 200
