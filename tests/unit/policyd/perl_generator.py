"""Random regular expressions and subjects in which they find something."""

from __future__ import annotations

from random import Random

_ATOMS = (
    *("a", "b", "M", "x", "1", "2", "-", "_", r"\.", ".", "@", "é", r"\-", r"\x41", r"\x{62}"),
    *(r"\d", r"\D", r"\w", r"\W", r"\s", r"\S", r"\h", r"\H", r"\v", r"\V", r"\N", r"\R", r"\t"),
    *("[ab]", "[^a]", "[a-m.-]", "[[:digit:]]", "[[:^digit:]]", "[^[:alpha:]1]", "[]a]", "[^]a]"),
    *("[[:upper:]_]", "[[:^lower:]]", "[^[:^alnum:]]", r"[\w-]", r"[\w-.]", r"[^\d\s]", r"[\]a-c]"),
    *(
        r"[[:punct:]]",
        r"[[:word:]]",
        r"[\W1]",
        r"[^\W_]",
        r"\101",
        r"\o{142}",
        r"[\x61-\x63]",
        r"\{",
    ),
)
_PLACES = ("^", "$", r"\A", r"\z", r"\Z", r"\b", r"\B")
_QUANTIFIERS = ("*", "+", "?", "{2}", "{1,2}", "{0,3}", "{1,}", "*?", "+?", "??", "{1,2}?")
_POSSESSIVE = ("*+", "++", "?+", "{1,2}+")
_OPENINGS = (
    *("(", "(?:", "(?:", "(?>", "(?=", "(?!", "(?<=", "(?<!", "(?-i:", "(?i:", "(?s:", "(?m:"),
    *("(?^:", "(?^i:", "(?<n>", "(?'q'", "(?P<r>", "(?|", "(?a:", "(?n:", "(?x:"),
)
_ASIDES = ("(?-i)", "(?i)", "(?s)", "(?m)", "(?#no)", r"\K", r"\1", r"\g{-1}", r"\k<n>", "(?^)")


def pattern(random: Random, depth: int = 3) -> str:
    """Make one pattern; Perl need not take it."""
    parts = []
    for _ in range(random.randint(1, 4)):
        kind = random.random()
        if kind < 0.08:
            parts.append(random.choice(_PLACES))
        elif kind < 0.12:
            parts.append(random.choice(_ASIDES))
        elif kind < 0.34 and depth:
            inside = pattern(random, depth - 1)
            parts.append(f"{random.choice(_OPENINGS)}{inside})" + _quantifier(random, 0.4))
        elif kind < 0.4 and depth:
            parts.append(f"{pattern(random, depth - 1)}|{pattern(random, depth - 1)}")
        else:
            parts.append(random.choice(_ATOMS) + _quantifier(random, 0.4))
    return "".join(parts)


def _quantifier(random: Random, share: float) -> str:
    if random.random() > share:
        return ""
    return random.choice(_POSSESSIVE if random.random() < 0.15 else _QUANTIFIERS)


def subject(random: Random) -> str:
    """Make one subject of at most 12 characters."""
    return "".join(random.choice("aabbcMXx112-_.@ é\n\r\t{") for _ in range(random.randint(0, 12)))
