"""The file with the secrets of bounce addresses."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from accounts.srs_secrets import sender_rewriting
from accounts.srs_settings import SrsSettings
from gatepost.errors import StartError


def settings(tmp_path: Path, text: str, mode: int = 0o600) -> SrsSettings:
    file = tmp_path / "secret"
    file.write_text(text)
    file.chmod(mode)
    return SrsSettings.model_validate({"domain": "Bounce.Example", "secret_file": str(file)})


def test_nothing_is_rewritten_without_a_domain() -> None:
    assert sender_rewriting(SrsSettings()) is None


def test_the_first_line_signs_and_all_are_believed(tmp_path: Path) -> None:
    old = sender_rewriting(settings(tmp_path, "the old secret of ours\n"))
    new = sender_rewriting(settings(tmp_path, "the new secret of ours\n\nthe old secret of ours\n"))
    assert old is not None
    assert new is not None
    assert new.domain == "bounce.example"
    address = (old.rewrite("carol", "remote.example", 0) or "").partition("@")[0]
    assert new.restore(address, 0) == "carol@remote.example"
    address = (new.rewrite("carol", "remote.example", 0) or "").partition("@")[0]
    assert old.restore(address, 0) is None


@pytest.mark.parametrize(
    ("text", "mode", "reason"),
    [
        ("short\n", 0o600, "lines of at least 16 characters"),
        ("the old secret of ours\nshort\n", 0o600, "lines of at least 16 characters"),
        ("the old secret of ours\n" * 17, 0o600, "1 to 16 lines"),
        ("\n", 0o600, "is empty"),
        ("the old secret of ours\n", 0o644, "accessible to everybody"),
    ],
)
def test_a_bad_file_is_told_in_a_sentence(
    tmp_path: Path, text: str, mode: int, reason: str
) -> None:
    with pytest.raises(StartError, match=reason) as raised:
        sender_rewriting(settings(tmp_path, text, mode))
    assert "the old secret" not in str(raised.value)


@pytest.mark.parametrize(
    "values",
    [
        {"domain": "example.org"},
        {"secret_file": "/etc/gatepost/srs.secret"},
        {"domain": "not a domain", "secret_file": "/etc/gatepost/srs.secret"},
    ],
)
def test_domain_and_secret_come_together(values: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        SrsSettings.model_validate(values)
