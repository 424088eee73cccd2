"""The removal of mail, with servers that are away, refuse, or are slow."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from accounts.directory import deleted_mailboxes, mailboxes
from accounts.directory.deleted_mailboxes import LEASE, DeletedMailbox
from accounts.dovecot.doveadm import DoveadmError, remove_home
from accounts.dovecot.purge import Purge, name_of, number_of
from accounts.dovecot_settings import DovecotSettings
from accounts.store.transaction import Write
from accounts.stored_mail import StoredMail
from gatepost.config import SecretFile
from tests.unit.accounts import files
from tests.unit.accounts.desk import NOW, Desk

ANNA, BEN = "anna@example.org", "ben@example.org"
URLS = ("http://a.example:1", "http://b.example:1")
KEEP = 86_400.0


class Servers:
    """Servers that remove what they are asked to; those in `away` do not."""

    def __init__(self) -> None:
        self.removed: list[tuple[str, str]] = []
        self.away: set[str] = set()
        self.sizes: dict[tuple[str, str], int] = {}

    async def remove(self, url: str, key: str, home: str, timeout: float) -> None:
        assert (key, timeout > 0) == ("secret", True)
        await asyncio.sleep(0)
        if url in self.away:
            raise DoveadmError("no answer")
        self.removed.append((url, home))

    async def measure(self, url: str, key: str, user: str) -> StoredMail | None:
        assert key == "secret"
        if url in self.away:
            raise DoveadmError("no answer")
        size = self.sizes.get((url, user))
        return None if size is None else StoredMail(size, 1)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Two mailboxes that were removed, and one that is there."""
    desk = Desk(files.make(tmp_path / "accounts.db"))
    desk.domain()
    for address in (ANNA, BEN, "carl@example.org"):
        desk.mailbox(address)
    for address in (ANNA, BEN):
        desk.write(lambda w: mailboxes.remove(w, address))  # noqa: B023
    yield desk
    desk.close()


@pytest.fixture
def servers() -> Servers:
    return Servers()


def purge(desk: Desk, servers: Servers, folder: Path, keep: float = KEEP) -> Purge:
    key = folder / "key"
    key.write_text("secret\n")
    key.chmod(0o600)
    settings = DovecotSettings(doveadm_url=URLS, doveadm_key_file=SecretFile(key))
    return Purge(
        desk.database,
        lambda: settings,
        lambda: keep,
        remove=servers.remove,
        measure=servers.measure,
        clock=desk.clock,
    )


def kept(desk: Desk) -> list[DeletedMailbox]:
    return desk.read(deleted_mailboxes.find)


def test_mail_goes_at_all_servers_when_its_time_is_over(
    desk: Desk, servers: Servers, tmp_path: Path
) -> None:
    one = purge(desk, servers, tmp_path)
    desk.clock.now = NOW + KEEP - 1
    assert desk.run(one.look()) == ([], [])
    homes = [box.home for box in kept(desk)]
    desk.clock.now += 1
    done = desk.run(one.look())
    assert [box.address for box in done.removed] == [ANNA, BEN]
    assert servers.removed == [(url, home) for home in homes for url in URLS]
    assert kept(desk) == []
    assert [box.address for box in desk.read(mailboxes.find)] == ["carl@example.org"]
    assert desk.run(one.look()) == ([], [])


def test_a_server_that_is_away_keeps_the_record(
    desk: Desk, servers: Servers, tmp_path: Path
) -> None:
    one = purge(desk, servers, tmp_path)
    desk.clock.now = NOW + KEEP
    servers.away = {URLS[1]}
    done = desk.run(one.look())
    assert [reason for _, reason in done.failed] == [f"{URLS[1]}: no answer"] * 2
    assert len(kept(desk)) == 2
    # each of them is tried again later, not at once
    servers.away = set()
    assert desk.run(one.look()) == ([], [])
    desk.clock.now += LEASE
    assert len(desk.run(one.look()).removed) == 2
    assert kept(desk) == []


