"""Folder of backups, through which Dovecot's user reaches its part."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gatepost.backup.folder import OWNER_ONLY, PASSABLE, BackupFolder
from gatepost.backup.run import _told_about_space
from gatepost.errors import StartError


def test_new_folders_above_it_can_be_passed_through(tmp_path: Path) -> None:
    with BackupFolder.opened(tmp_path / "backup" / "of" / "mail", make=True) as folder:
        folder.begin()
    expected = PASSABLE if os.geteuid() == 0 else OWNER_ONLY
    for each in ("backup", "backup/of", "backup/of/mail", "backup/of/mail/next"):
        assert (tmp_path / each).stat().st_mode & 0o777 == expected, each


def test_a_folder_that_was_there_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir(mode=0o700)
    with BackupFolder.opened(tmp_path / "home" / "mail", make=True):
        pass
    assert (tmp_path / "home").stat().st_mode & 0o777 == 0o700


def test_the_closed_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir(mode=0o700)
    tmp_path.chmod(0o755)
    with pytest.raises(StartError, match=r"Permission denied; Dovecot's user cannot pass through"):
        fail(tmp_path / "home" / "mail", PermissionError(13, "Permission denied"))
    with pytest.raises(StartError, match=r"Permission denied; the last complete backup"):
        fail(Path("/tmp"), PermissionError(13, "Permission denied"))  # noqa: S108 # only its parents
    with pytest.raises(StartError, match=r"File exists; the last complete backup"):
        fail(tmp_path / "home" / "mail", FileExistsError(17, "File exists"))


def fail(path: Path, error: OSError) -> None:
    path.mkdir(exist_ok=True)
    with _told_about_space(path):
        raise error
