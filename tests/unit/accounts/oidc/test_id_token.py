"""ID tokens: those of this login are taken, and no others."""

from __future__ import annotations

import base64
import hmac
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from accounts.oidc.errors import OidcError, ProviderAwayError, UntrustedError
from accounts.oidc.id_token import Expected, ProviderKeys, UnknownKeyError
from tests.testbed.identity_provider import CLIENT, IdentityProvider, Signing

NONCE = "n-0S6_WzA2Mj"
NOW = int(time.time())


def keys_of(provider: IdentityProvider) -> ProviderKeys:
    status, jwks = provider.fetch(
        f"{provider.issuer}/keys", headers={}, form=None, timeout=1, ca_file=None
    )
    assert status == 200
    return ProviderKeys(jwks)


def claims_of(provider: IdentityProvider, since: int | None = None) -> dict[str, Any]:
    expected = Expected(provider.issuer, CLIENT, NONCE, since)
    return keys_of(provider).claims(provider.token(NONCE), expected)


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (rsa.generate_private_key(65537, 2048), "RS256"),
        (rsa.generate_private_key(65537, 2048), "PS512"),
        (ec.generate_private_key(ec.SECP256R1()), "ES256"),
        (ec.generate_private_key(ec.SECP384R1()), "ES384"),
        (ed25519.Ed25519PrivateKey.generate(), "EdDSA"),
    ],
)
@pytest.mark.parametrize("kid", ["first", None])
def test_a_token_of_the_provider(key: Signing, algorithm: str, kid: str | None) -> None:
    provider = IdentityProvider(key=key, algorithm=algorithm, kid=kid)
    assert claims_of(provider)["sub"] == "subject-1"


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://other.example"},
        {"iss": None},
        {"aud": "another-client"},
        {"aud": None},
        {"aud": [CLIENT, "another-client"]},
        {"aud": [CLIENT, "another-client"], "azp": "another-client"},
        {"azp": "another-client"},
        {"exp": NOW - 90},
        {"exp": None},
        {"exp": "never"},
        {"iat": NOW + 900},
        {"iat": None},
        {"nbf": NOW + 900},
        {"nonce": "of another login"},
        {"nonce": None},
        {"nonce": ["n-0S6_WzA2Mj"]},
        {"sub": None},
        {"sub": ""},
        {"sub": "x" * 256},
    ],
)
def test_a_token_for_others_or_another_time(claims: dict[str, Any]) -> None:
    with pytest.raises(UntrustedError):
        claims_of(IdentityProvider(claims=claims))


def test_a_token_for_several() -> None:
    both = {"aud": [CLIENT, "another-client"], "azp": CLIENT}
    assert claims_of(IdentityProvider(claims=both))["azp"] == CLIENT


@pytest.mark.parametrize(
    "seen", [NOW - 600, None, "yesterday", True], ids=["old", "none", "text", "truth"]
)
def test_an_old_login_at_the_provider_is_not_enough(seen: object) -> None:
    provider = IdentityProvider(claims={"auth_time": seen})
    assert claims_of(provider)
    with pytest.raises(UntrustedError, match="password again"):
        claims_of(provider, since=NOW)


def test_a_login_that_was_repeated() -> None:
    assert claims_of(IdentityProvider(), since=NOW)


def test_a_token_without_signature() -> None:
    provider = IdentityProvider()
    whole = provider.token(NONCE)
    _, claims, _ = whole.split(".")
    header = _encoded(b'{"alg":"none","kid":"first"}')
    for forged in (f"{header}.{claims}.", f"{header}.{claims}", whole.rpartition(".")[0] + "."):
        with pytest.raises(UntrustedError):
            keys_of(provider).claims(forged, Expected(provider.issuer, CLIENT, NONCE))


