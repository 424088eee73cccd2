"""Second factors, steps of logins and challenges, in every database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from sqlalchemy import Connection, update

from accounts.directory import (
    administrators,
    challenges,
    deleted_mailboxes,
    login_steps,
    mailboxes,
    passkeys,
    recovery_codes,
    sealed,
    second_factors,
    totp_secrets,
)
from accounts.directory.owner import LoginOwner, find_login_owner
from accounts.directory.totp_secrets import CodeVerdict
from accounts.one_time_code import STEP, code_at
from accounts.store import schema
from accounts.store.errors import AlreadyThere, Invalid, NoSuchObject
from accounts.store.seal import KEY, SealError, SecretSeal
from tests.unit.accounts.desk import NOW, Desk
from tests.unit.accounts.directory_base import DirectoryBase

T = TypeVar("T")

ANNA = "anna@example.org"
OLD, NEW = bytes(range(KEY)), bytes(reversed(range(KEY)))
SEAL = SecretSeal([OLD])


def record(desk: Desk, work: Callable[[Connection], T]) -> T:
    return desk.run(desk.database.record(work))


def owner(desk: Desk, administrator: str | None = None) -> LoginOwner:
    box = None if administrator else ANNA
    return desk.read(lambda c: find_login_owner(c, administrator, box))


def add_app(desk: Desk, who: LoginOwner) -> bytes:
    secret = record(desk, lambda c: totp_secrets.begin(c, SEAL, who, NOW))
    assert secret is not None
    code = code_at(secret, NOW // STEP - 1)
    assert desk.write(lambda w: totp_secrets.confirm(w, SEAL, who, code))
    return secret


def add_passkey(desk: Desk, who: LoginOwner, credential: bytes = b"c", **values: Any) -> None:
    given: dict[str, Any] = {"public_key": b"p", "handle": b"h", "sign_count": 0} | values
    desk.write(lambda w: passkeys.add(w, who, "Phone", credential=credential, **given))


class FactorsSuite(DirectoryBase):
    """The tests."""

    def use(self, desk: Desk, who: LoginOwner, code: str, now: int = NOW) -> CodeVerdict:
        return record(desk, lambda c: totp_secrets.use(c, SEAL, who, code, now))

    def test_a_code_counts_once(self, filled: Desk) -> None:
        who = owner(filled)
        secret = add_app(filled, who)
        code = code_at(secret, NOW // STEP)
        assert self.use(filled, who, code) is CodeVerdict.RIGHT
        assert self.use(filled, who, code) is CodeVerdict.USED
        # nor do older ones, which are in the bounds of the clock
        assert self.use(filled, who, code_at(secret, NOW // STEP - 1)) is CodeVerdict.USED
        assert self.use(filled, who, code_at(secret, NOW // STEP + 1)) is CodeVerdict.RIGHT

    def test_too_many_wrong_codes(self, filled: Desk) -> None:
        who = owner(filled)
        secret = add_app(filled, who)
        for _ in range(totp_secrets.MAX_FAILURES):
            assert self.use(filled, who, "000000", 0) is CodeVerdict.WRONG
        right = code_at(secret, NOW // STEP)
        assert self.use(filled, who, right) is CodeVerdict.LOCKED
        record(filled, lambda c: totp_secrets.forgive(c, who))
        assert self.use(filled, who, right) is CodeVerdict.RIGHT
        # a right code begins anew
        assert self.use(filled, who, "000000", 0) is CodeVerdict.WRONG
        count = filled.read(lambda c: c.execute(schema.totp.select()).one().failures)
        assert count == 1

    def test_a_secret_counts_after_its_first_code(self, filled: Desk) -> None:
        who = owner(filled)
        secret = record(filled, lambda c: totp_secrets.begin(c, SEAL, who, NOW))
        assert secret is not None
        assert filled.read(lambda c: second_factors.kinds(c, who)) == frozenset()
        assert self.use(filled, who, code_at(secret, NOW // STEP)) is CodeVerdict.WRONG
        assert not filled.write(lambda w: totp_secrets.confirm(w, SEAL, who, "000000"))
        add_app(filled, who)
        assert filled.read(lambda c: second_factors.kinds(c, who)) == {"app"}
        # a confirmed one is never replaced
        assert record(filled, lambda c: totp_secrets.begin(c, SEAL, who, NOW)) is None
        with pytest.raises(NoSuchObject):
            filled.write(lambda w: totp_secrets.confirm(w, SEAL, who, "000000"))

    def test_without_a_key_file_there_is_no_app(self, filled: Desk) -> None:
        who = owner(filled)
        with pytest.raises(SealError, match="key_file"):
            record(filled, lambda c: totp_secrets.begin(c, SecretSeal([]), who, NOW))
        assert filled.count(schema.totp) == 0

    def test_a_new_key_takes_over(self, filled: Desk) -> None:
        who = owner(filled)
        secret = add_app(filled, who)
        assert filled.write(lambda w: sealed.reseal(w, SecretSeal([NEW, OLD]))) == 1
        found = record(
            filled,
            lambda c: totp_secrets.use(
                c, SecretSeal([NEW]), who, code_at(secret, NOW // STEP), NOW
            ),
        )
        assert found is CodeVerdict.RIGHT

    def test_recovery_codes(self, filled: Desk) -> None:
        who = owner(filled)
        codes = filled.write(lambda w: recovery_codes.make(w, who))
        assert len(set(codes)) == recovery_codes.CODES
        first = codes[0].replace("-", "")
        assert filled.write(lambda w: recovery_codes.use(w, who, first.upper()))
        assert not filled.write(lambda w: recovery_codes.use(w, who, first))
        for text in ("", "x" * 16, "x" * 10_000, "\0" * 16):
            assert not filled.write(lambda w: recovery_codes.use(w, who, text))  # noqa: B023
        assert filled.read(lambda c: recovery_codes.count(c, who)) == recovery_codes.CODES - 1

    def test_passkeys(self, filled: Desk) -> None:
        who = owner(filled)
        add_passkey(filled, who, sign_count=3)
        with pytest.raises(AlreadyThere):
            add_passkey(filled, who)
        (key,) = filled.read(lambda c: passkeys.find(c, who))
        assert (key.mailbox, key.administrator, key.name) == (ANNA, None, "Phone")
        counts = [3, 0, 4, 4, 5]
        noted = [
            record(filled, lambda c, n=one: passkeys.note_use(c, key.id, n, NOW))  # type: ignore[misc]
            for one in counts
        ]
        assert noted == [False, False, True, False, True]

    def test_all_factors_are_removed_at_once(self, filled: Desk) -> None:
        who = owner(filled)
        add_app(filled, who)
        add_passkey(filled, who)
        filled.write(lambda w: recovery_codes.make(w, who))
        record(filled, lambda c: login_steps.begin(c, who, NOW))
        filled.write(lambda w: second_factors.reset(w, who))
        for table in (schema.totp, schema.passkey, schema.recovery_code, schema.login_step):
            assert filled.count(table) == 0
        self.refused(filled, NoSuchObject, lambda w: second_factors.reset(w, who))

    def test_factors_come_back_with_the_mailbox(self, filled: Desk) -> None:
        who = owner(filled)
        add_app(filled, who)
        add_passkey(filled, who, b"\x00\xff")
        filled.write(lambda w: recovery_codes.make(w, who))
        before = filled.read(lambda c: second_factors.find(c, who))
        filled.write(lambda w: mailboxes.remove(w, ANNA))
        filled.write(lambda w: deleted_mailboxes.restore(w, ANNA))
        again = owner(filled)
        assert filled.read(lambda c: second_factors.find(c, again)) == before
        assert filled.read(lambda c: recovery_codes.count(c, again)) == recovery_codes.CODES

    def test_factors_of_an_administrator(self, filled: Desk) -> None:
        filled.write(lambda w: administrators.add(w, "root", role="global"))
        who = owner(filled, "root")
        add_app(filled, who)
        add_passkey(filled, who)
        assert filled.read(lambda c: second_factors.kinds(c, owner_of_anna(c))) == frozenset()
        filled.write(lambda w: administrators.remove(w, "root", last=True))
        assert filled.count(schema.totp) == filled.count(schema.passkey) == 0

    def test_a_row_has_one_owner(self, filled: Desk) -> None:
        filled.write(lambda w: administrators.add(w, "root", role="global"))
        who, other = owner(filled), owner(filled, "root")
        add_app(filled, who)
        with pytest.raises(Invalid, match="owner"):
            record(filled, lambda c: c.execute(update(schema.totp).values(other.values)))

    def test_steps(self, filled: Desk) -> None:
        who = owner(filled)
        secret = record(filled, lambda c: login_steps.begin(c, who, NOW))
        for text in ("", secret[:-1], "A" * 43, secret + "\n"):
            assert filled.read(lambda c: login_steps.find(c, text, NOW)) is None  # noqa: B023
        step = filled.read(lambda c: login_steps.find(c, secret, NOW))
        assert step is not None
        assert step.mailbox == ANNA
        end = NOW + login_steps.LIFETIME
        assert filled.read(lambda c: login_steps.find(c, secret, end)) is None
        assert record(filled, lambda c: login_steps.end(c, step.id, NOW))
        assert not record(filled, lambda c: login_steps.end(c, step.id, NOW))

    def test_challenges(self, filled: Desk) -> None:
        one = record(filled, lambda c: challenges.make(c, "s", "login", NOW))
        two = record(filled, lambda c: challenges.make(c, "s", "step", NOW))
        assert one != two
        assert record(filled, lambda c: challenges.take(c, "t", "login", NOW)) is None
        assert record(filled, lambda c: challenges.take(c, "s", "login", NOW)) == one
        assert record(filled, lambda c: challenges.take(c, "s", "login", NOW)) is None
        end = NOW + challenges.LIFETIME
        assert record(filled, lambda c: challenges.take(c, "s", "step", end)) is None


def owner_of_anna(connection: Connection) -> LoginOwner:
    return find_login_owner(connection, mailbox=ANNA)
