"""Signature of a profile: CMS signed data that contains the profile (RFC 5652 section 5)."""

from __future__ import annotations

from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key, pkcs7

from gatepost.config import SecretFile


class SignerError(Exception):
    """The file with the key and certificates cannot be used; the message says why."""


class Signer:
    """Signer of profiles with one key and its certificate."""

    def __init__(
        self,
        key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey,
        certificate: x509.Certificate,
        others: tuple[x509.Certificate, ...],
    ) -> None:
        self._key = key
        self._certificate = certificate
        self._others = others

    @classmethod
    def read(cls, secret: SecretFile) -> Self:
        """Read a PEM file; raises `SignerError`."""
        try:
            octets = secret.read()
        except OSError as error:
            raise SignerError(f"{secret}: {error.strerror}") from None
        except ValueError as error:
            raise SignerError(str(error)) from None
        try:
            key = load_pem_private_key(octets, None)
            certificates = x509.load_pem_x509_certificates(octets)
        except (ValueError, TypeError):  # TypeError: the key has a passphrase
            raise SignerError(
                f"{secret} needs a private key without a passphrase, and its certificate, in PEM"
            ) from None
        if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
            raise SignerError(f"{secret}: the key is neither an RSA nor an EC key")
        own = [one for one in certificates if one.public_key() == key.public_key()]
        if not own:
            raise SignerError(f"{secret}: no certificate matches the key")
        others = tuple(one for one in certificates if one is not own[0])
        return cls(key, own[0], others)

    def sign(self, octets: bytes) -> bytes:
        """Return signed data in DER, including the octets and the certificates."""
        builder = (
            pkcs7.PKCS7SignatureBuilder()
            .set_data(octets)
            .add_signer(self._certificate, self._key, hashes.SHA256())
        )
        for one in self._others:
            builder = builder.add_certificate(one)
        return builder.sign(Encoding.DER, [pkcs7.PKCS7Options.Binary])
