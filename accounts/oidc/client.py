"""Client of an identity provider: it remembers what the provider publishes."""

from __future__ import annotations

import asyncio
import time
from base64 import b64encode
from collections.abc import Callable
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from accounts.oidc.errors import ProviderAwayError, UntrustedError
from accounts.oidc.exchange import LoginExchange
from accounts.oidc.fetch import Fetch, fetch
from accounts.oidc.id_token import ProviderKeys, UnknownKeyError
from accounts.oidc.provider import Provider, metadata_url
from accounts.oidc.settings import OidcSettings

KEEP: Final = 3600.0
"""Seconds for which the published facts and keys are remembered."""
PAUSE: Final = 30.0
"""Seconds between two looks for a new key: a forged token must not cause requests."""
AT_ONCE: Final = 8
"""Requests to the provider at the same time."""


class ProviderLogin(NamedTuple):
    """Somebody whom the provider names. `seen`: when it last asked for the password, in seconds
    since the epoch; 0 if it does not say."""

    name: str
    seen: int


class OidcClient:
    """Logs in through the provider of the settings in use."""

    def __init__(
        self,
        settings: Callable[[], OidcSettings],
        fetch: Fetch = fetch,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._fetch = fetch
        self._clock = clock
        self._free = asyncio.Semaphore(AT_ONCE)
        self._known_for: OidcSettings | None = None
        self._provider: tuple[float, Provider] | None = None
        self._keys: tuple[float, ProviderKeys] | None = None

    @property
    def settings(self) -> OidcSettings:
        """The settings in use; what another provider said is forgotten."""
        settings = self._settings()
        if settings != self._known_for:
            self._known_for, self._provider, self._keys = settings, None, None
        return settings

    async def way(self, exchange: LoginExchange) -> str:
        """Return the address that the browser has to open; raises `OidcError`."""
        settings = self.settings
        return exchange.url(await self._facts(settings), settings)

    async def name(self, exchange: LoginExchange, given: dict[str, str]) -> ProviderLogin:
        """Return whom the answer of the provider names: the value of the claim of the settings.

        Raises `OidcError`.
        """
        settings = self.settings
        provider = await self._facts(settings)
        code = exchange.code(given, provider)
        answer = await self._redeem(settings, provider, code, exchange.verifier)
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise UntrustedError("the provider sent no ID token")
        claims = await self._claims(settings, provider, token, exchange)
        if settings.claim not in claims and provider.userinfo:
            claims = claims | await self._userinfo(settings, provider, answer, claims["sub"])
        found = claims.get(settings.claim)
        if not isinstance(found, str) or not found:
            raise UntrustedError(f"the provider does not say {settings.claim}")
        # OpenID Connect Core 1.0 section 5.7: an address that was not verified names nobody
        verified = claims.get("email_verified")  # some providers write it as text
        if settings.claim == "email" and verified is not True and verified != "true":
            raise UntrustedError("the provider has not verified the address")
        seen = claims.get("auth_time")
        if not isinstance(seen, int) or isinstance(seen, bool) or not 0 <= seen < 1 << 53:
            seen = 0
        return ProviderLogin(found, seen)

    async def _claims(
        self, settings: OidcSettings, provider: Provider, token: str, exchange: LoginExchange
    ) -> dict[str, Any]:
        expected = exchange.expected(settings)
        keys = await self._known_keys(settings, provider, KEEP)
        try:
            return keys.claims(token, expected)
        except UnknownKeyError:
            newer = await self._known_keys(settings, provider, PAUSE)
            if newer is keys:
                raise
            return newer.claims(token, expected)

    async def _facts(self, settings: OidcSettings) -> Provider:
        now = self._clock()
        if self._provider is not None and now - self._provider[0] < KEEP:
            return self._provider[1]
        facts = await self._ask(settings, metadata_url(settings.issuer))
        provider = Provider.parse(facts, settings.issuer)
        # a login that began before a reload must not bring back the old provider
        if settings == self._known_for:
            self._provider = now, provider
        return provider

    async def _known_keys(
        self, settings: OidcSettings, provider: Provider, age: float
    ) -> ProviderKeys:
        """Return keys that are at most so many seconds old."""
        now = self._clock()
        if self._keys is not None and now - self._keys[0] < age:
            return self._keys[1]
        keys = ProviderKeys(await self._ask(settings, provider.jwks))
        if settings == self._known_for:
            self._keys = now, keys
        return keys

    async def _redeem(
        self, settings: OidcSettings, provider: Provider, code: str, verifier: str
    ) -> dict[str, Any]:
        """Return the answer to a code (RFC 6749 section 4.1.3)."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": settings.redirect_uri,
            "code_verifier": verifier,
        }
        secret = _read_secret(settings)
        headers = {}
        if provider.takes_post:
            form |= {"client_id": settings.client_id, "client_secret": secret}
        else:
            # RFC 6749 section 2.3.1: both are encoded before they are joined
            joined = f"{quote(settings.client_id, safe='')}:{quote(secret, safe='')}"
            headers["Authorization"] = f"Basic {b64encode(joined.encode()).decode()}"
        answer = await self._ask(settings, provider.token, headers, form)
        if not isinstance(answer, dict):
            raise ProviderAwayError("the answer to the code is no JSON object")
        return answer

    async def _userinfo(
        self, settings: OidcSettings, provider: Provider, answer: dict[str, Any], subject: str
    ) -> dict[str, Any]:
        """Return more claims about the same subject (OpenID Connect Core 1.0 section 5.3)."""
        token = answer.get("access_token")
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise UntrustedError("the provider sent no access token")
        found = await self._ask(settings, provider.userinfo, {"Authorization": f"Bearer {token}"})
        if not isinstance(found, dict) or found.get("sub") != subject:
            raise UntrustedError("the provider told about somebody else")
        return found

    async def _ask(
        self,
        settings: OidcSettings,
        url: str,
        headers: dict[str, str] | None = None,
        form: dict[str, str] | None = None,
    ) -> Any:
        async with self._free:
            status, answer = await asyncio.to_thread(
                self._fetch,
                url,
                headers=headers or {},
                form=form,
                timeout=settings.timeout,
                ca_file=settings.ca_file,
            )
        if status == 200:
            return answer
        told = answer.get("error") if isinstance(answer, dict) else None
        text = f"{url} answers {status} {told or ''!r:.100}"
        if form is not None and 400 <= status < 500 and told == "invalid_grant":
            raise UntrustedError(text)  # RFC 6749 section 5.2: a code that is no good
        raise ProviderAwayError(text)


def _read_secret(settings: OidcSettings) -> str:
    assert settings.client_secret_file is not None  # noqa: S101 # the settings check it
    try:
        return settings.client_secret_file.read_text().strip()
    except (OSError, ValueError) as error:
        raise ProviderAwayError(f"accounts.oidc.client_secret_file: {error}") from None
