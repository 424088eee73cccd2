"""Settings of the section `[accounts.stores]`: the mail stores that mailboxes are spread over."""

from __future__ import annotations

import re
from typing import Annotated, NamedTuple, Self

from pydantic import AfterValidator, Field, model_validator

from accounts.dovecot_settings import DoveadmUrl
from accounts.store_names import StoreNames
from gatepost.config import Duration, Section

MAX_STORES = 1000
"""Maximum number of mail stores."""

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z")
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}\Z|[0-9A-Fa-f:.]{2,45}\Z")
_PEER = re.compile(r"([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):([0-9]{1,5})\Z")


def _check_name(text: str) -> str:
    if not _NAME.match(text):
        raise ValueError(f"{text!r} is no name of a store: write a-z, 0-9 and hyphens, such as s0")
    return text


def _check_host(text: str) -> str:
    if not _HOST.match(text):
        raise ValueError(f"{text!r} is neither the name nor the address of a host")
    return text


def _check_peer(text: str) -> str:
    found = _PEER.match(text)
    if not found or not 0 < int(found[2]) < 65536:
        raise ValueError(f"{text!r} is no peer: write HOST:PORT")
    return text


class HomeStoreSettings(Section):
    """A mail store: one Dovecot with a volume of its own."""

    host: Annotated[str, AfterValidator(_check_host)] = Field(
        description="Name or address at which the proxies reach IMAP, POP3 and ManageSieve of this "
        "store.",
    )
    doveadm_url: DoveadmUrl | None = Field(
        default=None,
        description="URL of its doveadm HTTP API, which moves mailboxes; its key is "
        "`dovecot.doveadm_key_file`. Without it, no mailbox leaves the store or comes to it.",
    )
    transfer: Annotated[str, AfterValidator(_check_peer)] | None = Field(
        default=None,
        description="HOST:PORT at which doveadm of the other stores reaches doveadm of this one, "
        "to copy mailboxes. Without it, no mailbox moves to this store.",
    )
    takes_new: bool = Field(
        default=True,
        description="Whether new mailboxes may go to this store. A full one, or one that is to be "
        "emptied, takes none.",
    )


class StoreOfMailbox(NamedTuple):
    """The store of a mailbox by its name; `settings` is None if the configuration lacks it."""

    name: str
    settings: HomeStoreSettings | None


class HomeStoresSettings(Section):
    """The mail stores, if there are several. Without any, there is one, which has no name."""

    named: dict[Annotated[str, AfterValidator(_check_name)], HomeStoreSettings] = Field(
        default_factory=dict,
        max_length=MAX_STORES,
        description="The stores by their names, as in "
        '`named.s0 = { host = "10.0.0.1", doveadm_url = "http://10.0.0.1:18080" }`. '
        "`[delivery.stores]` and each Dovecot have the same names. A new mailbox goes to the store "
        "with the fewest mailboxes of those with `takes_new`.",
    )
    default: str = Field(
        default="",
        max_length=63,
        description="The store of the mailboxes that have none, from the time when there was only "
        "one. Required with `named`.",
    )
    lock: Duration = Field(
        default=120.0,
        ge=10,
        le=900,
        description="How long a mailbox may be locked for the second pass of a move. If the pass "
        "takes longer, the mailbox stays in its store, and the move begins again later.",
    )
    settle: Duration = Field(
        default=900.0,
        ge=5,
        le=86_400,
        description="Time after a move until what is left in the earlier store is merged and "
        "removed. It must be longer than `delivery.budget`: a delivery in progress may still "
        "store its message there.",
    )

    @model_validator(mode="after")
    def _check_default(self) -> Self:
        if self.named and self.default not in self.named:
            raise ValueError("default has to be one of the names in named")
        if self.default and not self.named:
            raise ValueError("default needs named")
        return self

    def store_of(self, name: str | None) -> StoreOfMailbox:
        """Return the store of a mailbox whose column `store` has this value."""
        meant = name or self.default
        return StoreOfMailbox(meant, self.named.get(meant))

    def is_there(self, name: str | None, asked: str) -> bool:
        """Return whether a mailbox with this `store` is in the store that calls itself `asked`.

        Without names here, the only store has none.
        """
        return self.store_of(name).name == asked if self.named else not asked

    @property
    def names(self) -> StoreNames | None:
        """Return the names of the stores, in order; None if they have none."""
        known = tuple(sorted(self.named))
        taking_new = tuple(name for name in known if self.named[name].takes_new)
        return StoreNames(known, taking_new, self.default) if known else None

    @property
    def doveadm_urls(self) -> tuple[str, ...]:
        """Return the URLs of doveadm of all stores, in the order of their names."""
        urls = (self.named[name].doveadm_url for name in sorted(self.named))
        return tuple(url for url in urls if url is not None)
