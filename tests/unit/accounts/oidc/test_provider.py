"""Facts that a provider publishes, and the exchange with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import ValidationError

from accounts.oidc.errors import OidcError, ProviderAwayError, UntrustedError
from accounts.oidc.exchange import LIFETIME, LoginExchange
from accounts.oidc.provider import Provider, metadata_url
from accounts.oidc.settings import OidcSettings
from gatepost.config import SecretFile

ISSUER = "https://id.example/realms/mail"
FACTS = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/auth",
    "token_endpoint": f"{ISSUER}/token",
    "jwks_uri": f"{ISSUER}/keys",
}
SETTINGS: dict[str, Any] = {
    "issuer": ISSUER,
    "client_id": "gatepost",
    "client_secret_file": SecretFile(Path("/secret")),
    "redirect_uri": "https://admin.example/login/oidc",
}


def test_the_least_that_a_provider_says() -> None:
    found = Provider.parse(FACTS, ISSUER)
    assert found == Provider(
        ISSUER, f"{ISSUER}/auth", f"{ISSUER}/token", f"{ISSUER}/keys", "", False, False
    )
    assert metadata_url(ISSUER) == f"{ISSUER}/.well-known/openid-configuration"
    assert metadata_url("https://id.example/") == (
        "https://id.example/.well-known/openid-configuration"
    )


@pytest.mark.parametrize(
    ("methods", "takes_post"),
    [(["client_secret_post"], True), (["client_secret_post", "client_secret_basic"], False)],
)
def test_the_way_of_the_secret(methods: list[str], takes_post: bool) -> None:
    facts = FACTS | {"token_endpoint_auth_methods_supported": methods}
    assert Provider.parse(facts, ISSUER).takes_post is takes_post


@pytest.mark.parametrize("issuer", ["https://id.example/realms/other", ISSUER + "/", None, 5])
def test_facts_about_another_provider(issuer: object) -> None:
    with pytest.raises(UntrustedError):
        Provider.parse(FACTS | {"issuer": issuer}, ISSUER)


@pytest.mark.parametrize(
    "url",
    [
        None,
        "",
        5,
        "http://id.example/auth",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "https://",
        "https://user:pass@id.example/",
        "https://id.example:99999/",
        "https://id.example:0/",
        "https://[::1/",
        "https://id.example/ x",
        "https://id.example/\r\nX: y",
        "https://íd.example/",
        "https://id.example/" + "x" * 2000,
    ],
)
@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint", "jwks_uri"])
def test_an_address_that_is_no_use(name: str, url: object) -> None:
    with pytest.raises(ProviderAwayError, match=name):
        Provider.parse(FACTS | {name: url}, ISSUER)


@pytest.mark.parametrize("facts", [None, [], "text", 5])
def test_facts_that_are_none(facts: object) -> None:
    with pytest.raises(ProviderAwayError):
        Provider.parse(facts, ISSUER)


# the settings


def test_settings() -> None:
    assert not OidcSettings().is_on
    assert OidcSettings(**SETTINGS).is_on
    found = OidcSettings(**SETTINGS, domains=("Example.ORG",), administrators={"Ada@X.org": "ada"})
    assert found.domains == ("example.org",)
    assert found.administrator("ada@X.ORG") == "ada"


@pytest.mark.parametrize(
    "wrong",
    [
        {"issuer": "http://id.example"},
        {"client_id": ""},
        {"client_secret_file": None},
        {"redirect_uri": ""},
        {"redirect_uri": "https://admin.example/elsewhere"},
        {"scopes": ("email",)},
        {"domains": ("-",)},
        {"claim": "a b"},
    ],
)
def test_settings_that_cannot_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        OidcSettings(**SETTINGS | wrong)


# the exchange


def begun(*, is_again: bool = False) -> tuple[LoginExchange, dict[str, list[str]]]:
    exchange = LoginExchange.begin(1000, "/filters?x=1", is_again=is_again)
    url = exchange.url(Provider.parse(FACTS, ISSUER), OidcSettings(**SETTINGS))
    parts = urlsplit(url)
    assert url.startswith(f"{ISSUER}/auth?")
    return exchange, parse_qs(parts.query, strict_parsing=True)


def test_the_way_to_the_provider() -> None:
    exchange, given = begun()
    assert given["response_type"] == ["code"]
    assert given["scope"] == ["openid email"]
    assert given["redirect_uri"] == ["https://admin.example/login/oidc"]
    assert given["code_challenge_method"] == ["S256"]
    assert "prompt" not in given
    told = repr(given)
    assert exchange.secret not in told
    assert exchange.verifier not in told
    assert len({*given["state"], *given["nonce"], *given["code_challenge"]}) == 3
    assert exchange.secret not in repr(exchange)


def test_the_way_to_the_provider_again() -> None:
    exchange, given = begun(is_again=True)
    assert (given["prompt"], given["max_age"]) == (["login"], ["0"])
    assert exchange.expected(OidcSettings(**SETTINGS)).since == 1000


def test_a_query_of_the_provider_stays() -> None:
    facts = FACTS | {"authorization_endpoint": f"{ISSUER}/auth?tenant=1"}
    exchange = LoginExchange.begin(1000, "/", is_again=False)
    url = exchange.url(Provider.parse(facts, ISSUER), OidcSettings(**SETTINGS))
    assert url.startswith(f"{ISSUER}/auth?tenant=1&response_type=code")


@pytest.mark.parametrize("is_again", [True, False])
def test_the_cookie(is_again: bool) -> None:
    exchange, _ = begun(is_again=is_again)
    text = exchange.to_cookie()
    assert LoginExchange.parse(text, 1000 + LIFETIME) == exchange
    assert LoginExchange.parse(text, 1001 + LIFETIME) is None
    assert LoginExchange.parse(text, 999) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "....",
        "x.1000.0.Lw",
        "{0}.1000.0",
        "{0}.1000.2.Lw",
        "{0}.-1000.0.Lw",
        "{0}.1e3.0.Lw",
        "{0}.1000.0.L",
        "{0}.1000.0.w6k",
        "{0}.1000.0.Lw.more",
        "{0}.1000.0.é",
    ],
)
def test_a_cookie_that_is_none(text: str) -> None:
    assert LoginExchange.parse(text.format("s" * 43), 1000) is None


def test_the_answer() -> None:
    exchange, given = begun()
    provider = Provider.parse(FACTS, ISSUER)
    state = given["state"][0]
    assert exchange.code({"state": state, "code": "c-1"}, provider) == "c-1"
    assert exchange.code({"state": state, "code": "c-1", "iss": ISSUER}, provider) == "c-1"


@pytest.mark.parametrize(
    "wrong",
    [
        {"state": "of another browser"},
        {"state": ""},
        {"state": "é"},
        {"code": ""},
        {"code": "x" * 5000},
        {"code": "a b"},
        {"code": "a\n"},
        {"error": "access_denied"},
        {"iss": "https://other.example"},
    ],
)
def test_an_answer_to_something_else(wrong: dict[str, str]) -> None:
    exchange, given = begun()
    answer = {"state": given["state"][0], "code": "c-1"} | wrong
    with pytest.raises(OidcError):
        exchange.code(answer, Provider.parse(FACTS, ISSUER))


def test_a_provider_that_names_itself() -> None:
    exchange, given = begun()
    facts = FACTS | {"authorization_response_iss_parameter_supported": True}
    with pytest.raises(UntrustedError):
        exchange.code({"state": given["state"][0], "code": "c-1"}, Provider.parse(facts, ISSUER))
