"""The key file, and what is encrypted with it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from accounts.store.seal import SealError, SecretSeal, new_key
from gatepost.config.types import SecretFile

A_KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


def read(path: Path, content: str, mode: int = 0o600) -> SecretSeal:
    path.write_text(content)
    path.chmod(mode)
    return SecretSeal.read(SecretFile(path))


def test_a_secret_is_read_again(tmp_path: Path) -> None:
    seal = read(tmp_path / "key", new_key() + "\n")
    for secret in (b"", b"secret", bytes(10_000)):
        assert seal.open(seal.close(secret, "this"), "this") == secret
    assert seal.close(b"secret", "this") != seal.close(b"secret", "this")


def test_a_secret_for_something_else_is_refused() -> None:
    seal = SecretSeal([bytes(32)])
    with pytest.raises(SealError, match="that is damaged, or was encrypted for something else"):
        seal.open(seal.close(b"secret", "this"), "that")


def test_no_octet_can_be_changed() -> None:
    seal = SecretSeal([bytes(32)])
    sealed = seal.close(b"secret", "this")
    for place in range(len(sealed)):
        for damaged in (
            sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :],
            sealed[:place],
        ):
            with pytest.raises(SealError):
                seal.open(damaged, "this")


def test_the_first_key_encrypts_and_each_decrypts(tmp_path: Path) -> None:
    old, new = new_key(), new_key()
    sealed = read(tmp_path / "old", old).close(b"secret", "this")
    both = read(tmp_path / "both", f"{new}\n{old}\n")
    assert both.open(sealed, "this") == b"secret"
    assert not both.is_present(sealed)
    again = both.close(b"secret", "this")
    assert both.is_present(again)
    with pytest.raises(SealError, match="does not have"):
        read(tmp_path / "old", old).open(again, "this")


@pytest.mark.parametrize(
    "content",
    ["short", "c2hvcnQ=", f"{A_KEY}\nx", "é" * 44, "\0" * 32, A_KEY[:-4], A_KEY * 2, f"{A_KEY}!"],
)
def test_files_that_are_no_keys(tmp_path: Path, content: str) -> None:
    with pytest.raises(SealError) as caught:
        read(tmp_path / "key", content)
    assert str(tmp_path / "key") in str(caught.value)
    assert content not in str(caught.value)


def test_files_that_are_not_read(tmp_path: Path) -> None:
    with pytest.raises(SealError, match=r"accessible to everybody .*chmod o-rwx"):
        read(tmp_path / "key", new_key(), 0o604)
    with pytest.raises(SealError, match="is empty"):
        read(tmp_path / "key", "\n", 0o600)
    with pytest.raises(SealError, match="more than 16 keys"):
        read(tmp_path / "key", "\n".join(new_key() for _ in range(17)))
    os.mkfifo(tmp_path / "fifo")
    for name in ("none", "fifo", "."):
        with pytest.raises(SealError, match="cannot read the key file"):
            SecretSeal.read(SecretFile(tmp_path / name))


def test_without_a_key_file_nothing_can_be_kept() -> None:
    with pytest.raises(SealError, match=r"set key_file in \[accounts\.database\]"):
        SecretSeal.read(None).close(b"secret", "this")
