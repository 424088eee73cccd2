"""``gatepost backup`` and ``restore`` without containers, with a stand-in for doveadm."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from accounts.directory import mailboxes
from gatepost.cli.__main__ import main
from policyd.stores import StoreEntry
from policyd.stores.sqlite_file import EntryFile
from tests.daemon.accounts_process import AccountsDaemon, people
from tests.testbed import fake_doveadm
from tests.testbed.daemon import gatepost_command
from tests.testbed.disk import small_disk
from tests.testbed.toml import document
from tests.testbed.waiting import wait_until

ANNA, BOB, OFF = "anna@example.org", "bob@example.org", "off@example.org"
NEW = "new.o'hara@example.org"
"""A user without any folder."""
NOBODY = 65534
KEY = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I=\n"
TOO_LARGE = 3 << 20


class Site:
    """A system below a folder that others may enter, as Dovecot's user has to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.backup = folder / "backup"
        self.live = folder / "live"
        self.programs = folder / "bin"
        self.etc = folder / "etc"
        self.data = folder / "data"
        self.webmail = self.data / "webmail.sqlite"
        self.store = self.data / "policyd.sqlite"
        self.config = self.etc / "gatepost.toml"
        for path in (self.live, self.programs, self.etc, self.data):
            path.mkdir()
        fake_doveadm.install(self.programs)
        self.environment = {
            "PATH": f"{self.programs}:/usr/bin:/bin",
            "LIVE": str(self.live),
            "FAKE_ID": str(NOBODY),
        }
        self.fill()

    def fill(self) -> None:
        """Make the data of all parts."""
        (self.etc / "seal").write_text(KEY)
        (self.etc / "seal").chmod(0o600)
        (self.etc / "tls").mkdir()
        (self.etc / "tls" / "tls.key").write_text("a key\n")
        self.accounts = AccountsDaemon(self.data / "accounts")
        self.accounts.change(people)
        self.config.write_text(
            document(
                {
                    "hostname": "mail.example.org",
                    "accounts": {"listen": "inet:1@127.0.0.1"},
                    "accounts.database": {
                        "url": self.accounts.database.url,
                        "key_file": "seal",
                    },
                    "policyd.store": {"path": str(self.store)},
                    "backup": {"webmail": str(self.webmail), "files": ["tls"]},
                }
            )
        )
        with closing(sqlite3.connect(self.webmail)) as database:
            database.execute("CREATE TABLE contact (name TEXT)")
            database.execute("INSERT INTO contact VALUES ('Carol')")
            database.commit()
        self.remember("greylisted", time.time() + 1000)
        for user in (ANNA, BOB, OFF):
            self.mail(user, "INBOX", f"first-{user}")
        self.accounts.change(lambda write: mailboxes.add(write, NEW))
        (self.live / NEW).mkdir()

    def remember(self, key: str, expires: float) -> None:
        file = EntryFile(self.store, indexed=False)
        file.begin()
        file.write({key: StoreEntry("value", int(expires))})
        file.commit()
        file.close()

    def remembered(self) -> set[str]:
        with closing(sqlite3.connect(self.store)) as database:
            return {key for (key,) in database.execute("SELECT key FROM entry")}

    def mail(self, user: str, folder: str, guid: str, text: str = "Subject: x\n\nx\n") -> Path:
        message = self.live / user / folder / guid
        message.parent.mkdir(parents=True, exist_ok=True)
        message.write_text(text)
        for path in (self.live / user, message.parent, message):
            os.chown(path, NOBODY, NOBODY)
        return message

    def all_mail(self) -> dict[str, str]:
        return {
            str(path.relative_to(self.live)): path.read_text()
            for path in self.live.rglob("*")
            if path.is_file()
        }

    def run(self, *words: str | Path, status: int = 0, **more: str) -> str:
        """Run a command in this process, which takes a tenth of the time; return all it says."""
        line = ["gatepost", str(words[0]), "--config", str(self.config), *map(str, words[1:])]
        out, err = io.StringIO(), io.StringIO()
        with (
            pytest.MonkeyPatch.context() as patch,
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            patch.setattr(sys, "argv", line)
            for name, value in {**self.environment, **more}.items():
                patch.setenv(name, value)
            with pytest.raises(SystemExit) as ended:
                main()
        said = out.getvalue() + err.getvalue()
        assert ended.value.code == status, said
        return said

    def destroy(self) -> None:
        """Leave an empty machine: the programs and the backup."""
        for path in (self.live, self.etc, self.data):
            shutil.rmtree(path)
            path.mkdir()
        for user in (ANNA, BOB, OFF, NEW):  # Dovecot knows who is in accounts
            (self.live / user).mkdir()
            os.chown(self.live / user, NOBODY, NOBODY)
        (self.data / "accounts").mkdir()


@pytest.fixture
def site() -> Iterator[Site]:
    if os.geteuid() != 0:
        pytest.skip("only root can be another user")
    with tempfile.TemporaryDirectory(prefix="gatepost-test-", dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Site(Path(name))


def messages_in(backup: Path) -> dict[str, Path]:
    return {
        path.name.partition(":")[0]: path
        for path in (backup / "mail" / "homes").rglob("*")
        if path.parent.name == "cur"
    }


def test_all_is_backed_up_destroyed_and_restored(site: Site) -> None:
    (site.mail(BOB, "Lists", "flagged").with_name("flagged.flags")).write_text("FS")
    said = site.run("backup", site.backup)
    assert "accounts: 4 mailboxes\n" in said
    assert "mail: 4 mailboxes, 4 messages, 4 new messages\n" in said
    assert "policyd: 1 entry\n" in said
    assert "whoever reads it can sign your mail" in said
    assert messages_in(site.backup / "current").keys() == {
        "flagged",
        *(f"first-{user}" for user in (ANNA, BOB, OFF)),
    }
    before = site.all_mail()
    config = site.config.read_text()
    site.remember("expired", time.time() - 10)
    site.run("backup", site.backup)
    site.destroy()
    said = site.run("restore", site.backup)
    assert site.all_mail() == before
    assert site.config.read_text() == config
    assert (site.etc / "seal").read_text() == KEY
    assert (site.etc / "seal").stat().st_mode & 0o777 == 0o600
    assert site.remembered() == {"greylisted"}
    with closing(sqlite3.connect(site.webmail)) as database:
        assert database.execute("SELECT name FROM contact").fetchall() == [("Carol",)]
    assert "4 mailboxes" in site.run("backup", site.backup)


def test_only_changes_are_copied_and_the_rest_is_shared(site: Site) -> None:
    site.run("backup", site.backup)
    first = messages_in(site.backup / "current")[f"first-{ANNA}"].stat()
    assert "4 messages" not in site.run("backup", site.backup)
    site.mail(ANNA, "INBOX", "second")
    (site.live / ANNA / "INBOX" / f"first-{ANNA}.flags").write_text("S")
    (site.live / BOB / "INBOX" / f"first-{BOB}").unlink()
    assert "mail: 4 mailboxes, 3 messages, 1 new message\n" in site.run("backup", site.backup)
    kept = messages_in(site.backup / "current")
    assert kept.keys() == {f"first-{ANNA}", f"first-{OFF}", "second"}
    assert kept[f"first-{ANNA}"].name.endswith(":2,S")
    assert kept[f"first-{ANNA}"].stat().st_ino == first.st_ino
    assert f"first-{BOB}" in messages_in(site.backup / "previous")
    site.run("restore", "--check", site.backup)


def test_nobody_else_reads_it_and_dovecot_only_its_part(site: Site) -> None:
    site.run("backup", site.backup)
    for path in site.backup.rglob("*"):
        mode, owner = path.lstat().st_mode, path.lstat().st_uid
        assert path.is_symlink() or not mode & 0o066, path
        assert owner == (NOBODY if "/mail/homes" in str(path) else 0), path


def test_a_killed_backup_leaves_the_last_one_and_the_next_goes_on(site: Site) -> None:
    site.run("backup", site.backup)
    manifest = (site.backup / "current" / "manifest.json").read_text()
    site.mail(ANNA, "INBOX", "second")
    process = subprocess.Popen(
        [gatepost_command(), "backup", "--config", site.config, site.backup],
        env={**os.environ, **site.environment, "FAKE_HANGS": OFF},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    wait_until(lambda: "second" in messages_in(site.backup / "next"), "the mail of Anna")
    assert "is in use by another backup" in site.run("backup", site.backup, status=1)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert (site.backup / "current" / "manifest.json").read_text() == manifest
    assert "is whole" in site.run("restore", "--check", site.backup)
    assert "second" not in messages_in(site.backup / "current")
    assert "1 new message\n" in site.run("backup", site.backup)
    assert "second" in messages_in(site.backup / "current")
    site.run("restore", "--check", site.backup)


@pytest.mark.parametrize("moment", ["before", "between"])
def test_killed_while_it_is_renamed(site: Site, moment: str) -> None:
    site.run("backup", site.backup)
    site.mail(ANNA, "INBOX", "second")
    site.run("backup", site.backup)
    current, following = site.backup / "current", site.backup / "next"
    if moment == "before":
        current.rename(following)
        (site.backup / "previous").rename(current)
    else:
        current.rename(following)
    site.run("restore", "--check", site.backup)
    if moment == "between":
        assert "second" in messages_in(current)
    site.run("backup", site.backup)
    assert "second" in messages_in(current)
    site.run("restore", "--check", site.backup)


def test_a_killed_restore_is_repeated(site: Site) -> None:
    site.run("backup", site.backup)
    before = site.all_mail()
    site.destroy()
    process = subprocess.Popen(
        [gatepost_command(), "restore", "--config", site.config, site.backup],
        env={**os.environ, **site.environment, "FAKE_HANGS": BOB},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    wait_until(lambda: site.all_mail(), "the mail of Anna")
    wait_until(lambda: (site.backup / "scratch/homes/example.org/bob").exists(), "Bob's turn")
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    said = site.run("restore", site.backup, status=1)
    assert "there are 2 domains and 4 mailboxes" in said
    site.mail(ANNA, "INBOX", "came meanwhile")
    site.run("restore", site.backup, "--yes")
    assert site.all_mail() == {**before, f"{ANNA}/INBOX/came meanwhile": "Subject: x\n\nx\n"}
    assert not (site.backup / "scratch").exists()


@pytest.mark.usefixtures("mounts")
def test_a_full_disk_is_named_and_changes_nothing(site: Site) -> None:
    disk = site.folder / "disk"
    disk.mkdir()
    site.mail(ANNA, "INBOX", "large", "x" * TOO_LARGE)
    script = (
        f"{gatepost_command()} backup --config {site.config} {disk}/backup; echo ended $?; "
        f"rm {site.live}/{ANNA}/INBOX/large; "
        f"{gatepost_command()} backup --config {site.config} {disk}/backup "
        f"&& cp -a {disk}/backup {site.backup}"
    )
    done = subprocess.run(
        [*small_disk(disk, 2 << 20), "sh", "-c", script],
        env={**os.environ, **site.environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert "ended 1" in done.stdout, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert "No space left on device" in done.stderr
    assert "is complete and checked" in done.stdout, done.stdout + done.stderr
    site.run("restore", "--check", site.backup)


def test_mail_that_is_not_copied_is_found(site: Site) -> None:
    site.run("backup", site.backup)
    site.mail(BOB, "INBOX", "lost")
    said = site.run("backup", site.backup, status=1, FAKE_LOSES="lost")
    assert f"1 message of {BOB} not in the copy, such as lost" in said
    assert "is whole" in site.run("restore", "--check", site.backup)


@pytest.mark.parametrize(
    "part", ["mail/homes/example.org/anna/mail/cur", "accounts", "policyd", "secrets", "webmail"]
)
def test_a_flipped_bit_is_found(site: Site, part: str) -> None:
    site.run("backup", site.backup)
    path = next(
        each for each in sorted((site.backup / "current" / part).iterdir()) if each.is_file()
    )
    octets = bytearray(path.read_bytes())
    octets[len(octets) // 2] ^= 1
    path.write_bytes(octets)
    said = site.run("restore", "--check", site.backup, status=1)
    assert f"{path} has changed" in said
    site.destroy()
    assert "damaged" in site.run("restore", site.backup, status=1)
    assert not site.config.exists(), "a damaged backup was restored"
    assert site.all_mail() == {}


@pytest.mark.parametrize(
    "name", ["manifest.json", "files.jsonl", "mail/lists/example.org/anna~list"]
)
def test_a_damaged_list_is_found(site: Site, name: str) -> None:
    site.run("backup", site.backup)
    path = site.backup / "current" / name
    for text in (path.read_text()[:-20], "[" * 100_000, "{}", ""):
        path.write_text(text)
        site.run("restore", "--check", site.backup, status=1)
    path.unlink()
    site.run("restore", "--check", site.backup, status=1)


def test_a_missing_file_is_found(site: Site) -> None:
    site.run("backup", site.backup)
    path = messages_in(site.backup / "current")[f"first-{ANNA}"]
    path.unlink()
    assert f"{path}: No such file" in site.run("restore", "--check", site.backup, status=1)


def test_a_foreign_folder_is_refused(site: Site) -> None:
    site.backup.mkdir()
    (site.backup / "letter").write_text("mine")
    said = site.run("backup", site.backup, status=1)
    assert "is not empty (it has 'letter')" in said
    assert [path.name for path in site.backup.iterdir()] == ["letter"]
    assert "it has no gatepost-backup" in site.run("restore", site.backup, status=1)
    assert "there is no folder" in site.run("restore", site.folder / "nowhere", status=1)
    assert "is not a folder" in site.run("restore", site.config, status=1)


@pytest.mark.parametrize(
    ("mode", "owner", "told"), [(0o777, 0, "chmod o-w"), (0o755, NOBODY, "belongs to uid")]
)
def test_a_folder_that_others_can_change_is_refused(
    site: Site, mode: int, owner: int, told: str
) -> None:
    site.backup.mkdir()
    site.backup.chmod(mode)
    os.chown(site.backup, owner, -1)
    assert told in site.run("backup", site.backup, status=1)


def test_data_that_are_there_are_not_replaced_unasked(site: Site) -> None:
    site.run("backup", site.backup)
    assert "there are 2 domains and 4 mailboxes" in site.run("restore", site.backup, status=1)
    (site.etc / "seal").write_text("another\n")
    said = site.run("restore", site.backup, status=1)
    assert f"these files differ from the backup: {site.etc}/seal" in said
    assert (site.etc / "seal").read_text() == "another\n"
    site.run("restore", site.backup, "--yes")
    assert (site.etc / "seal").read_text() == KEY


def test_parts_are_left_out(site: Site) -> None:
    said = site.run("backup", site.backup, "--without", "secrets", "--without", "mail")
    assert "whoever reads it" not in said
    manifest = json.loads((site.backup / "current" / "manifest.json").read_text())
    assert sorted(manifest["parts"]) == ["accounts", "policyd", "webmail"]
    assert manifest["left_out"] == ["secrets", "mail"]
    assert KEY.strip() not in "".join(
        path.read_text(errors="replace") for path in site.backup.rglob("*") if path.is_file()
    )


def test_without_doveadm_the_mail_is_not_forgotten_silently(site: Site) -> None:
    (site.programs / "doveadm").unlink()
    shutil.which("doveadm")
    said = site.run("backup", site.backup, status=1, PATH=str(site.programs))
    assert "leave the mail out (--without mail)" in said


def test_links_that_dovecots_user_puts_into_the_backup_lead_nowhere(site: Site) -> None:
    site.run("backup", site.backup)
    home = site.backup / "current/mail/homes/example.org/anna"
    victim = site.folder / "victim"
    victim.mkdir(mode=0o700)
    (victim / "secret").write_text("root's")
    (victim / "secret").chmod(0o600)
    shutil.rmtree(home / "mail" / "cur")
    os.symlink(victim, home / "mail" / "cur")
    os.chown(home / "mail" / "cur", NOBODY, NOBODY, follow_symlinks=False)
    site.run("backup", site.backup, status=1)
    assert (victim / "secret").stat().st_nlink == 1
    assert [path.name for path in victim.iterdir()] == ["secret"]


def test_a_restore_makes_folders_that_other_programs_can_enter(site: Site) -> None:
    site.run("backup", site.backup)
    shutil.rmtree(site.etc)
    site.run("restore", site.backup, "--yes")
    assert site.etc.stat().st_mode & 0o777 == 0o755
