"""Login exchange: the way of one login to the provider and back (RFC 6749 section 4.1).

The browser keeps it in a cookie, so that any replica can end it. All values that the provider sees
derive from one secret: the state (RFC 6749 section 10.12), the nonce, and the verifier of PKCE
(RFC 7636).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode

from accounts.oidc.errors import UntrustedError
from accounts.oidc.id_token import Expected
from accounts.oidc.provider import Provider
from accounts.oidc.settings import OidcSettings

LIFETIME: Final = 600
"""Seconds until an exchange has to be over."""
MAX_CODE: Final = 4096
"""Characters of a code."""

_COOKIE = re.compile(r"([A-Za-z0-9_-]{43})\.([0-9]{1,12})\.([01])\.([A-Za-z0-9_-]*)\Z")
_CODE = re.compile(r"[!-~]+\Z")


@dataclass(frozen=True, slots=True)
class LoginExchange:
    """A login through the provider. `started` is in seconds since the epoch; `wanted` is the path
    behind it; `is_again` is whether a session is to be confirmed instead of begun."""

    secret: str = field(repr=False)
    started: int
    is_again: bool
    wanted: str

    @classmethod
    def begin(cls, now: int, wanted: str, *, is_again: bool) -> LoginExchange:
        """Begin one."""
        return cls(secrets.token_urlsafe(32), now, is_again, wanted)

    @classmethod
    def parse(cls, text: str, now: int) -> LoginExchange | None:
        """Read what `to_cookie` wrote; None if it cannot be read, or took too long."""
        found = _COOKIE.match(text)
        if found is None:
            return None
        secret, started, again, wanted = found.groups()
        if not 0 <= now - int(started) <= LIFETIME:
            return None
        try:
            octets = base64.urlsafe_b64decode(wanted.encode() + b"=" * (-len(wanted) % 4))
            path = octets.decode("ascii")
        except (binascii.Error, ValueError):
            return None
        return cls(secret, int(started), again == "1", path)

    def to_cookie(self) -> str:
        """Return the value of the cookie."""
        path = base64.urlsafe_b64encode(self.wanted.encode("ascii", "ignore")).decode().rstrip("=")
        return f"{self.secret}.{self.started}.{int(self.is_again)}.{path}"

    @property
    def verifier(self) -> str:
        """The secret that only the code's owner knows (RFC 7636 section 4.1)."""
        return self._derived("verifier")

    def expected(self, settings: OidcSettings) -> Expected:
        """Return what the ID token has to say."""
        since = self.started if self.is_again else None
        return Expected(settings.issuer, settings.client_id, self._derived("nonce"), since)

    def url(self, provider: Provider, settings: OidcSettings) -> str:
        """Return the address at the provider that the browser has to open."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        given = {
            "response_type": "code",
            "client_id": settings.client_id,
            "redirect_uri": settings.redirect_uri,
            "scope": " ".join(settings.scopes),
            "state": self._derived("state"),
            "nonce": self._derived("nonce"),
            "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
            "code_challenge_method": "S256",
        }
        if self.is_again:
            # OpenID Connect Core 1.0 section 3.1.2.1
            given |= {"prompt": "login", "max_age": "0"}
        joint = "&" if "?" in provider.authorization else "?"
        return f"{provider.authorization}{joint}{urlencode(given)}"

    def code(self, given: dict[str, str], provider: Provider) -> str:
        """Return the code of an answer that belongs to this exchange; raises `UntrustedError`."""
        state = given.get("state", "").encode("utf-8", "replace")
        if not hmac.compare_digest(state, self._derived("state").encode()):
            raise UntrustedError("the answer belongs to another login")
        # RFC 9207 section 2.4
        issuer = given.get("iss")
        if (issuer is None and provider.names_itself) or issuer not in (None, provider.issuer):
            raise UntrustedError("the answer is of another provider")
        if given.get("error"):
            raise UntrustedError(f"the provider answers {given['error']!r:.100}")
        code = given.get("code", "")
        if not _CODE.match(code) or len(code) > MAX_CODE:
            raise UntrustedError("the answer has no code")
        return code

    def _derived(self, purpose: str) -> str:
        octets = hmac.digest(self.secret.encode(), purpose.encode(), "sha256")
        return base64.urlsafe_b64encode(octets).decode().rstrip("=")
