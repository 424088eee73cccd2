from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from milters.cli.keys import keys
from milters.keys.folder import KeyFolder
from milters.keys.record import RECORD_FORMS
from milters.keys.rotation import replaced_by, time_to_wait
from milters.keys.state import OVERLAP, KeyState
from tests.unit.milters_keys.pems import pem, record
from tests.unit.milters_keys.test_folder import put

NOW = datetime.now(UTC)


@pytest.fixture
def folder(tmp_path: Path) -> KeyFolder:
    return KeyFolder(tmp_path)


def run(folder: KeyFolder, *arguments: str) -> Result:
    result = CliRunner().invoke(keys, [*arguments, "--keys", str(folder.path)])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


def states(folder: KeyFolder) -> dict[str, str]:
    return {key.selector: str(key.state) for key in folder.scan().keys}


def test_list(folder: KeyFolder) -> None:
    folder.add("example.org", {"r": pem("rsa"), "e": pem()}, KeyState.NEW, NOW)
    put(folder.path / "a.example" / "mail.private", pem(number=1))
    result = run(folder, "list")
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        "a.example    mail  ed25519   active",
        f"example.org  e     ed25519   new     {NOW:%Y-%m-%d}",
        f"example.org  r     rsa 1024  new     {NOW:%Y-%m-%d}",
    ]
    listed = json.loads(run(folder, "list", "a.example", "--json").output)
    assert [key["selector"] for key in listed["keys"]] == ["mail"]


def test_list_tells_what_is_not_used(folder: KeyFolder) -> None:
    put(folder.path / "example.org" / "s1.pem", mode=0o644)
    put(folder.path / "example.net" / "s1.pem")
    result = run(folder, "list")
    assert result.exit_code == 1
    assert "example.net  s1  ed25519  active" in result.output
    assert "mode 0644" in result.output
    assert json.loads(run(folder, "list", "--json").stdout)["problems"]


@pytest.mark.parametrize("form", RECORD_FORMS)
def test_publish_prints_the_record(folder: KeyFolder, form: str) -> None:
    folder.add("example.org", {"s1": pem()}, KeyState.NEW, NOW)
    result = run(folder, "publish", "example.org", "--form", form, "--ttl", "60")
    assert result.exit_code == 0
    assert record() in result.output
    assert "s1._domainkey.example.org" in result.output
    assert ("60 IN TXT" in result.output) is (form == "bind")
    assert states(folder) == {"s1": "new"}


def test_publish_of_a_revoked_key(folder: KeyFolder) -> None:
    folder.add("example.org", {"s1": pem()}, KeyState.REVOKED, NOW)
    assert run(folder, "publish", "example.org").output == ""
    assert "is revoked" in run(folder, "publish", "example.org", "s1").output


def test_activate_retires_the_keys_of_the_same_type(folder: KeyFolder) -> None:
    folder.add("example.org", {"r1": pem("rsa"), "e1": pem()}, KeyState.ACTIVE, NOW)
    folder.add("example.org", {"e2": pem(number=1)}, KeyState.NEW, NOW)
    result = run(folder, "activate", "example.org", "--unchecked")
    assert result.exit_code == 0, result.output
    assert states(folder) == {"e1": "retired", "e2": "active", "r1": "active"}
    assert f"{NOW + OVERLAP:%Y-%m-%d}" in result.output
    assert not folder.scan().keys[1].was_activated, "nobody has seen it in DNS"


def test_activate_leaves_a_flat_key_as_it_is(folder: KeyFolder) -> None:
    """It has no state that could be changed: it signs while the file is there."""
    put(folder.path / "example.org.flat.pem", pem(number=1))
    folder.add("example.org", {"new": pem()}, KeyState.NEW, NOW)
    result = run(folder, "activate", "example.org", "--unchecked")
    assert result.exit_code == 0, result.output
    assert "Retired" not in result.output
    assert states(folder) == {"flat": "active", "new": "active"}


def test_activate_can_keep_the_old(folder: KeyFolder) -> None:
    folder.add("example.org", {"e1": pem()}, KeyState.ACTIVE, NOW)
    folder.add("example.org", {"e2": pem(number=1)}, KeyState.NEW, NOW)
    assert run(folder, "activate", "example.org", "--unchecked", "--keep-old").exit_code == 0
    assert states(folder) == {"e1": "active", "e2": "active"}


def test_a_retired_key_can_come_back(folder: KeyFolder) -> None:
    folder.add("example.org", {"e1": pem(), "e2": pem(number=1)}, KeyState.ACTIVE, NOW)
    folder.enter("example.org", {"e1": KeyState.RETIRED}, NOW)
    assert run(folder, "activate", "example.org", "e1", "--unchecked").exit_code == 0
    assert states(folder) == {"e1": "active", "e2": "retired"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["activate", "example.org"], "no key waiting to be activated"),
        (["activate", "example.org", "s9"], "example.org has no key s9; it has s1, s2"),
        (["activate", "other.example"], "other.example has no keys"),
        (["activate", "flat.example", "s1", "--unchecked"], "remove it to retire it"),
        (["retire", "flat.example", "s1"], "remove it to retire it"),
        (["revoke", "flat.example", "s1", "--now"], "remove it to retire it"),
        (["activate", "example.org", "s2", "--unchecked"], "revoked cannot become active"),
        (["retire", "example.org", "s1"], "would no longer be signed"),
        (["revoke", "example.org", "s1"], "still signs; retire it first"),
        (["publish", "other.example"], "gatepost keys new other.example"),
    ],
)
def test_what_is_refused_is_told_in_a_line(
    folder: KeyFolder, arguments: list[str], told: str
) -> None:
    folder.add("example.org", {"s1": pem(), "s2": pem(number=1)}, KeyState.ACTIVE, NOW)
    folder.enter("example.org", {"s2": KeyState.REVOKED}, NOW)
    put(folder.path / "flat.example.s1.pem")
    before = states(folder)
    result = run(folder, *arguments)
    assert result.exit_code == 1
    assert told in result.stderr
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    assert states(folder) == before


