"""Answers to Dovecot: those of the rules, and no word of "unknown" while nobody knows."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.attempt_settings import AttemptSettings
from accounts.attempts import Attempts
from accounts.dovecot.questions import DovecotQuestions, DovecotReply, Verify, Word, read_client
from accounts.lookup import dovecot
from accounts.lookup.ask import LoginRow, solve
from accounts.passwords import Password, PasswordSettings, hash_password
from gatepost.logs import get_logger
from tests.unit.accounts.dovecot.bench import Bench
from tests.unit.accounts.lookup.sample import sample_world
from tests.unit.accounts.lookup.test_model import addresses, worlds
from tests.unit.accounts.lookup.world import World

ANNA = "anna@example.org"
SECRET = "correct horse battery"
HASH = hash_password(Password(SECRET), PasswordSettings(memory=8192, passes=1))


def questions(bench: Bench) -> DovecotQuestions:
    return DovecotQuestions(lambda: bench, lambda login, password: None, get_logger("test"))


def userdb(bench: Bench, user: str, protocol: str = "lmtp") -> DovecotReply:
    return asyncio.run(questions(bench).userdb(user, protocol))


def verify(bench: Bench, password: str = SECRET) -> DovecotReply:
    asked = Verify(ANNA, password.encode(), "imap", read_client("192.0.2.1"))
    return asyncio.run(questions(bench).verify(asked))


@settings(max_examples=50)
@given(worlds(), addresses, st.sampled_from(["", "lmtp", "imap"]), st.booleans())
def test_answers_are_those_of_the_rules(world: World, key: str, protocol: str, later: bool) -> None:
    bench = Bench(world)
    bench.source.state = "later" if later else "there"
    home = solve(dovecot.userdb(key, protocol), world.answers)
    expected = DovecotReply(Word.UNKNOWN) if home is None else DovecotReply(Word.OK, home.fields())
    assert userdb(bench, key, protocol) == expected
    # known ones while it is away; the others are not unknown
    bench.source.state = "away"
    bench.now = 999
    expected = (
        DovecotReply(Word.TEMPORARY) if home is None else DovecotReply(Word.OK, home.fields())
    )
    assert userdb(bench, key, protocol) == expected
    bench.now = 1001
    assert userdb(bench, key, protocol) == DovecotReply(Word.TEMPORARY)


def test_what_is_no_address_is_unknown_at_any_time() -> None:
    bench = Bench(sample_world())
    bench.source.state = "away"
    assert userdb(bench, "../x") == DovecotReply(Word.UNKNOWN)


def test_a_mailbox_that_was_never_asked_for_is_temporary() -> None:
    bench = Bench(sample_world())
    bench.source.state = "away"
    assert userdb(bench, ANNA) == DovecotReply(Word.TEMPORARY)


def test_a_login_has_the_fields_of_the_mailbox() -> None:
    bench = Bench(sample_world())
    row = LoginRow(1, ANNA, "", HASH, 7000, True, True, True, True, None)
    bench.source.world.logins[ANNA] = row
    fields = {"user": ANNA, "userdb_quota_storage_size": "7000"}
    assert verify(bench) == DovecotReply(Word.OK, fields)
    assert verify(bench, "wrong") == DovecotReply(Word.MISMATCH)
    bench.source.world.logins[ANNA] = row._replace(enabled=False)
    assert verify(bench) == DovecotReply(Word.DISABLED)
    del bench.source.world.logins[ANNA]
    assert verify(bench) == DovecotReply(Word.UNKNOWN)


@pytest.mark.parametrize("password", [SECRET, "wrong"])
def test_nobody_logs_in_and_nobody_is_refused_while_the_database_is_away(password: str) -> None:
    bench = Bench(sample_world())
    bench.source.world.logins[ANNA] = LoginRow(
        1, ANNA, "", HASH, None, True, True, True, True, None
    )
    assert verify(bench).word is Word.OK
    bench.source.state = "away"
    assert verify(bench, password) == DovecotReply(Word.TEMPORARY)


def test_too_many_wrong_passwords_are_temporary() -> None:
    bench = Bench(sample_world())
    bench.attempts = Attempts(AttemptSettings(hold=0), b"k" * 32)
    words = [verify(bench, f"wrong {number}").word for number in range(8)]
    assert words[0] is Word.UNKNOWN
    assert words[-1] is Word.TEMPORARY


@pytest.mark.parametrize("text", ["", "x", "300.1.1.1", "192.0.2.1\n", "::1%eth0:x/"])
def test_an_address_that_is_none(text: str) -> None:
    assert read_client(text) is None or text.startswith("::1%")
