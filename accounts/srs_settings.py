"""Settings of the section `[accounts.srs]`."""

from __future__ import annotations

from typing import Final, Self

from pydantic import Field, field_validator, model_validator

from accounts.address import AccountAddressError, parse_domain
from gatepost.config import Duration, SecretPath, Section

DAY: Final = 86400.0


class SrsSettings(Section):
    """Rewriting of the sender of mail that is forwarded to another site, by the map `srs`."""

    domain: str = Field(
        default="",
        max_length=253,
        description="The domain of the bounce addresses. It is one of yours: its SPF record and "
        "its MX name this server. It need not have mailboxes. If empty, senders are "
        "not rewritten.",
    )
    secret_file: SecretPath | None = Field(
        default=None,
        description="File with the secret that signs bounce addresses: a line of at least 16 "
        "characters, as `openssl rand -base64 32` prints it. Further lines are older "
        "secrets, which are still accepted.",
    )
    max_age: Duration = Field(
        default=21 * DAY,
        ge=DAY,
        le=1000 * DAY,
        description="How long bounces to such an address are accepted, in whole days.",
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
            raise ValueError("set both domain and secret_file, or neither")
        return self
