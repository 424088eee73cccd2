"""Lists of files, and the check against them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from gatepost.backup.listing import Listed, damage, entries, read_list, write_list
from gatepost.errors import StartError

STRANGE = ["line\nfeed", 'quote"', "\udcff", "-rf", "ü", "..x"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    (folder / "a" / "b").mkdir(parents=True)
    for name in STRANGE:
        (folder / "a" / name).write_text(name.encode(errors="surrogateescape").hex())
    (folder / "a" / "b" / "empty").touch()
    (folder / "link").symlink_to("a/b/empty")
    return folder


def listed(folder: Path) -> Path:
    file = folder.with_name("list")
    with file.open("w", encoding="utf-8") as written:
        write_list(written, entries(folder))
    return file


def test_names_of_every_kind_are_read_back(folder: Path) -> None:
    found = list(read_list(listed(folder)))
    assert {one.path for one in found} == {"link", "a/b/empty", *(f"a/{name}" for name in STRANGE)}
    assert list(damage(folder, found)) == []
    assert next(one for one in found if one.path == "link").link == "a/b/empty"


def test_each_change_is_found(folder: Path) -> None:
    found = list(read_list(listed(folder)))
    (folder / "a" / "ü").write_text("c3bd")  # one bit, same length
    (folder / "a" / "-rf").unlink()
    (folder / "link").unlink()
    (folder / "link").symlink_to("/etc/passwd")
    (folder / "a" / "b" / "empty").unlink()
    (folder / "a" / "b" / "empty").symlink_to("/etc/passwd")
    told = list(damage(folder, found))
    assert sorted(line.partition("/folder/")[2].partition(":")[0] for line in told) == [
        "a/-rf",
        "a/b/empty",
        "a/ü has changed",
        "link leads elsewhere",
    ]


def test_known_files_are_not_read(folder: Path) -> None:
    (folder / "a" / "ü").chmod(0)
    known = {"a/ü": (4, "0" * 64)}
    found = {one.path: one for one in entries(folder, known.get)}
    assert found["a/ü"] == Listed("a/ü", 4, "0" * 64)


def test_what_is_no_file_is_an_error_and_is_not_opened(folder: Path) -> None:
    os.mkfifo(folder / "a" / "fifo")
    with pytest.raises(StartError, match="neither a file nor a folder"):
        list(entries(folder))


@pytest.mark.timeout(20)
def test_a_device_behind_a_link_is_not_read(folder: Path) -> None:
    (folder / "dev").symlink_to("/dev")
    (told,) = damage(folder, [Listed("dev/zero", 1, "0" * 64)])
    assert told.endswith("/dev/zero: not a regular file")


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{}",
        "[" * 60_000,
        json.dumps({"path": "../x", "size": 1, "sha256": ""}),
        json.dumps({"path": "/x", "size": 1, "sha256": ""}),
        json.dumps({"path": "a//x", "link": ""}),
        json.dumps({"path": "a\0x", "link": ""}),
        json.dumps({"path": "x", "size": "1", "sha256": ""}),
        json.dumps({"path": "x" * 100_000, "link": ""}),
        "\xff",
    ],
)
def test_a_damaged_list_is_one_line(tmp_path: Path, line: str) -> None:
    file = tmp_path / "list"
    file.write_bytes(line.encode("latin-1") + b"\n")
    with pytest.raises(StartError, match=f"{file} is damaged"):
        list(read_list(file))
