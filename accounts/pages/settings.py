"""Settings of the section `[accounts.pages]`: the web pages."""

from __future__ import annotations

from pydantic import Field

from gatepost.config import Duration, Section


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
    confirm_after: Duration = Field(
        default=600.0,
        ge=0,
        le=86_400,
        description="The password is needed again to delete something, or to change how to log "
        "in, if it was given longer ago.",
    )
