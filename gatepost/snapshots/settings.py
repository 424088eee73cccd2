"""The settings of a daemon that has data from accounts, and where they come from."""

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
        raise ValueError(f"{text!r} is no address: {_FORMS}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ValueError(f"{text!r} is no address: {_FORMS}")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError(f"it has only a host, a port and perhaps a path: {_FORMS}")
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError(f"{text!r} is no address: {_FORMS}")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise ValueError("http:// is for this host alone, because keys and tokens are in the clear")
    return text


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class AccountsSource(Section):
    """The place that data of `gatepost accounts` come from."""

    url: Annotated[str, AfterValidator(_check_url)] | None = Field(
        default=None,
        json_schema_extra=AT_START,
        description="The `snapshot_listen` of accounts: `unix:/PATH`, `https://HOST:PORT`, or "
        "`http://127.0.0.1:PORT`. Not set: nothing comes from accounts.",
    )
    token_file: FreshSecretPath | None = Field(
        default=None,
        json_schema_extra=AT_START,
        description="The token for accounts: see `[accounts.snapshots]`. It is read at each "
        "request.",
    )
    ca_file: FreshPath | None = Field(
        default=None,
        json_schema_extra=AT_START,
        description="Certificates in PEM of the authorities that the certificate of accounts may "
        "come from. Not set: those of the system.",
    )
    folder: WrittenPath = Field(
        default=Path("/var/lib/gatepost/snapshots"),
        json_schema_extra=AT_START,
        description="The folder where the last data are kept, for a start without accounts. "
        "Several daemons of the same user may share it.",
    )

    @model_validator(mode="after")
    def _check_authorities(self) -> Self:
        if self.ca_file is not None and not (self.url or "").startswith("https:"):
            raise ValueError("ca_file needs a url that begins with https://")
        return self
