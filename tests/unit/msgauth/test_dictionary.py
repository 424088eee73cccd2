import pytest

from msgauth.ask import NXDOMAIN, Answer, Question, Rcode
from msgauth.dictionary import answers_from

RESOLVE = answers_from(
    {
        ("Example.org.", "TXT"): ["v=spf1 -all"],
        ("a.b.example.org", "A"): ("192.0.2.1", "192.0.2.2"),
        ("slow.example.org", "TXT"): Rcode.TEMPFAIL,
        ("gone.example.net", "TXT"): Rcode.NXDOMAIN,
    }
)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        (Question("EXAMPLE.org", "TXT"), Answer(Rcode.OK, ("v=spf1 -all",))),
        (Question("a.b.example.org.", "A"), Answer(Rcode.OK, ("192.0.2.1", "192.0.2.2"))),
        (Question("example.org", "MX"), Answer(Rcode.OK)),
        # RFC 8020: a name exists when one below it does
        (Question("b.example.org", "TXT"), Answer(Rcode.OK)),
        (Question("org", "TXT"), Answer(Rcode.OK)),
        (Question("c.example.org", "TXT"), NXDOMAIN),
        (Question("slow.example.org", "TXT"), Answer(Rcode.TEMPFAIL)),
        (Question("gone.example.net", "TXT"), NXDOMAIN),
        (Question("example.net", "TXT"), NXDOMAIN),
    ],
    ids=str,
)
def test_the_three_kinds_of_answer_are_told_apart(question: Question, answer: Answer) -> None:
    assert RESOLVE(question) == answer
