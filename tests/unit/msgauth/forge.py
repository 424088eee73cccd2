"""Makes signatures that a good signer would not make, to see what a verifier says of them."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from typing import Protocol

from msgauth.dkim.body import BodyHash, BodyHashes
from msgauth.dkim.canonical import RELAXED, Canonical, Canonicalization, canonical_field
from msgauth.dkim.headers import Header
from msgauth.errors import MsgauthError
from msgauth.keys import Algorithm
from msgauth.message import HeaderField


class Signer(Protocol):
    """What `SigningKey` is here, and a key that is too short to be one."""

    algorithm: Algorithm

    def sign(self, digest: bytes) -> bytes: ...


class AskedHashes(BodyHashes):
    """Knows whether anybody asked for a hash; where nobody did, the body costs nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def want(self, algorithm: Canonical, limit: int | None = None) -> BodyHash:
        self.asked += 1
        return super().want(algorithm, limit)


DEFAULTS = {
    "v": "1",
    "a": "",
    "c": "relaxed/relaxed",
    "d": "example.org",
    "s": "sel",
    "h": "From:Subject:Date",
}


def body_digest(body: bytes, algorithm: Canonicalization, limit: int | None = None) -> str:
    hashes = BodyHashes()
    wanted = hashes.want(algorithm.body, limit)
    hashes.update(body)
    hashes.finish()
    return base64.b64encode(wanted.digest).decode()


def forge(
    fields: Sequence[HeaderField],
    body: bytes,
    key: Signer,
    /,
    **tags: str | None,
) -> HeaderField:
    """A signature field with `tags` over `DEFAULTS`, None to leave one out, that verifies.

    h= is taken as it is, except that names which do not exist stand for nothing.
    """
    given = {"a": key.algorithm, **tags}
    merged = {**DEFAULTS, **given}
    try:
        algorithm = Canonicalization.parse(str(merged.get("c") or "simple/simple"))
    except MsgauthError:
        algorithm = RELAXED
    if "bh" not in merged:
        limit = merged.get("l")
        whole = limit is None or not limit.isdecimal()
        merged["bh"] = body_digest(body, algorithm, None if whole else int(str(limit)))
    given_signature = merged.pop("b", "")
    text = "; ".join(f"{tag}={value}" for tag, value in merged.items() if value is not None)
    unsigned = HeaderField(b"DKIM-Signature", f" {text}; b=".encode())
    if given_signature != "":
        return HeaderField(b"DKIM-Signature", unsigned.value + str(given_signature).encode())
    names = [item.strip().lower().encode() for item in str(merged["h"] or "").split(":")]
    header = Header(fields)
    digest = hashlib.sha256(header.canonical(header.covered(names, unsigned), algorithm.header))
    digest.update(canonical_field(unsigned, algorithm.header)[:-2])
    signature = base64.b64encode(key.sign(digest.digest()))
    return HeaderField(b"DKIM-Signature", unsigned.value + signature)
