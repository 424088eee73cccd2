"""The part of a backup with the store of the policy server, SQLite or Valkey."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatepost.errors import StartError
from policyd.backup import FILE, PolicydPart
from policyd.cli.greylist import write_entries
from policyd.cli.store import run
from policyd.settings import PolicydSettings, StoreSettings
from policyd.stores import Store, StoreEntry
from policyd.stores.sqlite_file import EntryFile
from tests.daemon.valkey_server import ValkeyServer

SOON = int(time.time()) + 1000
MANY = 2500
"""More than one step of any scan."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ValkeyServer]:
    with ValkeyServer(tmp_path) as running:
        yield running


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    made = tmp_path / "copy"
    made.mkdir()
    return made


def sqlite(path: Path) -> PolicydSettings:
    return PolicydSettings(store=StoreSettings(path=path))


def entries_of(settings: PolicydSettings) -> dict[str, StoreEntry]:
    async def read(store: Store) -> dict[str, StoreEntry]:
        return {key: entry async for key, entry in store.scan("")}

    return run(settings.store, read)


def fill(settings: PolicydSettings, count: int) -> dict[str, StoreEntry]:
    made = {f"limit\n{number}": StoreEntry(f"value {number}", SOON) for number in range(count)}
    write_entries(settings, made.items())
    return made


def test_valkey_is_copied_and_restored_into_either_store(
    server: ValkeyServer, tmp_path: Path, copy: Path
) -> None:
    valkey = PolicydSettings(
        store=StoreSettings(kind="valkey", url=server.url, timeout=20, prefix="a:")
    )
    made = fill(valkey, MANY)
    saved = PolicydPart(valkey).save(copy, None)
    assert saved is not None
    assert saved.counts == {"entry": MANY}
    assert [path.name for path in copy.iterdir()] == [FILE]
    other = PolicydSettings(
        store=StoreSettings(kind="valkey", url=server.url, timeout=20, prefix="b:")
    )
    for target in (other, sqlite(tmp_path / "store" / "new.sqlite")):
        PolicydPart(target).restore(copy, tmp_path)
        assert entries_of(target) == made
    assert [path.name for path in copy.iterdir()] == [FILE]


def test_newer_entries_stay_and_expired_ones_do_not_come_back(tmp_path: Path, copy: Path) -> None:
    settings = sqlite(tmp_path / "store.sqlite")
    write_entries(
        settings,
        {"limit\na": StoreEntry("old", SOON), "limit\nb": StoreEntry("gone", 1)}.items(),
    )
    assert PolicydPart(settings).save(copy, None) is not None
    target = sqlite(tmp_path / "target.sqlite")
    write_entries(target, {"limit\na": StoreEntry("newer", SOON + 5)}.items())
    PolicydPart(target).restore(copy, tmp_path)
    PolicydPart(target).restore(copy, tmp_path)
    assert entries_of(target) == {"limit\na": StoreEntry("newer", SOON + 5)}


def test_a_running_server_sees_what_was_restored(tmp_path: Path, copy: Path) -> None:
    settings = sqlite(tmp_path / "store.sqlite")
    made = fill(settings, 3)
    PolicydPart(settings).save(copy, None)
    target = sqlite(tmp_path / "target.sqlite")
    running = EntryFile(target.store.path)
    PolicydPart(target).restore(copy, tmp_path)
    running.begin()
    assert running.read(made.keys()) == made
    running.commit()
    running.close()


def test_no_store_and_one_in_memory_have_no_part(tmp_path: Path, copy: Path) -> None:
    assert PolicydPart(sqlite(tmp_path / "none.sqlite")).save(copy, None) is None
    memory = PolicydSettings(store=StoreSettings(kind="memory"))
    assert PolicydPart(memory).save(copy, None) is None


def test_a_store_of_a_later_version_is_refused(tmp_path: Path, copy: Path) -> None:
    settings = sqlite(tmp_path / "store.sqlite")
    fill(settings, 1)
    PolicydPart(settings).save(copy, None)
    with sqlite3.connect(copy / FILE) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(StartError, match="later version"):
        PolicydPart(settings).restore(copy, tmp_path)
    (copy / FILE).write_bytes(b"x" * 5000)
    with pytest.raises(StartError, match="is damaged"):
        PolicydPart(settings).restore(copy, tmp_path)
