"""Part of `gatepost config` for the milter."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gatepost.clamd.probe import clamd
from gatepost.cli.as_user import me
from gatepost.cli.postfix.ours import Gatepost
from gatepost.cli.section import DaemonSection, served_addresses
from gatepost.config import GroundSettings
from gatepost.config.networks import too_large
from gatepost.handshake import HandshakeError
from gatepost.handshake_client import shake_hands
from gatepost.listen import Inet, SocketAddress
from gatepost.ownership import OwnershipError
from gatepost.systemd import Unit
from milters.file import MiltersFile
from milters.keys.settings import KeySettings
from milters.keys.store import Harm, load
from milters.ownership import FromOwnership
from milters.settings import MiltersSettings

CLAMD_TIMEOUT: Final = 5.0
"""Seconds in which clamd has to answer PING."""
LOCAL = ("localhost", "127.0.0.1", "::1")
_INSTEAD = 'a unix socket with socket_group = "postfix" only admits Postfix'


class MiltersSection:
    """`gatepost.cli.section.DaemonSection` of the milter."""

    file = MiltersFile

    def written_folders(self, settings: MiltersSettings) -> Iterator[tuple[str, Path]]:
        """Return the folder of messages to scan, unless each service has its own."""
        virus = settings.virus
        if virus.address is not None and virus.spool_folder not in (
            Path("/tmp"),  # noqa: S108
            Path("/var/tmp"),  # noqa: S108
        ):
            yield "milters.virus.spool_folder", virus.spool_folder

    def load(self, settings: MiltersSettings) -> None:  # see DaemonSection
        """Do nothing: this module has it all."""

    def unopened(
        self, ground: GroundSettings, settings: MiltersSettings, _unit: Unit | None
    ) -> Iterator[tuple[str, str]]:
        """Read the keys, their tables, and the tables of owners."""
        for text in unusable_keys(settings, Harm.KEY, Harm.SOURCE, Harm.UNREADABLE):
            yield "milters.keys", text
        if settings.virus.address is not None:
            folder = settings.virus.spool_folder
            if not os.access(folder, os.W_OK | os.X_OK):
                yield "milters.virus.spool_folder", f"{me()} may not write to {folder}"
        yield from self.faults(ground, settings)

    def faults(
        self, _ground: GroundSettings, settings: MiltersSettings
    ) -> Iterator[tuple[str, str]]:
        """Read the tables of owners, and ask clamd whether it is there.

        Only the milter's user can tell whether it can read keys.
        """
        if settings.virus.address is not None:
            yield from _clamd_faults(settings.virus.address)
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
            milters_budget=settings.budget,
            scan_size=settings.virus.scan_size if settings.virus.address is not None else None,
            daemon_names=settings.sign.daemon_names,
        )


SECTION: Final[DaemonSection[MiltersSettings]] = MiltersSection()


def unusable_keys(settings: KeySettings, *harms: Harm) -> list[str]:
    """Return a line for each problem of this user with a key, folder or table, limited to
    `harms`."""
    return [problem.text for problem in load(settings).problems if problem.harm in harms]


def _clamd_faults(address: SocketAddress) -> Iterator[tuple[str, str]]:
    try:
        shake_hands(clamd(), address, CLAMD_TIMEOUT)
    except TimeoutError:
        problem = f"no answer within {CLAMD_TIMEOUT:g} s"
    except HandshakeError as error:
        problem = str(error)
    except OSError as error:
        problem = error.strerror or str(error)
    else:
        return
    yield "milters.virus.address", f"clamd {address}: {problem}"


def _who(address: Inet) -> str:
    if address.host in LOCAL or address.host.startswith("127."):
        return "every account of this machine"
    return "everybody who can reach this port"
