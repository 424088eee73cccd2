"""Header fields that are removed from submitted mail."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TABLE = Path(__file__).resolve().parents[3] / "images" / "postfix" / "submission_headers"


def removed(field: str) -> bool:
    """Return what Postfix does: without regard to case, and a dot stands for a line end, too."""
    lines = [line for line in TABLE.read_text().splitlines() if line.startswith("/")]
    assert lines
    assert all(line.endswith("/ IGNORE") for line in lines)
    patterns = [line[1 : -len("/ IGNORE")].replace("[[:space:]]", r"\s") for line in lines]
    return any(re.search(one, field, re.IGNORECASE | re.DOTALL) for one in patterns)


@pytest.mark.parametrize(
    "field",
    [
        "Received: from [10.0.0.1]\n\tby webmail.example.org\n\twith HTTP (HTTP/1.1 POST); Fri, 27",
        "received: by webmail.example.org with https; Fri, 27 Nov 2026 00:00:00 +0000",
        "User-Agent: x",
    ],
)
def test_the_browser_is_not_told(field: str) -> None:
    assert removed(field)


@pytest.mark.parametrize("name", ["a with HTTP b", "with https"])
def test_a_recipient_cannot_remove_the_field_of_postfix(name: str) -> None:
    """A field of the sender would take its place."""
    by = "Received: by mail.example.org (Postfix) with ESMTPSA id 4Qabc"
    assert not removed(
        f'{by}\n\tfor <"x {name}"@example.org>; Fri, 27 Nov 2026 00:00:00 +0000 (UTC)'
    )
