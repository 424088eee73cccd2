"""`make restore` before a container runs: the secrets of a backup in the folder of the system."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatepost.backup import run
from gatepost.backup.folder import BackupFolder
from gatepost.backup.part import Saved
from gatepost.backup.secrets import INDEX, SecretsPart
from tools.up.lifecycle import UpError
from tools.up.place import SETTINGS, Place
from tools.up.recovery import back_up, put_secrets
from tools.up.system import System

FILES = {
    "/secrets/mailboxes/seal": "the seal",
    "/keys/example.org.s1.pem": "a key",
    "/tls/tls.key": "the key of the certificate",
    "/etc/gatepost/gatepost.toml": "of the old pod",
}


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    """A backup whose secrets were at the places of the containers."""
    made = tmp_path / "made"
    for path, text in FILES.items():
        (made / path[1:]).parent.mkdir(parents=True, exist_ok=True)
        (made / path[1:]).write_text(text)
    save(tmp_path / "backup", SecretsPart([made]), made)
    return tmp_path / "backup"


class Moved:
    """A part whose index names the places in the containers."""

    name = "secrets"
    lists_itself = False

    def __init__(self, part: SecretsPart, made: Path) -> None:
        self._part, self._made = part, made

    def save(self, new: Path, before: Path | None) -> Saved:
        saved = self._part.save(new, before)
        index = new / INDEX
        index.write_text(index.read_text().replace(f'"{self._made}/', '"/'))
        return saved

    def find_obstacle(self) -> str | None:
        return None

    def restore(self, saved: Path, scratch: Path) -> Saved:
        raise NotImplementedError


def save(folder: Path, part: SecretsPart, made: Path) -> None:
    origin = run.BackupOrigin("0.1.0", "mail.example.org", "2026-11-26T23:00:00Z")
    with BackupFolder.opened(folder, make=True) as opened:
        run.save(opened, [Moved(part, made)], (), origin, lambda *_: None)


def test_the_secrets_go_where_the_containers_find_them(backup: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    put_secrets(backup, state)
    assert {
        str(path.relative_to(state)): path.read_text()
        for path in state.rglob("*")
        if path.is_file()
    } == {
        "mailboxes/seal": "the seal",
        "dkim/example.org.s1.pem": "a key",
        "tls/tls.key": "the key of the certificate",
    }
    # the containers run as other users, all in group 0
    assert (state / "mailboxes" / "seal").stat().st_mode & 0o777 == 0o440
    assert (state / "mailboxes").stat().st_mode & 0o777 == 0o755
    (state / "tls" / "tls.key").unlink()
    (state / "tls" / "tls.key").write_text("renewed")
    put_secrets(backup, state)
    assert (state / "tls" / "tls.key").read_text() == "renewed"


def test_a_backup_without_secrets_asks_for_them(tmp_path: Path) -> None:
    origin = run.BackupOrigin("0.1.0", "mail.example.org", "2026-11-26T23:00:00Z")
    with BackupFolder.opened(tmp_path / "backup", make=True) as opened:
        run.save(opened, [], ("secrets",), origin, lambda *_: None)
    with pytest.raises(UpError, match="put those of the old system into"):
        put_secrets(tmp_path / "backup", tmp_path / "state")
    (tmp_path / "state" / "mailboxes").mkdir(parents=True)
    assert put_secrets(tmp_path / "backup", tmp_path / "state").left_out == ("secrets",)


def test_no_backup_is_said(tmp_path: Path) -> None:
    with pytest.raises(UpError, match="there is no folder"):
        put_secrets(tmp_path / "backup", tmp_path / "state")


def test_a_backup_to_a_folder_that_the_containers_do_not_have_is_refused(tmp_path: Path) -> None:
    system = System(Place(state=tmp_path / ".up", backup=tmp_path / "backup"))
    with pytest.raises(UpError) as refused:
        back_up(system, tmp_path / "other")
    assert f'backup = "{tmp_path / "other"}"' in str(refused.value)
    assert str(tmp_path / ".up" / SETTINGS) in str(refused.value)
