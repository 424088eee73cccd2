"""Settings of a daemon that uses data from accounts."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from gatepost.config import AT_START, FreshPath, FreshSecretPath, Section, WrittenPath
from gatepost.listen import parse as parse_listen

_FORMS = "write unix:/PATH, https://HOST:PORT, or http://127.0.0.1:PORT"


def _check_url(text: str) -> str:
    if text.startswith("unix:"):
        parse_listen(text)
        return text
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError(f"{text!r} is not a valid address: {_FORMS}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ValueError(f"{text!r} is not a valid address: {_FORMS}")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError(f"it must have only a host, a port and perhaps a path: {_FORMS}")
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError(f"{text!r} is not a valid address: {_FORMS}")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise ValueError(
            "http:// is allowed only for this host, because keys and tokens are sent in clear text"
        )
    return text


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class AccountsSource(Section):
    """The source of data from `gatepost accounts`."""

    url: Annotated[str, AfterValidator(_check_url)] | None = Field(
        default=None,
        json_schema_extra=AT_START,
        description="The `snapshot_listen` of accounts: `unix:/PATH`, `https://HOST:PORT`, or "
        "`http://127.0.0.1:PORT`. If it is not set, no data come from accounts.",
    )
    token_file: FreshSecretPath | None = Field(
        default=None,
        json_schema_extra=AT_START,
        description="File with the token for accounts: see `[accounts.snapshots]`. It is read "
        "for each request.",
    )
    ca_file: FreshPath | None = Field(
        default=None,
        json_schema_extra=AT_START,
        description="CA certificates in PEM for verifying the certificate of accounts. By "
        "default those of the system.",
    )
    folder: WrittenPath = Field(
        default=Path("/var/lib/gatepost/snapshots"),
        json_schema_extra=AT_START,
        description="The folder where the latest data are kept, for a start without accounts. "
        "Several daemons of the same user may share it.",
    )

    journal: bool = Field(
        default=True,
        json_schema_extra=AT_START,
        description="Send each decision to accounts, where `gatepost trace` finds it. Mail never "
        "waits for that, and nothing is sent without `url`.",
    )

    @model_validator(mode="after")
    def _check_authorities(self) -> Self:
        if self.ca_file is not None and not (self.url or "").startswith("https:"):
            raise ValueError("ca_file requires a url that begins with https://")
        return self
