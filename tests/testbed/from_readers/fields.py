"""From fields for the readers: forgeries that an attacker could try, and mutations of them."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable, Iterator
from typing import TypeAlias

from tests.testbed.from_readers.ordinary import ORDINARY, SLOPPY

CEO = "ceo@victim.example"
MINE = "attacker@evil.example"

HOSTILE = (
    "ceo @victim.example <attacker@evil.example>",
    "ceo@ victim.example <attacker@evil.example>",
    "ceo(x)@victim.example <attacker@evil.example>",
    "ceo@victim.example[1.2.3.4] <attacker@evil.example>",
    "@victim.example <attacker@evil.example>",
    '")"@victim.example <attacker@evil.example>',
    "=?utf-8?Q?admin=40victim.example?=, attacker@evil.example",
    "=?utf-8?Q?admin=40victim.example?=: attacker@evil.example;",
    "=?utf-8?B?PGFkbWluQHZpY3RpbS5leGFtcGxlPg==?=, <attacker@evil.example>",
    "ceo@victim.example <attacker@evil.example>",
    "<ceo@victim.example> <attacker@evil.example>",
    "<ceo@victim.example> attacker@evil.example",
    "attacker@evil.example <ceo@victim.example",
    "ceo@victim.example, attacker@evil.example",
    "ceo@victim.example; attacker@evil.example",
    "ceo@victim.example: attacker@evil.example;",
    "Group: ceo@victim.example;, attacker@evil.example",
    "Group: ceo@victim.example; attacker@evil.example",
    '"ceo@victim.example", attacker@evil.example',
    '"ceo@victim.example": attacker@evil.example;',
    '"ceo"@victim.example <attacker@evil.example>',
    '"ceo@victim.example,"@evil.example',
    '"ceo@victim.example"@evil.example',
    '"<ceo@victim.example>"@evil.example',
    r'"ceo\"@victim.example <"@evil.example',
    r'"x\" <ceo@victim.example>, "y" <attacker@evil.example>',
    r'"x\\" <ceo@victim.example>, "y" <attacker@evil.example>',
    r"x\" <ceo@victim.example>, \"y <attacker@evil.example>",
    '"x" ceo@victim.example "y" <attacker@evil.example>',
    '"x" "ceo@victim.example" <attacker@evil.example>',
    'x"ceo@victim.example" <attacker@evil.example>',
    "(ceo@victim.example) attacker@evil.example",
    "(<ceo@victim.example>) <attacker@evil.example>",
    '(") <ceo@victim.example> (") <attacker@evil.example>',
    '(") attacker@evil.example (" ceo@victim.example)',
    '"(" ceo@victim.example ")" <attacker@evil.example>',
    r"(\) ceo@victim.example (\) <attacker@evil.example>",
    "((x) ceo@victim.example) <attacker@evil.example>",
    "(x ceo@victim.example <attacker@evil.example>",
    "x) ceo@victim.example (y <attacker@evil.example>",
    "attacker@evil.example (x) ceo@victim.example",
    "attacker@(ceo@victim.example)evil.example",
    "attacker(ceo@victim.example)@evil.example",
    "attacker@evil.example.(x)victim.example",
    "attacker@evil. example.victim.example",
    "attacker@evil.example .victim.example",
    "attacker @ evil . example",
    "<attacker@evil.example>.victim.example",
    "<attacker@evil.example (ceo@victim.example)>",
    "<ceo@victim.example,attacker@evil.example>",
    "<ceo@victim.example attacker@evil.example>",
    "<ceo@victim.example:attacker@evil.example>",
    "<@victim.example:attacker@evil.example>",
    "<@victim.example,@other.example:attacker@evil.example>",
    "<attacker@evil.example:ceo@victim.example>",
    "<<ceo@victim.example>attacker@evil.example>",
    "<ceo@victim.example<attacker@evil.example>>",
    "<<attacker@evil.example>>",
    "ceo%victim.example@evil.example",
    "victim.example!ceo@evil.example",
    "ceo@victim.example@evil.example",
    "ceo@[192.0.2.1] <attacker@evil.example>",
    "attacker@evil.example[ceo@victim.example]",
    "[ceo@victim.example] <attacker@evil.example>",
    "ceo＠victim.example <attacker@evil.example>",
    "ceo﹫victim.example, attacker@evil.example",
    "ceo@victim。example <attacker@evil.example>",
    "ceo@victim．example, attacker@evil.example",
    "=?utf-8?q?ceo?=@victim.example <attacker@evil.example>",
    "=?utf-8?q?ceo=40?=victim.example, attacker@evil.example",
    "=?utf-8?q?ceo?= =?utf-8?q?=40victim.example?=, attacker@evil.example",
    "=?utf-8?q?ceo@victim.example?= <attacker@evil.example>",
    "=?utf-8?q?ceo=40victim.example=2C?=@evil.example",
    "attacker@=?utf-8?q?victim.example?=",
    "<=?utf-8?q?ceo=40victim.example=3E?=@evil.example>",
    '"=?utf-8?q?ceo=40victim.example=3E?="@evil.example',
    "=?utf-8?q?ceo=40victim.example,_x?= <attacker@evil.example>",
    "=?utf-8?q?ceo=40victim.example, x?= <attacker@evil.example>",
    '=?utf-8?q?=22?= "ceo@victim.example" <attacker@evil.example>',
    "=?utf-8?q?=28?= ceo@victim.example =?utf-8?q?=29?= <attacker@evil.example>",
    "attacker@evil.example (=?utf-8?q?=29=2C_ceo=40victim.example?=)",
    "=?utf-8?q?ceo=40victim.example?= attacker@evil.example",
    "=?utf-7?q?ceo+AEA-victim.example?=, attacker@evil.example",
    "=?x-unknown?b?Y2VvQHZpY3RpbS5leGFtcGxl?=, attacker@evil.example",
    "=?utf-8?b?Y2VvQHZpY3RpbS5leGFtcGxl?, attacker@evil.example",
    "=?UTF-8?B?Y2VvQHZpY3RpbS5leGFtcGxl?=; attacker@evil.example",
    "=?iso-8859-1?q?=3D=3Futf-8=3Fq=3Fceo=3D40victim.example=3F=3D?=, attacker@evil.example",
    "undisclosed:; <attacker@evil.example>",
    "Group: <ceo@victim.example>, <attacker@evil.example>",
    "A: B: ceo@victim.example;; attacker@evil.example",
    ", ceo@victim.example",
    "ceo, attacker@evil.example",
    "ceo@, attacker@evil.example",
    "ceo@ <attacker@evil.example>",
    "@ <attacker@evil.example>",
    "Anna attacker@evil.example",
    "mailto:attacker@evil.example",
    "<mailto:attacker@evil.example>",
    "ceo <@victim.example> <attacker@evil.example>",
    '"ceo@victim.example\r\n x" <attacker@evil.example>',
    "ceo@victim.рф, attacker@evil.example",
    "ceo@victim.example\r\n <attacker@evil.example>",
    "ceo\r\n @victim.example <attacker@evil.example>",
    "ceo@\r\n victim.example, attacker@evil.example",
)

_SEEDS = (*ORDINARY, *SLOPPY, *HOSTILE)
_SPECIALS = "<>()[]:;@\\,.\" \t'?=%!&*+-/_`{|}~#^"
_PIECES: tuple[str, ...] = (
    *_SPECIALS, *_SPECIALS, "\r\n ", "\r\n\t", "(x)", "(ceo@victim.example)",
    '"x"', '"ceo@victim.example"', "ceo", "victim.example", "evil.example", CEO, MINE, f"<{CEO}>",
    f"<{MINE}>", f"<{MINE}>", "ceo@", "@victim.example", "＠", "﹫", "。", "，", "＜", "＞",
    "\u00a0", "\u200b", "ü", "xn--bcher-kva.example", "bücher.example", "Anna", "G:", ";", '\\"',
    "=?", "?=", "=?utf-8?q?ceo=40victim.example?=", "=?utf-8?q?x?=",
    "=?utf-8?b?Y2VvQHZpY3RpbS5leGFtcGxl?=", "=?utf-8?q?=22?=", "=?utf-8?q?=2C?=",
    "=?utf-8?q?=3C?=", "[1.2.3.4]", "\x00", "\x1b",
)  # fmt: skip
_AT_SPECIAL: tuple[str, ...] = (*_SPECIALS, "(x)", "\r\n ", '"x"', "x")
_CHARSETS = ("utf-8", "UTF-8", "iso-8859-1", "us-ascii", "windows-1252", "utf-7", "utf-16-be")


def generate(count: int, seed: int) -> Iterator[bytes]:
    """Yield `count` different fields; the same `seed` gives the same fields."""
    chance = random.Random(seed)
    seen: set[bytes] = set()
    for text in _SEEDS:
        seen.add(text.encode())
    yield from list(dict.fromkeys(text.encode() for text in _SEEDS))[:count]
    while len(seen) < count:
        if chance.random() < 0.15:
            text = "".join(chance.choices(_PIECES, k=chance.randint(2, 9)))
        else:
            text = chance.choice(HOSTILE if chance.random() < 0.5 else _SEEDS)
            for _ in range(chance.choice((1, 1, 1, 1, 2, 2, 3, 5))):
                text = chance.choice(_MUTATIONS)(text, chance)
        field = text.encode("latin-1", "replace") if chance.random() < 0.02 else text.encode()
        if field not in seen and _is_one_field(field):
            seen.add(field)
            yield field


def _is_one_field(field: bytes) -> bool:
    rest = field.replace(b"\r\n ", b"").replace(b"\r\n\t", b"")
    blank = any(not line.strip() for line in field.split(b"\r\n"))
    return len(field) < 400 and b"\r" not in rest and b"\n" not in rest and not blank


_Mutation: TypeAlias = Callable[[str, random.Random], str]


def _insert(text: str, chance: random.Random) -> str:
    at = chance.randint(0, len(text))
    return text[:at] + chance.choice(_PIECES) + text[at:]


def _insert_at_special(text: str, chance: random.Random) -> str:
    places = [i + d for i, c in enumerate(text) if c in '@<>,:;"()' for d in (0, 1)]
    at = chance.choice(places) if places else 0
    return text[:at] + chance.choice(_AT_SPECIAL) + text[at:]


def _delete(text: str, chance: random.Random) -> str:
    start = chance.randint(0, len(text))
    end = start + chance.choice((1, 1, 1, 2, 8))
    return text[:start] + text[end:]


def _delete_special(text: str, chance: random.Random) -> str:
    places = [i for i, c in enumerate(text) if c in _SPECIALS]
    at = chance.choice(places) if places else 0
    return text[:at] + text[at + 1 :]


def _replace(text: str, chance: random.Random) -> str:
    at = chance.randint(0, len(text))
    return text[:at] + chance.choice(_SPECIALS) + text[at + 1 :]


def _swap(text: str, chance: random.Random) -> str:
    first, second = sorted(chance.randint(0, len(text)) for _ in range(2))
    third = chance.randint(second, len(text))
    return "".join((text[:first], text[second:third], text[first:second], text[third:]))


def _duplicate(text: str, chance: random.Random) -> str:
    start = chance.randint(0, len(text))
    part = text[start : start + chance.randint(1, 12)]
    at = chance.randint(0, len(text))
    return text[:at] + part + text[at:]


def _splice(text: str, chance: random.Random) -> str:
    other = chance.choice(_SEEDS)
    return text[: chance.randint(0, len(text))] + other[chance.randint(0, len(other)) :]


def _join(text: str, chance: random.Random) -> str:
    return text + chance.choice((", ", ",", " ", "; ", ": ", "\r\n ")) + chance.choice(_SEEDS)


def _encode(text: str, chance: random.Random) -> str:
    start = chance.randint(0, len(text))
    end = min(len(text), start + chance.randint(1, 25))
    charset = chance.choice(_CHARSETS)
    octets = text[start:end].encode(charset, "replace")
    if chance.random() < 0.5:
        word = base64.b64encode(octets).decode()
        return f"{text[:start]}=?{charset}?{chance.choice('bB')}?{word}?={text[end:]}"
    word = "".join(chr(c) if chr(c).isalnum() and c < 128 else f"={c:02X}" for c in octets)
    return f"{text[:start]}=?{charset}?{chance.choice('qQ')}?{word}?={text[end:]}"


def _quote(text: str, chance: random.Random) -> str:
    start, end = sorted(chance.randint(0, len(text)) for _ in range(2))
    left, right = chance.choice(('""', "()", "<>", "[]", "''", ("\\", "")))
    return text[:start] + left + text[start:end] + right + text[end:]


_MUTATIONS: tuple[_Mutation, ...] = (
    _insert, _insert, _insert_at_special, _insert_at_special, _delete, _delete_special, _replace,
    _swap, _duplicate, _splice, _join, _encode, _quote,
)  # fmt: skip
