from __future__ import annotations

import contextlib
import os
import stat
import tempfile
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.folder import OpenFolder
from milters.keys import files
from milters.keys.files import KeyFileError, read_key, to_key
from milters.keys.folder import KeyFolder
from milters.keys.state import KeyState, KeyStateError
from msgauth.keys import KeyType
from tests.unit.milters_keys.pems import pem, record

NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
NOBODY = 65534
as_root = os.geteuid() == 0


def put(path: Path, data: bytes | None = None, mode: int = 0o640) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pem() if data is None else data)
    path.chmod(mode)
    return path


def names(folder: Path) -> list[tuple[str, str, KeyState]]:
    return [(key.domain, key.selector, key.state) for key in KeyFolder(folder).scan().keys]


def told(folder: Path) -> dict[str, str]:
    return {problem.domain: problem.text for problem in KeyFolder(folder).scan().problems}


def test_keys_put_there_by_hand_are_active(tmp_path: Path) -> None:
    put(tmp_path / "example.org" / "s1.pem")
    put(tmp_path / "example.net" / "mail.private")
    assert names(tmp_path) == [
        ("example.net", "mail", KeyState.ACTIVE),
        ("example.org", "s1", KeyState.ACTIVE),
    ]


def test_flat_keys(tmp_path: Path) -> None:
    put(tmp_path / "mail.example.org.202611r.pem")
    assert names(tmp_path) == [("mail.example.org", "202611r", KeyState.ACTIVE)]


def test_a_mounted_secret(tmp_path: Path) -> None:
    """As the kubelet writes it: a dated folder, ..data links to it, and each key into ..data."""
    put(tmp_path / "..2026_11_21" / "example.org.s1.pem", mode=0o440)
    (tmp_path / "..data").symlink_to("..2026_11_21")
    (tmp_path / "example.org.s1.pem").symlink_to("..data/example.org.s1.pem")
    (key,) = KeyFolder(tmp_path).scan().keys
    assert (key.domain, key.selector) == ("example.org", "s1")
    assert read_key(key.path).type == "ed25519"


def test_a_mounted_secret_with_paths(tmp_path: Path) -> None:
    put(tmp_path / "..2026_11_21" / "example.org" / "s1.pem", mode=0o440)
    (tmp_path / "..data").symlink_to("..2026_11_21")
    (tmp_path / "example.org").symlink_to("..data/example.org")
    assert names(tmp_path) == [("example.org", "s1", KeyState.ACTIVE)]


@pytest.mark.parametrize(
    ("name", "domain"),
    [
        ("example.org/a b.pem", "example.org"),
        ("org/s1.pem", ""),
        ("key.pem", ""),
        ("a b.example.pem", ""),
        ("example.org/\nfatal: x.pem", "example.org"),
    ],
)
def test_names_that_are_none(tmp_path: Path, name: str, domain: str) -> None:
    put(tmp_path / "good.example" / "s1.pem")
    put(tmp_path / name)
    assert names(tmp_path) == [("good.example", "s1", KeyState.ACTIVE)]
    assert list(told(tmp_path)) == [domain]
    assert "\n" not in told(tmp_path)[domain]


def test_what_is_no_key_is_left_alone(tmp_path: Path) -> None:
    put(tmp_path / "README.md", b"")
    put(tmp_path / "example.org" / "s1.txt", b"")
    put(tmp_path / "example.org" / ".s1.pem.0123456789ab")
    assert KeyFolder(tmp_path).scan() == KeyFolder(tmp_path / "example.org").scan()
    assert names(tmp_path) == []


def test_a_file_name_that_is_not_utf8(tmp_path: Path) -> None:
    try:
        put(Path(os.fsdecode(os.fsencode(tmp_path) + b"/example.org/\xff.pem")))
    except OSError:
        pytest.skip("needs a file system that takes any bytes as a name")
    assert told(tmp_path)["example.org"].encode("utf-8")


def test_a_dead_link_is_told(tmp_path: Path) -> None:
    (tmp_path / "example.org").symlink_to("nowhere")
    assert "dangling link" in told(tmp_path)["example.org"]


def test_the_same_key_twice(tmp_path: Path) -> None:
    put(tmp_path / "example.org" / "s1.pem")
    put(tmp_path / "example.org" / "s1.private")
    put(tmp_path / "example.org.s1.pem")
    listing = KeyFolder(tmp_path).scan()
    assert len(listing.keys) == 1
    assert len(listing.problems) == 2


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="No such file"):
        KeyFolder(tmp_path / "keys").scan()


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o400, 0o440, 0o660])
def test_modes_that_are_accepted(tmp_path: Path, mode: int) -> None:
    assert read_key(put(tmp_path / "s1.pem", mode=mode)).bits == 256


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o666, 0o602])
def test_modes_that_are_refused(tmp_path: Path, mode: int) -> None:
    path = put(tmp_path / "s1.pem", mode=mode)
    with pytest.raises(KeyFileError, match=f"mode {mode:04o}.*chmod o-rwx {path}"):
        read_key(path)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "no key"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "cannot be decoded"),
        (b"\xff" * 70_000, "longer than"),
    ],
)
def test_files_that_are_no_key(tmp_path: Path, data: bytes, text: str) -> None:
    path = put(tmp_path / "s1.pem", data)
    with pytest.raises(KeyFileError, match=text) as caught:
        read_key(path)
    assert str(path) in str(caught.value)


