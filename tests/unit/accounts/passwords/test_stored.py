"""Stored passwords: those that other programs made, and those that must never match.

The forms and the readings follow the given material; where Dovecot differs, a test says so.
"""

from __future__ import annotations

import hashlib
import time
from typing import Any

import bcrypt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from accounts.passwords import (
    SCHEMES,
    BadHash,
    CostlyHash,
    LockedPassword,
    StoredPasswordError,
    UnknownScheme,
    read,
    yescrypt,
)
from accounts.passwords.blocks import md4, md5_state
from tests.unit.accounts.passwords import VECTORS

PASSWORD = VECTORS["password"].encode()
LOGIN = VECTORS["login"]
DES = ("{DES-CRYPT}5d4Qk.do1MSZU", "k0/x1LkkCkdVg")
SHA512 = "$6$saltsaltsaltsalt$" + "a" * 86


@pytest.mark.parametrize(
    "vector",
    VECTORS["stored"],
    ids=lambda vector: f"{vector['made'].split()[0]}-{vector['stored'][:16]}",
)
def test_passwords_of_other_programs_are_read(vector: dict[str, Any]) -> None:
    stored = read(vector["stored"])
    assert stored.matches(PASSWORD, LOGIN)
    # the traditional crypt(3) uses eight octets and drops the rest
    longer = PASSWORD[:7] if vector["stored"] in DES else PASSWORD + b"x"
    assert not stored.matches(longer, LOGIN)
    if not stored.slow:
        for wrong in (b"", b" " + PASSWORD, PASSWORD.upper(), PASSWORD.decode().encode("latin-1")):
            assert not stored.matches(wrong, LOGIN)


def test_all_schemes_have_a_vector() -> None:
    named = {read(vector["stored"]).scheme for vector in VECTORS["stored"]}
    assert set(SCHEMES) - named == {"PLAINTEXT"}


def test_the_login_is_part_of_digest_md5_only() -> None:
    for vector in VECTORS["stored"]:
        stored = read(vector["stored"])
        if not stored.slow:
            assert stored.matches(PASSWORD, "bert@example.org") == (stored.scheme != "DIGEST-MD5")


@pytest.mark.parametrize(
    ("stored", "error"),
    [
        ("", LockedPassword),
        ("!", LockedPassword),
        ("*", LockedPassword),
        ("!!", LockedPassword),
        ("*LK*", LockedPassword),
        ("!" + SHA512, LockedPassword),
        ("{CRYPT}", LockedPassword),
        ("{CRYPT}!", LockedPassword),
        ("{SHA512-CRYPT}*", LockedPassword),
        ("{SHA512-CRYPT}!" + SHA512, LockedPassword),
        ("{PLAIN}", LockedPassword),
        ("{SSHA}", LockedPassword),
        ("{SSHA}!", LockedPassword),
        ("{CRYPT}x", BadHash),
        ("x", BadHash),
        ("secret", BadHash),
        ("correct horse battery", BadHash),
        ("CHANGE_ME", BadHash),
        ("{INVALID}invalid", UnknownScheme),
        # Dovecot has no such scheme: its name is BLF-CRYPT
        ("{BCRYPT}$2y$05$abcdefghijklmnopqrstuuHOaK9tYa7pMtPBUzccBInHxlRxoBo1a", UnknownScheme),
        ("{OTP}a", UnknownScheme),
        ("{NTLM}9c9956f36ab8e544005972cdc7bd4dd1", UnknownScheme),
        ("{LANMAN}a", UnknownScheme),
        ("{PLAIN-TRUNC}4-test", UnknownScheme),
        ("{}x", UnknownScheme),
        ("{PLAIN", UnknownScheme),
        ("{PLAIN .b64}x", UnknownScheme),
        ("{{PLAIN}}x", UnknownScheme),
        ("{" + "A" * 5000 + "}x", BadHash),
        ("{SHA.ROT13}x", UnknownScheme),
        ("{PLAIN.B64}***", BadHash),
        ("{PLAIN.HEX}abc", BadHash),
        ("{PLAIN.HEX}zz", BadHash),
        ("{PLAIN.HEX}", LockedPassword),
        ("{PLAIN}a\0b", BadHash),
        ("{PLAIN.HEX}610062", BadHash),
        ("$md5,rounds=83293$2ZfERyTT$$tZr0zB9zbpqCwLJWPba1l1", UnknownScheme),
        ("$3$$9c9956f36ab8e544005972cdc7bd4dd1", UnknownScheme),
        ("$7$CU..../....NMSBMiDms009se9Ojlpci0$ecr4Uy8Qn26/wlgR/oTp", UnknownScheme),
        ("_J9..F9gfEmHb65DdX4U", BadHash),
        ("$y$j9T$salt$short", BadHash),
        ("$y$jzzz9T$salt$" + "a" * 43, BadHash),
        ("$2x$05$abcdefghijklmnopqrstuuHOaK9tYa7pMtPBUzccBInHxlRxoBo1a", BadHash),
        ("$2y$05$abcdefghijklmnopqrstuuHOaK9tYa7pMtPBUzccBInHxlRxoBo1", BadHash),
        ("$2y$05$...", BadHash),
        ("$2y$03$abcdefghijklmnopqrstuuHOaK9tYa7pMtPBUzccBInHxlRxoBo1a", BadHash),
        ("$2b$12$EHa...", BadHash),
        ("$6$salt$short", BadHash),
        ("$6$" + "s" * 17 + "$" + "a" * 86, BadHash),
        # crypt(3) takes any character but $ and : for a salt; libpass does not
        ("$6$sa-lt$" + "a" * 86, BadHash),
        ("$6$rounds=999$salt$" + "a" * 86, BadHash),
        ("{SSHA}6GRuJBXZc1gprQGD88o+U91l8QI=", BadHash),  # a digest without a salt
        ("{SHA256}" + "00" * 31, BadHash),
        ("{CRAM-MD5}00", BadHash),
        ("{DIGEST-MD5}00", BadHash),
        ("{MD5}00", BadHash),
        ("{SCRAM-SHA-256}4096,AAAA,AAAA", BadHash),
        ("{SCRAM-SHA-256}4096,AAAA,AAAA,AAAA", BadHash),
        ("{SCRAM-SHA-256}0,AAAA," + "A" * 43 + "=," + "A" * 43 + "=", BadHash),
        ("{PBKDF2}$1$salt$5000$00", BadHash),
        ("{PBKDF2}$2$salt$5000$" + "0" * 40, BadHash),
        ("{PBKDF2-SHA256}1000$c2FsdA$" + "A" * 27, BadHash),
        ("{ARGON2ID}$argon2i$v=19$m=8192,t=2,p=1$c2FsdHNhbHRzYWx0$" + "A" * 43, BadHash),
        ("{ARGON2ID}$argon2id$v=19$m=8,t=2,p=2$c2FsdHNhbHRzYWx0$" + "A" * 43, BadHash),
        ("{ARGON2ID}$argon2id$v=19$m=8192,t=0,p=1$c2FsdHNhbHRzYWx0$" + "A" * 43, BadHash),
        ("{ARGON2ID}" + SHA512, BadHash),
    ],
)
def test_everything_else_is_a_clear_error(stored: str, error: type[StoredPasswordError]) -> None:
    with pytest.raises(error) as raised:
        read(stored)
    text = str(raised.value)
    assert 10 < len(text) < 120
    assert text.isprintable()


