"""The part with configuration and secrets."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from gatepost.backup.secrets import INDEX, SecretsPart, copied_files, put_secrets_back
from gatepost.errors import StartError


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    etc = tmp_path / "etc"
    (etc / "keys" / "example.org").mkdir(parents=True)
    (etc / "keys" / "example.org" / "s1.pem").write_text("private")
    (etc / "keys" / "example.org" / "s1.pem").chmod(0o640)
    (etc / "gatepost.toml").write_text("a = 1\n")
    return etc


def saved(tmp_path: Path, *paths: Path) -> Path:
    copy = tmp_path / "copy"
    copy.mkdir()
    SecretsPart(paths).save(copy, None)
    return copy


def test_files_come_back_with_their_modes(etc: Path, tmp_path: Path) -> None:
    copy = saved(tmp_path, etc)
    etc.rename(tmp_path / "before")
    assert put_secrets_back(copy, replace=False).counts == {"file": 2, "restored file": 2}
    assert (etc / "keys" / "example.org" / "s1.pem").read_text() == "private"
    assert (etc / "keys" / "example.org" / "s1.pem").stat().st_mode & 0o777 == 0o640
    assert put_secrets_back(copy, replace=False).counts == {"file": 2, "restored file": 0}


def test_a_file_that_differs_stops_all(etc: Path, tmp_path: Path) -> None:
    copy = saved(tmp_path, etc)
    (etc / "gatepost.toml").unlink()
    (etc / "keys" / "example.org" / "s1.pem").write_text("another")
    with pytest.raises(StartError, match=r"differ from the backup: .*s1\.pem"):
        put_secrets_back(copy, replace=False)
    assert not (etc / "gatepost.toml").exists()
    put_secrets_back(copy, replace=True)
    assert (etc / "keys" / "example.org" / "s1.pem").read_text() == "private"


def test_a_mounted_secret_is_read_through_its_links_once(tmp_path: Path) -> None:
    """As the kubelet mounts it: NAME leads to ..data/NAME, and ..data to a folder with a time."""
    mounted = tmp_path / "secret"
    (mounted / "..2026").mkdir(parents=True)
    (mounted / "..2026" / "seal").write_text("key")
    (mounted / "..data").symlink_to("..2026")
    (mounted / "seal").symlink_to("..data/seal")
    copy = saved(tmp_path, mounted)
    assert list(copied_files(copy)) == [(str(mounted / "seal"), b"key")]


def test_a_missing_file_is_a_warning(etc: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    told = SecretsPart([etc / "gatepost.toml", etc / "gone"]).save(copy, None)
    assert told.warnings == (f"{etc / 'gone'} is not there",)
    assert told.counts == {"file": 1}


def test_what_never_ends_is_not_read(etc: Path, tmp_path: Path) -> None:
    os.mkfifo(etc / "fifo")
    (etc / "round").symlink_to(etc)
    copy = saved(tmp_path, etc)
    assert {path.rpartition("/")[2] for path, _ in copied_files(copy)} == {
        "gatepost.toml",
        "s1.pem",
    }


@pytest.mark.parametrize("path", ["etc/x", "/etc/../root/x", ""])
def test_a_path_in_the_index_is_absolute_and_plain(etc: Path, tmp_path: Path, path: str) -> None:
    copy = saved(tmp_path, etc)
    line = {"path": path, "number": 0, "mode": 0o600, "owner": "root", "group": "root"}
    (copy / INDEX).write_text(json.dumps(line) + "\n")
    with pytest.raises(StartError, match="is damaged"):
        put_secrets_back(copy, replace=True)


def test_no_file_comes_back_as_a_program_of_its_owner(etc: Path, tmp_path: Path) -> None:
    copy = saved(tmp_path, etc)
    lines = [json.loads(line) for line in (copy / INDEX).read_text().splitlines()]
    written = [json.dumps(line | {"mode": 0o6755}) + "\n" for line in lines]
    (copy / INDEX).write_text("".join(written))
    etc.rename(tmp_path / "before")
    put_secrets_back(copy, replace=False)
    assert (etc / "gatepost.toml").stat().st_mode & 0o7777 == 0o755


def test_a_link_in_place_of_a_new_file_changes_no_other_file(
    etc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The owner of the folder can put a link there at any moment."""
    other = tmp_path / "shadow"
    other.write_text("root:x")
    other.chmod(0o600)
    (etc / "gatepost.toml").chmod(0o644)
    copy = saved(tmp_path, etc / "gatepost.toml")
    (etc / "gatepost.toml").unlink()
    fsync = os.fsync

    def exchange(descriptor: int) -> None:
        fsync(descriptor)
        (etc / ".gatepost.toml.new").unlink()
        (etc / ".gatepost.toml.new").symlink_to(other)

    monkeypatch.setattr(os, "fsync", exchange)
    put_secrets_back(copy, replace=False)
    assert other.stat().st_mode & 0o777 == 0o600
