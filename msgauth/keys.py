"""Keys for signing and verifying: RSA (RFC 6376, RFC 8301) and Ed25519 (RFC 8463).

A key is parsed once and then used for many messages. Both kinds sign the SHA-256 digest of DKIM's
input: RSA signs it as a digest (PKCS #1 v1.5), Ed25519 signs its 32 octets as a message (RFC 8463
section 3), so a caller hashes once and treats both alike.

Generating keys needs random numbers and is not part of this package.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final, Literal, TypeAlias

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import (
    RSAPrivateKey,
    RSAPrivateNumbers,
    RSAPublicKey,
)
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
    load_pem_private_key,
)

from msgauth.errors import MsgauthError

Algorithm: TypeAlias = Literal["rsa-sha256", "ed25519-sha256"]
KeyType: TypeAlias = Literal["rsa", "ed25519"]

MIN_RSA_BITS = 1024
"""RFC 8301 section 3.2: signers and verifiers MUST NOT use shorter RSA keys."""

GOOD_RSA_BITS = 2048
"""RFC 8301 section 3.2: signers SHOULD use at least this."""

MAX_RSA_BITS = 8192
"""Larger RSA keys are refused: a verification takes longer with the square of the size, and RFC
8301 section 3.2 asks for no more than 4096 bits."""

MAX_RSA_EXPONENT_BITS = 64
"""Larger public exponents are refused: everybody uses 65537, and a verification takes longer with
their size. OpenSSL has the same bound for large keys."""

ED25519_BITS = 256
"""Size of an Ed25519 key for display beside RSA sizes."""

MAX_KEY_FILE = 64 * 1024
"""Maximum octets of a private key file; one of 16384 bits has 13 KiB."""

_BROKEN: Final = "the numbers of the RSA key do not fit together; the file is damaged"
_PROBE: Final = bytes(32)
"""A digest for testing whether a key works."""
_PADDING: Final = PKCS1v15()
_SHA256_DIGEST: Final = Prehashed(SHA256())


class BadKeyError(MsgauthError):
    """A key cannot be read or must not be used."""


class SigningKey:
    """A private key, ready to sign. Immutable, and safe to use from several threads.

    `algorithm` is the DKIM algorithm that it signs with, `bits` the RSA modulus size (256 for
    Ed25519).
    """

    __slots__ = ("_key", "algorithm", "bits")

    def __init__(self, key: RSAPrivateKey | Ed25519PrivateKey) -> None:
        self._key: Final = key
        if isinstance(key, RSAPrivateKey):
            self.algorithm: Algorithm = "rsa-sha256"
            self.bits = key.key_size
            if self.bits < MIN_RSA_BITS:  # RFC 8301 section 3.2
                raise BadKeyError(f"the RSA key has {self.bits} bits, fewer than {MIN_RSA_BITS}")
        else:
            self.algorithm = "ed25519-sha256"
            self.bits = ED25519_BITS
        if self.bits > MAX_RSA_BITS:
            raise BadKeyError(f"the RSA key has {self.bits} bits, more than {MAX_RSA_BITS}")

    @classmethod
    def parse(cls, data: bytes) -> SigningKey:
        """Read a private key: PEM in PKCS #1 or PKCS #8, RSA or Ed25519.

        A bare base64 line of 32 octets is taken as an Ed25519 seed, which is how dkimpy writes its
        keys. Raises `BadKeyError` with one clause about the problem.
        """
        if len(data) > MAX_KEY_FILE:
            raise BadKeyError(f"the key file is longer than {MAX_KEY_FILE} octets")
        if b"-----BEGIN" not in data:
            return cls(_ed25519_seed(data))
        if b"PRIVATE KEY-----" not in data:
            what = "a public key" if b"PUBLIC KEY-----" in data else "no private key"
            raise BadKeyError(f"the file holds {what}; the private key is needed")
        try:
            # OpenSSL's check looks for primes, 35 ms a key: `_check_numbers` and one signature
            # find what is broken in half a millisecond
            key = load_pem_private_key(data, password=None, unsafe_skip_rsa_key_validation=True)
        except TypeError as error:
            raise BadKeyError(
                "the key is encrypted; it has to be stored without a pass phrase"
            ) from error
        except (ValueError, UnsupportedAlgorithm) as error:
            if b"ENCRYPTED" in data:
                raise BadKeyError(
                    "the key is encrypted; it has to be stored without a pass phrase"
                ) from error
            raise BadKeyError(
                "the private key cannot be decoded; the file may be cut off"
            ) from error
        if not isinstance(key, RSAPrivateKey | Ed25519PrivateKey):
            raise BadKeyError("the key is neither RSA nor Ed25519; DKIM knows no others")
        made = cls(key)
        if isinstance(key, RSAPrivateKey):
            _check_numbers(key.private_numbers())
            made._check_signature()
        return made

    def _check_signature(self) -> None:
        """Raise `BadKeyError` if the public key does not verify this key's signature."""
        try:
            is_good = self.public_key().verify(_PROBE, self.sign(_PROBE))
        except ValueError:  # OpenSSL refuses to work with it
            is_good = False
        if not is_good:
            raise BadKeyError(_BROKEN)

    @property
    def type(self) -> KeyType:
        """The key type as in the tag k= of a key record."""
        return "rsa" if isinstance(self._key, RSAPrivateKey) else "ed25519"

    def sign(self, digest: bytes) -> bytes:
        """Sign `digest`, the SHA-256 digest (32 octets) of the input of DKIM or ARC."""
        if isinstance(self._key, RSAPrivateKey):
            return self._key.sign(digest, _PADDING, _SHA256_DIGEST)
        return self._key.sign(digest)

    def public_key(self) -> VerifyingKey:
        """Return the key that verifies this key's signatures."""
        return VerifyingKey(self._key.public_key())

    def public_record(self) -> str:
        """Return the key record to publish (RFC 6376 section 3.6.1, RFC 8463 section 4)."""
        return f"v=DKIM1; k={self.type}; p={self.public_key().to_base64()}"


