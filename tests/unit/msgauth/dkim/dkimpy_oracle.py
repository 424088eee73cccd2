"""dkimpy, asked what it thinks of a message: the independent second opinion."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import dkim

from msgauth.keys import SigningKey

_KEYS = Path(__file__).parents[3] / "vectors" / "keys"


def dkimpy_passes(raw: bytes, records: Mapping[str, str], number: int = 0) -> bool:
    """Whether dkimpy finds signature `number` of the message good."""

    def find(name: bytes, timeout: int = 5) -> bytes:
        return records.get(name.decode().rstrip("."), "").encode("latin-1")

    try:
        return bool(dkim.DKIM(raw).verify(number, dnsfunc=find))
    except (dkim.DKIMException, ValueError, IndexError):
        # ValueError: PyNaCl's for a signature's length; IndexError: a fold before the first field
        return False


def dkimpy_signature(
    raw: bytes, key: SigningKey, canonicalization: str, selector: str = "s"
) -> bytes:
    """The DKIM-Signature field that dkimpy makes for example.org."""
    header, body = canonicalization.encode().split(b"/")
    rsa = key.algorithm == "rsa-sha256"
    name = {2048: "rsa2048.pem", 1024: "rsa1024-pkcs1.pem", 256: "ed25519.seed"}[key.bits]
    signed: bytes = dkim.sign(
        raw,
        selector.encode(),
        b"example.org",
        (_KEYS / name).read_bytes(),
        canonicalize=(header, body),
        signature_algorithm=b"rsa-sha256" if rsa else b"ed25519-sha256",
    )
    return signed


def dkimpy_chain(raw: bytes, records: Mapping[str, str]) -> str:
    """dkimpy's status of the ARC chain of the message."""

    def find(name: bytes, timeout: int = 5) -> bytes:
        return records.get(name.decode().rstrip("."), "").encode("latin-1")

    status, _, _ = dkim.arc_verify(raw, dnsfunc=find)
    return "fail" if status is None else str(status.decode())


def dkimpy_lone_seal(raw: bytes, records: Mapping[str, str]) -> bool:
    """Whether dkimpy finds good the newest seal of a message that has no other set."""

    def find(name: bytes, timeout: int = 5) -> bytes:
        return records.get(name.decode().rstrip("."), "").encode("latin-1")

    arc = dkim.ARC(raw)
    instance, fields = arc.sorted_arc_headers()
    return bool(arc.verify_instance(fields, instance, dnsfunc=find)["as-valid"])


def dkimpy_seal(raw: bytes, selector: str, host: str) -> bytes:
    """The ARC set that dkimpy adds for example.org with the RSA key of 2048 bits.

    The message has to have an Authentication-Results of `host` with a result of arc.
    """
    fields: list[bytes] = dkim.ARC(raw).sign(
        selector.encode(),
        b"example.org",
        (_KEYS / "rsa2048.pem").read_bytes(),
        host.encode(),
        include_headers=[b"from", b"to", b"subject", b"from"],
        timestamp=1_700_000_000,
    )
    return b"".join(fields)
