"""A daemon as the commands for all daemons see it: its section of gatepost.toml and its needs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol, TypeVar

from gatepost.cli.postfix.ours import Gatepost
from gatepost.config import GroundSettings, ServerSettings
from gatepost.listen import Address
from gatepost.systemd import Unit

S = TypeVar("S", bound=ServerSettings, contravariant=True)


class DaemonSection(Protocol[S]):
    """Everything that `gatepost config` asks about one daemon.

    A key is written from the top of the file, ``policyd.store.path``. A pair is such a key and a
    sentence, or a folder. `settings` is the section itself, `ground` the keys above all sections.
    """

    @property
    def file(self) -> type[GroundSettings]:
        """The model that the daemon reads: the ground, and its section under its word."""

    def written_folders(self, settings: S) -> Iterable[tuple[str, Path]]:
        """Return the folders that the daemon writes in, besides those of its sockets."""

    def unopened(
        self, ground: GroundSettings, settings: S, unit: Unit | None
    ) -> Iterable[tuple[str, str]]:
        """Open what the daemon opens, and return what fails. Called as the daemon's user."""

    def faults(self, ground: GroundSettings, settings: S) -> Iterable[tuple[str, str]]:
        """Return the faults of its lists and secrets, where `unopened` could not be called."""

    def advice(self, settings: S) -> Iterable[tuple[str, str]]:
        """Return what is allowed and worth a second look. Nothing is asked or opened."""

    def tell_postfix(self, settings: S, known: Gatepost, *, is_expected: bool) -> Gatepost:
        """Return `known` with the part of this daemon.

        `is_expected`: a Postfix that does not use the daemon has a fault.
        """


def served_addresses(word: str, settings: ServerSettings) -> Iterator[tuple[str, Address]]:
    """Yield each address that Postfix reaches the daemon `word` at, with its key."""
    for key, addresses in settings.served.items():
        for address in addresses:
            yield f"{word}.{key}", address
