"""Root at work in a folder of another user, who puts traps there: nothing of root's may change."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import CliRunner

from gatepost.cli.__main__ import gatepost
from gatepost.daemon import SocketFiles, StartError, listening_socket
from gatepost.files import open_regular
from gatepost.folder import OpenFolder
from gatepost.listen import Unix
from policyd.stores import StoreStartError
from policyd.stores.sqlite_file import EntryFile
from tests.daemon.hostile import GID, UID, Victim, foreign_folder, swapping
from tests.testbed.daemon import gatepost_command

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root and a second user"),
    pytest.mark.timeout(120),
]

TRAPS: dict[str, Callable[[Path, Path], None]] = {
    "link": lambda path, victim: path.symlink_to(victim),
    "link to a folder": lambda path, victim: path.symlink_to(victim.parent),
    "link to nothing": lambda path, victim: path.symlink_to(victim.with_name("new")),
    "hard link": lambda path, victim: path.hardlink_to(victim),
    "FIFO": lambda path, _: os.mkfifo(path, 0o600),
    "folder": lambda path, _: path.mkdir(),
    "device": lambda path, _: os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 3)),
}


@pytest.fixture
def place() -> Iterator[tuple[Path, Victim]]:
    with foreign_folder() as found:
        yield found


def run(*words: str | Path) -> int:
    return CliRunner().invoke(gatepost, [str(word) for word in words]).exit_code


def keys(folder: Path, *words: str) -> int:
    return run("keys", *words, "--keys", folder)


def trap(folder: Path, kind: str, victim: Victim) -> None:
    """Put a trap in the place of an entry, as its owner would."""
    if folder.is_dir():
        folder.rename(folder.with_name(".away"))
    folder.unlink(missing_ok=True)
    TRAPS[kind](folder, victim.file)
    if kind in ("link", "link to a folder", "link to nothing"):
        os.chown(folder, UID, GID, follow_symlinks=False)


@pytest.mark.parametrize("kind", TRAPS)
@pytest.mark.parametrize(
    "entry",
    [".lock", "example.org", *(f"example.org/{n}" for n in ("keys.toml", "s1.pem", "s1.txt"))],
)
def test_keys_touch_nothing_that_is_not_theirs(
    place: tuple[Path, Victim], entry: str, kind: str
) -> None:
    folder, victim = place
    assert keys(folder, "new", "example.org", "--algorithm", "ed25519", "--selector", "s1") == 0
    trap(folder / entry, kind, victim)
    keys(folder, "list")
    keys(folder, "publish", "example.org")
    keys(folder, "new", "example.org", "--algorithm", "ed25519", "--selector", "s2")
    keys(folder, "activate", "example.org", "s1", "--unchecked")
    keys(folder, "retire", "example.org", "s1", "--last")
    keys(folder, "revoke", "example.org", "s1", "--now")
    victim.assert_untouched()


def test_the_lock_that_was_a_link(place: tuple[Path, Victim]) -> None:
    folder, victim = place
    (folder / ".lock").symlink_to(victim.file)
    assert keys(folder, "new", "example.org", "--algorithm", "ed25519") == 0
    victim.assert_untouched()
    for path in (folder / "example.org").iterdir():
        assert (path.stat().st_uid, path.stat().st_gid) == (UID, GID)


def test_the_key_folder_itself_is_a_link(place: tuple[Path, Victim]) -> None:
    folder, victim = place
    (folder / "keys").symlink_to(victim.file.parent)
    os.chown(folder / "keys", UID, GID, follow_symlinks=False)
    assert keys(folder / "keys", "new", "example.org", "--algorithm", "ed25519") != 0
    assert keys(folder / "keys" / "more", "new", "example.org", "--algorithm", "ed25519") != 0
    victim.assert_untouched()


@pytest.mark.parametrize("seed", range(3))
def test_keys_while_entries_are_swapped(place: tuple[Path, Victim], seed: int) -> None:
    folder, victim = place
    inner = folder / "example.org"
    made = number = 0
    with swapping(victim, [folder, inner], [".lock", "example.org", "keys.toml"], seed):
        while made < 5 or number < 60:
            number += 1
            name = f"s{number}"
            words = ("new", "example.org", "--algorithm", "ed25519", "--selector", name)
            made += keys(folder, *words) == 0
            keys(folder, "activate", "example.org", name, "--unchecked")
            keys(folder, "revoke", "example.org", name, "--now")
    victim.assert_untouched()


@pytest.mark.parametrize("seed", range(3))
def test_a_socket_while_its_entry_is_swapped(place: tuple[Path, Victim], seed: int) -> None:
    folder, victim = place
    address = Unix(folder / "milter.sock")
    made = tried = 0
    with swapping(victim, [folder], ["milter.sock"], seed):
        while made < 5 or tried < 300:
            tried += 1
            with suppress(StartError), listening_socket(address, 0o666, "nogroup"):
                made += 1
                SocketFiles([address]).remove()
    victim.assert_untouched()


@pytest.mark.parametrize("kind", TRAPS)
def test_a_trap_in_the_place_of_a_socket(place: tuple[Path, Victim], kind: str) -> None:
    folder, victim = place
    trap(folder / "milter.sock", kind, victim)
    with pytest.raises(StartError, match="a file that is not a socket exists there"):
        listening_socket(Unix(folder / "milter.sock"), 0o666, "nogroup")
    victim.assert_untouched()
    assert [path.name for path in folder.iterdir()] == ["milter.sock"]


def test_a_socket_in_a_folder_of_somebody_else(place: tuple[Path, Victim]) -> None:
    folder, _ = place
    address = Unix(folder / "milter.sock")
    with listening_socket(address, 0o662, "nogroup"):
        status = address.path.stat()
        assert stat.S_IMODE(status.st_mode) == 0o662
        assert status.st_gid == GID
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(address.path))
        assert os.listdir(folder) == ["milter.sock"]


def test_a_socket_has_the_group_that_its_folder_hands_on(place: tuple[Path, Victim]) -> None:
    folder, _ = place
    os.chown(folder, UID, 4343)
    folder.chmod(0o2750)
    address = Unix(folder / "milter.sock")
    for euid in (0, UID):
        os.seteuid(euid)
        try:
            with listening_socket(address):
                SocketFiles([address]).check()
                assert address.path.stat().st_gid == 4343
                assert stat.S_IMODE(address.path.stat().st_mode) == 0o660
                SocketFiles([address]).remove()
        finally:
            os.seteuid(0)


def test_a_socket_is_removed_from_the_folder_that_it_was_made_in(
    place: tuple[Path, Victim],
) -> None:
    folder, victim = place
    inner = folder / "run"
    inner.mkdir()
    address = Unix(inner / "file")
    with listening_socket(address):
        files = SocketFiles([address])
        inner.rename(folder / "moved")
        inner.symlink_to(victim.file.parent)
        with pytest.raises(StartError, match="was replaced"):
            files.check()
        files.remove()
        assert os.listdir(folder / "moved") == []
    victim.assert_untouched()


@pytest.mark.parametrize("kind", TRAPS)
@pytest.mark.parametrize("suffix", ["", "-wal", "-shm", "-journal"])
def test_greylist_commands_touch_nothing_that_is_not_theirs(
    place: tuple[Path, Victim], suffix: str, kind: str, tmp_path: Path
) -> None:
    folder, victim = place
    store = folder / "policyd.sqlite"
    config = tmp_path / "gatepost.toml"
    config.write_text(f'[policyd.store]\nkind = "sqlite"\npath = "{store}"\n')
    trap(folder / f"policyd.sqlite{suffix}", kind, victim)
    if suffix:
        EntryFile(folder / "other").close()
        (folder / "other").rename(store)
        os.chown(store, UID, GID)
    for words in (
        ("greylist", "list"),
        ("greylist", "allow", "192.0.2.1"),
        ("greylist", "forget", "192.0.2.1"),
        ("policyd", "ask", "--client", "192.0.2.1"),
    ):
        run(*words, "--config", config)
    victim.assert_untouched()
    assert os.geteuid() == 0
    if kind != "device":  # SQLite takes /dev/null for an empty file
        with suppress(StoreStartError, OSError):
            run("greylist", "list", "--config", config)


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
def test_a_greylist_command_does_not_wait_for_a_fifo(
    place: tuple[Path, Victim], suffix: str, tmp_path: Path
) -> None:
    folder, _ = place
    store = folder / "policyd.sqlite"
    config = tmp_path / "gatepost.toml"
    config.write_text(f'[policyd.store]\nkind = "sqlite"\npath = "{store}"\n')
    if suffix:
        store.touch()
        os.chown(store, UID, GID)
    os.mkfifo(folder / f"policyd.sqlite{suffix}")
    os.chown(folder / f"policyd.sqlite{suffix}", UID, GID)
    command = [str(gatepost_command()), "greylist", "allow", "192.0.2.1", "--config", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert "is not a regular file" in done.stderr


@pytest.mark.parametrize("kind", TRAPS)
@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
def test_a_policy_server_that_stays_root_refuses_a_trap(
    place: tuple[Path, Victim], suffix: str, kind: str
) -> None:
    folder, victim = place
    trap(folder / f"store{suffix}", kind, victim)
    with pytest.raises(StoreStartError, match="root does not follow it"):
        EntryFile(folder / "store")
    victim.assert_untouched()


def test_what_root_writes_to_a_store_belongs_to_its_owner(
    place: tuple[Path, Victim], tmp_path: Path
) -> None:
    folder, _ = place
    store = folder / "policyd.sqlite"
    config = tmp_path / "gatepost.toml"
    config.write_text(f'[policyd.store]\nkind = "sqlite"\npath = "{store}"\n')
    EntryFile(store).close()
    assert run("greylist", "allow", "192.0.2.1", "--config", config) == 0
    assert run("greylist", "find", "192.0.2", "--config", config) == 0
    assert {path.stat().st_uid for path in folder.iterdir()} == {UID}


def test_root_reads_through_a_link_only_what_its_maker_owns(place: tuple[Path, Victim]) -> None:
    folder, victim = place
    (folder / "own").write_text("theirs")
    os.chown(folder / "own", UID, GID)
    for name, target in (("good", "own"), ("bad", victim.file), ("up", victim.file.parent)):
        (folder / name).symlink_to(target)
    with open_regular(folder / "good") as file:
        assert file.read() == b"theirs"
    for path in (folder / "bad", folder / "up" / "file"):
        with pytest.raises(OSError, match=f"does not follow a symbolic link of uid {UID} to"):
            open_regular(path)
    with pytest.raises(OSError, match="a symbolic link"):
        OpenFolder.open(folder / "up")


def test_root_follows_links_that_root_made(place: tuple[Path, Victim]) -> None:
    folder, victim = place
    link = folder.with_name("link")
    link.symlink_to("roots")
    with open_regular(link / "file") as file:
        assert file.read() == victim.file.read_bytes()
    link.unlink()
