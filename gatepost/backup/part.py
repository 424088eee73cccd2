"""Interface between the backup and each part of a system: a database, the mail, the secrets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Saved:
    """The result of a part: numbers by noun in the singular, and warnings."""

    counts: dict[str, int]
    warnings: tuple[str, ...] = ()


class BackupPart(Protocol):
    """A part of the system. Its methods raise `StartError` and `OSError`."""

    @property
    def name(self) -> str:
        """Return the name of the part, and of its folder in the backup."""

    @property
    def lists_itself(self) -> bool:
        """Return whether the part writes lists of its own (`gatepost.backup.listing`)."""

    def save(self, new: Path, before: Path | None) -> Saved | None:
        """Write the part into the folder `new`, read it back, and return its numbers; None if
        there is nothing to save.

        `new` may have the remains of a killed backup. `before` is the part in the last backup,
        which must not be changed.
        """

    def find_obstacle(self) -> str | None:
        """Return a sentence about the data that a restore would replace, or None."""

    def restore(self, saved: Path, scratch: Path) -> Saved:
        """Put the data in `saved` into place; `scratch` is an empty folder that is removed later.

        It can be repeated after it was killed.
        """
