"""Settings of the section `[accounts.dovecot]`."""

from __future__ import annotations

from typing import Annotated, Any, Self, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, model_validator

from gatepost.config import AT_START, SecretPath, Section

MAX_SERVERS = 1000
"""Maximum number of Dovecot servers that are told to end sessions."""


def _parse_urls(value: Any) -> Any:
    """Parse one URL, or a list of them."""
    return value if isinstance(value, list | tuple) else [value]


def _check_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"{text!r} is not a URL: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ValueError(f"{text!r} is not a URL of doveadm: write http://HOST:PORT")
    if parts.username is not None or parts.password is not None:
        raise ValueError("the key must not be in the URL: use doveadm_key_file")
    if not (text.isascii() and text.isprintable()) or " " in text or parts.query or parts.fragment:
        raise ValueError(f"{text!r} is not a URL of doveadm: write http://HOST:PORT")
    return text


DoveadmUrl: TypeAlias = Annotated[str, AfterValidator(_check_url)]
"""The URL of a doveadm HTTP API."""

_Urls: TypeAlias = Annotated[
    tuple[DoveadmUrl, ...],
    BeforeValidator(_parse_urls),
    PlainSerializer(lambda urls: urls[0] if len(urls) == 1 else list(urls)),
]


class DovecotSettings(Section):
    """Tokens and addresses for the connections between Dovecot and this service."""

    token_file: SecretPath | None = Field(
        default=None,
        description="File with the token that Dovecot sends with each request to "
        "`dovecot_listen` over TCP. Required unless the address is a unix socket or "
        "on loopback.",
    )
    doveadm_url: _Urls = Field(
        default=(),
        json_schema_extra=AT_START,
        max_length=MAX_SERVERS,
        description="URLs of the doveadm HTTP API of all Dovecot servers, such as "
        "`http://dovecot:8080`. When a mailbox loses a right or gets another "
        "password, its sessions there are ended. If empty, they continue.",
    )
    doveadm_key_file: SecretPath | None = Field(
        default=None,
        description="File with the key of that API (`doveadm_api_key`); it is read for each "
        "connection.",
    )

    @model_validator(mode="after")
    def _check_key(self) -> Self:
        if self.doveadm_url and self.doveadm_key_file is None:
            raise ValueError("doveadm_url needs a doveadm_key_file")
        return self
