"""The part of gatepost.toml that the milter reads: the common settings and `[milters]`."""

from __future__ import annotations

from pydantic import Field

from gatepost.config import GroundSettings
from milters.settings import MiltersSettings


class MiltersFile(GroundSettings):
    """The common settings and `[milters]`."""

    milters: MiltersSettings = Field(
        default_factory=MiltersSettings, description="The milter behind `smtpd_milters`."
    )
