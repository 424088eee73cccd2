"""Identity provider with OpenID Connect, which tests may let answer wrongly."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

Signing = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

CLIENT = "gatepost"
CLIENT_SECRET = "a secret: of/the client"
REDIRECT = "https://admin.example/login/oidc"


@dataclass
class IdentityProvider:
    """A provider at `issuer`; its attributes say what it answers.

    `fetch` is a request to it, as `accounts.oidc.fetch.Fetch` defines it.
    """

    issuer: str = "https://id.example"
    key: Signing = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    algorithm: str = "ES256"
    kid: str | None = "first"
    claims: dict[str, Any] = field(default_factory=dict)
    """Claims of the next ID token, laid over the right ones; None leaves one out."""
    userinfo: dict[str, Any] | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    answers: dict[str, tuple[int, Any]] = field(default_factory=dict)
    """Answers to paths, instead of the right ones."""
    asked: list[str] = field(default_factory=list)
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def log_in(self, url: str, **more: str) -> str:
        """Play the browser at the provider: return the address that it leads back to."""
        given = dict(parse_qsl(urlsplit(url).query, strict_parsing=True))
        assert given["client_id"] == CLIENT
        assert given["redirect_uri"] == REDIRECT
        assert (given["response_type"], given["code_challenge_method"]) == ("code", "S256")
        assert "openid" in given["scope"].split()
        code = secrets.token_urlsafe(20)
        self._codes[code] = given
        answer = {"code": code, "state": given["state"]} | more
        return "/login/oidc?" + "&".join(f"{name}={value}" for name, value in answer.items())

    def fetch(
        self,
        url: str,
        *,
        headers: dict[str, str],
        form: dict[str, str] | None,
        timeout: float,
        ca_file: Path | None,
    ) -> tuple[int, Any]:
        """Answer a request."""
        del timeout, ca_file
        assert url.startswith(self.issuer)
        path = urlsplit(url).path
        self.asked.append(path)
        if path in self.answers:
            return self.answers[path]
        if path == "/.well-known/openid-configuration":
            return 200, {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize?tenant=1",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
                "userinfo_endpoint": f"{self.issuer}/userinfo",
            } | self.metadata
        if path == "/keys":
            return 200, {"keys": [{"kty": "unknown"}, self._jwk()]}
        if path == "/userinfo":
            assert headers["Authorization"] == "Bearer an-access-token"
            return 200, self.userinfo
        assert path == "/token"
        assert form is not None
        return self._token(form, headers)

    def _token(self, form: dict[str, str], headers: dict[str, str]) -> tuple[int, Any]:
        if "client_secret" in form:
            named = form["client_id"], form["client_secret"]
        else:
            joined = base64.b64decode(headers["Authorization"].removeprefix("Basic ")).decode()
            name, _, secret = joined.partition(":")
            named = unquote(name), unquote(secret)
        if named != (CLIENT, CLIENT_SECRET):
            return 401, {"error": "invalid_client"}
        begun = self._codes.pop(form["code"], None)
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if begun is None or begun["code_challenge"] != challenge:
            return 400, {"error": "invalid_grant"}
        if form["redirect_uri"] != begun["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        token = self.token(begun["nonce"])
        return 200, {"access_token": "an-access-token", "token_type": "Bearer", "id_token": token}

    def token(self, nonce: str) -> str:
        """Return an ID token."""
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "sub": "subject-1",
            "aud": CLIENT,
            "iat": now,
            "exp": now + 300,
            "auth_time": now,
            "nonce": nonce,
        } | self.claims
        claims = {name: value for name, value in claims.items() if value is not None}
        headers = {} if self.kid is None else {"kid": self.kid}
        return jwt.encode(claims, self.key, self.algorithm, headers)

    def _jwk(self) -> dict[str, Any]:
        algorithm: Any = jwt.get_algorithm_by_name(self.algorithm)
        jwk: dict[str, Any] = json.loads(algorithm.to_jwk(self.key.public_key()))
        return jwk | {"use": "sig"} | ({} if self.kid is None else {"kid": self.kid})
