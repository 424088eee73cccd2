"""Languages of the pages, and their catalogues."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from accounts.pages.language import LANGUAGES, choose
from tests.unit.accounts.pages.browser import PagesSite
from tools.scripts import catalogues

PLACES = sorted(catalogues.PAGES.glob("locale/*/LC_MESSAGES/pages.po"))


def test_each_language_has_a_catalogue() -> None:
    assert [place.parent.parent.name for place in PLACES] == sorted({*LANGUAGES} - {"en"})


@pytest.mark.filterwarnings("ignore:Skipping f-string")
@pytest.mark.parametrize("place", PLACES, ids=lambda place: str(place.parent.parent.name))
def test_a_catalogue_has_all_texts_and_is_compiled(place: Path) -> None:
    catalogue = catalogues.read(place)
    texts = {str(one.id) for one in catalogue if one.id}
    assert texts == catalogues.collect(), "run: python -m tools.scripts.catalogues"
    for one in catalogue:
        if not one.id:
            continue
        assert one.string, one.id
        assert sorted(re.findall(r"%\(\w+\)s", str(one.id))) == sorted(
            re.findall(r"%\(\w+\)s", str(one.string))
        )
        assert "<" not in str(one.string)
    assert place.with_suffix(".mo").read_bytes() == catalogues.compiled(catalogue)


@pytest.mark.parametrize(
    ("wishes", "language"),
    [
        ("", "en"),
        ("de", "de"),
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("en-GB,en;q=0.9,de;q=0.8", "en"),
        ("fr, de;q=0.5", "de"),
        ("fr", "en"),
        ("DE", "de"),
        ("de;q=0", "en"),
        ("../../etc", "en"),
        ("x" * 10_000 + ",de", "en"),
        ("de;q=9", "en"),
        (";;;,,,", "en"),
    ],
)
def test_the_browser_chooses(wishes: str, language: str) -> None:
    assert choose(wishes) == language


def test_pages_are_german(site: PagesSite) -> None:
    browser = site.browser("anna@a.example", language="de-DE,de;q=0.9")
    assert ("html", {"lang": "de"}) in browser.page.tags
    assert "Weiterleitung" in browser.page.text
    browser.open("/security/password")
    browser.submit(current_password="x", password="a", repeated="b")
    assert "Die beiden neuen Passwörter sind verschieden." in browser.page.text
    # a sentence that the catalogue has not is marked as English
    browser.open("/app-passwords")
    browser.submit(name="x" * 500)
    assert ("span", {"lang": "en"}) in browser.page.tags
