"""The table `[accounts.cache]`: what is answered while the database is away."""

from __future__ import annotations

from pydantic import Field

from gatepost.config import AT_START, Duration, Section, Size


class CacheSettings(Section):
    """Answers that are kept for the time that the database is away."""

    keep: Duration = Field(
        default=3600.0,
        le=7 * 86400,
        json_schema_extra=AT_START,
        description="How long an answer may be served after the database gave it last. 0 serves "
        "none.",
    )
    keep_changed: Duration = Field(
        default=600.0,
        le=7 * 86400,
        json_schema_extra=AT_START,
        description="The same for answers from before the last change of the data.",
    )
    trust_missing: Duration = Field(
        default=60.0,
        le=86400,
        json_schema_extra=AT_START,
        description="How long mail for an unknown address is refused on the last word of the "
        "database. After that it is a temporary error: somebody may have added the address.",
    )
    entries: int = Field(
        default=50_000,
        ge=100,
        le=10_000_000,
        json_schema_extra=AT_START,
        description="Answers that are kept at most, and as many that there is nothing.",
    )
    size: Size = Field(
        default=24_000_000,
        ge=100_000,
        json_schema_extra=AT_START,
        description="Memory in bytes for the answers, and as much for those that there is nothing.",
    )
