"""Filters, the answer while away, forwarding and spam."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.directory import listed_senders, preferences, sieve_rules
from accounts.pages.filter_rows import (
    COMPARISONS,
    FIELDS,
    FilterActions,
    FilterRow,
    from_rule,
    to_rule,
)
from accounts.sieve import RuleError, parse_rule
from tests.unit.accounts.http.api import SECRET
from tests.unit.accounts.pages.browser import Browser, PagesSite

ANNA = "anna@a.example"
HOSTILE = (
    '"><img src=x onerror=alert(1)>',
    "<script>alert(1)</script>",
    "';DROP TABLE mailbox;--",
    "\u202egnp.exe",
    "{{7*7}}{% raw %}",
    '"; discard; #',
    "${subject}",
    "$(id)`id`",
    "../../etc/passwd",
    "x" * 10_000,
    "a\r\nBcc: x@y.example",
    "\0",
)


def rules(site: PagesSite) -> list[Any]:
    return [
        (one.name, one.enabled, one.rule)
        for one in site.api.desk.read(lambda c: sieve_rules.find(c, ANNA))
    ]


def add(browser: Browser, name: str, **values: str) -> int:
    browser.open("/filters/edit")
    given: dict[str, Any] = {"value-0": "news", "folder": "News", "field-0": "list-id"}
    return browser.submit(None, **{"name": name, **given, **values}).status


def test_a_filter_is_made_from_rows(site: PagesSite) -> None:
    browser = site.browser(ANNA)
    browser.open("/filters/edit")
    values: dict[str, Any] = {
        "name": "Lists",
        "match": "any",
        "field-0": "from",
        "comparison-0": "not-ends",
        "value-0": "@example.org",
        "folder": "Lists",
        "read": "1",
        "stop": "1",
    }
    browser.submit(None, **values, more="1")
    assert browser.last.status == 200
    assert rules(site) == []
    form = browser.form()
    assert form.fields["value-0"] == ["@example.org"]
    assert {"field-1", "field-2"} <= form.fields.keys()
    form.fields.pop("more", None)
    browser.submit(form, **{"field-1": "larger", "value-1": "500"})
    assert browser.last.status == 303, browser.page.text
    ((name, enabled, rule),) = rules(site)
    assert (name, enabled, rule["match"]) == ("Lists", True, "any")
    first, second = rule["conditions"]
    assert (first["match"], first["negate"], first["values"]) == ("ends", True, ["@example.org"])
    assert (second["compare"], second["octets"]) == ("over", 500_000)
    assert [one["kind"] for one in rule["actions"]] == ["mark_read", "fileinto", "stop"]


def test_a_filter_is_shown_as_it_was_made(site: PagesSite) -> None:
    browser = site.browser(ANNA)
    assert add(browser, "a", **{"comparison-0": "starts", "forward": "x@c.example"}) == 303
    before = rules(site)
    browser.open("/filters/edit?name=a")
    browser.submit()
    assert browser.last.status == 303
    assert rules(site) == before
    browser.open("/filters/edit?name=a")
    browser.submit(name="b", enabled=None)
    assert [one[:2] for one in rules(site)] == [("b", False)]


def test_filters_are_moved_switched_and_removed(site: PagesSite) -> None:
    browser = site.browser(ANNA)
    for name in ("a", "b", "c"):
        assert add(browser, name) == 303
    page = browser.open("/filters")
    form = next(
        one for one in page.forms if one.fields.get("name") == ["c"] and "tag" not in one.fields
    )
    browser.submit(form, up="1")
    assert [one[0] for one in rules(site)] == ["a", "c", "b"]
    page = browser.open("/filters")
    form = next(
        one for one in page.forms if one.fields.get("name") == ["a"] and "tag" in one.fields
    )
    browser.submit(form, off="1")
    assert rules(site)[0][1] is False
    # the form is old now
    assert browser.submit(form, on="1").status == 409
    browser.open("/filters/remove?name=c")
    browser.submit()
    assert [one[0] for one in rules(site)] == ["a", "b"]


def test_two_browsers_edit_the_same_filter(site: PagesSite) -> None:
    first, second = site.browser(ANNA), site.browser(ANNA)
    add(first, "a")
    for browser in (first, second):
        browser.open("/filters/edit?name=a")
    assert first.submit(folder="First").status == 303
    assert second.submit(folder="Second").status == 409
    assert "meanwhile" in second.page.text
    assert second.form().fields["folder"] == ["Second"]
    assert "First" in second.page.text
    assert rules(site)[0][2]["actions"][0]["mailbox"] == "First"


def test_a_filter_that_was_made_elsewhere_stays(site: PagesSite) -> None:
    rule = {
        "match": "all",
        "conditions": [{"kind": "exists", "names": ["X-<b>"]}],
        "actions": [{"kind": "keep"}],
    }
    rule["conditions"] = [{"kind": "exists", "names": ["X-Test"]}]
    site.api.desk.write(lambda w: sieve_rules.add(w, ANNA, "api", rule=rule))
    browser = site.browser(ANNA)
    assert "made elsewhere" in browser.open("/filters").text
    page = browser.open("/filters/edit?name=api")
    assert "X-Test" in page.text
    assert [one.action for one in page.forms] == ["/logout"]


def test_a_filter_without_conditions_is_refused(site: PagesSite) -> None:
    browser = site.browser(ANNA)
    assert add(browser, "a", **{"value-0": ""}) == 422
    assert "conditions" in browser.page.text
    assert browser.form().fields["folder"] == ["News"]
    assert add(browser, "a", **{"value-0": "", "match": "always"}) == 303
    assert add(browser, "b", folder="") == 422


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_in_each_field_stays_text(site: PagesSite, text: str) -> None:
    browser = site.browser(ANNA)
    for field in ("name", "value-0", "folder", "forward", "reject", "tag", "field-0", "match"):
        values = {"name": f"n{field}"[:20]} | {field: text}
        assert add(browser, **values) in (303, 404, 409, 422), field
        assert_plain(browser)
    browser.open("/filters")
    assert_plain(browser)
    for url, fields in (
        ("/away", ("text", "subject", "since", "until", "days", "addresses")),
        ("/forwarding", ("addresses",)),
        ("/spam", ("spam_junk_score", "tag", "languages", "subject_tag", "rule_scores")),
        ("/app-passwords", ("name", "expires", "protocols")),
        ("/security/password", ("password",)),
    ):
        for field in fields:
            browser.open(url)
            form = next(one for one in browser.page.forms if one.action == url)
            if url == "/away":
                form.fields["text"] = ["gone"]
            browser.submit(form, **{field: text})
            assert browser.last.status in (200, 303, 400, 409, 422), (url, field)
            assert_plain(browser)
    for action in ("/spam/senders",):
        browser.open("/spam")
        browser.submit(next(f for f in browser.page.forms if f.action == action), pattern=text)
        assert browser.last.status in (303, 422)
    for one in rules(site):
        parse_rule({**one[2], "name": one[0]})


def assert_plain(browser: Browser) -> None:
    tags = {tag for tag, _ in browser.page.tags}
    assert "img" not in tags
    assert all(given.get("src") for tag, given in browser.page.tags if tag == "script")
    assert "\0" not in browser.octets.decode()


def test_away_has_inclusive_dates(site: PagesSite) -> None:
    browser = site.browser(ANNA)
    assert "off" in browser.open("/away").text
    browser.submit(text="I am\naway.\n", since="2030-08-01", until="2030-08-14", subject="Away")
    assert browser.last.status == 303, browser.page.text
    page = browser.open("/away")
    assert "The answer is on. It begins on 2030-08-01. Its last day is 2030-08-14." in page.text
    assert browser.form().fields["text"] == ["I am\naway."]
    ((name, enabled, rule),) = rules(site)
    assert (name, enabled, rule["match"]) == ("Away", True, "always")
    browser.submit(until="2030-07-01")
    assert browser.last.status == 422
    browser.submit(until="", enabled=None, days="31")
    assert browser.last.status == 422
    browser.submit(until="", enabled=None, days="3")
    assert browser.last.status == 303
    assert rules(site)[0][1] is False


def test_two_browsers_switch_the_answer_on(site: PagesSite) -> None:
    first, second = site.browser(ANNA), site.browser(ANNA)
    for browser in (first, second):
        browser.open("/away")
    assert first.submit(text="first").status == 303
    assert second.submit(text="second").status == 409
    assert "Saved meanwhile: first" in second.page.text
    assert second.submit().status == 303
    assert rules(site)[0][2]["actions"][0]["text"] == "second"


def test_forwarding_keeps_a_copy_or_not_and_needs_the_password(site: PagesSite) -> None:
    browser = site.browser(ANNA)
    site.api.desk.clock.now += 700
    browser.open("/forwarding")
    assert browser.submit(addresses="x@c.example").status == 422
    assert rules(site) == []
    browser.submit(addresses="x@c.example\ny@c.example", current_password=SECRET)
    assert browser.last.status == 303
    actions = rules(site)[0][2]["actions"]
    assert [(one["address"], one["copy"]) for one in actions] == [
        ("x@c.example", True),
        ("y@c.example", True),
    ]
    assert "x@c.example" in browser.open("/").text
    browser.open("/forwarding")
    browser.submit(keep=None)
    assert not any(one["copy"] for one in rules(site)[0][2]["actions"])
    browser.open("/forwarding")
    assert browser.submit(addresses="no address").status == 422
    browser.submit(addresses="")
    assert rules(site) == []
    browser.open("/forwarding")
    assert browser.submit(addresses="").status == 422


def test_spam_preferences_and_lists(site: PagesSite) -> None:
    browser = site.browser(ANNA)
    page = browser.open("/spam")
    browser.submit(
        next(f for f in page.forms if f.action == "/spam"), greylist=None, spam_junk_score="4,5"
    )
    found = site.api.desk.read(lambda c: preferences.get(c, ANNA))
    assert (found.greylist, found.spam_junk_score, found.spam_check) == (False, 4.5, True)
    for bad in ("x", "-1", "nan", "inf", "1e9"):
        page = browser.open("/spam")
        form = next(f for f in page.forms if f.action == "/spam")
        assert browser.submit(form, spam_junk_score=bad).status == 422
    page = browser.open("/spam")
    browser.submit(
        next(f for f in page.forms if f.action == "/spam/senders"), pattern="@good.example"
    )
    page = browser.open("/spam")
    assert "@good.example" in page.text
    browser.submit(
        next(f for f in page.forms if f.fields.get("pattern") == ["@good.example"]), remove="1"
    )
    assert browser.last.status == 303
    assert site.api.desk.read(lambda c: listed_senders.find(c, ANNA)) == []


_TEXTS = st.text(min_size=1, max_size=40)
_ROWS = st.builds(
    FilterRow, st.sampled_from(FIELDS), st.sampled_from(COMPARISONS), _TEXTS, st.booleans()
)
_ACTIONS = st.builds(
    FilterActions,
    folder=st.text(max_size=20),
    forward=st.just("") | st.just("x@c.example"),
    read=st.booleans(),
    flag=st.booleans(),
    discard=st.booleans(),
    stop=st.booleans(),
)


@given(st.sampled_from(["all", "any"]), st.lists(_ROWS, min_size=1, max_size=5), _ACTIONS)
def test_rows_come_back_from_their_rule(
    match: str, rows: list[FilterRow], actions: FilterActions
) -> None:
    rule = to_rule(match, rows, actions)
    try:
        stored = parse_rule({**rule, "name": "x"}).body()
    except RuleError:
        return
    read = from_rule(stored)
    assert read is not None
    assert parse_rule({**to_rule(*read), "name": "x"}).body() == stored


@pytest.mark.parametrize(
    "rule",
    [
        None,
        [],
        {},
        {"match": "all", "conditions": 1, "actions": []},
        {
            "match": "all",
            "conditions": [{"kind": "size", "compare": "over", "octets": 1}],
            "actions": [{"kind": "stop"}],
        },
        {
            "match": "always",
            "conditions": [],
            "actions": [{"kind": "redirect", "address": "x@c.example", "copy": False}],
        },
        {"match": "always", "conditions": [], "actions": [{"kind": "stop"}, {"kind": "mark_read"}]},
    ],
)
def test_a_rule_that_rows_cannot_say_has_none(rule: Any) -> None:
    assert from_rule(rule) is None


def test_a_filter_that_forwards_needs_the_password(site: PagesSite) -> None:
    """A stolen session must not be enough to read all mail from now on."""
    browser = site.browser(ANNA)
    site.api.desk.clock.now += 700
    assert add(browser, "a", forward="thief@c.example", folder="", match="always") == 422
    assert rules(site) == []
    assert "current_password" in browser.form().fields
    assert browser.form().fields["forward"] == ["thief@c.example"]
    browser.submit(current_password="wrong")
    assert rules(site) == []
    browser.submit(forward="own@c.example", current_password=SECRET)
    assert browser.last.status == 303, browser.page.text
    # the same address needs it no more, another one does
    site.api.desk.clock.now += 700
    browser.open("/filters/edit?name=a")
    browser.submit(read="1")
    assert browser.last.status == 303
    browser.open("/filters/edit?name=a")
    browser.submit(forward="thief@c.example")
    assert browser.last.status == 422
    ((_, _, rule),) = rules(site)
    assert [one["address"] for one in rule["actions"] if one["kind"] == "redirect"] == [
        "own@c.example"
    ]
    # other filters never need it
    assert add(browser, "b") == 303


@pytest.mark.parametrize(
    ("name", "url"), [("Forwarding", "/forwarding"), ("Away", "/away")], ids=["forward", "away"]
)
def test_a_filter_of_another_kind_is_not_overwritten(site: PagesSite, name: str, url: str) -> None:
    """Mail from one sender would otherwise become all mail."""
    browser = site.browser(ANNA)
    browser.open(url)
    form = browser.form()
    values: dict[str, Any] = {"field-0": "from", "value-0": "boss@c.example"}
    assert add(browser, name, folder="", forward="x@c.example", **values) == 303
    before = rules(site)
    assert browser.get(url).status == 409
    assert "does something else" in browser.page.text
    token = browser.page.forms[0].fields["csrf"][0]
    browser.open("/filters")
    assert f"/filters/edit?name={name}" in browser.page.links
    (found,) = site.api.desk.read(lambda c: sieve_rules.find(c, ANNA))
    form.fields |= {"csrf": [token], "addresses": ["y@c.example"], "text": ["gone"]}
    form.fields["days"] = ["7"]
    for tag in ("", "*", '"-"'):
        assert browser.submit(form, tag=tag).status == 409
    assert rules(site) == before
    assert found.name == name
