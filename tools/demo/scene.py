"""Scene of the demonstration: a number, a title and a function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tools.demo.ground import Ground
from tools.demo.record import Record


@dataclass(frozen=True, slots=True)
class Scene:
    """A numbered scene: `play` acts on the ground and fills the record."""

    number: int
    title: str
    play: Callable[[Ground, Record], None]
