"""Import of a table on its page."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from accounts.directory import aliases, audit, mailboxes
from tests.unit.accounts.http.api import HASH, SECRET, Api, check_problem
from tests.unit.accounts.pages.browser import Browser, PagesSite

ANNA = "anna@a.example"
TABLE = (
    "address,display_name,password,targets,quota\n"
    "eve@a.example,Eve,a long phrase of words,,1G\n"
    "anna@a.example,Anna A.,another long phrase,,\n"
    "info@a.example,,,eve@a.example anna@a.example,\n"
)


def upload(browser: Browser, table: str, **fields: str) -> int:
    """Send a file as browsers do."""
    browser.open("/import")
    token = browser.page.forms[0].fields["csrf"][0]
    parts = [
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in ({"csrf": token} | fields).items()
    ]
    parts.append(
        '--x\r\nContent-Disposition: form-data; name="file"; filename="a\\"b.csv"\r\n'
        f"Content-Type: text/csv\r\n\r\n{table}\r\n--x--\r\n"
    )
    kinds = {"content-type": "multipart/form-data; boundary=x"}
    return browser.send("POST", "/import", "".join(parts).encode(), kinds).status


def there(site: PagesSite) -> list[str]:
    return [one.address for one in site.api.desk.read(lambda c: mailboxes.find(c))]


def test_a_file_is_shown_and_then_imported(site: PagesSite) -> None:
    browser = site.browser("root")
    assert upload(browser, TABLE) == 200
    text = browser.page.text
    assert "2 are added, 1 changed, 0 stay as they are, 0 lines are refused." in text
    assert "long phrase" not in text.partition("address,display_name")[0]
    assert there(site) == [ANNA, "bob@b.example"]
    browser.submit(next(f for f in browser.page.forms if "expected" in f.fields))
    assert "The table is imported." in browser.follow().text
    eve = site.api.desk.read(lambda c: mailboxes.get(c, "eve@a.example"))
    assert (eve.display_name, eve.quota) == ("Eve", 1 << 30)
    anna = site.api.desk.read(lambda c: mailboxes.get(c, ANNA))
    assert (anna.display_name, anna.password) == ("Anna A.", HASH)
    info = site.api.desk.read(lambda c: aliases.get(c, "info@a.example"))
    assert info.targets == ("eve@a.example", ANNA)
    assert site.browser("eve@a.example", "a long phrase of words").page.links
    told = str(site.api.desk.read(lambda c: audit.find(c, limit=100)))
    assert "phrase" not in told


def test_the_same_table_changes_nothing_twice(site: PagesSite) -> None:
    browser = site.browser("root")
    for _ in range(2):
        upload(browser, TABLE)
        for form in browser.page.forms:
            if "expected" in form.fields:
                browser.submit(form)
                break
    assert "0 are added, 0 changed, 3 stay as they are" in browser.page.text
    assert not any("expected" in one.fields for one in browser.page.forms)


def test_refused_lines_have_numbers_and_need_a_tick(site: PagesSite) -> None:
    browser = site.browser("root")
    upload(
        browser,
        "address,password\nok@a.example,a long phrase of words\nx@nowhere.example,\nbad,\n"
        "weak@a.example,abc\n",
    )
    assert "3 lines are refused" in browser.page.text
    cells = [given for tag, given in browser.page.tags if tag == "td"]
    assert cells
    for line in ("3 refused x@nowhere.example", "4 refused", "5 refused"):
        assert line in browser.page.text
    form = next(f for f in browser.page.forms if "expected" in f.fields)
    assert browser.submit(form).status == 422
    assert "ok@a.example" not in there(site)
    form = next(f for f in browser.page.forms if "expected" in f.fields)
    assert browser.submit(form, partly="1").status == 303
    assert "ok@a.example" in there(site)


def test_what_changed_meanwhile_is_shown_anew(site: PagesSite) -> None:
    browser = site.browser("root")
    upload(browser, TABLE)
    form = next(f for f in browser.page.forms if "expected" in f.fields)
    site.api.desk.write(lambda w: mailboxes.change(w, ANNA, None, display_name="Anna A."))
    assert browser.submit(form).status == 422
    assert "have changed since" in browser.page.text
    assert "eve@a.example" not in there(site)
    # another table than the one that was shown
    form = next(f for f in browser.page.forms if "expected" in f.fields)
    assert browser.submit(form, table=TABLE + "more@a.example,,,,\n").status == 422
    assert "more@a.example" not in there(site)


def test_it_needs_the_password_again(site: PagesSite) -> None:
    browser = site.browser("root")
    upload(browser, TABLE)
    site.api.desk.clock.now += 700
    form = next(f for f in browser.page.forms if "expected" in f.fields)
    assert browser.submit(form).status == 422
    assert "eve@a.example" not in there(site)
    assert browser.submit(form, current_password=SECRET).status == 303


@pytest.mark.parametrize(
    ("table", "status"),
    [
        ("", 422),
        ("nonsense", 422),
        ("address\n" + "a@a.example\n" * 1002, 422),
        ("address\n" + "x" * 20_001, 422),
        ("address\n" + ("y" * 1000 + "\n") * 300, 422),
        ("x" * (1 << 20), 413),
        (
            "address,password\n"
            + "".join(f"u{n}@a.example,long phrase {n} of\n" for n in range(101)),
            422,
        ),
    ],
)
def test_a_table_is_bounded(site: PagesSite, table: str, status: int) -> None:
    browser = site.browser("root")
    assert upload(browser, table) == status
    assert there(site) == [ANNA, "bob@b.example"]


def test_forms_that_are_none(site: PagesSite) -> None:
    browser = site.browser("root")
    kinds = {"content-type": "multipart/form-data; boundary=x"}
    for raw, kind in (
        (b"", kinds),
        (b"--x--", kinds),
        (b"--x\r\n\r\nno name\r\n--x--", kinds),
        (b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nno end', kinds),
        (b"x", {"content-type": "multipart/form-data"}),
        (b"x", {"content-type": "multipart/form-data; boundary=" + "x" * 400}),
    ):
        assert browser.send("POST", "/import", raw, kind).status in (400, 403), raw
    # other pages take no files
    assert browser.send("POST", "/tokens", b"--x--", kinds).status == 415


def test_markup_in_a_table_is_text(site: PagesSite) -> None:
    browser = site.browser("root")
    hostile = '"</textarea><script>alert(1)</script>"'
    upload(browser, f"address,display_name\nz@a.example,{hostile}\n{hostile},\n")
    assert browser.last.status == 200
    assert not [one for one in browser.page.tags if one[0] == "script"]
    upload(browser, f"{hostile}\n")
    assert not [one for one in browser.page.tags if one[0] == "script"]


def test_tokens_need_the_right_to_what_the_table_has(make_api: Callable[..., Api]) -> None:
    api = make_api()
    boxes = api.token(["mailboxes:write"])
    body = {"table": "address,targets\nq@a.example,anna@a.example\n"}
    check_problem(api.call("POST", "/import", body, who=boxes), 403, "aliases:write")
    both = api.token(["mailboxes:write", "aliases:write"])
    preview = api.call("POST", "/import", body, who=both).json
    assert (preview["is_written"], preview["changes"][0]["line"]) == (False, 2)
    refused = api.call("POST", "/import", body | {"expected": "0" * 64}, who=both)
    check_problem(refused, 409)
    done = api.call("POST", "/import", body | {"expected": preview["digest"]}, who=both)
    assert done.json["is_written"]
    again = api.call("POST", "/import", body | {"expected": preview["digest"]}, who=both)
    check_problem(again, 409)
