"""Values of preferences about spam filtering: languages, scores of rules, and the tag of subjects.

Accounts checks what people enter, and the delivery proxy checks again what it gets, because these
values become part of SpamAssassin's configuration. Regular expressions are not among them: one of
a single user can keep the scanner busy for hours.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

ANY_LANGUAGE: Final = "all"
"""The word that stands for every language."""

LANGUAGES: Final = (
    *("af", "am", "ar", "be", "bg", "bs", "ca", "cs", "cy", "da", "de", "el", "en", "eo", "es"),
    *("et", "eu", "fa", "fi", "fr", "fy", "ga", "gd", "he", "hi", "hr", "hu", "hy", "id", "is"),
    *("it", "ja", "ka", "ko", "la", "lt", "lv", "mr", "ms", "ne", "nl", "no", "pl", "pt", "qu"),
    *("rm", "ro", "ru", "sa", "sco", "sk", "sl", "sq", "sr", "sv", "sw", "ta", "th", "tl", "tr"),
    *("uk", "vi", "yi", "zh", "zh.big5", "zh.gb2312"),
)
"""Languages that SpamAssassin's TextCat knows; `zh.big5` and `zh.gb2312` are two scripts of it."""

MAX_RULES: Final = 100
"""Scores of rules of a mailbox or a domain: each scan reads them."""
MAX_SCORE: Final = 100.0
"""Largest score of a rule, in either direction: more than any threshold in use."""
MAX_TAG: Final = 40
"""Characters of a tag of subjects."""

_RULE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}\Z")


def read_languages(value: Iterable[Any]) -> tuple[str, ...]:
    """Return languages in the order of `LANGUAGES`, or only ``all``; raises `ValueError`."""
    wanted = set()
    for one in value:
        if not isinstance(one, str) or (one not in LANGUAGES and one != ANY_LANGUAGE):
            raise ValueError(
                f"{str(one)[:20]!a} is not a language that SpamAssassin knows by this code"
            )
        wanted.add(one)
    if ANY_LANGUAGE in wanted:
        return (ANY_LANGUAGE,)
    return tuple(one for one in LANGUAGES if one in wanted)


def read_rule_scores(value: Mapping[Any, Any]) -> dict[str, float]:
    """Return the scores of rules by their names, sorted; raises `ValueError`.

    A score has three decimals, as in SpamAssassin; 0 switches a rule off.
    """
    if len(value) > MAX_RULES:
        raise ValueError(f"there are more than {MAX_RULES} rules")
    found = {}
    for rule, score in value.items():
        if not isinstance(rule, str) or not _RULE.match(rule):
            raise ValueError(f"{str(rule)[:64]!a} is not the name of a rule")
        is_number = isinstance(score, int | float) and not isinstance(score, bool)
        if not is_number or not -MAX_SCORE <= score <= MAX_SCORE:  # also refuses nan
            raise ValueError(f"the score of {rule} is not between {-MAX_SCORE:g} and {MAX_SCORE:g}")
        # a negative zero would be another text for the same score
        found[rule] = round(float(score), 3) or 0.0
    return dict(sorted(found.items()))


def read_tag(value: str) -> str:
    """Return the tag of subjects, which may be empty; raises `ValueError`."""
    tag = value.strip()
    if len(tag) > MAX_TAG:
        raise ValueError(f"it has more than {MAX_TAG} characters")
    # a line break would begin another header field; a surrogate has no octets
    if not tag.isprintable():
        raise ValueError("it has a character that cannot be printed")
    return tag
