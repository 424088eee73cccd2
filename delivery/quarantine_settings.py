"""The section `[delivery.quarantine]`: the folder of messages with a virus."""

from __future__ import annotations

from typing import Final

from pydantic import Field

from gatepost.config import AT_START, Duration, Size, WrittenPath
from gatepost.quarantine.settings import HolderSettings

QUARANTINE_LISTEN: Final = "quarantine.listen"
"""The key of the sockets of the service that shows the folder."""


class VirusQuarantineSettings(HolderSettings):
    """The folder that gets messages with a virus, and the service that shows, releases and deletes
    them."""

    folder: WrittenPath | None = Field(
        default=None,
        json_schema_extra=AT_START,
        description="The folder, such as `/var/lib/gatepost/quarantine`, which belongs to "
        "the user of the proxy alone. By default `delivery.virus.quarantine` names a mailbox "
        "instead.",
    )
    keep: Duration = Field(
        default=30 * 86_400.0,
        ge=0,
        le=3650 * 86_400,
        description="How long a message is kept; then it is deleted for good. 0: until somebody "
        "deletes it.",
    )
    max_size: Size = Field(
        default=1 << 30,
        ge=1 << 20,
        description="Octets of all messages in the folder. A message with a virus for which there "
        "is no room gets 451 and waits in the queue of Postfix: none is removed to make room.",
    )
