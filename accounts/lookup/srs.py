"""Sender Rewriting Scheme: our own bounce addresses for mail that we forward.

SPF of a forwarded message passes only if its MAIL FROM is in a domain of the forwarder. The address
made here contains the sender, so that a bounce can be returned, and a hash, so that nobody else can
make one. The forms are those of the SRS paper of 2004, which no RFC has replaced:

* ``SRS0=HASH=DAY=DOMAIN=LOCAL@OURS`` stands for ``LOCAL@DOMAIN``;
* ``SRS1=HASH=HOST=REST@OURS`` stands for ``SRS0REST@HOST``, an address that another forwarder made.

Postfix asks for addresses in lower case, so the case of ASCII letters never counts. A hash is valid
in its own form alone: whoever sends as an ``SRS0`` address of theirs has its text signed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence

from accounts.address import MAX_ADDRESS, AccountAddressError, parse_domain

DIGITS = 6
"""Characters of a hash, 5 bits each: a forged bounce would take 500 million attempts."""
DAY = 86400
_DAYS = 1024  # two characters in base 32
_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
_SEPARATORS = "=+-"
_SRS0, _SRS1 = b"srs0=", b"srs1="
"""The first octets that the hash of each form is made of."""


class SenderRewriting:
    """Rewriter of senders to addresses in `domain`, and back.

    The first of `secrets` signs new addresses, all of them are accepted. An address is valid for
    `max_days` days, at most 1,000. Domains are in the form of `accounts.address`.
    """

    def __init__(self, domain: str, secrets: Sequence[bytes], max_days: int) -> None:
        self.domain = domain
        self._secrets = tuple(secrets)
        self._max_days = max_days

    def rewrite(self, local: str, domain: str, now: int) -> str | None:
        """Return the address that stands for a sender; None if it would be too long.

        `local` is a dot-atom (RFC 5322 section 3.2.3), `now` in seconds since the epoch.
        """
        if _is_srs(local, "srs0"):
            text = self._of_forwarder(domain, local[4:])
        elif (first := _read_srs1(local)) is not None:
            text = self._of_forwarder(*first[1:])
        else:
            day = now // DAY % _DAYS
            signed = f"{_ALPHABET[day >> 5]}{_ALPHABET[day & 31]}={domain}={local}"
            text = f"SRS0={self._hash(self._secrets[0], signed, _SRS0)}={signed}"
        address = f"{text}@{self.domain}"
        return address if len(address.encode()) <= MAX_ADDRESS else None

    def restore(self, local: str, now: int) -> str | None:
        """Return the address that one of ours stands for; None if it is forged or too old.

        `local` is its local part, for which `is_ours` holds.
        """
        if local[:4].lower() == "srs0":
            return self._restore_sender(local[5:], now)
        parts = _read_srs1(local)
        if parts is None:
            return None
        written, host, rest = parts
        if not self._is_signed(written, f"{host}={rest}", _SRS1):
            return None
        return f"SRS0{rest}@{host}"

    def is_ours(self, local: str, domain: str) -> bool:
        """Return whether an address has a form that only this class makes."""
        return domain == self.domain and local[:5].lower() in ("srs0=", "srs1=")

    def _restore_sender(self, text: str, now: int) -> str | None:
        written, _, signed = text.partition("=")
        day, _, address = signed.partition("=")
        domain, _, local = address.partition("=")
        if not local or not self._is_signed(written, signed, _SRS0):
            return None
        high, low = (_ALPHABET.find(digit) for digit in day.lower())
        age = (now // DAY - (high * 32 + low)) % _DAYS
        # the clock of another server may be a day ahead
        if self._max_days < age < _DAYS - 1:
            return None
        return f"{local}@{domain}"

    def _of_forwarder(self, host: str, rest: str) -> str:
        signed = f"{host}={rest}"
        return f"SRS1={self._hash(self._secrets[0], signed, _SRS1)}={signed}"

    def _is_signed(self, written: str, signed: str, form: bytes) -> bool:
        shown = written.encode("utf-8", "surrogatepass").lower()
        return any(
            hmac.compare_digest(self._hash(secret, signed, form).encode(), shown)
            for secret in self._secrets
        )

    @staticmethod
    def _hash(secret: bytes, signed: str, form: bytes) -> str:
        # octets have lower case in ASCII alone: a Kelvin sign is another letter than "k"
        octets = signed.encode("utf-8", "surrogatepass").lower()
        digest = hmac.digest(secret, form + octets, hashlib.sha256)
        return base64.b32encode(digest)[:DIGITS].decode().lower()


def _is_srs(local: str, word: str) -> bool:
    return local[:4].lower() == word and local[4:5] in _SEPARATORS and len(local) > 5


def _read_srs1(local: str) -> tuple[str, str, str] | None:
    """Return hash, first forwarder and the rest of its address, from its separator on."""
    if not _is_srs(local, "srs1"):
        return None
    written, _, after = local[5:].partition("=")
    host, _, rest = after.partition("=")
    try:
        host = parse_domain(host)
    except AccountAddressError:
        return None
    return (written, host, rest) if rest[:1] in _SEPARATORS and len(rest) > 1 else None
