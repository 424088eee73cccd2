import os
from pathlib import Path

import pytest

from accounts.exchange.files import load, read_file
from accounts.exchange.notes import SourceError


def test_a_folder_and_a_file(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "x").write_bytes(b"1")
    (tmp_path / "y").write_bytes(b"2")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "a" / "fifo")
    assert dict(load(tmp_path / "a", tmp_path / "y").content) == {"b/x": b"1", "y": b"2"}
    assert [name for name, _ in load(tmp_path).named("x")] == ["a/b/x"]


def test_what_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "big").write_bytes(b"x" * (3 << 20))
    (tmp_path / "z").mkdir()
    (tmp_path / "z" / "big").write_bytes(b"")
    for path, says in (
        (tmp_path / "none", "No such file"),
        (tmp_path / "fifo", "not a regular file"),
        (Path("/dev/zero"), "not a regular file"),
        (tmp_path / "big", "larger than 2 MiB"),
        (Path("nul\0"), "not valid"),
    ):
        with pytest.raises(SourceError, match=says):
            read_file(path, 2 << 20)
    with pytest.raises(SourceError, match="two files"):
        load(tmp_path / "big", tmp_path / "z")
