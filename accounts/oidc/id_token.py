"""ID token: the provider's signed statement about who is at the browser.

The token is checked as OpenID Connect Core 1.0 section 3.1.3.7 says, by PyJWT.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Any, Final

import jwt

from accounts.oidc.errors import ProviderAwayError, UntrustedError

# keys of the provider alone: with HS256, whoever knows the client's secret could sign
ALGORITHMS: Final = frozenset(
    {"RS256", "RS384", "RS512"} | {"PS256", "PS384", "PS512"} | {"ES256", "ES384", "EdDSA"}
)
LEEWAY: Final = 60
"""Seconds by which the clocks may differ."""
MAX_TOKEN: Final = 32_768
"""Characters of a token."""
MAX_KEYS: Final = 50
"""Keys of a provider that are looked at."""
MAX_SUBJECT: Final = 255
"""Characters of a subject (OpenID Connect Core 1.0 section 2)."""


class UnknownKeyError(UntrustedError):
    """None of the keys known so far made the signature; perhaps the provider has a new one."""


@dataclass(frozen=True, slots=True)
class Expected:
    """The values that the token of one login has to have. `since` is the time of the login in
    seconds, if the provider was told to ask for the password again."""

    issuer: str
    client_id: str
    nonce: str
    since: int | None = None


class ProviderKeys:
    """The keys of a provider, from its JWK set (RFC 7517 section 5)."""

    def __init__(self, jwks: Any) -> None:
        """Read a JWK set, without the keys that are of no use here; raises `OidcError`."""
        found = jwks.get("keys") if isinstance(jwks, dict) else None
        if not isinstance(found, list):
            raise ProviderAwayError("the keys are no JWK set")
        self._keys: list[tuple[str | None, jwt.PyJWK]] = []
        for each in found[:MAX_KEYS]:
            if not isinstance(each, dict) or each.get("use", "sig") != "sig":
                continue
            if each.get("kty") not in ("RSA", "EC", "OKP"):
                continue
            try:
                key = jwt.PyJWK(each)
            except (jwt.PyJWTError, ValueError, TypeError, KeyError):
                continue  # of a kind that we do not know
            name = each.get("kid")
            self._keys.append((name if isinstance(name, str) else None, key))

    def claims(self, token: str, expected: Expected) -> dict[str, Any]:
        """Return the claims of a token that is for this login; raises `UntrustedError`."""
        if len(token) > MAX_TOKEN:
            raise UntrustedError("the token is too long")
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, ValueError) as error:
            raise UntrustedError(f"the token cannot be read: {error!s:.200}") from None
        if header.get("alg") not in ALGORITHMS:
            raise UntrustedError(f"the token has the algorithm {header.get('alg')!r:.40}")
        if "crit" in header:  # RFC 7515 section 4.1.11
            raise UntrustedError("the token has extensions that we do not know")
        name = header.get("kid")
        wanted = [key for kid, key in self._keys if name is None or kid in (None, name)]
        for key in wanted:
            try:
                claims = _decode(token, key, header["alg"], expected)
            except (jwt.InvalidSignatureError, jwt.InvalidKeyError, jwt.InvalidAlgorithmError):
                continue
            except (jwt.PyJWTError, ValueError, TypeError) as error:
                raise UntrustedError(f"the token is not valid: {error!s:.200}") from None
            _check(claims, expected)
            return claims
        raise UnknownKeyError("no key of the provider made the signature of the token")


def _decode(token: str, key: jwt.PyJWK, algorithm: str, expected: Expected) -> dict[str, Any]:
    decoded: dict[str, Any] = jwt.decode(
        token,
        key.key,
        algorithms=[algorithm],
        audience=expected.client_id,
        issuer=expected.issuer,
        leeway=LEEWAY,
        options={"require": ["iss", "sub", "aud", "exp", "iat"]},
    )
    return decoded


def _check(claims: dict[str, Any], expected: Expected) -> None:
    """Check what OpenID Connect adds to a JWT; raises `UntrustedError`."""
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not hmac.compare_digest(
        nonce.encode("utf-8", "replace"), expected.nonce.encode()
    ):
        raise UntrustedError("the token is for another login")
    # section 3.1.3.7, 4 and 5
    audiences = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    party = claims.get("azp")
    if (party is None and len(audiences) > 1) or (party not in (None, expected.client_id)):
        raise UntrustedError("the token was made for somebody else")
    subject = claims["sub"]
    if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT:
        raise UntrustedError("the token has no usable subject")
    if expected.since is not None:
        seen = claims.get("auth_time")
        if not isinstance(seen, int) or isinstance(seen, bool) or seen < expected.since - LEEWAY:
            raise UntrustedError("the provider did not ask for the password again")
