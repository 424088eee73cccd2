"""The sections `[delivery.learning]` and `[delivery.night]`: how the spam filter is taught."""

from __future__ import annotations

from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, model_validator

from gatepost.config import (
    BackendAddress,
    Duration,
    FreshPath,
    MoreAddresses,
    SecretPath,
    Section,
    Size,
)
from gatepost.listen import Inet, SocketAddress

LEARNING_LISTEN: Final = "learning.listen"
"""The key of the sockets of the service that teaches."""


def is_loopback(address: SocketAddress) -> bool:
    """Return whether only this machine, or this pod, can connect to an address."""
    return not isinstance(address, Inet) or address.host.startswith(("127.", "::1", "localhost"))


class LearningSettings(Section):
    """The service by which users teach the spam filter: `gatepost spam`, and Dovecot."""

    listen: MoreAddresses = Field(
        default=(),
        description="The address of the service, such as `inet:127.0.0.1:10027`; none by default. "
        "Whoever can connect, and has the token if there is one, can teach for every user.",
    )
    token_file: SecretPath | None = Field(
        default=None,
        description="File with a token that clients have to send. Required unless the address is "
        "on loopback or a unix socket.",
    )
    ledger_folder: FreshPath | None = Field(
        default=None,
        description="The folder for the ledgers of what was learned, with Rspamd. With "
        "SpamAssassin they are in `delivery.spam.users_folder`.",
    )
    max_size: Size = Field(
        default=128 << 20,
        ge=64 << 10,
        description="Octets of the largest message that may be sent; its first part, "
        "`delivery.spam.scan_size`, is learned.",
    )
    max_connections: int = Field(
        default=32, ge=1, le=1000, description="Connections open at once; further ones wait."
    )

    @model_validator(mode="after")
    def _check_token(self) -> Self:
        for address in self.listen:
            if isinstance(address, Inet) and not is_loopback(address) and self.token_file is None:
                raise ValueError(f"{address} is not on loopback: clients need a token_file")
        return self


def _check_inet(address: SocketAddress) -> SocketAddress:
    if not isinstance(address, Inet):
        raise ValueError(f"{address} is a unix socket: write inet:PORT@HOST")  # noqa: TRY004
    return address


class NightSettings(Section):
    """The job `gatepost spam train`, which reads mail by IMAP and teaches the spam filter."""

    learning: BackendAddress | None = Field(
        default=None,
        description="The address of the service that teaches; by default the first one of "
        "`delivery.learning.listen`.",
    )
    imap: Annotated[BackendAddress, AfterValidator(_check_inet)] = Field(
        default=Inet("127.0.0.1", 10143),
        description="IMAP of the mail store that has the mailboxes without a store of their own. "
        "It has to take a password without TLS, as Dovecot does from loopback and from its trusted "
        "networks.",
    )
    named: dict[str, Annotated[BackendAddress, AfterValidator(_check_inet)]] = Field(
        default_factory=dict,
        description="IMAP of each store that accounts names, as in `[delivery.stores]`.",
    )
    doveadm_url: str = Field(
        default="http://127.0.0.1:18080",
        pattern=r"^https?://[!-~]+$",
        description="doveadm's HTTP API of the same store, which lists the users.",
    )
    named_doveadm: dict[str, Annotated[str, Field(pattern=r"^https?://[!-~]+$")]] = Field(
        default_factory=dict,
        description="doveadm's HTTP API of each store in `named`.",
    )
    key_file: SecretPath | None = Field(
        default=None,
        description="File with the key of this API. It is also the password by which Dovecot lets "
        "`master_user` read the mail of every user.",
    )
    master_user: str = Field(
        default="doveadm",
        pattern=r"^[A-Za-z0-9._-]{1,64}$",
        description="The master user of Dovecot for this job.",
    )
    min_age: Duration = Field(
        default=2 * 86400.0,
        description="How long a message has to be in its folder until it is learned; whole days.",
    )
    max_messages: int = Field(
        default=200,
        ge=1,
        le=100_000,
        description="Messages of each class that are learned for one user in one run.",
    )
    max_time: Duration = Field(
        default=3600.0,
        gt=0,
        description="How long one run may take. Users whose turn did not come are served another "
        "time: the order is random.",
    )
