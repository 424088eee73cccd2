from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gatepost.logs import get_logger
from milters.keys.folder import KeyFolder
from milters.keys.live import LiveKeys
from milters.keys.publication import Publication, RecordStatus
from milters.keys.records import Records
from milters.keys.settings import KeySettings
from milters.keys.state import KeyState
from milters.keys.store import EMPTY, Snapshot, load
from milters.settings import MiltersSettings
from milters.signing import Signing
from msgauth.dkim import SignatureSpec
from msgauth.mail_address import MailAddress
from tests.unit.milters_keys.pems import pem
from tests.unit.milters_keys.test_folder import put, unprivileged

__all__ = ["unprivileged"]  # a fixture

NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)


def settings(tmp_path: Path, **more: object) -> KeySettings:
    return KeySettings.model_validate({"keys": tmp_path / "keys", **more})


def signatures(snapshot: Snapshot, address: str) -> tuple[SignatureSpec, ...]:
    """Return what mail From `address` is signed with when no key has to be in DNS."""
    found = MiltersSettings(require_published=False)
    live = LiveKeys(
        snapshot, Records(get_logger("test")), found, lambda _: Publication(RecordStatus.UNKNOWN)
    )
    return Signing(found, live).specs(MailAddress.parse(address), ())


def selectors(snapshot: Snapshot, domain: str = "example.org") -> list[str]:
    return [spec.selector for spec in signatures(snapshot, f"somebody@{domain}")]


def texts(snapshot: Snapshot) -> str:
    return "\n".join(problem.text for problem in snapshot.problems)


def test_the_longest_domain_that_has_a_key(tmp_path: Path) -> None:
    put(tmp_path / "keys" / "example.org" / "s1.pem")
    put(tmp_path / "keys" / "mail.example.org" / "s2.pem")
    snapshot = load(settings(tmp_path))
    for domain, expected in {
        "example.org": ["s1"],
        "sub.example.org": ["s1"],
        "mail.example.org": ["s2"],
        "a.b.mail.example.org": ["s2"],
        "notexample.org": [],
        "org": [],
    }.items():
        assert selectors(snapshot, domain) == expected, domain
    assert [key.selector for key in snapshot.keys_of("sub.example.org")] == []


