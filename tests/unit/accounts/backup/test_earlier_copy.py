"""A copy that Dovecot cannot bring up to date: the next backup makes it anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from accounts.backup.dovecot import FAILED, NO_USER, DoveadmRefusalError, LiveFolder
from accounts.backup.homes import home_of_address
from accounts.backup.mail import MailPart
from gatepost.backup.part import Saved

USER = "anna@example.org"
EARLIER, NOW = "a" * 32, "b" * 32


class OneMailbox:
    """A mail store whose INBOX is `NOW`: like Dovecot, it cannot delete the INBOX of a copy, and
    ends with `code`."""

    def __init__(self, code: int = FAILED) -> None:
        self.code = code
        self.copies = 0
        self.is_broken = False

    def copy_out(self, user: str, home: Path, index: Path) -> None:
        self.copies += 1
        uidlist = home / "mail" / "dovecot-uidlist"
        if self.is_broken or (uidlist.exists() and NOW not in uidlist.read_text()):
            uidlist.parent.mkdir(parents=True, exist_ok=True)
            raise DoveadmRefusalError(f"doveadm backup of {user}: it failed", self.code)
        (home / "mail" / "cur").mkdir(parents=True, exist_ok=True)
        uidlist.write_text(f"3 V1 N2 G{NOW}\n1 :new\n")
        (home / "mail" / "cur" / "new:2,S").write_text("mail of now")

    def copy_in(self, user: str, home: Path, index: Path) -> None:
        raise NotImplementedError

    def folders(self, user: str) -> list[LiveFolder]:
        return [LiveFolder("INBOX", NOW, 1, 2)]

    def guids(self, user: str, folder: LiveFolder) -> Iterator[str]:
        return iter(["new"])


def saved(store: OneMailbox, folder: Path) -> Saved:
    """Save into `new` below the folder, with the backup in `before`."""
    (folder / "new").mkdir(exist_ok=True)
    return MailPart(store, lambda: [USER], lambda: None).save(  # type: ignore[arg-type]
        folder / "new", folder / "before"
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a backup of an earlier mailbox with the address."""
    mail = tmp_path / "before" / "homes" / home_of_address(USER) / "mail"
    (mail / "cur").mkdir(parents=True)
    (mail / "dovecot-uidlist").write_text(f"3 V1 N2 G{EARLIER}\n1 :old\n")
    (mail / "cur" / "old:2,S").write_text("mail of then")
    return tmp_path


def test_a_new_mailbox_with_an_old_address_is_copied(folder: Path) -> None:
    store = OneMailbox()
    assert saved(store, folder).counts == {"mailbox": 1, "message": 1, "new message": 1}
    cur = folder / "new" / "homes" / home_of_address(USER) / "mail" / "cur"
    assert [one.name for one in cur.iterdir()] == ["new:2,S"]
    old = folder / "before" / "homes" / home_of_address(USER) / "mail" / "cur" / "old:2,S"
    assert old.read_text() == "mail of then"


def test_a_store_that_fails_each_time_fails_the_backup(folder: Path) -> None:
    store = OneMailbox()
    store.is_broken = True
    with pytest.raises(DoveadmRefusalError):
        saved(store, folder)
    assert store.copies == 2


def test_a_mailbox_that_was_removed_is_not_copied(folder: Path) -> None:
    store = OneMailbox(NO_USER)
    assert saved(store, folder).counts["mailbox"] == 0
    assert store.copies == 1
