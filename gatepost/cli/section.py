"""Interface between a daemon and the commands for all daemons: its section of gatepost.toml and its
needs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol, TypeVar

from gatepost.cli.postfix.ours import Gatepost
from gatepost.config import GroundSettings, ServerSettings
from gatepost.listen import SocketAddress
from gatepost.systemd import Unit

S = TypeVar("S", bound=ServerSettings, contravariant=True)


class DaemonSection(Protocol[S]):
    """Everything that `gatepost config` needs to know about one daemon.

    A key is written in full, ``policyd.store.path``. A pair is such a key and a sentence, or a
    folder. `settings` is the section itself, `ground` has the common settings.
    """

    @property
    def file(self) -> type[GroundSettings]:
        """Return the model that the daemon reads: the common settings, and its section under its
        word."""

    def written_folders(self, settings: S) -> Iterable[tuple[str, Path]]:
        """Return the folders that the daemon writes to, besides those of its sockets."""

    def load(self, settings: S) -> None:
        """Import what `unopened` needs: the daemon's user may not be able to read it."""

    def unopened(
        self, ground: GroundSettings, settings: S, unit: Unit | None
    ) -> Iterable[tuple[str, str]]:
        """Open what the daemon opens, and return the failures. Called as the daemon's user."""

    def faults(self, ground: GroundSettings, settings: S) -> Iterable[tuple[str, str]]:
        """Return the faults of its lists and secrets, if `unopened` could not be called."""

    def advice(self, settings: S) -> Iterable[tuple[str, str]]:
        """Return warnings about allowed settings. It queries and opens nothing."""

    def tell_postfix(self, settings: S, known: Gatepost, *, is_expected: bool) -> Gatepost:
        """Return `known` with the part of this daemon.

        `is_expected`: it is a fault if Postfix does not use the daemon.
        """


def served_addresses(word: str, settings: ServerSettings) -> Iterator[tuple[str, SocketAddress]]:
    """Yield each address at which others reach the daemon `word`, with its key."""
    for key, addresses in settings.served.items():
        for address in addresses:
            yield f"{word}.{key}", address