def test_only_active_keys_sign(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    folder = KeyFolder(tmp_path / "keys")
    folder.add("example.org", {f"s{n}": pem(number=n) for n in range(5)}, KeyState.NEW, NOW)
    folder.enter("example.org", {"s1": KeyState.PUBLISHED, "s2": KeyState.ACTIVE}, NOW)
    folder.enter("example.org", {"s3": KeyState.ACTIVE, "s4": KeyState.REVOKED}, NOW)
    folder.enter("example.org", {"s3": KeyState.RETIRED}, NOW)
    assert selectors(load(settings(tmp_path))) == ["s2"]


def test_a_bad_key_concerns_its_domain_only(tmp_path: Path) -> None:
    put(tmp_path / "keys" / "example.org" / "s1.pem", b"rubbish")
    put(tmp_path / "keys" / "example.org" / "s2.pem")
    put(tmp_path / "keys" / "open.example" / "s1.pem", mode=0o644)
    put(tmp_path / "keys" / "example.net" / "s1.pem")
    snapshot = load(settings(tmp_path))
    assert selectors(snapshot) == ["s2"]
    assert selectors(snapshot, "open.example") == []
    assert selectors(snapshot, "example.net") == ["s1"]
    assert [problem.domain for problem in snapshot.problems] == ["example.org", "open.example"]
    assert "mode 0644" in texts(snapshot)
    assert not any(problem.kept for problem in snapshot.problems)


def test_a_key_that_breaks_leaves_the_old_set_active(tmp_path: Path) -> None:
    path = put(tmp_path / "keys" / "example.org" / "s1.pem")
    put(tmp_path / "keys" / "example.org" / "s2.pem", pem(number=1))
    before = load(settings(tmp_path))
    path.write_bytes(pem()[:40])
    put(tmp_path / "keys" / "example.org" / "s3.pem", pem(number=2))
    put(tmp_path / "keys" / "example.net" / "s1.pem")
    after = load(settings(tmp_path), before)
    assert selectors(after) == ["s1", "s2"]
    assert after.keys_of("example.org") == before.keys_of("example.org")
    assert selectors(after, "example.net") == ["s1"]
    assert [problem.kept for problem in after.problems] == [True]
    path.write_bytes(pem(number=3))
    assert selectors(load(settings(tmp_path), after)) == ["s1", "s2", "s3"]


def test_a_key_that_is_taken_away_is_gone(tmp_path: Path) -> None:
    path = put(tmp_path / "keys" / "example.org" / "s1.pem")
    before = load(settings(tmp_path))
    path.unlink()
    after = load(settings(tmp_path), before)
    assert selectors(after) == []
    assert after.problems == ()


def test_a_broken_state_file_keeps_the_old_keys(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    KeyFolder(tmp_path / "keys").add("example.org", {"s1": pem()}, KeyState.ACTIVE, NOW)
    before = load(settings(tmp_path))
    (tmp_path / "keys" / "example.org" / "keys.toml").write_text("[")
    after = load(settings(tmp_path), before)
    assert selectors(after) == ["s1"]
    assert [problem.kept for problem in after.problems] == [True]


def test_a_stray_file_does_not_hold_up_a_change(tmp_path: Path) -> None:
    put(tmp_path / "keys" / "example.org" / "s1.pem")
    before = load(settings(tmp_path))
    put(tmp_path / "keys" / "example.org" / "copy of s1.pem")
    put(tmp_path / "keys" / "example.org" / "s2.pem", pem(number=1))
    after = load(settings(tmp_path), before)
    assert selectors(after) == ["s1", "s2"]
    assert len(after.problems) == 1


def test_a_revoked_key_is_not_kept(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    folder = KeyFolder(tmp_path / "keys")
    folder.add("example.org", {"s1": pem(), "s2": pem(number=1)}, KeyState.ACTIVE, NOW)
    before = load(settings(tmp_path))
    folder.enter("example.org", {"s1": KeyState.REVOKED}, NOW)
    (tmp_path / "keys" / "example.org" / "s2.pem").chmod(0o644)
    after = load(settings(tmp_path), before)
    assert selectors(after) == ["s2"]
    assert [problem.kept for problem in after.problems] == [True]


def test_a_folder_that_vanishes_keeps_everything(tmp_path: Path) -> None:
    put(tmp_path / "keys" / "example.org" / "s1.pem")
    before = load(settings(tmp_path))
    (tmp_path / "keys").rename(tmp_path / "elsewhere")
    after = load(settings(tmp_path), before)
    assert selectors(after) == ["s1"]
    assert after.problems[0].kept


def test_a_folder_that_was_asked_for_and_is_not_there(tmp_path: Path) -> None:
    snapshot = load(settings(tmp_path))
    assert "No such file" in texts(snapshot)


def test_without_a_word_about_keys_there_are_none(tmp_path: Path) -> None:
    silent = KeySettings.model_construct(_fields_set=set(), keys=tmp_path / "keys", key=())
    assert load(silent) == EMPTY
    assert KeySettings().model_fields_set == set()


def test_keys_that_lie_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    path = put(tmp_path / "mail.key")
    entry = {"domain": "Example.ORG", "selector": "mail", "file": path}
    snapshot = load(settings(tmp_path, key=[entry]))
    assert selectors(snapshot) == ["mail"]
    twice = load(settings(tmp_path, key=[entry, entry]))
    assert "twice" in texts(twice)


def test_what_the_configuration_names_counts_before_the_folder(tmp_path: Path) -> None:
    put(tmp_path / "keys" / "example.org" / "mail.pem")
    path = put(tmp_path / "mail.key", pem(number=1))
    entry = {"domain": "example.org", "selector": "mail", "file": path}
    snapshot = load(settings(tmp_path, key=[entry]))
    assert [key.path for key in snapshot.keys_of("example.org")] == [path]
    assert "not used" in texts(snapshot)


def test_a_key_that_did_not_change_is_not_parsed_again(tmp_path: Path) -> None:
    put(tmp_path / "keys" / "example.org" / "s1.pem", pem("rsa"))
    before = load(settings(tmp_path))
    after = load(settings(tmp_path), before)
    assert after.keys_of("example.org")[0].key is before.keys_of("example.org")[0].key


def test_a_private_key_never_shows_in_a_text(tmp_path: Path) -> None:
    put(tmp_path / "keys" / "example.org" / "s1.pem", pem("rsa"))
    snapshot = load(settings(tmp_path))
    assert "SigningKey" not in repr(snapshot)


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    put(tmp_path / "okeys" / "example.org" / "mail.private")
    put(tmp_path / "okeys" / "example.net" / "mail.private", pem(number=1))
    (tmp_path / "KeyTable").write_text(
        f"org example.org:mail:{tmp_path}/okeys/example.org/mail.private\n"
        f"net example.net:mail:{tmp_path}/okeys/example.net/mail.private\n"
        f"each %:mail:{tmp_path}/okeys/%/mail.private\n"
    )
    (tmp_path / "SigningTable").write_text(
        "boss@example.org org\n*@example.net net\n*@*.example.net net\n"
    )
    (tmp_path / "keys").mkdir()
    return tmp_path


def with_tables(tmp_path: Path, **more: object) -> KeySettings:
    return settings(
        tmp_path,
        opendkim_key_table=f"file:{tmp_path}/KeyTable",
        opendkim_signing_table=f"refile:{tmp_path}/SigningTable",
        **more,
    )


def signing(snapshot: Snapshot, address: str) -> list[str]:
    return [spec.domain for spec in signatures(snapshot, address)]


def test_opendkims_tables(tables: Path) -> None:
    snapshot = load(with_tables(tables))
    assert signing(snapshot, "boss@example.org") == ["example.org"]
    assert signing(snapshot, "Boss@example.org") == ["example.org"]
    assert signing(snapshot, "other@example.org") == []
    assert signing(snapshot, "a@example.net") == ["example.net"]
    assert signing(snapshot, "a@b.example.net") == ["example.net"]
    assert snapshot.problems == ()


def test_key_files_relative_to_the_base_of_opendkim(tables: Path) -> None:
    (tables / "KeyTable").write_text(
        "net example.net:mail:./okeys/example.net/mail.private\neach %:s2:./okeys/%/mail.private\n"
    )
    (tables / "SigningTable").write_text("*@example.net net\n*@example.org each\n")
    snapshot = load(with_tables(tables, opendkim_base=tables))
    assert snapshot.problems == ()
    assert signing(snapshot, "a@example.net") == ["example.net"]
    assert signing(snapshot, "a@example.org") == ["example.org"]
    assert "/okeys/example.net/mail.private: cannot be read" in texts(load(with_tables(tables)))


def test_the_table_counts_before_the_folder(tables: Path) -> None:
    put(tables / "keys" / "example.org" / "s1.pem", pem(number=2))
    put(tables / "keys" / "example.net" / "s1.pem", pem(number=3))
    snapshot = load(with_tables(tables))
    found = {
        address: [spec.selector for spec in signatures(snapshot, address)]
        for address in ("a@example.org", "a@example.net")
    }
    assert found == {"a@example.org": ["s1"], "a@example.net": ["mail"]}


def test_the_authors_domain_in_the_key_table(tables: Path) -> None:
    (tables / "SigningTable").write_text("*@* each\n")
    snapshot = load(with_tables(tables))
    assert signing(snapshot, "a@example.org") == ["example.org"]
    assert signing(snapshot, "a@example.net") == ["example.net"]
    assert signing(snapshot, "a@example.com") == []
    assert signing(snapshot, "a@sub.example.net") == []


def test_an_unaligned_line_signs_what_is_aligned_only(tables: Path) -> None:
    (tables / "SigningTable").write_text("* org\n")
    snapshot = load(with_tables(tables))
    assert signing(snapshot, "a@example.org") == ["example.org"]
    assert signing(snapshot, "a@sub.example.org") == ["example.org"]
    assert signing(snapshot, "a@example.com") == []
    assert "SigningTable:1: * would sign mail of any matching domain with d=example.org" in texts(
        snapshot
    )


def test_the_first_match_signs_or_all(tables: Path) -> None:
    (tables / "SigningTable").write_text("*@example.net net\n*@*.net each\n")
    (tables / "KeyTable").write_text(
        f"net example.net:mail:{tables}/okeys/example.net/mail.private\n"
        f"each %:s2:{tables}/okeys/%/mail.private\n"
    )
    one, every = (
        load(with_tables(tables, opendkim_multiple_signatures=multiple))
        for multiple in (False, True)
    )
    author = "a@example.net"
    assert [spec.selector for spec in signatures(one, author)] == ["mail"]
    assert [spec.selector for spec in signatures(every, author)] == ["mail", "s2"]


def test_a_broken_table_keeps_the_old_one(tables: Path) -> None:
    before = load(with_tables(tables))
    (tables / "KeyTable").unlink()
    after = load(with_tables(tables), before)
    assert signing(after, "a@example.net") == ["example.net"]
    assert after.problems[0].kept


def test_a_broken_key_of_a_table_keeps_the_old_one(tables: Path) -> None:
    before = load(with_tables(tables))
    (tables / "okeys" / "example.net" / "mail.private").chmod(0o644)
    after = load(with_tables(tables), before)
    assert signing(after, "a@example.net") == ["example.net"]
    assert [(problem.domain, problem.kept) for problem in after.problems] == [("example.net", True)]
    assert signing(load(with_tables(tables)), "a@example.net") == []
    assert signing(load(with_tables(tables)), "boss@example.org") == ["example.org"]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"opendkim_key_table": "refile:/etc/KeyTable"}, "need each other"),
        ({"opendkim_key_table": "KeyTable"}, "is not a table"),
        ({"opendkim_key_table": "refile:KeyTable"}, "is not a table"),
        ({"opendkim_key_table": "dsn:mysql://x"}, "an SQL database is not supported"),
        ({"key": [{"domain": "org", "selector": "s", "file": "x"}]}, "has no dot"),
        ({"key": [{"domain": "a.org", "selector": "/", "file": "x"}]}, "not a selector"),
        ({"publication_interval": "1s"}, "greater than or equal to 60"),
    ],
)
def test_settings_that_are_refused(more: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)):
        KeySettings.model_validate(more)


