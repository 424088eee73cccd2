import errno
import os
import time
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from gatepost.config import ConfigError
from gatepost.daemon import Current, Watch
from gatepost.daemon.watch import CLOCK_STEP
from gatepost.logs import get_logger


def test_what_does_not_validate_leaves_the_last_good_one() -> None:
    mistake = ZeroDivisionError("a mistake of ours")
    bad = ConfigError.one("f", "bad")
    values: list[str | Exception] = ["one", bad, OSError("gone"), mistake, "two"]

    def build() -> str:
        value = values.pop(0)
        if isinstance(value, Exception):
            raise value
        return value

    current = Current(build, get_logger("test"))
    assert (current.value, current.generation) == ("one", 1)
    for _ in range(3):
        assert not current.reload()
        assert (current.value, current.generation) == ("one", 1)
        assert REGISTRY.get_sample_value("gatepost_config_last_reload_success") == 0
    assert current.reload()
    assert (current.value, current.generation) == ("two", 2)
    assert REGISTRY.get_sample_value("gatepost_config_last_reload_success") == 1
    assert REGISTRY.get_sample_value("gatepost_config_generation") == 2


def test_a_change_of_a_file_or_folder_is_seen_once(tmp_path: Path) -> None:
    file, folder = tmp_path / "gatepost.toml", tmp_path / "keys"
    file.write_text("a")
    folder.mkdir()
    watch = Watch([file, folder, tmp_path / "missing"])
    assert not watch.changed()
    file.write_text("other")
    assert seen(watch)
    (folder / "example.org").mkdir()
    (folder / "example.org" / "key.pem").write_text("k")
    assert seen(watch)
    (tmp_path / "missing").write_text("")
    assert seen(watch)
    (folder / "example.org" / "key.pem").chmod(0o600)
    assert seen(watch)


def seen(watch: Watch) -> bool:
    """Whether a change is seen as soon as it rests, and once."""
    return [watch.changed() for _ in range(3)] == [False, True, False]


def test_what_is_read_for_another_reason_is_no_change(tmp_path: Path) -> None:
    file = tmp_path / "gatepost.toml"
    file.write_text("a")
    watch = Watch([file])
    file.write_text("other")
    watch.about_to_read()
    assert [watch.changed() for _ in range(3)] == [False, False, False]
    file.write_text("changed while it was read")
    assert seen(watch)


def test_what_is_being_written_is_left_until_it_rests(tmp_path: Path) -> None:
    file = tmp_path / "gatepost.toml"
    file.write_text("whole")
    watch = Watch([file])
    file.write_text("")
    assert not watch.changed()
    file.write_text("hal")
    assert not watch.changed()
    file.write_text("half of it")
    assert not watch.changed()
    assert watch.changed()
    before = file.stat()
    file.write_text("")
    assert not watch.changed()
    file.write_text("half of it")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert not watch.changed()
    assert not watch.changed()


def test_other_files_can_be_followed(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    watch = Watch([old])
    new.write_text("")
    watch.follow([new])
    old.write_text("")
    assert not seen(watch)
    new.write_text("changed")
    watch.follow([new])  # as before: what changed is not forgotten
    assert seen(watch)


def test_a_change_of_a_file_is_not_lost_when_another_one_is_followed_too(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_text("")
    new.write_text("")
    watch = Watch([old])
    watch.about_to_read()
    old.write_text("changed while the configuration was read that names both")
    watch.follow([old, new])
    assert seen(watch)
    assert not seen(watch)


def test_a_change_between_the_reading_and_the_first_look_counts(tmp_path: Path) -> None:
    """A file that a configuration names is known only after the configuration was read."""
    early, late, folder = tmp_path / "early", tmp_path / "late", tmp_path / "folder"
    early.write_text("old")
    late.write_text("old")
    folder.mkdir()
    for path in (early, late, folder):
        os.utime(path, (1, 1))
    began = max(path.stat().st_ctime for path in (early, late, folder)) + 2 * CLOCK_STEP
    while time.time() < began + CLOCK_STEP:
        time.sleep(CLOCK_STEP / 4)
    watch = Watch([])
    watch.follow([early, folder], began)
    assert not seen(watch)
    # an older file takes its place: only the time of the change of the name tells
    older = tmp_path / "older"
    older.write_text("new")
    os.utime(older, (1, 1))
    older.replace(late)
    watch.follow([early, folder, late], began)
    assert seen(watch)
    (folder / "key").write_text("k")
    watch = Watch([])
    watch.follow([folder], began)
    assert seen(watch)
    watch = Watch([])
    watch.follow([folder, late])  # nobody has read them before
    assert not seen(watch)


def test_what_may_not_be_looked_at_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = tmp_path / "keys"
    keys.mkdir()
    watch = Watch([keys])

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "stat", refuse)  # what a closed folder above does to a daemon's user
    assert seen(watch)


def test_so_many_files_and_no_more_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gatepost.daemon.watch.MAX_ENTRIES", 3)
    files = [tmp_path / str(number) for number in range(5)]
    for file in files:
        file.write_text("")
    watch = Watch(files)
    files[4].write_text("changed")
    assert not watch.changed()
    assert not watch.changed()
    files[2].write_text("changed")
    assert not watch.changed()
    assert watch.changed()


def test_a_configmap_that_kubernetes_swaps_is_seen(tmp_path: Path) -> None:
    """The file is a symlink to ..data/FILE, and ..data is swapped for another folder."""
    for name in ("..1", "..2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "gatepost.toml").write_text("same size")
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "gatepost.toml").symlink_to("..data/gatepost.toml")
    watch = Watch([tmp_path / "gatepost.toml"])
    (tmp_path / "..tmp").symlink_to("..2")
    os.replace(tmp_path / "..tmp", tmp_path / "..data")
    assert seen(watch)
