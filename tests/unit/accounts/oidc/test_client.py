"""Client of an identity provider: what it asks, remembers and believes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from accounts.oidc.client import KEEP, PAUSE, OidcClient
from accounts.oidc.errors import OidcError, ProviderAwayError, UntrustedError
from accounts.oidc.exchange import LoginExchange
from accounts.oidc.settings import OidcSettings
from gatepost.config import SecretFile
from tests.testbed.identity_provider import CLIENT, CLIENT_SECRET, REDIRECT, IdentityProvider

ANNA = {"email": "anna@example.org", "email_verified": True}


class Site:
    """A client of a provider, whose clock is `now`."""

    def __init__(self, folder: Path, **claims: Any) -> None:
        secret = folder / "secret"
        secret.write_text(f"{CLIENT_SECRET}\n")
        secret.chmod(0o600)
        self.provider = IdentityProvider(claims=ANNA | claims)
        self.settings = OidcSettings(
            issuer=self.provider.issuer,
            client_id=CLIENT,
            client_secret_file=SecretFile(secret),
            redirect_uri=REDIRECT,
        )
        self.now = 1000.0
        self.client = OidcClient(lambda: self.settings, self.provider.fetch, lambda: self.now)

    def log_in(self, **more: str) -> str:
        return asyncio.run(self._log_in(more))

    async def _log_in(self, more: dict[str, str]) -> str:
        exchange = LoginExchange.begin(1000, "/", is_again=False)
        back = self.provider.log_in(await self.client.way(exchange), **more)
        return (await self.client.name(exchange, dict(parse_qsl(urlsplit(back).query)))).name


def test_the_provider_names_somebody(tmp_path: Path) -> None:
    site = Site(tmp_path)
    assert site.log_in() == "anna@example.org"
    assert site.provider.asked == ["/.well-known/openid-configuration", "/token", "/keys"]


def test_facts_and_keys_are_remembered_for_a_while(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.log_in()
    site.now += KEEP - 1
    site.log_in()
    assert site.provider.asked.count("/keys") == 1
    site.now += 1
    site.log_in()
    assert site.provider.asked.count("/keys") == 2
    assert site.provider.asked.count("/.well-known/openid-configuration") == 2


def test_a_new_key_is_found(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.log_in()
    site.provider.key, site.provider.kid = ec.generate_private_key(ec.SECP256R1()), "second"
    site.now += PAUSE
    assert site.log_in() == "anna@example.org"
    assert site.provider.asked.count("/keys") == 2


def test_a_forged_token_asks_for_no_key_again_and_again(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.log_in()
    site.provider.answers["/keys"] = (200, {"keys": []})
    site.provider.kid = "unknown"
    for _ in range(5):
        with pytest.raises(UntrustedError):
            site.log_in()
    assert site.provider.asked.count("/keys") == 1


def test_other_settings_forget_the_old_provider(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.log_in()
    site.provider.issuer = "https://other.example"
    site.settings = site.settings.model_copy(update={"issuer": "https://other.example"})
    assert site.log_in() == "anna@example.org"
    assert site.provider.asked.count("/.well-known/openid-configuration") == 2


def test_a_login_that_a_reload_overtakes_does_not_bring_back_the_old_provider(
    tmp_path: Path,
) -> None:
    site = Site(tmp_path)
    fetch, old = site.provider.fetch, site.settings

    def reloaded(url: str, **more: Any) -> tuple[int, Any]:
        answer = fetch(url, **more)
        site.settings = old.model_copy(update={"issuer": "https://other.example"})
        assert site.client.settings is site.settings  # another request comes
        return answer

    site.client = OidcClient(lambda: site.settings, reloaded, lambda: site.now)
    asyncio.run(site.client.way(LoginExchange.begin(1000, "/", is_again=False)))
    site.client._fetch = fetch
    site.provider.issuer = "https://other.example"
    assert site.log_in() == "anna@example.org"
    assert site.provider.asked.count("/.well-known/openid-configuration") == 2


def test_a_rotated_secret_is_read(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.log_in()
    (tmp_path / "secret").write_text("another secret")
    with pytest.raises(ProviderAwayError, match="invalid_client"):
        site.log_in()
    (tmp_path / "secret").unlink()
    with pytest.raises(ProviderAwayError, match="client_secret_file"):
        site.log_in()


def test_the_secret_in_the_body(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.provider.metadata = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    assert site.log_in() == "anna@example.org"


@pytest.mark.parametrize("verified", [False, None, "false", 1, "yes"])
def test_an_address_that_nobody_verified(tmp_path: Path, verified: object) -> None:
    with pytest.raises(UntrustedError, match="not verified"):
        Site(tmp_path, email_verified=verified).log_in()


def test_another_claim_needs_no_verification(tmp_path: Path) -> None:
    site = Site(tmp_path, mailbox="anna@example.org", email_verified=None)
    site.settings = site.settings.model_copy(update={"claim": "mailbox"})
    assert site.log_in() == "anna@example.org"


@pytest.mark.parametrize("email", [None, "", 5, ["anna@example.org"]])
def test_a_claim_that_is_not_there(tmp_path: Path, email: object) -> None:
    site = Site(tmp_path, email=email)
    site.provider.userinfo = {"sub": "subject-1"}
    with pytest.raises(UntrustedError, match="does not say email"):
        site.log_in()


def test_the_claim_comes_from_userinfo(tmp_path: Path) -> None:
    site = Site(tmp_path, email=None, email_verified=None)
    site.provider.userinfo = {"sub": "subject-1"} | ANNA
    assert site.log_in() == "anna@example.org"


@pytest.mark.parametrize("subject", ["subject-2", None, ""])
def test_userinfo_about_somebody_else(tmp_path: Path, subject: object) -> None:
    site = Site(tmp_path, email=None)
    site.provider.userinfo = {"sub": subject} | ANNA
    with pytest.raises(UntrustedError, match="somebody else"):
        site.log_in()


def test_userinfo_that_is_no_object(tmp_path: Path) -> None:
    site = Site(tmp_path, email=None)
    with pytest.raises(UntrustedError):
        site.log_in()


def test_a_code_is_of_one_browser(tmp_path: Path) -> None:
    site = Site(tmp_path)

    async def play() -> None:
        mine, theirs = (LoginExchange.begin(1000, "/", is_again=False) for _ in range(2))
        back = site.provider.log_in(await site.client.way(theirs))
        stolen = dict(parse_qsl(urlsplit(back).query))
        with pytest.raises(UntrustedError, match="another login"):
            await site.client.name(mine, stolen)
        own = dict(parse_qsl(urlsplit(site.provider.log_in(await site.client.way(mine))).query))
        with pytest.raises(UntrustedError, match="invalid_grant"):
            await site.client.name(mine, own | {"code": stolen["code"]})
        assert (await site.client.name(mine, own)).name == "anna@example.org"
        with pytest.raises(UntrustedError, match="invalid_grant"):
            await site.client.name(mine, own)

    asyncio.run(play())


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/token", "/keys"])
@pytest.mark.parametrize(
    "answer", [(500, None), (404, {}), (302, {}), (200, None), (200, []), (200, "x"), (200, {})]
)
def test_a_provider_that_answers_nonsense(
    tmp_path: Path, path: str, answer: tuple[int, Any]
) -> None:
    site = Site(tmp_path)
    site.provider.answers[path] = answer
    with pytest.raises(OidcError):
        site.log_in()
    del site.provider.answers[path]
    assert site.log_in() == "anna@example.org", "nothing of it is remembered"
