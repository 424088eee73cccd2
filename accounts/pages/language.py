"""Languages of the pages: catalogues of gettext, chosen by the browser's wish.

`tools/scripts/catalogues.py` makes the catalogues from the code and the templates.
"""

from __future__ import annotations

import gettext
import re
from functools import cache
from importlib.resources import files
from typing import Final, TypeAlias

Catalogue: TypeAlias = gettext.NullTranslations

ENGLISH: Final = "en"
LANGUAGES: Final = (ENGLISH, "de")
MAX_HEADER: Final = 500
"""Characters of Accept-Language that are read."""

_WISH = re.compile(
    r"\s*([A-Za-z]{1,8})(?:-[A-Za-z0-9-]{1,30})?\s*(?:;\s*q=([01](?:\.\d{0,3})?))?\s*\Z"
)


def choose(wishes: str) -> str:
    """Return the language for the field Accept-Language (RFC 9110 section 12.5.4)."""
    best, weight = ENGLISH, 0.0
    for wish in wishes[:MAX_HEADER].split(","):
        found = _WISH.match(wish)
        if found is None:
            continue
        language, quality = found[1].lower(), float(found[2] or 1)
        if language in LANGUAGES and quality > weight:
            best, weight = language, quality
    return best


@cache
def catalogue(language: str) -> Catalogue:
    """Return the catalogue of a language; that of English has no entries."""
    if language == ENGLISH:
        return gettext.NullTranslations()
    place = files("accounts.pages") / "locale" / language / "LC_MESSAGES" / "pages.mo"
    with place.open("rb") as file:
        return gettext.GNUTranslations(file)
