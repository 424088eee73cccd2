"""Settings of the table `[accounts.api]`: the API that the commands use on a host without the
database."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, Field

from gatepost.config.section import Section
from gatepost.config.types import Duration, SecretPath
from gatepost.config.watched import Unwatched

_FORMS = (
    "write https://mail.example.org, http://127.0.0.1:8080 for this host, or unix:/path for a "
    "socket"
)
_MAX_URL = 500


def check_api_url(text: str) -> str:
    """Return the URL of an API, which needs TLS unless it is on this host; raises `ValueError`."""
    if text.startswith("unix:/") and text.isprintable():
        return text
    if len(text) > _MAX_URL or not (text.isascii() and text.isprintable() and " " not in text):
        raise ValueError(f"this is not a URL of an API: {_FORMS}")
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        raise ValueError(f"this is not a URL of an API: {_FORMS}") from None
    if url.scheme not in ("http", "https") or not url.hostname or port == 0:
        raise ValueError(f"this is not a URL of an API: {_FORMS}")
    if url.username is not None or url.query or url.fragment:
        raise ValueError(f"the URL must not contain a login, ? or #: {_FORMS}")
    if url.scheme == "http" and not _is_here(url):
        raise ValueError(f"a token would be sent to {url.hostname} in clear text: {_FORMS}")
    return text


def _is_here(url: SplitResult) -> bool:
    host = url.hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class ApiSettings(Section):
    """Settings of `[accounts.api]`, which only the commands read."""

    url: Annotated[str, AfterValidator(check_api_url)] | None = Field(
        default=None,
        description="The API that `gatepost domain` and the other commands use on a host without "
        "the database file: `https://mail.example.org`, `http://127.0.0.1:8080` on "
        "the same host, or `unix:/path` for a socket.",
    )
    token_file: SecretPath | None = Field(
        default=None, description="File with the token that the commands send to the API."
    )
    ca_file: Annotated[Path, Unwatched("commands alone read it")] | None = Field(
        default=None,
        description="CA certificates for verifying the certificate of the API; by default those "
        "of the system.",
    )
    timeout: Duration = Field(
        default=30.0,
        gt=0,
        le=300,
        description="How long a command waits for a whole answer.",
    )
