"""The rules for a new password: long enough, not common, not the address it belongs to.

There is no rule about kinds of characters: such rules make people write `Password1!`, which is the
sort of text that this module recognises (NIST SP 800-63B section 3.1.1.2 says the same).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

from accounts.password_settings import PasswordSettings
from accounts.passwords.common import common_words
from accounts.passwords.errors import BadPassword, WeakPassword
from accounts.passwords.secret import Password

LONG: Final = 64
"""Length from which a password is not examined further: no common one is so long."""
FEW: Final = 5
"""Different characters that a password of such a length must have."""
DECORATION: Final = 6
"""Digits and signs around a word that do not make it a good password: `1!`, `2026`, `123456`."""
RUN: Final = 3
"""Characters that follow each other on a line below before they count as a sequence."""
NUMBER: Final = 14
"""Digits from which a password may be a number, without a letter or an unusual sign."""

_FORWARD: Final = (
    "012345678901234567890",
    "abcdefghijklmnopqrstuvwxyzabc",
    "qwertyuiop[]",
    "qwertzuiop",
    "azertyuiop",
    "asdfghjkl;'",
    "qsdfghjklm",
    "zxcvbnm,./",
    "yxcvbnm,.-",
    "wxcvbn,;:!",
    "!@#$%^&*()_+",
    '!"§$%&/()=',
    "1q2w3e4r5t6y7u8i9o0p",
    "1q2w3e4r5t6z7u8i9o0p",
    "q1w2e3r4t5y6u7i8o9p0",
    "q1w2e3r4t5z6u7i8o9p0",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,9ol.0p",
    "1qay2wsx3edc4rfv5tgb6zhn7ujm8ik,9ol.0p",
    "qazwsxedcrfvtgbyhnujmikolp",
    "qaywsxedcrfvtgbzhnujmikolp",
    "a1b2c3d4e5f6g7h8i9j0",
    "1a2b3c4d5e6f7g8h9i0j",
)
_LINES: Final = (*_FORWARD, *(line[::-1] for line in _FORWARD))
_SEPARATORS = re.compile(r"[\s._,/+-]+")
_SWAPPED: Final = {"0": "o", "3": "e", "4": "a", "5": "s", "7": "t", "8": "b", "@": "a", "$": "s"}
# the one is an i or an l, depending on who writes it
_LETTERS: Final = tuple(
    str.maketrans({**_SWAPPED, "1": one, "!": one, "|": one}) for one in ("i", "l")
)


def check_new(password: Password, login: str, settings: PasswordSettings) -> None:
    """Check a new password for a login, which is an address or the name of an administrator.

    Raises `WeakPassword` with the reason `not-text`, `short`, `address`, `common`, `number` or
    `sequence` and a sentence for the person who chose it.
    """
    try:
        text = password.text
    except BadPassword as error:
        raise WeakPassword("not-text", f"{error}") from None
    if any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in text):
        raise WeakPassword("not-text", "the password contains a control character")
    if len(text) < settings.minimum_length:
        raise WeakPassword(
            "short",
            f"the password has {len(text)} characters: it needs at least {settings.minimum_length}",
        )
    folded = _fold(text)
    if len(text) >= LONG:
        if len(set(folded)) < FEW:
            raise WeakPassword("sequence", "the password repeats itself")
        return
    own = _own(login)
    words = common_words()
    domain = _fold(login).partition("@")[2]
    if domain and domain in folded:
        raise WeakPassword("address", "the password contains the domain of the address")
    for core in _cores(folded):
        if core in own:
            raise WeakPassword("address", "the password is made from the address")
        if core in words:
            raise WeakPassword("common", "the password is a common word with little added to it")
    if _is_number(folded):
        raise WeakPassword(
            "number", f"the password is a number or a date with fewer than {NUMBER} digits"
        )
    if _unit(folded) != folded or _is_sequence(folded):
        raise WeakPassword(
            "sequence", "the password repeats itself or follows the keys of the keyboard"
        )


def _fold(text: str) -> str:
    """Return the text in lower case and without accents."""
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(char for char in apart if not unicodedata.combining(char))


def _own(login: str) -> frozenset[str]:
    """Return the texts that are taken from a login: its parts, with separators and without."""
    local, _, domain = _fold(login).partition("@")
    label = domain.partition(".")[0]
    texts = {local, local[::-1], domain, label, local + label, label + local, local + domain}
    texts |= {*_SEPARATORS.split(local), *_SEPARATORS.split(label)}
    texts |= {_SEPARATORS.sub("", text) for text in texts}
    return frozenset(text for text in texts if len(text) >= RUN)


def _cores(text: str) -> Iterator[str]:
    """Yield the words that may be at the heart of a text, without digits and signs around them."""
    size = len(text)
    before = next((i for i, char in enumerate(text) if char.isalpha()), 0)
    after = next((i for i, char in enumerate(reversed(text)) if char.isalpha()), 0)
    for start in _cuts(text[:before]):
        for end in (size - cut for cut in _cuts(text[size - after :][::-1])):
            core = text[start:end]
            joined = _SEPARATORS.sub("", core)
            for word in (core, joined, *(joined.translate(letters) for letters in _LETTERS)):
                yield word
                yield _unit(word)


def _cuts(added: str) -> list[int]:
    """Return the lengths to cut off where digits and signs were added to a word.

    All of them may be letters that are written as digits, so each number of them is tried.
    """
    cuts = list(range(min(len(added), DECORATION) + 1))
    if len(added) > DECORATION and (_unit(added) != added or _is_sequence(added)):
        cuts.append(len(added))
    return cuts


def _unit(text: str) -> str:
    """Return the part that a text repeats at least twice, or else the text itself."""
    for size in range(1, len(text) // 2 + 1):
        if all(text[i] == text[i - size] for i in range(size, len(text))):
            return text[:size]
    return text


def _is_sequence(text: str) -> bool:
    """Return whether a text consists of sequences from the alphabet and the keyboard."""
    at = 0
    while at < len(text):
        size = RUN
        while at + size <= len(text) and any(text[at : at + size] in line for line in _LINES):
            size += 1
        if size == RUN:
            return False
        at += size - 1
    return bool(text)


def _is_number(text: str) -> bool:
    plain = _SEPARATORS.sub("", text)
    return len(plain) < NUMBER and plain.isdecimal()
