"""Perl's regular expressions: the same answers as Perl, or a refusal; and never without end."""

from __future__ import annotations

import time
import warnings
from random import Random

import pytest

from policyd.errors import CheckError
from policyd.perlre import PerlRegex, PerlRegexError
from tests.unit.policyd import perl_generator
from tests.unit.policyd.perl_oracle import judge

SUBJECTS = (
    *("", "mx.example", "MX12.Example", "mx12.example", "mx-1.example.org", "mxx.example", "mx"),
    *("mx.exampleé", "müller@example.org", "MÜLLER@example.org", "user+tag@example.org", "a\tb"),
    *("mx.example\n", "mx\nexample", "\nmx", "mx\r\n", "a b", "a\vb", "a\xa0b", "aa.aa", "ab.ab"),
    *("1.2.3.4", "[192.0.2.1]", "a_b", "a-b", "a{1}", "A", "z", "_", "-", "]", "^", "\\", "e\x1b"),
    *("aaa", "aaab", "ab", "abab", "abba", "foobar", "barfoo", "x.y.z.example.org", "dial-up", "é"),
)
TAKEN = (
    *(r"^mx[[:digit:]]+\.example$", r"^mx\d+\.example\z", r"^mx\d+\.example\Z", r"\Amx", r"mx\z"),
    *(r"[[:^digit:]]$", r"^[[:alpha:][:digit:]_.-]+$", r"^[^[:space:]]+$", r"^[[:^upper:]]+$"),
    *(r"[[:punct:]]", r"^[[:xdigit:]]+$", r"^[[:upper:]]", r"[[:lower:]]$", r"[[:word:]-]+\z"),
    *(r"[[:blank:]]", r"[[:cntrl:]]", r"^[[:graph:]]+$", r"^[[:print:]]+$", r"^[[:ascii:]]*$"),
    *(
        r"\h",
        r"\H",
        r"\v",
        r"\V",
        r"a\Rb",
        r"\R\z",
        r"^\N+$",
        r"mx\K\.",
        r"^\w+$",
        r"^\W+$",
        r"^.$",
    ),
    *(r"^..$", r"\bmx\b", r"\Bx", r"mx$", r"^mx.example$", r"a++b", r"a*+a", r"(?>a+)b", r"a?+a"),
    *(r"(?i)MX", r"(?-i)MX", r"(?-i:MX)12", r"mx(?-i)\.E", r"(a(?-i)b|AB)", r"(?s)mx.ex", r"mx.ex"),
    *(r"(?m)^example$", r"(?m)^mx$", r"(?s-i:M.)", r"(?^:MX)", r"(?^i:mx)", r"(?a)\w", r"(?aa:\d)"),
    *(
        r"(?x)mx",
        r"(?n)(mx)",
        r"\x41",
        r"\x{41}",
        r"\x{e9}",
        r"[\x{c3}]",
        r"\o{101}",
        r"\101",
        r"\e",
    ),
    *(r"\cJ", r"\t", r"[\t]", r"[\b]", r"[\h]", r"[^\v]", r"\N{U+41}", r"^\N{3}$", r"[]]", r"[^]]"),
    *(
        r"[a\]b]",
        r"[\w-.]+@",
        r"[.-]",
        r"[--a]",
        r"[a-]",
        r"\_",
        r"\-",
        r"\@",
        r"\/",
        r"a{1}",
        r"a\{1",
    ),
    *(
        r"^a{1,2}b",
        r"a{2,}",
        r"^(?:a{2}){1}",
        r"(?<n>a)\k<n>",
        r"(?'n'a)\k'n'",
        r"^(\w+)\.\1$",
    ),
    *(r"^(\w+)\.\g1$", r"^(\w+)\.\g{-1}$", r"^(?P<n>\w+)\.(?P=n)$", r"\k{n}|x", r"(?<n>a)\g{n}"),
    *(r"(?=m)mx", r"^(?!mx)", r"(?<=mx)1", r"(?<!mx)\d", r"(?<=a|mx)1", r"(?<=m.{1,2})\.", r"^*mx"),
    *(r"\b+mx", r"()", r"(|mx)$", r"(a*)*b", r"(?:a|)+b", r"(?|(a)|(b))b", r"(?#c)mx"),
    *(
        r"^([a-z0-9-]+\.)+org$",
        r"^(?:(?:\d{1,3})\.){3}\d{1,3}$",
        r"a$b",
        r"a$|b",
        r"^^mx$$",
        r"(?)mx",
    ),
    *(
        r"é",
        r"^m.ller",
        r"^m..ller",
        r"[é]",
        r"[^é]$",
        r"É",
        r"(?i)é$",
        r"}",
        r"]",
        r"\#",
        r"\^",
        r"\]",
    ),
)


@pytest.fixture(autouse=True)
def no_warning() -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def answers(pattern: str, subjects: tuple[str, ...] | list[str]) -> list[bool]:
    """Return our findings, and check that both of our matchers agree."""
    regex = PerlRegex(pattern)
    quick = [regex.search(subject) for subject in subjects]
    if regex._program is not None:
        regex._fast_length = -1
        assert [regex.search(subject) for subject in subjects] == quick, pattern
    return quick


