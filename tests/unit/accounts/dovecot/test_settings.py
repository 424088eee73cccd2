"""The settings for Dovecot: what is refused, and what the check of a configuration says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from accounts.cli.section import SECTION
from accounts.dovecot.token import read_token
from accounts.settings import AccountsSettings
from gatepost.config import GroundSettings, SecretFile

TOKEN = "0123456789abcdef"


def settings(dovecot: dict[str, Any] | None = None, **values: Any) -> AccountsSettings:
    return AccountsSettings.model_validate({"dovecot": dovecot or {}, **values})


@pytest.mark.parametrize(
    "address", ["inet:8081@127.0.0.1", "inet:8081@::1", "inet:8081@localhost", "unix:/run/x"]
)
def test_a_local_address_needs_no_token(address: str) -> None:
    assert settings(dovecot_listen=address).dovecot_listen


@pytest.mark.parametrize(
    "addresses",
    ["inet:8081", "inet:8081@192.0.2.1", "inet:8081@mail", ["unix:/run/x", "inet:8081@0.0.0.0"]],
)
def test_an_open_address_needs_a_token(addresses: str | list[str]) -> None:
    with pytest.raises(ValidationError, match="set token_file"):
        settings(dovecot_listen=addresses)
    assert settings({"token_file": "/x"}, dovecot_listen=addresses).dovecot_listen


def test_a_dictionary_is_a_unix_socket() -> None:
    with pytest.raises(ValidationError, match="dict_listen takes only unix sockets"):
        settings(dict_listen="inet:8082@127.0.0.1")
    assert settings(dict_listen="unix:/run/x").dict_listen


@pytest.mark.parametrize(
    "url",
    [
        "",
        "dovecot:8080",
        "ftp://dovecot/",
        "http://",
        "http://dovecot:0",
        "http://dovecot:x",
        "http://dovecot:99999",
        "http://dovecot/a b",
        "http://dovecot/?x",
        "http://dovecot/#x",
        "http://dövecot/",
        "http://dovecot/\n",
        "http://[::1",
    ],
)
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(ValidationError, match="is not a URL"):
        settings({"doveadm_url": url, "doveadm_key_file": "/x"})


def test_urls_of_doveadm() -> None:
    def urls(given: Any) -> tuple[str, ...]:
        return settings({"doveadm_url": given, "doveadm_key_file": "/x"}).dovecot.doveadm_url

    assert urls("http://dovecot:8080") == ("http://dovecot:8080",)
    assert urls(["https://a/x/y", "http://[::1]:8"]) == ("https://a/x/y", "http://[::1]:8")
    assert urls([]) == ()
    with pytest.raises(ValidationError, match="the key must not be in the URL"):
        urls("http://doveadm:key@dovecot:8080")
    with pytest.raises(ValidationError, match="needs a doveadm_key_file"):
        settings({"doveadm_url": "http://dovecot:8080"})


def secret(path: Path, text: str, mode: int = 0o640) -> SecretFile:
    path.write_text(text)
    path.chmod(mode)
    return SecretFile(path)


def test_tokens(tmp_path: Path) -> None:
    assert read_token(secret(tmp_path / "a", f" {TOKEN}\n")) == TOKEN.encode()
    for text in ("", "\n", TOKEN[1:], TOKEN + " x", TOKEN + "é"):
        with pytest.raises(ValueError, match=r"has no token|is empty"):
            read_token(secret(tmp_path / "a", text))
    with pytest.raises(ValueError, match="accessible to everybody"):
        read_token(secret(tmp_path / "a", TOKEN, 0o644))


def test_the_check_names_what_cannot_be_used(tmp_path: Path) -> None:
    secret(tmp_path / "token", "short")
    model = settings(
        {
            "token_file": str(tmp_path / "token"),
            "doveadm_key_file": str(tmp_path / "none"),
            "doveadm_url": "http://dovecot:8080",
        },
        dovecot_listen="inet:8081",
    )
    faults = dict(SECTION.faults(GroundSettings(), model))
    assert "no token of at least 16" in faults["accounts.dovecot.token_file"]
    assert "No such file" in faults["accounts.dovecot.doveadm_key_file"]
    told = dict(SECTION.advice(model))
    assert "passwords arrive at inet:8081 in clear text" in told["accounts.dovecot_listen"]
