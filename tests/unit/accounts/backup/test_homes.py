"""Names of homes in a backup, and copies that share their messages."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from accounts.backup.homes import addresses, folder_name, home_of_address, link_home
from accounts.backup.maildir import copied_folders


@pytest.mark.parametrize(
    "address",
    [
        "anna@example.org",
        "..@example.org",
        ".@..",
        "a/../../b@example.org",
        "~new@x",
        "%2E@x",
        "ünïcode@xn--bcher-kva.example",
        "o'hara+x@example.org",
        "-rf@example.org",
        "a~list@x",
        "a\nb@x",
    ],
)
def test_an_address_is_a_name_below_the_folder_and_is_read_back(
    tmp_path: Path, address: str
) -> None:
    relative = home_of_address(address)
    assert len(relative.parts) == 2
    assert not {"..", ".", ""} & set(relative.parts)
    assert "/" not in relative.name
    assert not relative.name.startswith("~")
    (tmp_path / relative).mkdir(parents=True)
    assert list(addresses(tmp_path)) == [address]


def test_no_two_names_are_the_same() -> None:
    names = ["a", "A", "%61", ".a", "%2Ea", "a.", "~a", "ä", "%C3%A4", "=", "%"]
    assert len({folder_name(name) for name in names}) == len(names)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "homes" / "anna"
    for folder in ("mail", "mail/Lists", "mail/a.b"):
        for part in ("cur", "new", "tmp"):
            (home / folder / part).mkdir(parents=True)
        (home / folder / "dovecot-uidlist").write_text(f"3 V1 N9 G{len(folder):032x}\n1 :one\n")
    (home / "mail/cur/one:2,S").write_text("first")
    (home / "mail/Lists/new/two").write_text("second")
    (home / "sieve").mkdir()
    (home / "sieve/mine.sieve").write_text("keep;")
    (home / ".dovecot.sieve").symlink_to("sieve/mine.sieve")
    return home


def test_messages_are_shared_and_all_else_is_copied(home: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    link_home(home, copy)
    shared = {
        str(path.relative_to(copy))
        for path in copy.rglob("*")
        if path.is_file() and not path.is_symlink() and path.stat().st_nlink > 1
    }
    assert shared == {"mail/cur/one:2,S", "mail/Lists/new/two"}
    assert os.readlink(copy / ".dovecot.sieve") == "sieve/mine.sieve"
    (copy / "mail/dovecot-uidlist").write_text("changed")
    assert (home / "mail/dovecot-uidlist").read_text().startswith("3 V1")
    link_home(home, copy)
    assert (copy / "mail/dovecot-uidlist").read_text() == "changed", "a copy was begun again"


def test_a_copy_that_was_killed_begins_again(home: Path, tmp_path: Path) -> None:
    (tmp_path / "~new" / "mail").mkdir(parents=True)
    (tmp_path / "~new" / "mail" / "half").touch()
    link_home(home, tmp_path / "copy")
    assert not (tmp_path / "copy" / "mail" / "half").exists()
    assert not (tmp_path / "~new").exists()


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK])
def test_without_hard_links_messages_are_copied(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", fail)
    link_home(home, tmp_path / "copy")
    message = tmp_path / "copy/mail/cur/one:2,S"
    assert (message.read_text(), message.stat().st_nlink) == ("first", 1)
    assert message.stat().st_mtime == (home / "mail/cur/one:2,S").stat().st_mtime


def test_the_folders_of_a_copy_are_read_without_dovecot(home: Path) -> None:
    found = {str(each.path.relative_to(home)): each for each in copied_folders(home / "mail")}
    assert found.keys() == {"mail", "mail/Lists", "mail/a.b"}
    assert {name: each.count() for name, each in found.items()} == {
        "mail": 1,
        "mail/Lists": 1,
        "mail/a.b": 0,
    }
    assert found["mail"].guids() == {"one"}
    uidlist = home / "mail/Lists/dovecot-uidlist"
    uidlist.write_text("3 V1 N9 G" + "a" * 32 + "\n1 W7 Gother-guid S5 :two\nnonsense\n\xff\n")
    assert found["mail/Lists"].guids() == {"other-guid"}
    assert list(copied_folders(home / "nowhere")) == []
    (home / "mail/Lists/dovecot-uidlist").write_text("\0" * 100_000)
    assert {each.path.name for each in copied_folders(home / "mail")} == {"mail", "a.b"}
