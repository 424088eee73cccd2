"""The section `[accounts.dovecot]` of gatepost.toml."""

from __future__ import annotations

from typing import Annotated, Any, Self, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, model_validator

from gatepost.config import AT_START, SecretPath, Section

MAX_SERVERS = 20
"""Servers of Dovecot that are told to end sessions."""


def _parse_urls(value: Any) -> Any:
    """Parse one URL, or a list of them."""
    return value if isinstance(value, list | tuple) else [value]


def _check_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"{text!r} is no URL: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ValueError(f"{text!r} is no URL of doveadm: write http://HOST:PORT")
    if parts.username is not None or parts.password is not None:
        raise ValueError("the key does not stand in the URL: use doveadm_key_file")
    if not (text.isascii() and text.isprintable()) or " " in text or parts.query or parts.fragment:
        raise ValueError(f"{text!r} is no URL of doveadm: write http://HOST:PORT")
    return text


_Urls: TypeAlias = Annotated[
    tuple[Annotated[str, AfterValidator(_check_url)], ...],
    BeforeValidator(_parse_urls),
    PlainSerializer(lambda urls: urls[0] if len(urls) == 1 else list(urls)),
]


class DovecotSettings(Section):
    """What Dovecot and this service need to know of each other."""

    token_file: SecretPath | None = Field(
        default=None,
        description="The token that Dovecot sends with each question over TCP, for "
        "`dovecot_listen`. Needed unless the address is a unix socket or on loopback.",
    )
    doveadm_url: _Urls = Field(
        default=(),
        json_schema_extra=AT_START,
        max_length=MAX_SERVERS,
        description="The HTTP API of doveadm, such as `http://dovecot:8080`, of each "
        "server of Dovecot. Its sessions end when a mailbox loses a right or gets another "
        "password. Empty: they go on.",
    )
    doveadm_key_file: SecretPath | None = Field(
        default=None,
        description="The key of that API (`doveadm_api_key`); read at each connection.",
    )

    @model_validator(mode="after")
    def _check_key(self) -> Self:
        if self.doveadm_url and self.doveadm_key_file is None:
            raise ValueError("doveadm_url needs a doveadm_key_file")
        return self
