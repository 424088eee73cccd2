"""The section `[milters.virus]` of gatepost.toml."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from gatepost.config import BackendAddress, Duration, Section, Size, WrittenPath


class VirusScanSettings(Section):
    """The scan for viruses, before a message is accepted."""

    address: BackendAddress | None = Field(
        default=None,
        description="The address of clamd, such as `inet:127.0.0.1:3310` or `unix:/PATH`. Every "
        "message that is not refused anyway is scanned, also those of your own clients, and one "
        "with a virus is refused. Not set: nothing is scanned.",
    )
    timeout: Duration = Field(
        default=60.0,
        gt=0,
        le=240,
        description="How long a scan may take, with the wait for its turn. It comes after the "
        "DNS queries of the message: with `verify.dns_budget`, keep it below Postfix's "
        "milter_content_timeout (300 s).",
    )
    on_error: Literal["defer", "accept"] = Field(
        default="defer",
        description="What happens to a message that could not be scanned as a whole: clamd is "
        "away, silent, or answers with an error, or the message is too large. `defer`: it gets "
        "451 and stays with its sender. `accept`: it is accepted with "
        "`X-Virus-Status: Unchecked (REASON)`.",
    )
    scan_size: Size = Field(
        default=25 << 20,
        ge=64 << 10,
        description="Octets of the largest message that is scanned as a whole: not less than "
        "message_size_limit of Postfix, and not more than StreamMaxLength of clamd.",
    )
    max_scans: int = Field(
        default=4,
        ge=1,
        le=1000,
        description="Scans at the same time in each worker; others wait for their turn.",
    )
    spool_folder: WrittenPath = Field(
        default=Path("/var/tmp"),  # noqa: S108  # the files have no name
        description="The folder for messages of more than 64 KiB until they are scanned, in files "
        "without a name.",
    )
