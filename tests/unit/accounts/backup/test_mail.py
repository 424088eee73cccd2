"""The part with the mail, after a backup that was killed and with files that nobody listed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from accounts.backup.dovecot import NO_USER, DoveadmRefusalError, LiveFolder, MailStore
from accounts.backup.mail import MailPart
from gatepost.backup.folder import BackupFolder
from gatepost.backup.listing import LISTED, LISTS
from gatepost.backup.run import BackupOrigin, check, save
from gatepost.errors import StartError

ANNA, BEN = "anna@example.org", "ben@example.org"
ORIGIN = BackupOrigin("1", "mail.example.org", "2026-11-26T12:00:00Z")


class _Store(MailStore):
    """Users with one message; those in `gone` were removed a moment ago."""

    def __init__(self) -> None:
        self.users = [ANNA, BEN]
        self.gone: set[str] = set()

    def copy_out(self, user: str, home: Path, index: Path) -> None:
        if user in self.gone:
            raise DoveadmRefusalError("no user", NO_USER)
        (home / "mail" / "new").mkdir(parents=True, exist_ok=True)
        (home / "mail" / "new" / "1.M1.host").write_text(user)

    def folders(self, user: str) -> list[LiveFolder]:
        return []


@pytest.fixture
def store() -> _Store:
    return _Store()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[BackupFolder]:
    with BackupFolder.opened(tmp_path / "backup", make=True) as folder:
        yield folder


def part(store: _Store) -> MailPart:
    return MailPart(store, lambda: store.users, lambda: None)


def back_up(folder: BackupFolder, store: _Store) -> Path:
    save(folder, [part(store)], (), ORIGIN, lambda *_: None)
    return folder.current / "mail"


def kill_after_mail(folder: BackupFolder, store: _Store) -> Path:
    """Leave the part of a backup that was killed before its manifest."""
    new = folder.begin() / "mail"
    new.mkdir()
    part(store).save(new, None)
    return new


@pytest.mark.parametrize("is_known", [True, False])
def test_a_mailbox_that_was_removed_after_a_kill_leaves_no_list(
    folder: BackupFolder, store: _Store, *, is_known: bool
) -> None:
    kill_after_mail(folder, store)
    store.gone = {ANNA}
    if not is_known:
        store.users = [BEN]
    back_up(folder, store)
    assert check(folder).parts["mail"]["mailbox"] == 1


def test_a_list_whose_home_is_gone_does_not_stay(folder: BackupFolder, store: _Store) -> None:
    """The kill came between the two."""
    shutil.rmtree(kill_after_mail(folder, store) / LISTED / "example.org" / "anna")
    store.users = [BEN]
    back_up(folder, store)
    assert check(folder).parts["mail"]["mailbox"] == 1


def test_what_is_in_no_list_is_not_restored(folder: BackupFolder, store: _Store) -> None:
    mail = back_up(folder, store)
    check(folder)
    more = mail / LISTED / "example.org" / "anna" / "mail" / "new" / "2.M2.host"
    more.write_text("never received")
    with pytest.raises(StartError, match="anna has files that are not in its list"):
        check(folder)
    more.unlink()
    shutil.copytree(more.parents[2], mail / LISTED / "example.org" / "carl")
    with pytest.raises(StartError, match="carl has no list"):
        check(folder)
    (mail / LISTS / "example.org" / "anna~list").unlink()
    with pytest.raises(StartError, match="anna~list"):
        check(folder)
