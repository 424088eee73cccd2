"""Generator of key pairs for DKIM, the only source of random numbers for them (from OpenSSL)."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from msgauth.keys import GOOD_RSA_BITS, KeyType

MAX_NEW_RSA_BITS = 4096
"""RFC 8301 section 3.2: verifiers need not handle more than 4096 bits."""

_PUBLIC_EXPONENT = 65537


def new_key(key_type: KeyType, rsa_bits: int = GOOD_RSA_BITS) -> bytes:
    """Return a new private key as PEM (PKCS #8), without a pass phrase.

    `rsa_bits` only applies to RSA; at most `MAX_NEW_RSA_BITS`.
    """
    key: RSAPrivateKey | Ed25519PrivateKey
    if key_type == "ed25519":
        key = Ed25519PrivateKey.generate()
    else:
        if rsa_bits > MAX_NEW_RSA_BITS:
            raise ValueError(f"an RSA key of {rsa_bits} bits is longer than {MAX_NEW_RSA_BITS}")
        key = generate_private_key(_PUBLIC_EXPONENT, rsa_bits)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
