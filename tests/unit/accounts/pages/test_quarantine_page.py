"""The pages of mail in quarantine, by role."""

from __future__ import annotations

from typing import Any

from accounts.quarantine.holders import MissingHolder
from gatepost.quarantine.held import HeldKind
from tests.unit.accounts.http.api import SECRET
from tests.unit.accounts.http.stub_holders import HOLDER
from tests.unit.accounts.pages.browser import PagesSite

ANNA, BOB = "anna@a.example", "bob@b.example"
HOSTILE = '"><img src=x onerror=alert(1)><script>alert(1)</script>'


def test_the_list_by_role(site: PagesSite) -> None:
    site.api.quarantine.keep("2", ANNA, BOB, subject=HOSTILE, reason=HOSTILE, queue_id=HOSTILE)
    site.api.quarantine.missing = (MissingHolder("inet:10029@192.0.2.1", HOSTILE),)
    root = site.browser("root")
    page = root.open("/quarantine")
    assert "for bob" in page.text
    assert "inet:10029@192.0.2.1" in page.text
    assert HOSTILE in page.text
    assert not [tag for tag, given in page.tags if tag == "img" or "onerror" in given]
    ada = site.browser("ada").open("/quarantine")
    assert "for bob" not in ada.text
    assert BOB not in ada.text
    assert "and recipients in other domains" in ada.text
    anna = site.browser(ANNA)
    assert anna.get("/quarantine").status == 403


def test_a_mail_is_text_and_never_html(site: PagesSite) -> None:
    body = f"Content-Type: text/html\r\nX-A: {HOSTILE}\r\n\r\n<p>a</p>{HOSTILE}<pre>&lt;script&gt;"
    site.api.quarantine.keep("2", ANNA, octets=body.encode())
    browser = site.browser("ada")
    page = browser.open(f"/quarantine/{HOLDER}/2")
    assert "<script>" in page.text
    assert not [1 for tag, given in page.tags if tag == "script" and "src" not in given]
    assert not [1 for tag, given in page.tags if tag == "img" or "onerror" in given]
    assert not [one for one in page.links if one.endswith("/message")]
    assert browser.get(f"/quarantine/{HOLDER}/2/message").status == 403


def test_a_global_administrator_downloads_a_file(site: PagesSite) -> None:
    site.api.quarantine.keep("2", ANNA, octets=b"Content-Type: text/html\r\n\r\n<script>x")
    browser = site.browser("root")
    browser.open(f"/quarantine/{HOLDER}/2")
    (link,) = [one for one in browser.page.links if one.endswith("/message")]
    answered = browser.get(link)
    assert answered.headers["content-disposition"] == 'attachment; filename="quarantine-2.eml"'
    assert answered.headers["content-type"] == "application/octet-stream"
    assert answered.headers["x-content-type-options"] == "nosniff"
    assert answered.octets == b"Content-Type: text/html\r\n\r\n<script>x"


def test_release_and_deletion_ask_for_the_password(site: PagesSite) -> None:
    for path, action in (("2", "release"), ("3/delete", "delete")):
        site.api.quarantine.keep(path[0], ANNA)
        browser = site.browser("ada")
        site.api.desk.clock.now += 700  # the login is too long ago
        browser.open(f"/quarantine/{HOLDER}/{path}")
        assert browser.submit(current_password="wrong").status == 422
        assert path[0] in site.api.quarantine.kept
        site.api.desk.clock.now += 700
        assert browser.submit(current_password=SECRET).status == 303
        assert site.api.quarantine.done[-1][:2] == (action, path[0])
    assert list(site.api.quarantine.kept) == ["1"]


def test_who_is_second_is_told(site: PagesSite) -> None:
    site.api.quarantine.keep("2", ANNA)
    first, second = site.browser("ada"), site.browser("root")
    for one in (first, second):
        one.open(f"/quarantine/{HOLDER}/2")
    assert first.submit().status == 303
    assert second.submit().status == 404
    assert "no longer in quarantine" in second.page.text
    assert site.api.quarantine.released == [ANNA]


def test_a_recipient_who_was_refused_is_named(site: PagesSite) -> None:
    site.api.quarantine.keep("2", ANNA, BOB).replies[BOB] = "552 5.2.2 over quota"
    browser = site.browser("root")
    browser.open(f"/quarantine/{HOLDER}/2")
    assert browser.submit().status == 200
    assert "552 5.2.2 over quota" in browser.page.text
    assert "These recipients have the mail now: anna@a.example" in browser.page.text


def test_a_file_that_cannot_be_read_can_only_be_deleted(site: PagesSite) -> None:
    kind: Any = HeldKind.UNREADABLE
    note = "The file 2.held cannot be read: Permission denied."
    site.api.quarantine.keep(
        "2", octets=b"", kind=kind, note=note, sender="", reason="", subject="", queue_id=""
    )
    browser = site.browser("root")
    assert note in browser.open("/quarantine").text
    page = browser.open(f"/quarantine/{HOLDER}/2")
    assert "cannot be released" in page.text
    assert "virus" not in page.text.replace(HOLDER, "")
    assert "bounce" not in page.text
    assert not any(one.action and one.action.endswith("/2") for one in page.forms)
    browser.open(next(one for one in page.links if one.endswith("/2/delete")))
    assert browser.submit(current_password=SECRET).status == 303
    assert "2" not in site.api.quarantine.kept
    assert "2.held" not in site.browser("ada").open("/quarantine").text
