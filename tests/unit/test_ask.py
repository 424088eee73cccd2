import pytest

from msgauth.ask import NXDOMAIN, Answer, Lookup, Question, Rcode, ask


def two_questions() -> Lookup[tuple[Answer, Answer]]:
    first = yield from ask("example.org", "TXT")
    second = yield from ask("example.net", "A")
    return first, second


def test_a_lookup_asks_in_order_and_returns_what_it_was_sent() -> None:
    lookup = two_questions()
    assert next(lookup) == Question("example.org", "TXT")
    text = Answer(Rcode.OK, ("v=spf1 -all",), 60)
    assert lookup.send(text) == Question("example.net", "A")
    with pytest.raises(StopIteration) as done:
        lookup.send(NXDOMAIN)
    assert done.value.value == (text, NXDOMAIN)
