"""Hashes of new passwords, and which of the old ones are replaced."""

from __future__ import annotations

import unicodedata

import pytest
from pydantic import ValidationError

from accounts.passwords import (
    Password,
    PasswordSettings,
    UnknownScheme,
    hash_password,
    needs_upgrade,
    new_app_password,
    read,
)
from tests.unit.accounts.passwords import VECTORS

CHEAP = PasswordSettings(memory=8192, passes=1)


def test_a_new_hash_is_argon2id_with_the_parameters_of_the_settings() -> None:
    made = hash_password(Password("gate-keeper 1"), PasswordSettings())
    assert made.startswith("{ARGON2ID}$argon2id$v=19$m=19456,t=2,p=1$")
    assert read(made).matches(b"gate-keeper 1", "")
    assert not read(made).matches(b"gate-keeper 2", "")
    assert not needs_upgrade(made, PasswordSettings())


def test_two_hashes_of_one_password_differ() -> None:
    assert hash_password(Password("same"), CHEAP) != hash_password(Password("same"), CHEAP)


def test_the_composed_form_is_stored() -> None:
    decomposed = Password(unicodedata.normalize("NFD", "Käse-9 brot"))
    made = read(hash_password(decomposed, CHEAP))
    assert made.matches("Käse-9 brot".encode(), "")
    assert any(made.matches(form, "") for form in decomposed.forms)


def test_all_other_schemes_are_replaced() -> None:
    for vector in VECTORS["stored"]:
        stored = vector["stored"]
        assert needs_upgrade(stored, CHEAP) == (not stored.startswith("{ARGON2ID}")), stored


@pytest.mark.parametrize(
    ("memory", "passes", "upgrade"),
    [(8192, 1, False), (8191, 1, True), (16384, 1, False), (8192, 2, False), (65536, 1, False)],
)
def test_a_cheaper_hash_is_replaced_and_a_costlier_one_is_not(
    memory: int, passes: int, upgrade: bool
) -> None:
    stored = f"{{ARGON2ID}}$argon2id$v=19$m={memory},t={passes},p=1$c2FsdHNhbHRzYWx0${'A' * 43}"
    assert needs_upgrade(stored, CHEAP) == upgrade


def test_a_text_that_is_no_stored_password_is_an_error() -> None:
    with pytest.raises(UnknownScheme):
        needs_upgrade("{NONE}x", CHEAP)


@pytest.mark.parametrize(
    "bad", [{"memory": 131072, "passes": 9}, {"memory": 8191}, {"memory": 1 << 20}, {"lanes": 17}]
)
def test_settings_whose_hashes_would_not_be_read_again_are_refused(bad: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        PasswordSettings(**bad)


def test_the_costliest_settings_make_hashes_that_are_read() -> None:
    read(f"{{ARGON2ID}}$argon2id$v=19$m=131072,t=8,p=16$c2FsdHNhbHRzYWx0${'A' * 43}")
    PasswordSettings(memory=131072, passes=8, lanes=16)


def test_an_app_password_is_random_and_fast() -> None:
    made = {new_app_password()[0] for _ in range(50)}
    assert len(made) == 50
    text, stored = new_app_password()
    assert len(text) == 34
    assert read(stored).matches(text.encode(), "")
    assert not read(stored).slow
