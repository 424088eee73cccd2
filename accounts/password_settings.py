"""Settings of the section `[accounts.passwords]`."""

from __future__ import annotations

from typing import Final

from pydantic import Field, model_validator

from gatepost.config import Section

MAX_MEMORY: Final = 128 << 10
"""KiB of memory for ARGON2: twice the default of Dovecot. Two hashes are checked at once."""
MAX_PASSES: Final = 1 << 20
"""KiB of memory times passes of ARGON2: about 1 s."""
MAX_LANES: Final = 16
"""Maximum number of lanes of ARGON2; each may start a thread."""


class PasswordSettings(Section):
    """Rules for new passwords, and how they are stored."""

    memory: int = Field(
        default=19456,
        ge=8192,
        le=MAX_MEMORY,
        description="Memory of one ARGON2ID hash in KiB. Two hashes are computed at once. A "
        "stored hash that uses less is replaced at the next login.",
    )
    passes: int = Field(default=2, ge=1, le=32, description="Passes of ARGON2ID over its memory.")
    lanes: int = Field(default=1, ge=1, le=MAX_LANES, description="Lanes of ARGON2ID.")
    waiting: int = Field(
        default=100,
        ge=1,
        le=10_000,
        description="Maximum number of logins that wait for one of the two threads that check "
        "passwords. Further ones get a temporary error.",
    )
    minimum_length: int = Field(
        default=10,
        ge=8,
        le=64,
        description="Minimum length of a new password in characters.",
    )

    @model_validator(mode="after")
    def _check_cost(self) -> PasswordSettings:
        # never write a hash that this process would refuse to read
        if self.memory * self.passes > MAX_PASSES:
            raise ValueError(
                f"memory times passes is {self.memory * self.passes}, above {MAX_PASSES}"
            )
        if self.memory < 8 * self.lanes:
            raise ValueError("memory is below 8 KiB a lane")
        return self
