"""Command ``python -m tools.scripts.catalogues``: brings the translations of the pages up to date.

It collects the texts of templates and code, writes them to each `pages.po`, and compiles that to
the `pages.mo` beside it, which is what runs. A new text has no translation yet: write it into the
file, and run the command again.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, Final

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir, extract_from_file
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT: Final = Path(__file__).resolve().parents[2]
PAGES: Final = ROOT / "accounts" / "pages"
SHARED: Final = (ROOT / "accounts" / "http" / "autoconfig.py",)
"""Modules outside the pages whose errors a page shows."""

_METHODS: Final = [("**.py", "python"), ("templates/**.html", "jinja2.ext:babel_extract")]
_OPTIONS: Final = {
    "templates/**.html": {
        "trim_blocks": "true",
        "lstrip_blocks": "true",
        "newstyle_gettext": "true",
    }
}
_KEYWORDS: Final[dict[str, Any]] = {
    "_": None,
    "gettext": None,
    "ngettext": (1, 2),
    # errors of the pages themselves
    "wrong": (2,),
    "_refused": None,
    "unavailable": None,
    "later": None,
}


def collect() -> set[str]:
    """Return all texts that can be translated."""
    found = extract_from_dir(str(PAGES), _METHODS, _OPTIONS, _KEYWORDS, strip_comment_tags=True)
    texts = {str(text) for _, _, text, _, _ in found if isinstance(text, str)}
    for place in SHARED:
        texts |= {str(one[1]) for one in extract_from_file("python", str(place), _KEYWORDS)}
    return texts


def read(place: Path) -> Catalog:
    """Return the translations in a file."""
    with place.open("rb") as file:
        return read_po(file)


def update(before: Catalog, texts: set[str]) -> Catalog:
    """Return a catalogue with exactly these texts, and the translations that are there."""
    made = Catalog(
        locale=before.locale,
        project="Gatepost",
        version="",
        copyright_holder="Gatepost",
        charset="utf-8",
    )
    made.creation_date = before.creation_date
    made.revision_date = before.revision_date
    for text in sorted(texts):
        there = before.get(text)
        flags = ("python-brace-format",) if "%(" not in text and "{" in text else ()
        made.add(text, there.string if there is not None else "", flags=flags)
    return made


def compiled(catalogue: Catalog) -> bytes:
    """Return a catalogue as gettext reads it."""
    octets = io.BytesIO()
    write_mo(octets, catalogue)
    return octets.getvalue()


def written(catalogue: Catalog) -> bytes:
    """Return a catalogue as people read it."""
    octets = io.BytesIO()
    write_po(octets, catalogue, width=100, omit_header=False, no_location=True, sort_output=True)
    return octets.getvalue()


def main() -> None:
    """Write all catalogues anew."""
    texts = collect()
    for place in sorted(PAGES.glob("locale/*/LC_MESSAGES/pages.po")):
        catalogue = update(read(place), texts)
        place.write_bytes(written(catalogue))
        place.with_suffix(".mo").write_bytes(compiled(catalogue))
        missing = [str(one.id) for one in catalogue if one.id and not one.string]
        print(f"{place.parent.parent.name}: {len(texts)} texts, {len(missing)} not translated")
        for text in missing:
            print(f"  {text}")


if __name__ == "__main__":
    main()