def test_a_token_signed_with_the_public_key_as_a_password() -> None:
    provider = IdentityProvider(key=rsa.generate_private_key(65537, 2048), algorithm="RS256")
    public = provider.key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    _, claims, _ = provider.token(NONCE).split(".")
    signed = _encoded(b'{"alg":"HS256","kid":"first"}') + "." + claims
    forged = signed + "." + _encoded(hmac.digest(public, signed.encode(), "sha256"))
    with pytest.raises(UntrustedError, match="algorithm 'HS256'"):
        keys_of(provider).claims(forged, Expected(provider.issuer, CLIENT, NONCE))


def _encoded(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


def test_a_token_of_somebody_else() -> None:
    provider, other = IdentityProvider(), IdentityProvider()
    expected = Expected(provider.issuer, CLIENT, NONCE)
    with pytest.raises(UnknownKeyError):
        keys_of(provider).claims(other.token(NONCE), expected)
    other.kid = "second"
    with pytest.raises(UnknownKeyError):
        keys_of(provider).claims(other.token(NONCE), expected)


def test_a_key_in_the_token_is_not_believed() -> None:
    provider, other = IdentityProvider(), IdentityProvider()
    status, jwks = other.fetch(
        f"{other.issuer}/keys", headers={}, form=None, timeout=1, ca_file=None
    )
    assert status == 200
    claims = jwt.decode(other.token(NONCE), options={"verify_signature": False})
    headers = {"kid": "first", "jwk": jwks["keys"][1], "jku": "https://other.example/keys"}
    forged = jwt.encode(claims, other.key, "ES256", headers)
    with pytest.raises(UnknownKeyError):
        keys_of(provider).claims(forged, Expected(provider.issuer, CLIENT, NONCE))


def test_an_extension_that_must_be_known() -> None:
    provider = IdentityProvider()
    claims = jwt.decode(provider.token(NONCE), options={"verify_signature": False})
    token = jwt.encode(
        claims, provider.key, "ES256", {"kid": "first", "crit": ["b64"], "b64": True}
    )
    with pytest.raises(UntrustedError):
        keys_of(provider).claims(token, Expected(provider.issuer, CLIENT, NONCE))


@pytest.mark.parametrize(
    "token", ["", ".", "..", "a.b.c", "\0", "é.é.é", "x" * 100_000, "e30.e30.", "W10.W10.W10"]
)
def test_a_token_that_is_none(token: str) -> None:
    provider = IdentityProvider()
    with pytest.raises(UntrustedError):
        keys_of(provider).claims(token, Expected(provider.issuer, CLIENT, NONCE))


@pytest.mark.parametrize("jwks", [None, [], "keys", {}, {"keys": {}}, {"keys": None}])
def test_keys_that_cannot_be_read(jwks: object) -> None:
    with pytest.raises(ProviderAwayError):
        ProviderKeys(jwks)


@pytest.mark.parametrize(
    "jwk",
    [
        None,
        {},
        {"kty": "RSA"},
        {"kty": "RSA", "n": "AQAB", "e": "!"},
        {"kty": "EC", "crv": "P-256", "x": 1, "y": 2},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": "OKP", "crv": "Ed25519", "x": "A"},
        {"kty": "oct", "k": "AAAA", "alg": "HS256"},
        {"kty": ["RSA"]},
        {"kty": "RSA", "use": "enc", "n": "AQAB", "e": "AQAB"},
    ],
)
def test_a_useless_key_hides_no_other(jwk: object) -> None:
    provider = IdentityProvider()
    status, jwks = provider.fetch(
        f"{provider.issuer}/keys", headers={}, form=None, timeout=1, ca_file=None
    )
    assert status == 200
    keys = ProviderKeys(json.loads(json.dumps({"keys": [jwk, *jwks["keys"]]})))
    assert keys.claims(provider.token(NONCE), Expected(provider.issuer, CLIENT, NONCE))
    with pytest.raises(OidcError):
        ProviderKeys({"keys": [jwk]}).claims(
            provider.token(NONCE), Expected(provider.issuer, CLIENT, NONCE)
        )
