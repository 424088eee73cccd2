"""Settings of the table `[accounts.cache]`: answers while the database is away."""

from __future__ import annotations

from pydantic import Field

from gatepost.config import AT_START, Duration, Section, Size


class CacheSettings(Section):
    """Cached answers for the time while the database is away."""

    keep: Duration = Field(
        default=3600.0,
        le=7 * 86400,
        json_schema_extra=AT_START,
        description="How long an answer may be used after the database last confirmed it. 0 "
        "disables the cache.",
    )
    keep_changed: Duration = Field(
        default=600.0,
        le=7 * 86400,
        json_schema_extra=AT_START,
        description="The same for answers that are older than the last change of the data.",
    )
    trust_missing: Duration = Field(
        default=60.0,
        le=86400,
        json_schema_extra=AT_START,
        description="How long an address counts as unknown after the database last said so, and "
        "its mail is refused. After that, the answer is a temporary error, because "
        "somebody may have added the address.",
    )
    entries: int = Field(
        default=50_000,
        ge=100,
        le=10_000_000,
        json_schema_extra=AT_START,
        description="Maximum number of entries that are kept for addresses and domains that "
        "exist; the same number of addresses that do not exist is kept beside them.",
    )
    size: Size = Field(
        default=24_000_000,
        ge=100_000,
        json_schema_extra=AT_START,
        description="Memory in bytes for entries that exist; those that do not exist get the "
        "same amount.",
    )