@pytest.mark.parametrize(
    "stored",
    [
        "$6$rounds=999999999$salt$" + "a" * 86,
        "$5$rounds=1000001$salt$" + "a" * 43,
        "$2y$16$abcdefghijklmnopqrstuuHOaK9tYa7pMtPBUzccBInHxlRxoBo1a",
        "{BLF-CRYPT}$2y$31$abcdefghijklmnopqrstuuHOaK9tYa7pMtPBUzccBInHxlRxoBo1a",
        "{BLF-CRYPT}$2y$99$abcdefghijklmnopqrstuuHOaK9tYa7pMtPBUzccBInHxlRxoBo1a",
        "$bcrypt-sha256$v=2,t=2b,r=31$7MRUvh3SjyqIQPrgoBariu$HsRJosN0VrNh.QjFdhDx9pqI0fOJXxq",
        "$y$jFT$6XRkEnuzc08lQuHTkN42D0$" + "a" * 43,
        "$y$jjj$6XRkEnuzc08lQuHTkN42D0$" + "a" * 43,
        "{PBKDF2}$1$salt$9999999999$" + "0" * 40,
        "$pbkdf2-sha512$2000001$c2FsdA$" + "A" * 86,
        "{SCRAM-SHA-1}4294967296,AAAA," + "A" * 27 + "=," + "A" * 27 + "=",
        "{ARGON2ID}$argon2id$v=19$m=4194304,t=1,p=1$c2FsdHNhbHRzYWx0$" + "A" * 43,
        "{ARGON2ID}$argon2id$v=19$m=8192,t=4294967295,p=1$c2FsdHNhbHRzYWx0$" + "A" * 43,
        "{ARGON2I}$argon2i$v=19$m=131072,t=9,p=1$c2FsdHNhbHRzYWx0$" + "A" * 43,
        "{ARGON2ID}$argon2id$v=19$m=65536,t=1,p=4096$c2FsdHNhbHRzYWx0$" + "A" * 43,
    ],
)
def test_a_hash_that_would_eat_the_machine_is_refused_at_once(stored: str) -> None:
    start = time.thread_time()  # a busy machine is no cost of the hash
    with pytest.raises(CostlyHash):
        read(stored)
    assert time.thread_time() - start < 0.05


