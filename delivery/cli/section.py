"""Part of `gatepost config` for the LMTP proxy."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from delivery.file import DeliveryFile
from delivery.settings import DeliverySettings
from gatepost.cli.as_user import me
from gatepost.cli.postfix.ours import Gatepost
from gatepost.cli.section import DaemonSection
from gatepost.config import GroundSettings
from gatepost.errors import StartError
from gatepost.listen import Inet
from gatepost.quarantine.settings import read_holder_token
from gatepost.systemd import Unit

_LOOPBACK: Final = ("127.", "::1", "localhost")


class DeliverySection:
    """`gatepost.cli.section.DaemonSection` of the LMTP proxy."""

    file = DeliveryFile

    def written_folders(self, settings: DeliverySettings) -> Iterator[tuple[str, Path]]:
        """Return the folder of messages in progress, unless each service has its own."""
        if settings.spool_folder not in (Path("/tmp"), Path("/var/tmp")):  # noqa: S108
            yield "delivery.spool_folder", settings.spool_folder
        if settings.quarantine.folder is not None:
            yield "delivery.quarantine.folder", settings.quarantine.folder

    def load(self, settings: DeliverySettings) -> None:  # see DaemonSection
        """Do nothing: this module has it all."""

    def unopened(
        self,
        ground: GroundSettings,
        settings: DeliverySettings,
        unit: Unit | None,  # noqa: ARG002 # see DaemonSection
    ) -> Iterator[tuple[str, str]]:
        """Read the secrets, and look at the folders."""
        yield from self.faults(ground, settings)
        if not os.access(settings.spool_folder, os.W_OK | os.X_OK):
            yield "delivery.spool_folder", f"{me()} may not write to {settings.spool_folder}"
        folder = settings.spam.users_folder
        if folder is not None and not os.access(folder, os.X_OK):
            yield "delivery.spam.users_folder", f"{me()} may not enter {folder}"
        ledgers = settings.ledgers
        if settings.learning.listen and ledgers is not None and not os.access(ledgers, os.W_OK):
            key = "spam.users_folder" if ledgers == folder else "learning.ledger_folder"
            yield f"delivery.{key}", f"{me()} may not write to {ledgers}: nothing can be learned"

    def faults(
        self,
        ground: GroundSettings,  # noqa: ARG002 # see DaemonSection
        settings: DeliverySettings,
    ) -> Iterator[tuple[str, str]]:
        """Read the secrets."""
        if settings.spam.password_file is not None:
            try:
                settings.spam.password_file.read_text("ascii")
            except (OSError, ValueError) as error:
                yield "delivery.spam.password_file", str(error)
        if settings.learning.token_file is not None:
            try:
                settings.learning.token_file.read_text("ascii")
            except (OSError, ValueError) as error:
                yield "delivery.learning.token_file", str(error)
        try:
            read_holder_token(settings.quarantine.token_file, "delivery.quarantine.token_file")
        except StartError as error:
            key, _, text = str(error).partition(": ")
            yield key, text

    def advice(self, settings: DeliverySettings) -> Iterator[tuple[str, str]]:
        """Warn about an address that others can deliver mail to."""
        for address in settings.listen:
            if isinstance(address, Inet) and not address.host.startswith(_LOOPBACK):
                yield (
                    "delivery.listen",
                    f"who can connect to {address} can deliver mail that nothing has checked: can "
                    "only Postfix connect?",
                )

    def tell_postfix(
        self,
        settings: DeliverySettings,  # noqa: ARG002 # main.cf is not checked for it
        known: Gatepost,
        *,
        is_expected: bool,  # noqa: ARG002
    ) -> Gatepost:
        """Return `known`: no check of main.cf is about the proxy."""
        return known


SECTION: Final[DaemonSection[DeliverySettings]] = DeliverySection()