class VerifyingKey:
    """A public key, ready to verify. Immutable, and safe to use from several threads.

    A short RSA key is accepted, so that a caller can report why it does not count: see
    `is_too_short`.
    """

    __slots__ = ("_key", "bits")

    def __init__(self, key: RSAPublicKey | Ed25519PublicKey) -> None:
        self._key: Final = key
        self.bits = key.key_size if isinstance(key, RSAPublicKey) else ED25519_BITS
        if not isinstance(key, RSAPublicKey):
            return
        if self.bits > MAX_RSA_BITS:
            raise BadKeyError(f"the RSA key has {self.bits} bits, more than {MAX_RSA_BITS}")
        if key.public_numbers().e.bit_length() > MAX_RSA_EXPONENT_BITS:
            raise BadKeyError(f"the RSA exponent has more than {MAX_RSA_EXPONENT_BITS} bits")

    @classmethod
    def parse(cls, key_type: KeyType, data: bytes) -> VerifyingKey:
        """Read the decoded p= of a key record.

        RSA is a SubjectPublicKeyInfo, as everybody publishes it, or the RSAPublicKey that RFC 6376
        section 3.6.1 names. Ed25519 is its 32 octets (RFC 8463 section 4). Raises `BadKeyError`.
        """
        if key_type == "ed25519":
            if len(data) != 32:
                raise BadKeyError(f"the Ed25519 key has {len(data)} octets, not 32")
            return cls(Ed25519PublicKey.from_public_bytes(data))
        if len(data) > MAX_RSA_BITS // 2:
            raise BadKeyError(f"the RSA key has more than {MAX_RSA_BITS} bits")
        try:
            key = load_der_public_key(data)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise BadKeyError("the RSA key cannot be decoded") from error
        if not isinstance(key, RSAPublicKey):
            raise BadKeyError("the key is not the RSA key that it is said to be")
        return cls(key)

    @property
    def type(self) -> KeyType:
        """The key type as in the tag k= of a key record."""
        return "rsa" if isinstance(self._key, RSAPublicKey) else "ed25519"

    @property
    def is_too_short(self) -> bool:
        """Whether signatures with this key must not count (RFC 8301 section 3.2)."""
        return isinstance(self._key, RSAPublicKey) and self.bits < MIN_RSA_BITS

    def verify(self, digest: bytes, signature: bytes) -> bool:
        """Return whether `signature` is this key's signature of the SHA-256 digest `digest`."""
        try:
            if isinstance(self._key, RSAPublicKey):
                self._key.verify(signature, digest, _PADDING, _SHA256_DIGEST)
            else:
                self._key.verify(signature, digest)
        except (InvalidSignature, ValueError):  # ValueError: a modulus too small for the digest
            return False
        return True

    def to_base64(self) -> str:
        """Return the value of p= in a key record."""
        if isinstance(self._key, RSAPublicKey):
            octets = self._key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        else:
            octets = self._key.public_bytes_raw()
        return base64.b64encode(octets).decode("ascii")


def _check_numbers(key: RSAPrivateNumbers) -> None:
    """Raise `BadKeyError` unless the numbers are consistent, with the checks of OpenSSL.

    A test signature checks whether p and q are primes: it does not verify if they are not.
    """
    public = key.public_numbers
    p, q, d, e = key.p, key.q, key.d, public.e
    if not (
        p > 2
        and q > 2
        and p & q & e & 1
        and e > 1
        and p * q == public.n
        and 0 < d < public.n
        and d * e % (p - 1) == d * e % (q - 1) == 1
        and key.dmp1 == d % (p - 1)
        and key.dmq1 == d % (q - 1)
        and 0 < key.iqmp < p
        and key.iqmp * q % p == 1
    ):
        raise BadKeyError(_BROKEN)


def _ed25519_seed(data: bytes) -> Ed25519PrivateKey:
    try:
        seed = base64.b64decode(data.strip(), validate=True)
    except binascii.Error as error:
        raise BadKeyError("the file holds no key in PEM form") from error
    if len(seed) != 32:
        raise BadKeyError("the file holds no key in PEM form")
    return Ed25519PrivateKey.from_private_bytes(seed)