def test_replicas_remove_each_home_once(desk: Desk, servers: Servers, tmp_path: Path) -> None:
    for number in range(20):
        desk.mailbox(f"m{number}@example.org")
        desk.write(lambda w: mailboxes.remove(w, f"m{number}@example.org"))  # noqa: B023
    replicas = [purge(desk, servers, tmp_path) for _ in range(3)]
    desk.clock.now = NOW + KEEP

    async def look() -> list[int]:
        done = await asyncio.gather(*(one.look() for one in replicas))
        return [len(one.removed) for one in done]

    counts = desk.run(look())
    assert sum(counts) == 22
    assert len(servers.removed) == len(set(servers.removed)) == 44
    assert kept(desk) == []


def test_one_that_was_restored_meanwhile_keeps_its_mail(
    desk: Desk, servers: Servers, tmp_path: Path
) -> None:
    desk.write(lambda w: deleted_mailboxes.restore(w, ANNA))
    desk.clock.now = NOW + KEEP
    done = desk.run(purge(desk, servers, tmp_path).look())
    assert [box.address for box in done.removed] == [BEN]


def test_a_removal_that_took_too_long_forgets_no_other_mailbox(
    desk: Desk, servers: Servers, tmp_path: Path
) -> None:
    """Another process has finished it, and the next mailbox has its number."""
    late = kept(desk)[-1]
    one = purge(desk, servers, tmp_path)
    desk.clock.now = NOW + KEEP
    assert len(desk.run(one.look()).removed) == 2
    desk.write(lambda w: mailboxes.remove(w, "carl@example.org"))
    (carl,) = kept(desk)
    stale = replace(carl, home=late.home)
    assert not desk.write(lambda w: deleted_mailboxes.forget(w, stale))
    desk.run(desk.database.record(lambda c: deleted_mailboxes.note_size(c, stale, 1)))
    assert kept(desk) == [carl]


def test_only_the_one_that_was_asked_for(desk: Desk, servers: Servers, tmp_path: Path) -> None:
    def expire(write: Write) -> list[DeletedMailbox]:
        return [deleted_mailboxes.expire(write, one) for one in (ANNA, BEN)]

    _, ben = desk.write(expire)
    desk.clock.now = NOW + 60
    done = desk.run(purge(desk, servers, tmp_path).look(number=ben.id))
    assert [box.address for box in done.removed] == [BEN]
    assert [box.address for box in kept(desk)] == [ANNA]


def test_without_a_server_nothing_is_forgotten(desk: Desk, servers: Servers) -> None:
    one = Purge(desk.database, DovecotSettings, lambda: 0.0, clock=desk.clock)
    desk.clock.now = NOW + 60
    done = desk.run(one.look())
    assert {reason for _, reason in done.failed} == {"[accounts.dovecot] names no doveadm_url"}
    assert len(kept(desk)) == 2
    assert servers.removed == []


def test_sizes_are_noted_once_they_are_known(desk: Desk, servers: Servers, tmp_path: Path) -> None:
    anna, ben = kept(desk)
    one = purge(desk, servers, tmp_path)
    servers.away = set(URLS)
    desk.run(one.measure())
    assert [box.octets for box in kept(desk)] == [None, None]
    servers.away = set()
    servers.sizes = {(URLS[1], name_of(ben.id)): 5000}
    desk.run(one.measure())
    assert [box.octets for box in kept(desk)] == [None, 5000]
    servers.sizes = {(URLS[0], name_of(anna.id)): 7, (URLS[1], name_of(anna.id)): 9}
    desk.run(one.measure())
    assert [box.octets for box in kept(desk)] == [9, 5000]


def test_names_of_deleted_mailboxes() -> None:
    assert number_of(name_of(17)) == 17
    names = ("17@example.org", "@deleted.invalid", "x@deleted.invalid", "17", "²@deleted.invalid")
    for name in (*names, f"{'9' * 40}@deleted.invalid", "17@deleted.invalid@deleted.invalid"):
        assert number_of(name) is None, name


@pytest.mark.parametrize(
    "home", ["", ".", "..", "a", "/etc", "a/..", "../a", "a/b/c", "a/\n", "a//b"]
)
def test_no_path_leads_out_of_the_mail_store(home: str) -> None:
    with pytest.raises(DoveadmError, match="is not the folder of a mailbox"):
        asyncio.run(remove_home("http://127.0.0.1:1", "key", home, 1.0))
