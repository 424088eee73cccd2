"""Provider: the addresses and abilities that it publishes (OpenID Connect Discovery 1.0)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from accounts.oidc.errors import ProviderAwayError, UntrustedError

MAX_URL: Final = 2000
"""Characters of an address of the provider."""


@dataclass(frozen=True, slots=True)
class Provider:
    """The published facts about a provider. `userinfo` is empty if it has no such endpoint;
    `names_itself` is whether it adds its name to each answer (RFC 9207)."""

    issuer: str
    authorization: str
    token: str
    jwks: str
    userinfo: str
    names_itself: bool
    takes_post: bool
    """True if the secret goes into the body: the provider does not take it in the header."""

    @classmethod
    def parse(cls, facts: Any, issuer: str) -> Provider:
        """Read the metadata of the provider `issuer`; raises `OidcError`."""
        if not isinstance(facts, dict):
            raise ProviderAwayError("the metadata is no JSON object")
        # OpenID Connect Discovery 1.0 section 4.3: the issuer must be the one that was asked
        if facts.get("issuer") != issuer:
            raise UntrustedError(f"the metadata is of the issuer {facts.get('issuer')!r:.200}")
        # section 3 there: without the member, client_secret_basic is what is taken
        methods = facts.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        takes_basic = not isinstance(methods, list) or "client_secret_basic" in methods
        return cls(
            issuer,
            _url(facts, "authorization_endpoint"),
            _url(facts, "token_endpoint"),
            _url(facts, "jwks_uri"),
            _url(facts, "userinfo_endpoint") if facts.get("userinfo_endpoint") else "",
            facts.get("authorization_response_iss_parameter_supported") is True,
            not takes_basic,
        )


def metadata_url(issuer: str) -> str:
    """Return the address of the metadata (OpenID Connect Discovery 1.0 section 4.1)."""
    return issuer.rstrip("/") + "/.well-known/openid-configuration"


def _url(facts: dict[str, Any], name: str) -> str:
    found = facts.get(name)
    if not isinstance(found, str) or len(found) > MAX_URL or not found.isascii():
        raise ProviderAwayError(f"the metadata has no usable {name}")
    try:
        parts = urlsplit(found)
        usable = parts.scheme == "https" and parts.hostname and "@" not in parts.netloc
        usable = usable and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable or any(octet <= " " for octet in found):
        raise ProviderAwayError(f"the metadata has no usable {name}")
    return found
