"""The section `[accounts.srs]` of gatepost.toml."""

from __future__ import annotations

from typing import Final, Self

from pydantic import Field, field_validator, model_validator

from accounts.address import AccountAddressError, parse_domain
from gatepost.config import Duration, SecretPath, Section

DAY: Final = 86400.0


class SrsSettings(Section):
    """How the map `srs` rewrites the sender of mail that is forwarded to another site."""

    domain: str = Field(
        default="",
        max_length=253,
        description="The domain of the bounce addresses: one of yours, whose SPF record names this "
        "server and whose MX it is. It need not have mailboxes. Empty: senders are not rewritten.",
    )
    secret_file: SecretPath | None = Field(
        default=None,
        description="The secret that bounce addresses are signed with: a line of at least 16 "
        "characters, as `openssl rand -base64 32` writes it. Further lines are older secrets, "
        "which are still believed.",
    )
    max_age: Duration = Field(
        default=21 * DAY,
        ge=DAY,
        le=1000 * DAY,
        description="How long a bounce to such an address is taken, in whole days.",
    )

    @field_validator("domain")
    @classmethod
    def _check_domain(cls, text: str) -> str:
        try:
            return parse_domain(text) if text else ""
        except AccountAddressError as error:
            raise ValueError(str(error)) from None

    @model_validator(mode="after")
    def _check_both(self) -> Self:
        if bool(self.domain) != (self.secret_file is not None):
            raise ValueError("set domain and secret_file, or neither of them")
        return self
