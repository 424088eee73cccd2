"""Parts of a request that are put together."""

from __future__ import annotations

import random

import pytest

from gatepost.peer.gathering import PIECE, gathered


def test_small_parts_become_one_piece() -> None:
    assert list(gathered([b"head", b"", b"body", b"end"])) == [b"headbodyend"]


@pytest.mark.parametrize("seed", range(20))
def test_octets_stay_in_order_and_pieces_are_bounded(seed: int) -> None:
    chance = random.Random(seed)
    largest = 4 * PIECE
    parts = [
        chance.randbytes(chance.choice((0, 1, 100, PIECE - 1, PIECE, largest))) for _ in range(40)
    ]
    pieces = list(gathered(parts))
    assert b"".join(pieces) == b"".join(parts)
    assert all(len(piece) >= PIECE for piece in pieces[:-1])
    assert all(0 < len(piece) < PIECE + largest for piece in pieces)


def test_a_part_is_taken_only_when_the_pieces_before_it_are() -> None:
    parts = iter([bytes(PIECE)] * 3)
    next(gathered(parts))
    assert len(list(parts)) == 2


def test_nothing_gives_no_piece() -> None:
    assert list(gathered([b"", b""])) == []
