"""Part of `gatepost config` for the policy server."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gatepost.cli.as_user import me
from gatepost.cli.postfix.ours import Gatepost
from gatepost.cli.section import DaemonSection
from gatepost.config import GroundSettings
from gatepost.config.networks import too_large
from gatepost.systemd import Unit
from policyd.build import faults
from policyd.file import PolicydFile
from policyd.settings import PolicydSettings, StoreSettings


class PolicydSection:
    """`gatepost.cli.section.DaemonSection` of the policy server."""

    file = PolicydFile

    def written_folders(self, settings: PolicydSettings) -> Iterator[tuple[str, Path]]:
        """Return the folder of the store."""
        if settings.store.kind == "sqlite":
            yield "policyd.store.path", settings.store.path.parent

    def load(self, settings: PolicydSettings) -> None:  # see DaemonSection
        """Do nothing: this module has it all."""

    def unopened(
        self, ground: GroundSettings, settings: PolicydSettings, unit: Unit | None
    ) -> Iterator[tuple[str, str]]:
        """Read lists and secrets, and check that the store is writable."""
        yield from faults(ground, settings)
        yield from _store(settings.store, unit)

    def faults(
        self, ground: GroundSettings, settings: PolicydSettings
    ) -> Iterator[tuple[str, str]]:
        """Read lists and secrets."""
        return faults(ground, settings)

    def advice(self, settings: PolicydSettings) -> Iterator[tuple[str, str]]:
        """Warn about large networks."""
        if told := too_large(settings.client.exempt_networks):
            yield "policyd.client.exempt_networks", f"contains {told}: are they all yours?"

    def tell_postfix(
        self, settings: PolicydSettings, known: Gatepost, *, is_expected: bool
    ) -> Gatepost:
        """Return `known` with the addresses of the policy server and the time that it needs."""
        return dataclasses.replace(
            known,
            policyd=settings.listen,
            has_policyd=is_expected,
            policyd_budget=settings.budget,
        )


SECTION: Final[DaemonSection[PolicydSettings]] = PolicydSection()


def _store(store: StoreSettings, unit: Unit | None) -> Iterator[tuple[str, str]]:
    """Yield problems with the permissions of the SQLite store: its folder, and its files if they
    exist."""
    if store.kind != "sqlite":
        return
    folder = store.path.parent
    if unit is not None and unit.makes(folder) and not folder.exists():
        return
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent  # missing parents are created
    if not os.access(folder, os.W_OK | os.X_OK):
        yield "policyd.store.path", f"{me()} may not write to {folder}, the folder of the store"
        return
    for ending in ("", "-wal", "-shm"):
        file = store.path.with_name(store.path.name + ending)
        if file.exists() and not os.access(file, os.R_OK | os.W_OK):
            yield "policyd.store.path", f"{me()} may not read and write {file}"