def test_a_list_of_patterns_finds_what_perl_finds() -> None:
    judged = judge(TAKEN, SUBJECTS)
    for pattern, expected in zip(TAKEN, judged, strict=True):
        if pattern == r"\k{n}|x":
            assert expected is None
            continue
        assert expected is not None, pattern
        wrong = [
            subject
            for subject, ours, perls in zip(
                SUBJECTS, answers(pattern, SUBJECTS), expected, strict=True
            )
            if ours is not perls
        ]
        assert not wrong, pattern


def test_generated_patterns_find_what_perl_finds_or_are_refused() -> None:
    """A sample of what `tools/scripts/perl_regexes.py` does with any number."""
    taken = compare(seed=1, count=3000)
    assert taken > 1500


def compare(seed: int, count: int) -> int:
    """Compare `count` patterns; returns how many of them are taken."""
    random = Random(seed)
    subjects = [perl_generator.subject(random) for _ in range(40)]
    patterns = [perl_generator.pattern(random) for _ in range(count)]
    taken = 0
    for pattern, expected in zip(patterns, judge(patterns, subjects), strict=True):
        try:
            ours = answers(pattern, subjects)
        except PerlRegexError:
            continue
        taken += 1
        assert expected is not None, pattern
        differing = [one for one, a, b in zip(subjects, ours, expected, strict=True) if a is not b]
        assert not differing, (pattern, differing)
    return taken


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        (r"^\Qmx.example\E$", "mx.example", True),
        (r"^\Qmx.example\E$", "mxaexample", False),
        (r"^\Qa+b", "A+B", True),
        (r"^[\Q.-]\E]+$", ".-]", True),
        (r"^\Qa\b\E$", "a\\b", True),
        (r"\\Q", "\\q", True),
    ],
)
def test_quotes_are_those_of_a_perl_program(pattern: str, text: str, matches: bool) -> None:
    assert PerlRegex(pattern).search(text) is matches


@pytest.mark.parametrize(
    "pattern",
    [
        *(r"(", r")", r"[", r"[]", r"a**", r"+a", r"*", r"a|*b", r"a{2}{3}", r"a*?+", r"[z-a]"),
        *(r"[[:foo:]]", r"[[.a.]]", r"[[=a=]]", r"[:digit:]", r"\x{41", r"\8", r"\1(a)", r"\g{2}"),
        *(r"(?<=a+)b", r"(?{1})", r"(??{1})", r"(?1)(a)", r"(?R)", r"(?&n)", r"(?(1)a|b)", r"(?i"),
        *(
            r"(*FAIL)",
            r"\p{L}",
            r"\PL",
            r"\X",
            r"\G",
            r"\b{wb}",
            r"\N{LATIN SMALL LETTER A}",
            r"\y",
        ),
        *(r"(?u:a)", r"(?l:a)", r"a{,3}", r"a{3,2}", r"a{99999}", r"a\E", r"\U", r"\x{100}", "a\\"),
        *(
            r"(?<n>a)(?<n>b)",
            r"(a)|\1",
            r"(a)*\1",
            r"(a{0,99}){0,9}b",
            r"a{",
            r"{",
            r"(?=a)*b",
            r"(?=b*)x",
            r"(?<=a|)b",
            r"(?<=a++)b",
            r"(?<=\R)b",
            r"\d{x",
            r"(?x)a#b",
            r"(?o)a",
        ),
        *(r"(.*)(.*)\1", "(" * 50 + "a" + ")" * 50, "a" * 9000, r"[\N]", r"[\R]", r"\10"),
    ],
)
def test_what_perl_does_not_take_or_we_do_not_read_is_refused(pattern: str) -> None:
    with pytest.raises(PerlRegexError):
        PerlRegex(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        *(
            r"^(a+)+$",
            r"^(a|a)*$",
            r"^(a|aa)+$",
            r"(.*)*x",
            r"^(\w+\s?)*$",
            r"(a*)*b",
            r"(.*a){12}x",
        ),
        *(
            r"a?" * 30 + "a" * 30 + "b",
            r".*.*.*.*.*=.*",
            r"^([a-z0-9-]+\.)+x$",
            r"(?>a+)+b",
            r"a*+a",
        ),
        *(r"(?=(a+)+$)b", r"(?<=a{1,200})b", r"^(?:a(?!b))*$", r"(x+x+)+y", r"(?:(?>a+)|a)*b"),
        *(r"([^@]+)*@([^@]+)*!", r"(a{0,40}){0,9}b"),
    ],
)
@pytest.mark.parametrize("length", [30, 320, 2000])
def test_no_pattern_and_no_text_take_long(pattern: str, length: int) -> None:
    regex = PerlRegex(pattern)
    begin = time.process_time()
    try:
        for text in ("a" * length + "!", "a.b" * (length // 3), "x" * length):
            regex.search(text)
    except CheckError as error:
        assert length > 320  # no address that mail can have
        assert "takes too long" in str(error)  # noqa: PT017
    assert time.process_time() - begin < 3


def test_beyond_all_bounds_there_is_an_error_of_the_check() -> None:
    with pytest.raises(CheckError, match="takes too long"):
        PerlRegex(r"(a+)+b").search("a" * 200_000)
    with pytest.raises(CheckError, match="takes too long"):
        PerlRegex(r"^(\w+)-\1$").search("a" * 200_000)
