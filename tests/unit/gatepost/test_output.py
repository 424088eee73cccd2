"""Numbers with their nouns, as the commands print them."""

from __future__ import annotations

import pytest

from gatepost.cli.output import counted


@pytest.mark.parametrize(
    ("number", "noun", "text"),
    [
        (1, "message", "1 message"),
        (0, "message", "0 messages"),
        (2, "mailbox", "2 mailboxes"),
        (2, "alias", "2 aliases"),
        (1, "entry", "1 entry"),
        (0, "entry", "0 entries"),
        (2, "key", "2 keys"),
    ],
)
def test_a_noun_has_its_plural(number: int, noun: str, text: str) -> None:
    assert counted(number, noun) == text
