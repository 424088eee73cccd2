"""Reader of the commands in a page."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.testbed.images import ROOT

_PART = re.compile(
    r"^#+ (?P<title>[^\n]*)|^```(?P<language>\w*)\n(?P<block>.*?)^```", re.DOTALL | re.MULTILINE
)


def blocks(page: str, last: str = "") -> Iterator[tuple[str, str]]:
    """Yield the code blocks without a language in their order, each with the heading above it.

    With `last`, end behind the part of this heading.
    """
    title = ""
    for part in _PART.finditer((ROOT / page).read_text()):
        if part["title"] is not None:
            if title and title == last:
                return
            title = part["title"]
        elif not part["language"]:
            yield title, part["block"]
