"""Answers to Dovecot: those of the rules, and no word of "unknown" while nobody knows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.attempt_settings import AttemptSettings
from accounts.attempts import Attempts
from accounts.dovecot.questions import DovecotQuestions, DovecotReply, Verify, Word, read_client
from accounts.home_stores_settings import HomeStoresSettings
from accounts.lookup import dovecot
from accounts.lookup.ask import Ask, LoginRow, MailboxRow, RowAnswer, solve
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


# several stores

STORES = HomeStoresSettings.model_validate(
    {"named": {"s0": {"host": "10.0.0.1"}, "s1": {"host": "10.0.0.2"}}, "default": "s0"}
)
BOX = LoginRow(1, ANNA, "", HASH, None, True, True, True, True, "s1", home="example.org/anna-1")


def sharded(**changes: Any) -> Bench:
    """Return rules with two stores, and Anna in the second one."""
    bench = Bench(sample_world())
    bench.settings = bench.settings.model_copy(update={"stores": STORES})
    row = BOX._replace(**changes)
    bench.source.world.logins[ANNA] = row
    bench.source.world.mailboxes[ANNA] = MailboxRow(
        ANNA, store=row.store, home=row.home, locked_until=row.locked_until
    )
    return bench


def verify_at(bench: Bench, store: str, *, is_proxy: bool = False) -> DovecotReply:
    asked = Verify(ANNA, SECRET.encode(), "imap", store=store, is_proxy=is_proxy)
    return asyncio.run(questions(bench).verify(asked))


def userdb_at(bench: Bench, store: str, protocol: str = "lmtp") -> Word:
    return asyncio.run(questions(bench).userdb(ANNA, protocol, store)).word


def test_a_mailbox_is_opened_in_its_store_alone() -> None:
    bench = sharded()
    assert verify_at(bench, "s1").word is Word.OK
    assert userdb_at(bench, "s1") is Word.OK
    for other in ("s0", "s2", ""):
        # never "unknown": mail that Postfix has accepted would be returned
        assert verify_at(bench, other) == DovecotReply(Word.TEMPORARY)
        for protocol in ("", "lmtp", "imap", "sieve"):
            assert userdb_at(bench, other, protocol) is Word.TEMPORARY
        # doveadm would find an empty mailbox, and a backup of it would be one of nothing
        assert userdb_at(bench, other, "doveadm") is Word.TEMPORARY
    assert userdb_at(bench, "s1", "doveadm") is Word.OK


def test_doveadm_opens_a_mailbox_that_moves_in_both_stores() -> None:
    bench = sharded(locked_until=int(time.time()) + 60)

    async def is_moving(address: str, store: str) -> bool:
        assert address == ANNA
        return store == "s0"

    def asked(store: str) -> Word:
        moving = DovecotQuestions(
            lambda: bench, lambda login, password: None, get_logger("test"), is_moving=is_moving
        )
        return asyncio.run(moving.userdb(ANNA, "doveadm", store)).word

    assert [asked(store) for store in ("s0", "s1", "s2")] == [Word.OK, Word.OK, Word.TEMPORARY]


def test_a_proxy_is_told_the_host_and_no_folder() -> None:
    told = DovecotReply(Word.OK, {"user": ANNA, "host": "10.0.0.2"})
    assert verify_at(sharded(), "", is_proxy=True) == told
    told = DovecotReply(Word.OK, {"user": ANNA, "host": "10.0.0.1"})
    assert verify_at(sharded(store=None), "", is_proxy=True) == told
    gone = DovecotReply(Word.TEMPORARY)
    assert verify_at(sharded(store="gone"), "", is_proxy=True) == gone


def test_a_proxy_before_stores_without_names_lets_nobody_in() -> None:
    bench = sharded()
    bench.settings = bench.settings.model_copy(update={"stores": HomeStoresSettings()})
    assert verify_at(bench, "", is_proxy=True) == DovecotReply(Word.TEMPORARY)


def test_a_locked_mailbox_waits() -> None:
    now = int(time.time())
    bench = sharded(locked_until=now + 60)
    assert verify_at(bench, "s1") == DovecotReply(Word.TEMPORARY)
    assert verify_at(bench, "", is_proxy=True) == DovecotReply(Word.TEMPORARY)
    assert userdb_at(bench, "s1") is Word.TEMPORARY
    assert userdb_at(bench, "s1", "doveadm") is Word.OK
    # the lock ends by itself
    over = sharded(locked_until=now - 1)
    assert verify_at(over, "s1").word is Word.OK
    assert userdb_at(over, "s1") is Word.OK


def test_a_lock_that_comes_while_the_password_is_checked_counts() -> None:
    bench = sharded()
    seen: list[Sequence[Ask]] = []
    answer = bench.answers.ask

    async def slow(asks: Sequence[Ask]) -> tuple[RowAnswer, ...]:
        seen.append(asks)
        found = await answer(asks)
        locked = BOX._replace(locked_until=int(time.time()) + 60)
        bench.source.world.logins[ANNA] = locked
        return found

    bench.answers.ask = slow  # type: ignore[method-assign]
    assert verify_at(bench, "s1") == DovecotReply(Word.TEMPORARY)
    assert len(seen) == 2


def test_the_cache_does_not_say_where_a_mailbox_is() -> None:
    """It may have moved since, and mail would be stored in the place that it has left."""
    bench = sharded()
    assert userdb_at(bench, "s1") is Word.OK
    bench.source.state = "away"
    assert userdb_at(bench, "s1") is Word.TEMPORARY
    assert userdb_at(bench, "s1", "doveadm") is Word.TEMPORARY
