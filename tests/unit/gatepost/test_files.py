"""What stands where a file should be, and is none, makes no daemon wait and is no empty file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gatepost.cli import configuration
from gatepost.config import SecretFile
from gatepost.files import open_regular
from milters.keys.files import read_private, read_text
from milters.keys.tables.lines import read_file
from policyd.match import read_entries
from policyd.migration.berkeley import read_btree

READERS: dict[str, Callable[[Path], object]] = {
    "configuration": configuration.read_whole,
    "secret": lambda path: SecretFile(path).read(),
    "list of clients": read_entries,
    "postgrey.db": lambda path: list(read_btree(path)),
    "SigningTable": read_file,
    "key": read_private,
    "keys.toml": lambda path: read_text(path, 1000),
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_regular_file_is_an_error(tmp_path: Path, reader: str, kind: str) -> None:
    path = tmp_path / "it"
    match kind:
        case "pipe":
            os.mkfifo(path, mode=0o600)
        case "device":
            path.symlink_to("/dev/null")
        case "folder":
            path.mkdir(mode=0o700)
    with pytest.raises(Exception, match="is not a regular file"):
        READERS[reader](path)


def test_a_link_to_a_file_is_followed(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"here")
    (tmp_path / "link").symlink_to("file")
    with open_regular(tmp_path / "link") as file:
        assert file.read() == b"here"
