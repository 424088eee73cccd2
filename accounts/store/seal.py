"""Encryption of the secrets in the datastore, with a key that it does not have.

The secrets are private DKIM keys, the passwords of remote accounts, and the secrets of one-time
codes. A copy of the database, such as a backup, does not reveal them. The cipher is AES-256 in GCM
(NIST SP 800-38D), with a random nonce of 96 bits: one key encrypts thousands of secrets, far fewer
than the 2**32 that are allowed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from typing import TYPE_CHECKING

from accounts.store.errors import DatastoreError
from gatepost.config.types import SecretFile

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY = 32
"""Octets of a key."""
MAX_KEYS = 16
"""Keys of a file: the current one, and earlier ones until everything is encrypted again."""
_FORMAT = b"\x01"
_ID = 4
_NONCE = 12


class SealError(DatastoreError):
    """A secret cannot be encrypted or decrypted; the message is for the administrator."""


class SecretSeal:
    """The keys, the current one first. A secret is bound to its `purpose`, which names its owner.

    Without keys, every method raises `SealError`.
    """

    def __init__(self, keys: list[bytes]) -> None:
        self._ciphers = {_id(key): _cipher(key) for key in reversed(keys)}
        self._present = _id(keys[0]) if keys else b""

    @classmethod
    def read(cls, file: SecretFile | None) -> SecretSeal:
        """Read the keys from a file: a line of base64 for each; raises `SealError`."""
        if file is None:
            return cls([])
        try:
            lines = file.read_text("ascii").split()
        except (OSError, ValueError) as error:
            raise SealError(f"cannot read the key file: {error}") from None
        if len(lines) > MAX_KEYS:
            raise SealError(f"the key file {file} has more than {MAX_KEYS} keys")
        try:
            keys = [base64.b64decode(line, validate=True) for line in lines]
        except binascii.Error:
            keys = [b""]
        if any(len(key) != KEY for key in keys):
            raise SealError(
                f"the key file {file} does not have {KEY} octets in base64 on each line: "
                f"`openssl rand -base64 {KEY}` makes such a line"
            )
        return cls(keys)

    def close(self, secret: bytes, purpose: str) -> bytes:
        """Return the secret, encrypted with the current key."""
        if not self._present:
            raise SealError(
                "no key to encrypt with: set key_file in [accounts.database] to a file with a "
                f"line of `openssl rand -base64 {KEY}`"
            )
        nonce = os.urandom(_NONCE)
        head = _FORMAT + self._present
        sealed = self._ciphers[self._present].encrypt(nonce, secret, head + purpose.encode())
        return head + nonce + sealed

    def open(self, sealed: bytes, purpose: str) -> bytes:
        """Return the secret that `close` encrypted for this purpose."""
        head, nonce, rest = (
            sealed[: 1 + _ID],
            sealed[1 + _ID :][:_NONCE],
            sealed[1 + _ID + _NONCE :],
        )
        cipher = self._ciphers.get(head[1:])
        if head[:1] != _FORMAT or cipher is None:
            raise SealError(f"{purpose} is encrypted with a key that the key file does not have")
        from cryptography.exceptions import InvalidTag

        try:
            return cipher.decrypt(nonce, rest, head + purpose.encode())
        except (InvalidTag, ValueError):
            raise SealError(f"{purpose} is damaged, or was encrypted for something else") from None

    def is_present(self, sealed: bytes) -> bool:
        """Return whether a secret is encrypted with the current key."""
        return sealed[: 1 + _ID] == _FORMAT + self._present


def new_key() -> str:
    """Return a line for a key file."""
    return base64.b64encode(os.urandom(KEY)).decode()


def _cipher(key: bytes) -> AESGCM:
    # imported here, because a service without keys does not need it
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key)


def _id(key: bytes) -> bytes:
    """Return octets that identify a key without revealing it."""
    return hashlib.sha256(b"gatepost seal" + key).digest()[:_ID]
