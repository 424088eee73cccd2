"""Settings of the service of a holder, which are the same for all."""

from __future__ import annotations

from typing import Final, Self

from pydantic import Field, model_validator

from gatepost.config import MoreAddresses, SecretFile, SecretPath, Section
from gatepost.errors import StartError
from gatepost.listen import Inet

MAX_CLIENTS: Final = 8
"""Connections to a holder at once: each may have a whole mail in memory."""
_LEAST: Final = 16
"""Characters of a token."""


class HolderSettings(Section):
    """The service that shows, releases and deletes mail in quarantine."""

    listen: MoreAddresses = Field(
        default=(),
        description="The address of the service for `[accounts.quarantine]`, such as "
        "`unix:/run/gatepost/quarantine` or `inet:10029@127.0.0.1`; none by default. It "
        "sends mail in clear text: use a network that nobody else can listen to.",
    )
    token_file: SecretPath | None = Field(
        default=None,
        description="File with the token that clients have to send, of at least 16 characters. "
        "Required unless the address is a unix socket.",
    )

    @model_validator(mode="after")
    def _check_token(self) -> Self:
        for address in self.listen:
            if isinstance(address, Inet) and self.token_file is None:
                raise ValueError(f"{address} needs a token_file: it shows the mail of everybody")
        return self


def read_holder_token(file: SecretFile | None, key: str) -> bytes:
    """Return the token in a file; empty without a file. Raises `StartError`, which names `key`."""
    if file is None:
        return b""
    try:
        token = file.read().strip()
    except (OSError, ValueError) as error:
        raise StartError(f"{key}: {error}") from None
    if len(token) < _LEAST or not all(0x21 <= octet <= 0x7E for octet in token):
        raise StartError(
            f"{key}: {file} has no token of at least {_LEAST} printable characters without blanks"
        )
    return token
