"""The life of keys as a caller leads it, without the command: results, refusals, what is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gatepost.dns.authoritative import NameServer
from milters.keys import lifecycle
from milters.keys.checked import CheckedKey, CheckedKeys, check_keys
from milters.keys.errors import (
    KeysError,
    LastKeyError,
    NothingWaitsError,
    OtherRecordError,
    StillNeededError,
)
from milters.keys.files import read_key
from milters.keys.folder import KeyFile, KeyFolder
from milters.keys.lifecycle import UnpublishedError
from milters.keys.publication import Publication, RecordStatus, Sight
from milters.keys.servers import Primary, Servers
from milters.keys.state import OVERLAP, KeyState
from msgauth.ask import Answer, Rcode
from msgauth.keys import SigningKey
from tests.unit.milters_keys.pems import pem
from tests.unit.milters_keys.test_folder import put

NOW = datetime(2026, 11, 21, 10, tzinfo=UTC)
DOMAIN = "example.org"
NAME = "s1._domainkey.example.org"


@pytest.fixture
def folder(tmp_path: Path) -> KeyFolder:
    return KeyFolder(tmp_path)


def states(folder: KeyFolder) -> dict[str, str]:
    return {key.selector: str(key.state) for key in folder.scan().keys}


@dataclass(frozen=True)
class Zone(Primary):
    """A primary that keeps its records in a dictionary, and refuses to change those at `fails`."""

    stored: dict[str, tuple[str, ...]]
    fails: str

    @classmethod
    def of(cls, stored: dict[str, tuple[str, ...]], fails: str = "") -> Zone:
        server = NameServer("ns.example.org", "192.0.2.53")
        return cls(server, None, None, 60, lambda _: Answer(Rcode.OK), stored, fails)

    def records(self, name: str) -> tuple[str, ...]:
        return self.stored.get(name, ())

    def replace(self, name: str, text: str, expected: tuple[str, ...]) -> None:
        assert self.records(name) == expected
        if name == self.fails:
            raise KeysError("the primary refuses")
        self.stored[name] = (text,)


def look(*published: str) -> lifecycle.CheckKeys:
    """A look at DNS that finds the records of these selectors at every server."""

    def found(keys: Sequence[KeyFile]) -> CheckedKeys:
        return CheckedKeys(
            [
                CheckedKey(
                    key,
                    read_key(key.path),
                    (),
                    Publication(
                        RecordStatus.PUBLISHED
                        if key.selector in published
                        else RecordStatus.MISSING
                    ),
                )
                for key in keys
            ],
            (),
        )

    return found


def test_make_names_keys_by_date_and_tells_what_waited(folder: KeyFolder) -> None:
    first = lifecycle.make(folder, DOMAIN, ("ed25519",), NOW)
    assert [key.selector for key, _ in first.keys] == ["202611e"]
    assert first.waiting == []
    second = lifecycle.make(folder, DOMAIN, ("rsa", "ed25519"), NOW, rsa_bits=1024)
    assert [(key.selector, signing.type) for key, signing in second.keys] == [
        ("202611r", "rsa"),
        ("202611e2", "ed25519"),
    ]
    assert second.waiting == ["202611e"]
    for key, signing in second.keys:
        assert read_key(key.path).public_record() == signing.public_record()
        assert key.life is not None
        assert key.life.since == {KeyState.NEW: NOW}


def test_make_puts_the_type_behind_a_selector_that_is_shared(folder: KeyFolder) -> None:
    made = lifecycle.make(
        folder,
        DOMAIN,
        ("rsa", "ed25519"),
        NOW,
        selector="mail",
        rsa_bits=1024,
        state=KeyState.ACTIVE,
    )
    assert [key.selector for key, _ in made.keys] == ["mailr", "maile"]
    assert states(folder) == {"mailr": "active", "maile": "active"}
    with pytest.raises(KeysError, match="already has a key maile"):
        lifecycle.make(folder, DOMAIN, ("ed25519",), NOW, selector="maile")


def test_publish_adds_replaces_when_told_and_leaves_what_is_right(folder: KeyFolder) -> None:
    folder.add(DOMAIN, {"s1": pem()}, KeyState.NEW, NOW)
    record = SigningKey.parse(pem()).public_record()
    (key,) = lifecycle.to_publish(folder, DOMAIN)
    records: dict[str, tuple[str, ...]] = {}
    zone = Zone.of(records)
    assert lifecycle.publish(key, zone) == "added"
    assert records == {NAME: (record,)}
    assert lifecycle.publish(key, zone) == "already published"
    records[NAME] = ("v=spf1 -all",)
    with pytest.raises(OtherRecordError, match=f"{NAME} has another record"):
        lifecycle.publish(key, zone)
    assert records == {NAME: ("v=spf1 -all",)}
    assert lifecycle.publish(key, zone, replace=True) == "replaced"
    assert records == {NAME: (record,)}
    assert states(folder) == {"s1": "new"}, "who asked every server may say that it is published"


def test_publish_of_several_records_is_no_match(folder: KeyFolder) -> None:
    (key,) = folder.add(DOMAIN, {"s1": pem()}, KeyState.NEW, NOW)
    record = SigningKey.parse(pem()).public_record()
    with pytest.raises(OtherRecordError, match="2 TXT records"):
        lifecycle.publish(key, Zone.of({NAME: (record, "v=DKIM1; p=")}))


def test_a_revoked_key_is_not_published_again(folder: KeyFolder) -> None:
    folder.add(DOMAIN, {"s1": pem()}, KeyState.REVOKED, NOW)
    assert lifecycle.to_publish(folder, DOMAIN) == []
    with pytest.raises(KeysError, match="is revoked"):
        lifecycle.to_publish(folder, DOMAIN, ["s1"])


def test_to_check_has_no_revoked_key_unless_it_is_named(folder: KeyFolder) -> None:
    folder.add(DOMAIN, {"s1": pem(), "s2": pem(number=1)}, KeyState.ACTIVE, NOW)
    folder.add("example.net", {"s3": pem(number=2)}, KeyState.NEW, NOW)
    folder.enter(DOMAIN, {"s2": KeyState.REVOKED}, NOW)
    assert {key.selector for key in lifecycle.to_check(folder)} == {"s1", "s3"}
    assert [key.selector for key in lifecycle.to_check(folder, DOMAIN)] == ["s1"]
    assert [key.selector for key in lifecycle.to_check(folder, DOMAIN, ["s2"])] == ["s2"]


def test_keys_outside_the_folder_come_last(folder: KeyFolder) -> None:
    folder.add(DOMAIN, {"s1": pem()}, KeyState.ACTIVE, NOW)
    outside = [KeyFile(DOMAIN, "mail", folder.path / "mail.private")]
    for domain, selectors in ((None, ()), (DOMAIN, ()), (DOMAIN, ("s1", "mail"))):
        chosen = lifecycle.to_check(folder, domain, selectors, outside)
        assert [key.selector for key in chosen] == ["s1", "mail"]


def test_what_was_seen_is_noted_once(folder: KeyFolder) -> None:
    folder.add(DOMAIN, {"s1": pem(), "s2": pem(number=1)}, KeyState.NEW, NOW)
    found = look("s1")(lifecycle.to_check(folder, DOMAIN))
    assert lifecycle.note_seen(folder, found.checked, NOW) == []
    assert states(folder) == {"s1": "published", "s2": "new"}
    later = look("s1")(lifecycle.to_check(folder, DOMAIN))
    assert lifecycle.note_seen(folder, later.checked, NOW + timedelta(days=1)) == []
    life = folder.states(DOMAIN)
    assert life is not None
    assert life["s1"].since[KeyState.PUBLISHED] == NOW


def test_what_cannot_be_noted_is_a_line(folder: KeyFolder) -> None:
    folder.add(DOMAIN, {"s1": pem()}, KeyState.NEW, NOW)
    found = look("s1")(lifecycle.to_check(folder, DOMAIN))
    (folder.path / DOMAIN / "keys.toml").write_text("rubbish")
    (problem,) = lifecycle.note_seen(folder, found.checked, NOW)
    assert problem.startswith("not recorded: ")


def test_activate_looks_retires_and_remembers(folder: KeyFolder) -> None:
    folder.add(DOMAIN, {"r1": pem("rsa"), "e1": pem()}, KeyState.ACTIVE, NOW)
    folder.add(DOMAIN, {"e2": pem(number=1)}, KeyState.NEW, NOW)
    done = lifecycle.activate(folder, DOMAIN, (), look("e2"), NOW)
    assert (done.active, done.retired) == (["e2"], ["e1"])
    assert states(folder) == {"e1": "retired", "e2": "active", "r1": "active"}
    assert [key.was_activated for key in folder.scan().keys if key.selector == "e2"] == [True]
    back = lifecycle.activate(folder, DOMAIN, ["e1"], None, NOW, keep_old=True)
    assert (back.active, back.retired) == (["e1"], [])


def test_nothing_is_activated_unless_every_record_is_there(folder: KeyFolder) -> None:
    folder.add(DOMAIN, {"s1": pem(), "s2": pem(number=1)}, KeyState.NEW, NOW)
    with pytest.raises(UnpublishedError) as caught:
        lifecycle.activate(folder, DOMAIN, (), look("s1"), NOW)
    assert [one.key.selector for one in caught.value.missing] == ["s2"]
    with pytest.raises(KeysError, match="a problem"):
        lifecycle.activate(folder, DOMAIN, (), lambda _: CheckedKeys((), ["a problem"]), NOW)
    assert states(folder) == {"s1": "new", "s2": "new"}


def test_activate_needs_a_key_that_waits(folder: KeyFolder) -> None:
    folder.add(DOMAIN, {"s1": pem()}, KeyState.ACTIVE, NOW)
    with pytest.raises(NothingWaitsError):
        lifecycle.activate(folder, DOMAIN, (), None, NOW)


def test_the_last_key_is_retired_only_when_the_caller_insists(folder: KeyFolder) -> None:
    folder.add(DOMAIN, {"s1": pem(), "s2": pem(number=1)}, KeyState.ACTIVE, NOW)
    lifecycle.retire(folder, DOMAIN, ["s1"], NOW)
    with pytest.raises(LastKeyError):
        lifecycle.retire(folder, DOMAIN, ["s2"], NOW)
    assert states(folder) == {"s1": "retired", "s2": "active"}
    lifecycle.retire(folder, DOMAIN, ["s2"], NOW, even_the_last=True)
    assert states(folder) == {"s1": "retired", "s2": "retired"}


def test_revoke_waits_for_mail_under_way(folder: KeyFolder) -> None:
    folder.add(DOMAIN, {"s1": pem()}, KeyState.ACTIVE, NOW)
    with pytest.raises(StillNeededError) as active:
        lifecycle.revoke(folder, DOMAIN, ["s1"], None, NOW)
    assert active.value.still_signs
    lifecycle.retire(folder, DOMAIN, ["s1"], NOW, even_the_last=True)
    with pytest.raises(StillNeededError, match="2026-11-28") as retired:
        lifecycle.revoke(folder, DOMAIN, ["s1"], None, NOW + OVERLAP - timedelta(seconds=1))
    assert not retired.value.still_signs
    assert states(folder) == {"s1": "retired"}
    done = lifecycle.revoke(folder, DOMAIN, ["s1"], None, NOW + OVERLAP)
    assert done.records == {NAME: "v=DKIM1; k=ed25519; p="}
    assert done.primary is None
    assert states(folder) == {"s1": "revoked"}


def test_revoke_changes_the_primary(folder: KeyFolder) -> None:
    folder.add(DOMAIN, {"s1": pem("rsa")}, KeyState.ACTIVE, NOW)
    records: dict[str, tuple[str, ...]] = {NAME: ("old",)}
    zone = Zone.of(records)
    done = lifecycle.revoke(folder, DOMAIN, ["s1"], lambda: zone, NOW, at_once=True)
    assert done.primary is zone
    assert records == {NAME: ("v=DKIM1; k=rsa; p=",)}


def test_a_primary_that_cannot_be_reached_changes_nothing(folder: KeyFolder) -> None:
    folder.add(DOMAIN, {"s1": pem()}, KeyState.ACTIVE, NOW)

    def fail() -> Primary:
        raise KeysError("no such server")

    with pytest.raises(KeysError, match="no such server"):
        lifecycle.revoke(folder, DOMAIN, ["s1"], fail, NOW, at_once=True)
    assert states(folder) == {"s1": "active"}


def test_a_primary_that_refuses_leaves_a_key_that_signs_no_more(folder: KeyFolder) -> None:
    folder.add(DOMAIN, {"s1": pem()}, KeyState.ACTIVE, NOW)
    zone = Zone.of({NAME: ("old",)}, fails=NAME)
    with pytest.raises(
        KeysError, match="it no longer signs, but its record is still in DNS: the prim"
    ):
        lifecycle.revoke(folder, DOMAIN, ["s1"], lambda: zone, NOW, at_once=True)
    assert states(folder) == {"s1": "revoked"}


def test_discard_returns_the_names_of_the_records(folder: KeyFolder) -> None:
    folder.add(DOMAIN, {"s1": pem(), "s2": pem(number=1)}, KeyState.NEW, NOW)
    names = lifecycle.discard(folder, DOMAIN, ["s2", "s1", "s2"])
    assert names == [NAME, "s2._domainkey.example.org"]
    assert list(folder.path.iterdir()) == []


STEPS: dict[str, Callable[[KeyFolder], object]] = {
    "activate": lambda folder: lifecycle.activate(folder, DOMAIN, ["s1"], None, NOW),
    "retire": lambda folder: lifecycle.retire(folder, DOMAIN, ["s1"], NOW),
    "revoke": lambda folder: lifecycle.revoke(folder, DOMAIN, ["s1"], None, NOW, at_once=True),
    "discard": lambda folder: lifecycle.discard(folder, DOMAIN, ["s1"]),
}


@pytest.mark.parametrize("step", STEPS)
def test_a_flat_key_has_no_states_to_change(folder: KeyFolder, step: str) -> None:
    put(folder.path / "example.org.s1.pem")
    with pytest.raises(KeysError, match="is in the flat layout"):
        STEPS[step](folder)


class Told(Servers):
    """Servers of which each has every record but that of `s2`, and whose look at `s3` fails."""

    def look(self, key: KeyFile, signing: SigningKey) -> tuple[Sight, ...]:
        if key.selector == "s3":
            raise KeysError("no name server")
        return ()


def test_keys_are_checked_in_their_order_and_a_broken_file_is_a_line(folder: KeyFolder) -> None:
    keys = folder.add(
        DOMAIN, {"s1": pem(), "s2": pem(number=1), "s3": pem(number=2)}, KeyState.NEW, NOW
    )
    keys[1].path.write_text("rubbish")
    done: list[None] = []
    servers = Told((), 53, lambda _: Answer(Rcode.OK))
    check = check_keys(keys, servers, lambda: done.append(None))
    assert [one.key.selector for one in check.checked] == ["s1", "s3"]
    assert check.checked[1].found == Publication(RecordStatus.UNKNOWN, ": no name server")
    assert len(check.problems) == 1
    assert len(done) == 3