def test_a_bang_is_a_password_only_where_it_is_stored_as_one() -> None:
    assert read("{PLAIN}!").matches(b"!", "")
    for locked in ("!", "*"):
        with pytest.raises(LockedPassword):
            read(locked)


@given(
    st.text(max_size=80) | st.from_regex(r"\A\{[A-Z0-9.-]{1,12}\}.{0,60}\Z"), st.binary(max_size=20)
)
@settings(max_examples=300, deadline=None)
@example("{PLAIN}\udcff", b"\xff")
@example("{PLAIN.B64}/w==", b"\xff")
def test_no_text_makes_it_fail_in_another_way(text: str, password: bytes) -> None:
    try:
        stored = read(text)
    except StoredPasswordError:
        return
    if not stored.slow:
        assert stored.matches(password, LOGIN) in (True, False)


@given(st.sampled_from(VECTORS["stored"]), st.data())
@settings(max_examples=300, deadline=None)
def test_a_hash_with_one_other_character_is_an_error_or_no_match(
    vector: dict[str, Any], data: st.DataObject
) -> None:
    stored = vector["stored"]
    at = data.draw(st.integers(0, len(stored) - 1))
    char = data.draw(st.characters(codec="utf-8"))
    changed = stored[:at] + char + stored[at + 1 :]
    try:
        hashed = read(changed)
    except StoredPasswordError:
        return
    if hashed.slow or changed == stored:  # reading is the point; a slow one is only read
        return
    if hashed.matches(PASSWORD, LOGIN):
        # the same octets, written differently: the case of hex, or bits that base64 does not use
        assert hashed == read(stored)


def test_a_representation_shows_nothing_of_the_hash() -> None:
    for vector in VECTORS["stored"]:
        text = repr(read(vector["stored"]))
        payload = vector["stored"].rpartition("}")[2]
        assert payload[-12:] not in text


def test_the_prefix_of_passlib_may_follow_that_of_dovecot() -> None:
    """Older versions of Mailu wrote both."""
    every = [vector["stored"] for vector in VECTORS["stored"]]
    made = [stored for stored in every if stored.startswith(("$pbkdf2", "$bcrypt"))]
    assert len(made) == 5
    for stored in made:
        scheme = "{PBKDF2}" if "pbkdf2" in stored else "{BLF-CRYPT}"
        assert read(scheme + stored).matches(PASSWORD, LOGIN)
        assert not read(scheme + stored).matches(PASSWORD + b"x", LOGIN)


def test_bcrypt_uses_72_octets_as_crypt_does() -> None:
    made = bcrypt.hashpw(b"x" * 72, b"$2b$04$abcdefghijklmnopqrstuu").decode()
    assert read(made).matches(b"x" * 100, "")
    assert not read(made).matches(b"x" * 71, "")


def test_without_libcrypt_yescrypt_is_not_supported(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = "$y$j9T$6XRkEnuzc08lQuHTkN42D0$KcQzAf77cuKs/DC8MVeRdJYmAuvgGFqly4B1nxRU.hB"
    assert read(stored).matches(PASSWORD, "")
    monkeypatch.setattr(yescrypt, "_library", lambda: None)
    with pytest.raises(UnknownScheme, match=r"yescrypt needs libcrypt\.so\.1"):
        read(stored)


def test_salts_of_bcrypt_may_have_unused_bits() -> None:
    """crypt(3) ignores the last four bits of the salt; the library takes no salt that has them."""
    made = "$2y$05$abcdefghijklmnopqrstuuHOaK9tYa7pMtPBUzccBInHxlRxoBo1a"
    password = "gate-Pöst 1".encode()
    assert read(made).matches(password, "")
    assert read(made[:28] + "v" + made[29:]).matches(password, "")


@given(st.binary(max_size=200))
def test_md5_in_blocks_is_md5(message: bytes) -> None:
    """The state after one block is the digest of a message that fits into it with its padding."""
    message = message[:55]
    block = (message + b"\x80").ljust(56, b"\0") + (8 * len(message)).to_bytes(8, "little")
    assert md5_state(block) == hashlib.md5(message, usedforsecurity=False).digest()


@pytest.mark.parametrize(
    ("message", "digest"),
    [  # RFC 1320 appendix A.5
        (b"", "31d6cfe0d16ae931b73c59d7e0c089c0"),
        (b"a", "bde52cb31de33e46245e05fbdbd6fb24"),
        (b"abc", "a448017aaf21d8525fc10ae87aa6729d"),
        (b"message digest", "d9130a8164549fe818874806e1c7014b"),
        (b"abcdefghijklmnopqrstuvwxyz", "d79e1c308aa5bbcdeea8ed63df412da9"),
        (b"1234567890" * 8, "e33b4ddc9c38f2199c3e7b164fcc0536"),
    ],
)
def test_md4(message: bytes, digest: str) -> None:
    assert md4(message).hex() == digest
