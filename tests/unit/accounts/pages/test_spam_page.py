"""Preferences for the spam filter on the page of the owner."""

from __future__ import annotations

import pytest

from accounts.directory import preferences
from accounts.directory.preferences import Preferences
from tests.unit.accounts.pages.browser import Browser, HtmlForm, PagesSite

ANNA = "anna@a.example"


def form_of(browser: Browser) -> HtmlForm:
    browser.open("/spam")
    return next(one for one in browser.page.forms if one.action == "/spam")


def kept(site: PagesSite) -> Preferences:
    return site.api.desk.read(lambda c: preferences.get(c, ANNA))


def test_a_new_mailbox_keeps_the_values_of_its_domain(site: PagesSite) -> None:
    browser = site.browser(ANNA)
    assert browser.submit(form_of(browser)).status == 303
    found = kept(site)
    assert (found.languages, found.subject_tag, found.rule_scores) == ((), None, {})


def test_languages_tag_and_rules_are_kept_and_shown_again(site: PagesSite) -> None:
    browser = site.browser(ANNA)
    browser.submit(
        form_of(browser),
        languages="EN, de",
        tag_use="own",
        subject_tag="[Spam ä]",
        rule_scores="BAYES_99=6\n  HTML_MESSAGE = 0\nURIBL_BLACK -1,125\n\n",
    )
    assert browser.last.status == 303, browser.page.text
    found = kept(site)
    assert found.languages == ("de", "en")
    assert found.subject_tag == "[Spam ä]"
    assert found.rule_scores == {"BAYES_99": 6, "HTML_MESSAGE": 0, "URIBL_BLACK": -1.125}
    # what is shown is what was kept
    assert browser.submit(form_of(browser)).status == 303
    assert kept(site) == found


@pytest.mark.parametrize(("use", "tag"), [("domain", None), ("none", ""), ("nonsense", None)])
def test_the_tag_of_the_domain_differs_from_none(
    site: PagesSite, use: str, tag: str | None
) -> None:
    site.api.desk.write(lambda w: preferences.change(w, ANNA, None, subject_tag="x"))
    browser = site.browser(ANNA)
    assert form_of(browser).fields["tag_use"] == ["own"]
    assert browser.submit(form_of(browser), tag_use=use).status == 303
    assert kept(site).subject_tag == tag


@pytest.mark.parametrize("use", ["domain", "none"])
def test_a_text_that_would_be_forgotten_is_refused(site: PagesSite, use: str) -> None:
    browser = site.browser(ANNA)
    assert browser.submit(form_of(browser), tag_use=use, subject_tag="[Spam]").status == 422
    assert any(one.get("id") == "why-subject_tag" for _, one in browser.page.tags)
    assert kept(site).subject_tag is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("languages", "klingon"),
        ("languages", "de;required_score 1"),
        ("languages", "de " * 10_000),
        ("subject_tag", ""),
        ("subject_tag", "x" * 41),
        ("subject_tag", "a\nBcc: x@y.example"),
        ("subject_tag", "a\0b"),
        ("rule_scores", "BAYES_99"),
        ("rule_scores", "BAYES_99=nan"),
        ("rule_scores", "BAYES_99=1e9"),
        ("rule_scores", "BAYES_99=101"),
        ("rule_scores", "BAYES_99=1\nBAYES_99=2"),
        ("rule_scores", "A B=1"),
        ("rule_scores", "body X /(a+)+$/"),
        ("rule_scores", "Ä=1"),
        ("rule_scores", "\n".join(f"R{n}=1" for n in range(101))),
        ("rule_scores", "x" * 10_000),
        ("rule_scores", f"A{' ' * 100_000}x"),
    ],
)
def test_a_wrong_value_is_refused_beside_its_field(site: PagesSite, field: str, value: str) -> None:
    browser = site.browser(ANNA)
    before = kept(site)
    given = {"tag_use": "own", "subject_tag": "x"} | {field: value}
    assert browser.submit(form_of(browser), **given).status == 422
    assert kept(site) == before
    assert any(one.get("id") == f"why-{field}" for _, one in browser.page.tags)
    shown = next(one for one in browser.page.forms if one.action == "/spam").fields
    assert shown["tag_use"] == ["own"]
    assert shown[field][0].strip() == value.strip().replace("\0", "\ufffd")


def test_a_form_from_before_an_upgrade_changes_no_new_field(site: PagesSite) -> None:
    site.api.desk.write(
        lambda w: preferences.change(
            w, ANNA, None, languages=("de",), subject_tag="x", rule_scores={"A": 1.0}
        )
    )
    before = kept(site)
    browser = site.browser(ANNA)
    browser.submit(form_of(browser), greylist=None, languages=None, tag_use=None, rule_scores=None)
    assert browser.last.status == 303
    found = kept(site)
    assert not found.greylist
    assert (found.languages, found.subject_tag, found.rule_scores) == (
        before.languages,
        before.subject_tag,
        before.rule_scores,
    )
