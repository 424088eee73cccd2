"""Settings of the section `[accounts.pages]`: the web pages."""

from __future__ import annotations

from pydantic import Field

from accounts.http.factor_rule import FactorRule
from gatepost.config import Duration, Section

_LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"


class PagesSettings(Section):
    """Settings of the web pages, which are served where `http_listen` of `[accounts]` says."""

    enabled: bool = Field(
        default=False, description="Whether there are web pages. It is read at the start."
    )
    prefix: str = Field(
        default="/",
        max_length=100,
        pattern=r"^/(?:[a-z0-9-]+(?:/[a-z0-9-]+)*)?$",
        description="The path that all pages begin with, such as `/admin`. A proxy has to pass it "
        "on. It is read at the start.",
    )
    idle: Duration = Field(
        default=2 * 3600.0,
        ge=60,
        le=30 * 86_400,
        description="A session ends after this time without a request.",
    )
    lifetime: Duration = Field(
        default=7 * 86_400.0,
        ge=60,
        le=365 * 86_400,
        description="A session ends after this time in any case.",
    )
    second_factor: FactorRule = Field(
        default=FactorRule.OPTIONAL,
        description="Who has to log in with a second factor: nobody (`optional`), "
        "`administrators`, or `everyone`. Who has none has to add one after the password, and sees "
        "nothing else before; the API then takes no passwords of theirs. Mail programs do not "
        "notice.",
    )
    host: str = Field(
        default="",
        max_length=253,
        pattern=rf"^(?:(?:{_LABEL}\.)*{_LABEL})?$",
        description="The host name of the pages in browsers, which passkeys are bound to: with "
        "another one, people have to add them again. Empty: `hostname`.",
    )
    confirm_after: Duration = Field(
        default=600.0,
        ge=0,
        le=86_400,
        description="The password is needed again to delete something, or to change how to log "
        "in, if it was given longer ago.",
    )
