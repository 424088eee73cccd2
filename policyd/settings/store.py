"""The section `[policyd.store]`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from gatepost.config import AT_START, Duration, FreshSecretPath, Section, WrittenPath

DEFAULT_PATH = Path("/var/lib/gatepost/policyd.sqlite")


class StoreSettings(Section):
    """The database of greylisting and limits."""

    kind: Literal["sqlite", "valkey", "memory"] = Field(
        json_schema_extra=AT_START,
        default="sqlite",
        description="`sqlite`: one file, nothing to set up. `valkey`: a Valkey or Redis server "
        "that several instances share. `memory`: lost at every restart.",
    )
    path: WrittenPath = Field(
        json_schema_extra=AT_START,
        default=DEFAULT_PATH,
        description="The file of the SQLite store, on a local disk. Its folder must be writable.",
    )
    url: str = Field(
        json_schema_extra=AT_START,
        default="valkey://127.0.0.1:6379/0",
        description="The Valkey server: `valkey://HOST:PORT/DATABASE`, `valkeys://` with TLS, or "
        "`unix:///PATH`. No password here: see `password_file`.",
    )
    password_file: FreshSecretPath | None = Field(
        json_schema_extra=AT_START,
        default=None,
        description="A file with the password of the Valkey server. It is read at each connection, "
        "so that a new password needs no restart.",
    )
    prefix: str = Field(
        json_schema_extra=AT_START,
        default="gatepost:",
        description="Prefix of every key on the Valkey server.",
        max_length=100,
    )
    timeout: Duration = Field(
        json_schema_extra=AT_START,
        default=1.0,
        gt=0,
        le=30,
        description="Time limit for one answer from the store. After three failures in a row the "
        "store is not used for a while: greylisting continues in memory, the other checks "
        "follow their failure mode.",
    )

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("valkey", "valkeys", "redis", "rediss", "unix"):
            raise ValueError(f"{url!r} is not a server: write valkey://HOST:PORT/DATABASE")
        if parts.password:
            raise ValueError("put the password into a file of its own: password_file")
        return url
