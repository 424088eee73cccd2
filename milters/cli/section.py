"""Part of `gatepost config` for the milter."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gatepost.cli.postfix.ours import Gatepost
from gatepost.cli.section import DaemonSection, served_addresses
from gatepost.config import GroundSettings
from gatepost.config.networks import too_large
from gatepost.listen import Inet
from gatepost.ownership import OwnershipError
from gatepost.systemd import Unit
from milters.file import MiltersFile
from milters.keys.settings import KeySettings
from milters.keys.store import Harm, load
from milters.ownership import FromOwnership
from milters.settings import MiltersSettings

LOCAL = ("localhost", "127.0.0.1", "::1")
_INSTEAD = 'a unix socket with socket_group = "postfix" only admits Postfix'


class MiltersSection:
    """`gatepost.cli.section.DaemonSection` of the milter."""

    file = MiltersFile

    def written_folders(self, _settings: MiltersSettings) -> tuple[tuple[str, Path], ...]:
        """Return nothing: the milter writes no file."""
        return ()

    def load(self, settings: MiltersSettings) -> None:  # see DaemonSection
        """Do nothing: this module has it all."""

    def unopened(
        self, ground: GroundSettings, settings: MiltersSettings, _unit: Unit | None
    ) -> Iterator[tuple[str, str]]:
        """Read the keys, their tables, and the tables of owners."""
        for text in unusable_keys(settings, Harm.KEY, Harm.SOURCE, Harm.UNREADABLE):
            yield "milters.keys", text
        yield from self.faults(ground, settings)

    def faults(
        self, _ground: GroundSettings, settings: MiltersSettings
    ) -> Iterator[tuple[str, str]]:
        """Read the tables of owners; only the milter's user can tell whether it can read keys."""
        try:
            FromOwnership(settings.ownership)
        except OwnershipError as error:
            yield "milters.ownership", str(error)

    def advice(self, settings: MiltersSettings) -> Iterator[tuple[str, str]]:
        """Warn about large networks, and about other clients that can have mail signed."""
        if told := too_large(settings.internal_networks):
            yield "milters.internal_networks", f"contains {told}: are they all yours?"
        for key, address in served_addresses("milters", settings):
            if isinstance(address, Inet):
                yield key, f"{address}: {_who(address)} can have mail signed; {_INSTEAD}"

    def tell_postfix(
        self, settings: MiltersSettings, known: Gatepost, *, is_expected: bool
    ) -> Gatepost:
        """Return `known` with the addresses of the milter and the time that it needs."""
        return dataclasses.replace(
            known,
            milters=settings.listen,
            submission=settings.submission_listen,
            has_milters=is_expected,
            milters_budget=settings.verify.dns_budget,
            daemon_names=settings.sign.daemon_names,
        )


SECTION: Final[DaemonSection[MiltersSettings]] = MiltersSection()


def unusable_keys(settings: KeySettings, *harms: Harm) -> list[str]:
    """Return a line for each problem of this user with a key, folder or table, limited to
    `harms`."""
    return [problem.text for problem in load(settings).problems if problem.harm in harms]


def _who(address: Inet) -> str:
    if address.host in LOCAL or address.host.startswith("127."):
        return "every account of this machine"
    return "everybody who can reach this port"