@given(
    st.sampled_from(["rsa", "ed25519"]),
    st.floats(0, 1, exclude_max=True),
    st.binary(max_size=3),
    st.integers(0, 3),
)
def test_a_damaged_key_is_refused_or_read(
    key_type: KeyType, place: float, text: bytes, length: int
) -> None:
    whole = pem(key_type)
    at = int(place * len(whole))
    with contextlib.suppress(KeyFileError):
        key = to_key(Path("s1.pem"), whole[:at] + text + whole[at + length :])
        digest = b"d" * 32
        assert key.public_key().verify(digest, key.sign(digest))


def test_a_fifo_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "s1.pem", 0o600)
    with pytest.raises(KeyFileError, match="not a regular file"):
        read_key(tmp_path / "s1.pem")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="No such file"):
        read_key(tmp_path / "s1.pem")


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A folder, and a test that runs as nobody when it was started by root, who may read all."""
    with tempfile.TemporaryDirectory() as folder:  # those of pytest are closed to others
        Path(folder).chmod(0o777)
        if as_root:
            os.seteuid(NOBODY)
        try:
            yield Path(folder)
        finally:
            if as_root:
                os.seteuid(0)


def test_a_file_that_may_not_be_read(unprivileged: Path) -> None:
    path = put(unprivileged / "s1.pem", mode=0o000)
    with pytest.raises(KeyFileError, match="mode 0000 and belongs to uid"):
        read_key(path)


def test_a_folder_that_may_not_be_entered(unprivileged: Path) -> None:
    path = put(unprivileged / "example.org" / "s1.pem")
    path.parent.chmod(0o000)
    with pytest.raises(KeyFileError, match="a folder above is closed"):
        read_key(path)
    (problem,) = KeyFolder(unprivileged).scan().problems
    path.parent.chmod(0o700)
    assert (problem.domain, problem.is_serious) == ("example.org", True)


def test_added_keys_are_new(tmp_path: Path) -> None:
    folder = KeyFolder(tmp_path / "keys")
    folder.create()
    added = folder.add("example.org", {"s1": pem(), "s2": pem("rsa")}, KeyState.NEW, NOW)
    assert [key.path.name for key in added] == ["s1.pem", "s2.pem"]
    assert names(folder.path) == [
        ("example.org", "s1", KeyState.NEW),
        ("example.org", "s2", KeyState.NEW),
    ]
    assert record() in (folder.path / "example.org" / "s1.txt").read_text()
    assert not [path for path in added[0].path.parent.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(("above", "key"), [(0o700, 0o600), (0o750, 0o640), (0o755, 0o640)])
def test_modes_of_what_is_written(tmp_path: Path, above: int, key: int) -> None:
    tmp_path.chmod(above)
    folder = KeyFolder(tmp_path)
    (added,) = folder.add("example.org", {"s1": pem()}, KeyState.NEW, NOW)
    assert stat.S_IMODE(added.path.stat().st_mode) == key
    assert stat.S_IMODE(added.path.parent.stat().st_mode) == above & 0o750
    assert read_key(added.path).bits == 256


@pytest.mark.skipif(not as_root, reason="needs root: it gives files to another user")
def test_what_root_writes_belongs_to_the_owner_of_the_folder(tmp_path: Path) -> None:
    os.chown(tmp_path, 4242, 4343)
    (added,) = KeyFolder(tmp_path).add("example.org", {"s1": pem()}, KeyState.NEW, NOW)
    for path in (added.path.parent, *added.path.parent.iterdir()):
        assert (path.stat().st_uid, path.stat().st_gid) == (4242, 4343), path


@pytest.mark.skipif(not as_root, reason="needs root: it gives files to another user")
def test_a_new_folder_is_for_the_group_of_the_daemon(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    folder = KeyFolder(tmp_path / "keys")
    folder.create(group=4343)
    (added,) = folder.add("example.org", {"s1": pem()}, KeyState.NEW, NOW)
    for path, mode in ((folder.path, 0o750), (added.path.parent, 0o750), (added.path, 0o640)):
        assert (path.stat().st_gid, stat.S_IMODE(path.stat().st_mode)) == (4343, mode), path


@pytest.mark.parametrize("name", ["s1.pem", "s1.private", "s1.txt"])
def test_nothing_is_overwritten(tmp_path: Path, name: str) -> None:
    path = put(tmp_path / "example.org" / name, b"mine")
    with pytest.raises(KeyFileError, match="already has a key s1"):
        KeyFolder(tmp_path).add("example.org", {"s0": pem(), "s1": pem()}, KeyState.NEW, NOW)
    assert path.read_bytes() == b"mine"
    assert [entry.name for entry in path.parent.iterdir()] == [name]


def test_a_key_whose_file_was_deleted_still_has_its_name(tmp_path: Path) -> None:
    folder = KeyFolder(tmp_path)
    (added,) = folder.add("example.org", {"s1": pem()}, KeyState.NEW, NOW)
    added.path.unlink()
    assert folder.taken_selectors("example.org") == {"s1"}
    with pytest.raises(KeyFileError, match="already"):
        folder.add("example.org", {"s1": pem()}, KeyState.NEW, NOW)


def test_keys_from_before_stay_active(tmp_path: Path) -> None:
    put(tmp_path / "example.org" / "old.pem")
    KeyFolder(tmp_path).add("example.org", {"s1": pem()}, KeyState.NEW, NOW)
    assert names(tmp_path) == [
        ("example.org", "old", KeyState.ACTIVE),
        ("example.org", "s1", KeyState.NEW),
    ]


def test_a_copied_key_does_not_sign_where_states_are_kept(tmp_path: Path) -> None:
    folder = KeyFolder(tmp_path)
    folder.add("example.org", {"s1": pem()}, KeyState.ACTIVE, NOW)
    put(tmp_path / "example.org" / "copied.pem")
    assert ("example.org", "copied", KeyState.NEW) in names(tmp_path)
    folder.enter("example.org", {"copied": KeyState.ACTIVE}, NOW)
    assert ("example.org", "copied", KeyState.ACTIVE) in names(tmp_path)


def test_all_keys_enter_their_states_or_none(tmp_path: Path) -> None:
    folder = KeyFolder(tmp_path)
    folder.add("example.org", {"s1": pem(), "s2": pem("rsa")}, KeyState.NEW, NOW)
    folder.enter("example.org", {"s2": KeyState.REVOKED}, NOW)
    with pytest.raises(KeyStateError, match=r"s2 of example\.org: a key that is revoked"):
        folder.enter("example.org", {"s1": KeyState.ACTIVE, "s2": KeyState.ACTIVE}, NOW)
    with pytest.raises(KeyFileError, match="no key s3"):
        folder.enter("example.org", {"s1": KeyState.ACTIVE, "s3": KeyState.ACTIVE}, NOW)
    assert names(tmp_path)[0] == ("example.org", "s1", KeyState.NEW)


def test_a_broken_state_file_concerns_its_domain_only(tmp_path: Path) -> None:
    put(tmp_path / "example.org" / "s1.pem")
    put(tmp_path / "example.org" / "keys.toml", b"[s1\n")
    put(tmp_path / "example.net" / "s1.pem")
    assert names(tmp_path) == [("example.net", "s1", KeyState.ACTIVE)]
    assert "keys.toml: line 1: not TOML" in told(tmp_path)["example.org"]
    with pytest.raises(KeyFileError, match="not TOML"):
        KeyFolder(tmp_path).enter("example.org", {"s1": KeyState.RETIRED}, NOW)
    assert (tmp_path / "example.org" / "keys.toml").read_bytes() == b"[s1\n"


def test_an_active_key_without_its_file_is_told(tmp_path: Path) -> None:
    (added,) = KeyFolder(tmp_path).add("example.org", {"s1": pem()}, KeyState.ACTIVE, NOW)
    added.path.unlink()
    assert "s1 is active but its key file is missing" in told(tmp_path)["example.org"]


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create = files.create_file

    def full(folder: OpenFolder, name: str, data: bytes, mode: int) -> None:
        if name == "s2.pem":
            raise KeyFileError(f"{name}: cannot be written: No space left on device")
        create(folder, name, data, mode)

    monkeypatch.setattr(files, "create_file", full)
    folder = KeyFolder(tmp_path)
    with pytest.raises(KeyFileError, match="No space left"):
        folder.add("example.org", {"s1": pem(), "s2": pem("rsa")}, KeyState.NEW, NOW)
    assert folder.scan().keys == ()
    monkeypatch.undo()
    folder.add("example.org", {"s1": pem(), "s2": pem("rsa")}, KeyState.NEW, NOW)


def test_two_at_once_both_have_their_say(tmp_path: Path) -> None:
    folder = KeyFolder(tmp_path)
    errors: list[Exception] = []

    def add(number: int) -> None:
        try:
            folder.add("example.org", {f"s{number}": pem()}, KeyState.NEW, NOW)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=add, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    states = folder.states("example.org")
    assert states is not None
    assert sorted(states) == [f"s{number}" for number in range(8)]


def test_a_lock_that_is_not_given_up(tmp_path: Path) -> None:
    with (
        files.open_to_change(tmp_path),
        pytest.raises(KeyFileError, match="another command"),
        files.open_to_change(tmp_path, patience=0),
    ):
        pass
    with files.open_to_change(tmp_path, patience=0):
        pass
