"""Units of systemd on disk: drop-ins, masks, and what a unit forbids."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatepost.systemd import Unit, find_unit

NAME = "gatepost-milters.service"


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    for name in ("etc", "lib"):
        (tmp_path / name).mkdir()
    return tmp_path / "etc", tmp_path / "lib"


def write(folder: Path, text: str, *drop_in: str) -> None:
    path = folder / f"{NAME}.d" / drop_in[0] if drop_in else folder / NAME
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


def found(folders: tuple[Path, Path]) -> Unit:
    unit = find_unit(NAME, folders)
    assert unit is not None
    return unit


def test_the_first_folder_wins_and_drop_ins_add_and_take_back(folders: tuple[Path, Path]) -> None:
    etc, lib = folders
    write(lib, "[Unit]\nUser=no\n[Service]\nUser=gatepost\nReadWritePaths=/a \\\n  -/b\n")
    assert found(folders).user == "gatepost"
    assert found(folders).words("ReadWritePaths") == ["/a", "-/b"]
    write(lib, "[Service]\nUser=late\nGroup = mail\n", "20-late.conf")
    write(lib, "[Service]\nUser=early\nReadWritePaths=/c\n", "10-early.conf")
    assert found(folders).user == "late"
    assert found(folders).words("ReadWritePaths") == ["/a", "-/b", "/c"]
    write(etc, "[Service]\n# User=comment\nReadWritePaths=\nReadWritePaths=/d\n", "20-late.conf")
    assert found(folders).user == "early"
    assert found(folders).last("Group") == ""
    assert found(folders).words("ReadWritePaths") == ["/d"]
    write(etc, "[Service]\nExecStart=/x\n")
    assert found(folders).path == etc / NAME
    assert found(folders).user == "early"


def test_none_is_there_or_it_is_masked(folders: tuple[Path, Path]) -> None:
    etc, lib = folders
    assert find_unit(NAME, folders) is None
    write(lib, "[Service]\nUser=gatepost\n")
    (etc / NAME).symlink_to("/dev/null")
    assert find_unit(NAME, folders) is None


@pytest.mark.parametrize(
    ("settings", "path", "expected"),
    [
        ("", "/etc/x", True),
        ("ProtectSystem=strict", "/var/spool/postfix/opendkim", False),
        ("ProtectSystem=strict\nReadWritePaths=-/var/spool/postfix", "/var/spool/postfix/a", True),
        ("ProtectSystem=strict\nReadWritePaths=/var/spool/post", "/var/spool/postfix", False),
        ("ProtectSystem=strict\nRuntimeDirectory=gatepost", "/run/gatepost", True),
        ("ProtectSystem=strict\nStateDirectory=gatepost", "/var/lib/gatepost", True),
        ("ProtectSystem=strict\nReadWritePaths=%t/x", "/run/x", True),
        ("ProtectSystem=full", "/var/lib/x", True),
        ("ProtectSystem=full", "/etc/x", False),
        ("ProtectSystem=true", "/usr/x", False),
        ("ProtectHome=yes", "/root/x", False),
    ],
)
def test_what_a_unit_leaves_writable(
    folders: tuple[Path, Path], settings: str, path: str, expected: bool
) -> None:
    write(folders[0], f"[Service]\n{settings}\n")
    assert found(folders).may_write(Path(path)) is expected


def test_root_is_no_user_and_text_may_be_anything(folders: tuple[Path, Path]) -> None:
    (folders[0] / NAME).write_bytes(b"[Service]\nUser=root\n\xff\xfe=\n=\n[\nUser\n\\\n")
    assert found(folders).user == ""
