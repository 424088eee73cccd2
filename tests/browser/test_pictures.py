"""The pictures of docs/pages.md: they can be taken, and each has words for who does not see it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.browser.pictures import MAX_SIZE, PICTURES, take

DOCS = Path(__file__).parents[2] / "docs"
_SHOWN = re.compile(r"!\[([^\]]*)\]\(pages/([\w-]+)\.png\)")


def check(folder: Path) -> None:
    assert sorted(one.name for one in folder.iterdir()) == sorted(
        f"{one.name}.png" for one in PICTURES
    )
    for one in PICTURES:
        octets = (folder / f"{one.name}.png").read_bytes()
        assert 5_000 < len(octets) <= MAX_SIZE, one.name
        size = int.from_bytes(octets[16:20], "big"), int.from_bytes(octets[20:24], "big")
        assert size == (one.device.width, one.device.height), one.name


def test_each_picture_is_shown_once() -> None:
    check(DOCS / "pages")
    shown = _SHOWN.findall((DOCS / "pages.md").read_text())
    assert sorted(name for _, name in shown) == sorted(one.name for one in PICTURES)
    for words, name in shown:
        assert len(words.split()) > 8, name


@pytest.mark.timeout(300)
def test_they_can_be_taken_again(tmp_path: Path) -> None:
    take(tmp_path)
    check(tmp_path)
