"""A trace has questions, answers and findings in their order, and is safe to print."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

import msgauth
from msgauth.ask import Answer, Lookup, Question, Rcode, ask
from msgauth.trace import MAX_EVENTS, MAX_SHOWN, Asked, Found, Trace

RESOLVE = msgauth.answers_from(
    {
        ("example.org", "TXT"): ["v=spf1 ip4:192.0.2.1 -all"],
        ("evil.example", "TXT"): ["v=spf1 \x1b[2J\n\u202e -all"],
        ("long.example", "TXT"): ["x" * 5000],
        ("slow.example", "TXT"): Rcode.TEMPFAIL,
    }
)


def spf(domain: str) -> Lookup[msgauth.SpfResult]:
    return msgauth.check_spf("192.0.2.1", helo="", mail_from=f"a@{domain}", now=0)


def test_the_lookup_is_the_same_with_and_without() -> None:
    trace = Trace()
    with_it = msgauth.solve(trace.follow(spf("example.org"), "spf"), RESOLVE)
    assert with_it == msgauth.solve(spf("example.org"), RESOLVE)
    assert trace.events == [
        Asked("spf", Question("example.org", "TXT"), RESOLVE(Question("example.org", "TXT"))),
        Found(with_it),
    ]
    assert trace.lines() == [
        "spf asks example.org TXT: v=spf1 ip4:192.0.2.1 -all",
        "spf finds pass: example.org authorizes 192.0.2.1 (ip4:192.0.2.1)",
    ]


def test_the_time_of_each_answer_is_recorded() -> None:
    times: Iterator[float] = iter([1.0, 1.25])
    trace = Trace(lambda: next(times))
    msgauth.solve(trace.follow(spf("slow.example")), RESOLVE)
    assert trace.lines() == [
        "- asks slow.example TXT: tempfail (0.250 s)",
        "spf finds temperror: DNS gave no answer for slow.example TXT",
    ]


@pytest.mark.parametrize("domain", ["evil.example", "long.example"])
def test_a_line_is_printable_and_bounded_whatever_dns_says(domain: str) -> None:
    trace = Trace()
    msgauth.solve(trace.follow(spf(domain)), RESOLVE)
    for line in trace.lines():
        assert line.isascii()
        assert line.isprintable()
        assert len(line) < 3 * MAX_SHOWN


def test_the_data_is_whole_and_goes_through_json() -> None:
    trace = Trace()
    found = msgauth.solve(trace.follow(spf("long.example"), "spf"), RESOLVE)
    assert json.loads(json.dumps(trace.as_data())) == [
        {
            "step": "spf",
            "name": "long.example",
            "type": "TXT",
            "rcode": "ok",
            "records": ["x" * 5000],
            "ttl": 0,
            "seconds": None,
        },
        {
            "method": "spf",
            "status": "none",
            "reason": found.reason,
            "properties": {"smtp.mailfrom": "long.example"},
        },
    ]


def test_a_line_shows_the_name_as_it_is_safe() -> None:
    asked = Asked("", Question("a\x1b\n.example", "A"), Answer(Rcode.OK))
    assert str(asked) == r"- asks a\x1b\n.example A: no such records"


def test_what_it_keeps_is_bounded() -> None:
    def endless() -> Lookup[None]:
        for _ in range(MAX_EVENTS + 7):
            yield from ask("example.org", "TXT")

    trace = Trace()
    msgauth.solve(trace.follow(endless()), RESOLVE)
    assert len(trace.events) == MAX_EVENTS
    assert trace.left_out == 7
    assert trace.lines()[-1] == "7 more were not recorded"


def test_an_error_of_the_lookup_comes_through() -> None:
    def broken() -> Lookup[None]:
        yield from ask("example.org", "TXT")
        raise msgauth.SigningError("no")

    trace = Trace()
    with pytest.raises(msgauth.SigningError):
        msgauth.solve(trace.follow(broken()), RESOLVE)
    assert len(trace.events) == 1
