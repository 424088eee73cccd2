"""Permission to fetch a snapshot: by a token, or for a user at the other end of a unix socket."""

from __future__ import annotations

import enum
import hashlib
import hmac
from collections.abc import Collection
from typing import NamedTuple

from accounts.snapshots.settings import SnapshotSettings
from gatepost.config.types import SecretFile

SHORTEST = 16
"""Minimum length of a token in characters."""
SECRET_NAMES = frozenset({"dkim_keys"})
"""The snapshots with secrets."""


class TokenError(ValueError):
    """A file has no usable token; the message says which file and why."""


class Access(enum.Enum):
    """The snapshots that a client may fetch."""

    NOTHING = enum.auto()
    PLAIN = enum.auto()
    ALL = enum.auto()

    def allows(self, name: str) -> bool:
        """Return whether a snapshot may be fetched."""
        return self is Access.ALL or (self is Access.PLAIN and name not in SECRET_NAMES)


class Tokens(NamedTuple):
    """Digests of the tokens in use; None if a token is not set."""

    plain: bytes | None = None
    keys: bytes | None = None

    @classmethod
    def read(cls, settings: SnapshotSettings) -> Tokens:
        """Read the tokens; raises `TokenError`."""
        plain = _read("token_file", settings.token_file)
        keys = _read("keys_token_file", settings.keys_token_file)
        if plain is not None and plain == keys:
            raise TokenError("keys_token_file: it has the same token as token_file")
        return cls(plain, keys)


def access_of(
    authorization: bytes | None, peer: int | None, tokens: Tokens, users: Collection[int]
) -> Access:
    """Return the snapshots that the sender of this Authorization field may fetch.

    `peer` is the uid at the other end of a unix socket; `users` are the uids that need no token.
    """
    if authorization is not None:
        scheme, _, token = authorization.partition(b" ")
        # RFC 9110 section 11.1: the case of the scheme does not matter
        digest = hashlib.sha256(token.strip()).digest()
        if scheme.lower() == b"bearer":
            if tokens.keys is not None and hmac.compare_digest(digest, tokens.keys):
                return Access.ALL
            if tokens.plain is not None and hmac.compare_digest(digest, tokens.plain):
                return Access.PLAIN
        return Access.NOTHING
    return Access.ALL if peer is not None and peer in users else Access.NOTHING


def _read(key: str, file: SecretFile | None) -> bytes | None:
    if file is None:
        return None
    try:
        token = file.read_text("ascii").strip()
    except (OSError, ValueError) as error:
        raise TokenError(f"{key}: {error}") from None
    if len(token) < SHORTEST or not token.isprintable() or " " in token:
        raise TokenError(
            f"{key}: {file} has no token of at least {SHORTEST} characters: "
            "`openssl rand -hex 32` makes one"
        )
    return hashlib.sha256(token.encode()).digest()
