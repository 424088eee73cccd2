"""The part of gatepost.toml that the proxy reads: the common settings and `[delivery]`."""

from __future__ import annotations

from pydantic import Field

from delivery.settings import DeliverySettings
from gatepost.config import GroundSettings


class DeliveryFile(GroundSettings):
    """The common settings and `[delivery]`."""

    delivery: DeliverySettings = Field(
        default_factory=DeliverySettings,
        description="The LMTP proxy between Postfix and the mail stores.",
    )