def unreadable(snapshot: Snapshot) -> list[str]:
    return sorted(problem.domain for problem in snapshot.unreadable)


def test_a_key_that_this_user_cannot_read_is_unreadable(unprivileged: Path) -> None:
    path = put(unprivileged / "keys" / "example.org" / "s1.pem", mode=0o000)
    put(unprivileged / "keys" / "example.net" / "s1.pem", b"rubbish")
    put(unprivileged / "keys" / "example.com" / "s1.pem", mode=0o644)
    put(unprivileged / "keys" / "example.edu.s1.pem", mode=0o000)
    with (unprivileged / "keys" / "example.edu").open("w"):
        pass  # neither a key nor a folder
    snapshot = load(settings(unprivileged))
    assert unreadable(snapshot) == ["example.edu", "example.org"]
    path.chmod(0o600)
    assert unreadable(load(settings(unprivileged), snapshot)) == ["example.edu"]


def test_a_folder_that_this_user_cannot_read_is_unreadable(unprivileged: Path) -> None:
    path = put(unprivileged / "keys" / "example.org" / "s1.pem")
    before = load(settings(unprivileged))
    for folder, concerned in ((path.parent, "example.org"), (unprivileged / "keys", "")):
        folder.chmod(0o000)
        try:
            assert unreadable(load(settings(unprivileged))) == [concerned]
            after = load(settings(unprivileged), before)
            assert selectors(after) == ["s1"], "what signed before signs on"
            assert unreadable(after) == []
        finally:
            folder.chmod(0o700)


