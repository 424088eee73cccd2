"""Settings of the section `[accounts.oidc]`: logins through an identity provider."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from accounts.address import parse_domain
from gatepost.config import Duration, SecretPath, Section, Unwatched


class OidcSettings(Section):
    """Settings of logins through an identity provider with OpenID Connect; off without
    `issuer`."""

    issuer: str = Field(
        default="",
        max_length=500,
        pattern=r"^(?:https://[!-~]+)?$",
        description="The issuer, as the provider writes it, such as `https://id.example.org`. "
        "Everybody whom it names is let in with that address: name only a provider that you trust "
        "with your mailboxes.",
    )
    name: str = Field(
        default="single sign-on",
        min_length=1,
        max_length=60,
        description="The name of the provider on the page of the login.",
    )
    client_id: str = Field(
        default="", max_length=255, description="The identifier that the provider gave to us."
    )
    client_secret_file: SecretPath | None = Field(
        default=None, description="The file with the secret that the provider gave to us."
    )
    redirect_uri: str = Field(
        default="",
        max_length=500,
        pattern=r"^(?:https?://[!-~]+/login/oidc)?$",
        description="The address of the page that the provider leads back to, as it is registered "
        "there: `https://HOST/login/oidc`, with the prefix of the pages before `/login`.",
    )
    scopes: tuple[str, ...] = Field(
        default=("openid", "email"),
        min_length=1,
        description="The scopes that are asked for; `openid` is one of them.",
    )
    claim: str = Field(
        default="email",
        pattern=r"^[A-Za-z0-9_.:/-]{1,100}$",
        description="The claim that has the address of the mailbox. `email` counts only if the "
        "provider has verified it (`email_verified`).",
    )
    domains: tuple[str, ...] | None = Field(
        default=None,
        description="The domains whose mailboxes the provider may name; without it, all.",
    )
    administrators: dict[str, str] = Field(
        default_factory=dict,
        description="Administrators who log in through the provider: the value of the claim, and "
        'the name of the administrator, as in `{ "ada@example.org" = "ada" }`. Nobody else '
        "becomes one.",
    )
    ca_file: Annotated[Path, Unwatched("each login reads it")] | None = Field(
        default=None,
        description="The file with certificates of authorities that the provider's certificate is "
        "checked against, instead of those of the system.",
    )
    timeout: Duration = Field(
        default=5.0,
        ge=0.1,
        le=20,
        description="How long each request to the provider may take.",
    )

    @field_validator("domains")
    @classmethod
    def _check_domains(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return None if value is None else tuple(parse_domain(each) for each in value)

    @model_validator(mode="after")
    def _check_complete(self) -> Self:
        if not self.issuer:
            return self
        for key in ("client_id", "client_secret_file", "redirect_uri"):
            if not getattr(self, key):
                raise ValueError(f"issuer needs {key}, too")
        if "openid" not in self.scopes:
            raise ValueError("scopes has no openid, which OpenID Connect needs")
        return self

    @property
    def is_on(self) -> bool:
        """True if there is a provider."""
        return bool(self.issuer)

    def administrator(self, value: str) -> str | None:
        """Return the name of the administrator with a value of the claim, or None.

        Case matters, but for addresses: a provider may have the users `ada` and `Ada`, and the
        Kelvin sign is a `k` in lower case.
        """
        if self.claim != "email" or not value.isascii():
            return self.administrators.get(value)
        folded = {each.lower(): login for each, login in self.administrators.items()}
        return folded.get(value.lower())
