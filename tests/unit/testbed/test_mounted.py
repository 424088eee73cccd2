"""A ConfigMap is swapped as the kubelet does it: no reader sees half of a change."""

from __future__ import annotations

from pathlib import Path

from tests.testbed.mounted import MountedFolder


def test_plain_files_become_links_with_the_same_content(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    (tmp_path / "b").write_text("2")
    folder = MountedFolder(tmp_path)
    folder.update({"b": "3"})
    assert folder.files() == {"a": "1", "b": "3"}
    assert (tmp_path / "a").readlink() == Path("..data/a")
    assert (tmp_path / "..data").is_symlink()


def test_a_change_is_a_new_folder_behind_one_link(tmp_path: Path) -> None:
    folder = MountedFolder(tmp_path, mode=0o440)
    folder.replace({"a": "1"})
    before = (tmp_path / "..data").readlink()
    # another object for the same folder, as for a second change of a test
    MountedFolder(tmp_path).update({"a": "2", "c": "3"})
    after = (tmp_path / "..data").readlink()
    assert before != after
    assert not (tmp_path / before).exists()
    assert folder.files() == {"a": "2", "c": "3"}


def test_what_is_removed_is_gone(tmp_path: Path) -> None:
    folder = MountedFolder(tmp_path)
    folder.replace({"a": "1", "b": "2"})
    folder.update({"a": None})
    assert folder.files() == {"b": "2"}
    assert sorted(each.name for each in tmp_path.iterdir() if not each.name.startswith("..")) == [
        "b"
    ]


def test_the_mode_is_that_of_a_secret(tmp_path: Path) -> None:
    MountedFolder(tmp_path, mode=0o440).replace({"key": "secret"})
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o440
