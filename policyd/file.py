"""The part of gatepost.toml that the policy server reads: the common settings and `[policyd]`."""

from __future__ import annotations

from pydantic import Field

from gatepost.config import GroundSettings
from policyd.settings import PolicydSettings


class PolicydFile(GroundSettings):
    """The common settings and `[policyd]`."""

    policyd: PolicydSettings = Field(
        default_factory=PolicydSettings,
        description="The policy server behind `check_policy_service`.",
    )
