"""The section `[backup]`: what `gatepost backup` takes besides the data of the daemons."""

from __future__ import annotations

from pydantic import Field

from gatepost.config.section import Section
from gatepost.config.types import FreshPath


class BackupSettings(Section):
    """Files that no daemon names, for `gatepost backup`."""

    webmail: FreshPath | None = Field(
        default=None,
        description="The SQLite file of webmail, with its settings and address books.",
    )
    files: tuple[FreshPath, ...] = Field(
        default=(),
        max_length=1000,
        description="More files and folders for the part `secrets`, such as the folder of the "
        "certificates. Files that the other sections name are taken anyway.",
    )