def test_the_default_folder_is_unreadable_where_a_folder_above_is_closed(
    unprivileged: Path,
) -> None:
    above = unprivileged / "gatepost"
    put(above / "keys" / "example.org" / "s1.pem")
    default = KeySettings.model_construct(keys=above / "keys", _fields_set=set())
    above.chmod(0o000)
    try:
        assert unreadable(load(default)) == [""]
    finally:
        above.chmod(0o700)
    above.rename(unprivileged / "elsewhere")
    assert load(default).problems == ()


def test_tables_that_this_user_cannot_read_are_unreadable(unprivileged: Path) -> None:
    key = put(unprivileged / "mail.private", mode=0o000)
    key_table, signing_table = unprivileged / "KeyTable", unprivileged / "SigningTable"
    key_table.write_text(f"org example.org:mail:{key}\n")
    signing_table.write_text("*@example.org org\n")
    (unprivileged / "keys").mkdir()
    configured = settings(
        unprivileged,
        opendkim_key_table=f"file:{key_table}",
        opendkim_signing_table=f"refile:{signing_table}",
    )
    assert unreadable(load(configured)) == ["example.org"]
    key.chmod(0o600)
    before = load(configured)
    assert unreadable(before) == []
    signing_table.chmod(0o000)
    assert unreadable(load(configured)) == [""]
    assert unreadable(load(configured, before)) == []