def test_the_last_key_retires_only_when_meant(folder: KeyFolder) -> None:
    folder.add("example.org", {"s1": pem()}, KeyState.ACTIVE, NOW)
    assert run(folder, "retire", "example.org", "s1", "--last").exit_code == 0
    assert states(folder) == {"s1": "retired"}


def test_revoke_prints_the_record_and_keeps_it_beside_the_key(folder: KeyFolder) -> None:
    folder.add("example.org", {"s1": pem("rsa")}, KeyState.ACTIVE, NOW)
    result = run(folder, "revoke", "example.org", "s1", "--now")
    assert result.exit_code == 0, result.output
    line = 's1._domainkey.example.org. 3600 IN TXT "v=DKIM1; k=rsa; p="\n'
    assert line in result.output
    assert (folder.path / "example.org" / "s1.txt").read_text() == line
    assert states(folder) == {"s1": "revoked"}


def test_a_key_whose_file_is_gone_can_be_revoked(folder: KeyFolder) -> None:
    (key,) = folder.add("example.org", {"s1": pem()}, KeyState.ACTIVE, NOW)
    key.path.unlink()
    assert run(folder, "revoke", "example.org", "s1", "--now").exit_code == 0
    kept = folder.states("example.org")
    assert kept is not None
    assert kept["s1"].state is KeyState.REVOKED


def test_the_week_after_which_a_record_may_go(folder: KeyFolder) -> None:
    folder.add("example.org", {"s1": pem()}, KeyState.ACTIVE, NOW)
    folder.enter("example.org", {"s1": KeyState.RETIRED}, NOW)
    (key,) = folder.scan().keys
    moment = NOW.replace(microsecond=0)
    assert time_to_wait(key, moment + timedelta(days=3)) == OVERLAP - timedelta(days=3)
    assert time_to_wait(key, moment + OVERLAP) <= timedelta()


def test_a_broken_key_is_replaced_by_any(folder: KeyFolder) -> None:
    folder.add("example.org", {"r": pem("rsa"), "e": pem()}, KeyState.ACTIVE, NOW)
    (folder.path / "example.org" / "r.pem").write_text("rubbish")
    folder.add("example.org", {"e2": pem(number=1)}, KeyState.NEW, NOW)
    listing = folder.of_domain("example.org").keys
    new = [key for key in listing if key.selector == "e2"]
    assert {key.selector for key in replaced_by(new, listing)} == {"e", "r"}


def test_running_new_twice_can_be_undone(folder: KeyFolder) -> None:
    words = ("new", "example.org", "--algorithm", "ed25519")
    run(folder, *words, "--selector", "s1")
    again = run(folder, *words, "--selector", "s2").output
    assert "already waiting to be activated: s1" in again
    assert f"gatepost keys discard example.org s2 --keys {folder.path}" in again
    discarded = run(folder, "discard", "example.org", "s2")
    assert discarded.exit_code == 0, discarded.output
    assert "s2._domainkey.example.org" in discarded.output
    assert states(folder) == {"s1": "new"}
    assert sorted(path.name for path in (folder.path / "example.org").iterdir()) == [
        "keys.toml",
        "s1.pem",
        "s1.txt",
    ]
    run(folder, "activate", "example.org", "--unchecked")
    assert states(folder) == {"s1": "active"}


def test_the_last_key_that_is_discarded_leaves_nothing(folder: KeyFolder) -> None:
    run(folder, "new", "example.org", "--algorithm", "ed25519", "--selector", "s1")
    result = run(folder, "discard", "example.org", "s1", "--json")
    assert json.loads(result.output)["discarded"] == ["s1"]
    assert list(folder.path.iterdir()) == []


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ([KeyState.PUBLISHED], "is published"),
        ([KeyState.ACTIVE], "is active"),
        ([KeyState.ACTIVE, KeyState.RETIRED], "is retired"),
        ([KeyState.REVOKED], "is revoked"),
    ],
)
def test_a_key_that_somebody_may_have_seen_is_not_discarded(
    folder: KeyFolder, steps: list[KeyState], told: str
) -> None:
    folder.add("example.org", {"s1": pem(), "s2": pem("rsa")}, KeyState.NEW, NOW)
    for step in steps:
        folder.enter("example.org", {"s1": step}, NOW)
    result = run(folder, "discard", "example.org", "s2", "s1")
    assert result.exit_code == 1
    assert f"s1 of example.org {told}" in result.output
    assert states(folder) == {"s1": str(steps[-1]), "s2": "new"}
    assert (folder.path / "example.org" / "s2.pem").exists()


def test_what_gatepost_did_not_make_is_not_discarded(folder: KeyFolder) -> None:
    folder.add("example.org", {"s1": pem()}, KeyState.NEW, NOW)
    put(folder.path / "example.org" / "copied.pem")
    put(folder.path / "example.net" / "mail.private")
    put(folder.path / "example.com.flat.pem")
    for domain, selector, told in (
        ("example.org", "copied", "copied here by hand"),
        ("example.net", "mail", "copied here by hand"),
        ("example.com", "flat", "flat layout"),
        ("example.org", "none", "has no key none"),
    ):
        result = run(folder, "discard", domain, selector)
        assert result.exit_code == 1
        assert told in result.output, domain
    assert len(states(folder)) == 4
