"""Counting of the messages of a scene."""

from __future__ import annotations

import pytest

from tests.cluster.ledger import Ledger, SenderError


def test_what_was_accepted_and_did_not_arrive_is_lost() -> None:
    books = Ledger()
    books.add_output("accepted a-1\naccepted a-2\naccepted a-3\ndone\n")
    assert books.lost(["a-1", "a-3", "somebody-else"]) == ["a-2"]
    assert books.lost(["a-1", "a-2", "a-2", "a-3"]) == []
    assert books.doubled(["a-1", "a-2", "a-2"]) == ["a-2"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("accepted a-1\nrefused a-2 550\n", "refused a-2 550"),
        ("accepted a-1\ndeferred a-2 451\n", "deferred a-2 451"),
        ("accepted a-1\naccep", "accepted a-1"),
        ("accepted a-1\ndone", "accepted a-1"),
    ],
)
def test_a_sender_that_did_not_finish_is_an_error_and_its_messages_count(
    text: str, told: str
) -> None:
    books = Ledger()
    with pytest.raises(SenderError, match=told):
        books.add_output(text)
    assert books.accepted == {"a-1"}


def test_a_sender_that_said_nothing_is_an_error() -> None:
    with pytest.raises(SenderError, match="nothing"):
        Ledger().add_output("")