@pytest.mark.parametrize("form", ["keys/%/mail.private", "keys/%.private"])
def test_a_closed_folder_in_which_percent_is_looked_for_is_unreadable(
    unprivileged: Path, form: str
) -> None:
    for domain in ("a.example", "b.example"):
        put(unprivileged / form.replace("%", domain))
    key_table, signing_table = unprivileged / "KeyTable", unprivileged / "SigningTable"
    key_table.write_text(f"k %:mail:{unprivileged}/{form}\n")
    signing_table.write_text("* k\n")
    configured = KeySettings.model_construct(
        keys=unprivileged / "none",
        opendkim_key_table=f"file:{key_table}",
        opendkim_signing_table=f"refile:{signing_table}",
        _fields_set=set(),
    )
    assert unreadable(load(configured)) == []
    closed = (unprivileged / form.replace("%", "b.example")).parent
    closed.chmod(0o000)
    try:
        snapshot = load(configured)
    finally:
        closed.chmod(0o700)
    assert unreadable(snapshot) == [""]
    assert f"{closed}: permission denied" in snapshot.unreadable[0].text
    assert bool(signatures(snapshot, "x@a.example")) is ("/mail" in form)


@pytest.mark.parametrize("states", ["s1 = " + "[" * 100_000, "s1 = " + "9" * 10_000])
def test_a_hostile_state_file_is_a_problem_of_its_domain_alone(tmp_path: Path, states: str) -> None:
    for domain in ("example.org", "other.example"):
        put(tmp_path / "keys" / domain / "s1.pem")
    (tmp_path / "keys" / "example.org" / "keys.toml").write_text(states)
    snapshot = load(settings(tmp_path))
    assert selectors(snapshot) == []
    assert selectors(snapshot, "other.example") == ["s1"]
    assert [problem.domain for problem in snapshot.problems] == ["example.org"]
