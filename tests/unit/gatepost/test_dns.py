import dns.rdata
import pytest

from gatepost.dns import Cache, Zone, ZoneError
from gatepost.dns.names import to_name, to_text
from msgauth.ask import NXDOMAIN, TEMPFAIL, Answer, Lookup, Question, Rcode, ask
from msgauth.drive import Pending, begin, solve
from tests.unit.clock import Clock

ZONE = Zone.parse(
    """
    ["example.org"]
    MX = ["10 mx.example.org", "20 mx2.example.org"]
    TXT = "v=spf1 mx -all"
    ttl = 60
    ["a.b.example.org"]
    A = "192.0.2.1"
    ["www.example.org"]
    CNAME = "a.b.example.org"
    ["loop.example.org"]
    CNAME = "loop.example.org"
    ["broken.example.org"]
    rcode = "tempfail"
    ["*.wild.example.org"]
    TXT = "wild"
    ["there.wild.example.org"]
    A = "192.0.2.2"
    """
)


def test_a_zone_tells_the_three_answers_apart() -> None:
    assert ZONE.resolve(Question("EXAMPLE.org.", "TXT")) == Answer(
        Rcode.OK, ("v=spf1 mx -all",), 60
    )
    assert ZONE.resolve(Question("example.org", "A")).rcode is Rcode.OK
    assert ZONE.resolve(Question("example.org", "A")).records == ()
    assert ZONE.resolve(Question("b.example.org", "A")).rcode is Rcode.OK  # empty non-terminal
    assert ZONE.resolve(Question("c.example.org", "A")) == NXDOMAIN
    assert ZONE.resolve(Question("broken.example.org", "A")) == TEMPFAIL


def test_a_zone_follows_aliases_and_wildcards() -> None:
    assert ZONE.resolve(Question("www.example.org", "A")).records == ("192.0.2.1",)
    assert ZONE.resolve(Question("loop.example.org", "A")) == TEMPFAIL
    assert ZONE.resolve(Question("x.y.wild.example.org", "TXT")).records == ("wild",)
    assert ZONE.resolve(Question("there.wild.example.org", "TXT")).records == ()
    assert ZONE.resolve(Question("x.there.wild.example.org", "TXT")) == NXDOMAIN


@pytest.mark.parametrize("text", ["a = 1", '["x"]\nTXT = 5', '["x"]\nCAA = "1"', "= 3"])
def test_a_zone_that_is_none_says_so(text: str) -> None:
    with pytest.raises(ZoneError):
        Zone.parse(text)


def lookup() -> Lookup[list[str]]:
    mx = yield from ask("example.org", "MX")
    found = []
    for record in mx.records:
        answer = yield from ask(record.split()[1], "A")
        found.append(f"{record}: {answer.rcode.value}")
    return found


def test_solve_drives_a_lookup() -> None:
    assert solve(lookup(), ZONE.resolve) == [
        "10 mx.example.org: nxdomain",
        "20 mx2.example.org: nxdomain",
    ]


def test_a_lookup_goes_as_far_as_the_cache_and_then_waits() -> None:
    known: dict[Question, Answer] = {}
    answers = [Answer(Rcode.OK, (name,)) for name in "abc"]

    def look_up() -> Lookup[str]:
        found: list[str] = []
        for name in "abc":
            found += (yield from ask(name, "A")).records
        return "".join(found)

    for number, name in enumerate("abc"):
        begun = begin(look_up(), known.get)
        assert isinstance(begun, Pending)
        asked: list[Question] = []

        def resolve(question: Question, asked: list[Question] = asked) -> Answer:
            asked.append(question)
            return answers["abc".index(question.name)]

        assert solve(begun.rest, resolve) == "abc"
        assert [question.name for question in asked] == list("abc")[number:]
        known[Question(name, "A")] = answers[number]
    assert begin(look_up(), known.get) == "abc"


def test_the_cache_forgets_by_ttl_and_by_size() -> None:
    clock = Clock()
    cache = Cache(2, maximum_ttl=100, failure_ttl=5, monotonic=clock)
    one, two, three = (Question(name, "A") for name in ("one", "two", "three"))
    cache.put(one, Answer(Rcode.OK, ("192.0.2.1",), 1000))
    cache.put(two, TEMPFAIL)
    clock.now += 4.9
    assert cache.get(two) == TEMPFAIL
    clock.now += 0.2
    assert cache.get(two) is None
    clock.now += 95
    assert cache.get(one) is None  # bounded by maximum_ttl
    for question in (one, two, three):
        cache.put(question, Answer(Rcode.NXDOMAIN, (), 50))
    assert cache.get(one) is None
    assert cache.get(three) is not None
    cache.put(three, Answer(Rcode.OK, (), 0))
    assert len(cache) == 2


@pytest.mark.parametrize("text", ["a..b", ".a", "x" * 64 + ".org", ".".join(["abcdefgh"] * 30)])
def test_a_name_that_cannot_exist_is_no_name(text: str) -> None:
    assert to_name(text) is None


@pytest.mark.parametrize(
    ("rdtype", "wire", "text"),
    [
        ("SRV", "0 1 993 imap.example.org.", "0 1 993 imap.example.org"),
        ("SRV", "0 0 0 .", "0 0 0 ."),
        ("MX", "0 .", "0 ."),
        ("TLSA", "3 1 1 " + "AB" * 32, "3 1 1 " + "ab" * 32),
    ],
)
def test_a_record_is_text_as_the_question_describes_it(rdtype: str, wire: str, text: str) -> None:
    assert to_text(dns.rdata.from_text("IN", rdtype, wire)) == text


def test_a_backslash_in_a_name_is_an_octet() -> None:
    name = to_name("a\\.b.example.org.")
    assert name is not None
    assert name.labels[0] == b"a\\"


def test_a_cache_is_bounded_in_memory() -> None:
    """A sender chooses the questions, and the answers of his own name servers."""
    cache = Cache(100, maximum_ttl=100, failure_ttl=5, monotonic=lambda: 0.0)
    large = Answer(Rcode.OK, ("x" * 20_000,), 60)
    for number in range(100):
        for _ in range(3):
            cache.put(Question(f"n{number}.example.org", "TXT"), large)
    assert 2 <= len(cache) <= 100 * 1024 // 20_000
    assert cache.get(Question("n99.example.org", "TXT")) == large
    small = Answer(Rcode.OK, ("192.0.2.1",), 60)
    for number in range(200):
        cache.put(Question(f"s{number}.example.org", "A"), small)
    assert len(cache) == 100, "no room is lost"
    cache.put(Question("huge.example.org", "TXT"), Answer(Rcode.OK, ("x" * 200_000,), 60))
    assert len(cache) == 0
