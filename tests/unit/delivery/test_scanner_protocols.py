"""Answers of spamd and Rspamd, right and broken."""

from __future__ import annotations

import json
from typing import Any

import pytest

from delivery.lesson import LessonClass
from delivery.protocols import rspamd, spamc
from delivery.protocols.rspamd import RspamdLearnReader, RspamdQuestion, RspamdReader
from delivery.protocols.spamc import SpamdReader
from delivery.scan import RuleHit, ScanResult
from gatepost.peer.answer_reader import AnswerReader
from gatepost.peer.errors import PeerError
from tests.unit.delivery.feeding import portions


def read(reader: AnswerReader[Any], several: list[bytes], *, eof: bool = True) -> Any:
    answer = None
    for portion in several:
        reader.receive_data(portion)
        if answer is None:
            answer = reader.next_event()
        else:
            assert reader.next_event() is None
    if answer is None and eof:
        reader.receive_eof()
        answer = reader.next_event()
    return answer


SPAMD = {
    b"SPAMD/1.1 0 EX_OK\r\nSpam: True ; 15 / 5\r\n\r\n": ScanResult(15, 5, (), True),
    b"SPAMD/1.1 0 EX_OK\r\nspam: False ; -2.3 / 5.0\r\nContent-length: 0\r\n\r\n": ScanResult(
        -2.3, 5, (), False
    ),
    b"SPAMD/1.1 0 EX_OK\r\nContent-length: 12\r\nSpam: True ; 7.0 / 5.0\r\nX-New: 1\r\n\r\n"
    b"GTUBE,AB_C\r\n": ScanResult(7, 5, ("GTUBE", "AB_C"), True),
    b"SPAMD/1.1 0 EX_OK\nSpam: Yes ; 1 / 5\n\nA\xff,B\n": ScanResult(1, 5, ("B",), True),
}


@pytest.mark.parametrize("answer", SPAMD)
def test_scores_of_spamd(answer: bytes) -> None:
    for several in portions(answer):
        assert read(SpamdReader(), several).scan_result() == SPAMD[answer]


def test_octets_after_the_end_are_nothing() -> None:
    answer = b"SPAMD/1.1 0 EX_OK\r\nSpam: True ; 9 / 5\r\nContent-length: 1\r\n\r\nA"
    for several in portions(answer + b",B\r\nSPAMD/1.1 0 EX_OK\r\n"):
        assert read(SpamdReader(), several, eof=False).scan_result() == ScanResult(
            9, 5, ("A",), True
        )


def test_pong_has_no_empty_line() -> None:
    assert read(SpamdReader(), [b"SPAMD/1.5 0 PONG\r\n"]).word == "PONG"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"Invalid response",
        b"Invalid response\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"SPAMD/1.5 65 EX_DATAERR\r\n\r\n",
        b"SPAMD/1.5 75 EX_TEMPFAIL\r\nSpam: False ; 0 / 5\r\n\r\n",
        b"SPAMD/1.5 999 EX_UNDEFINED\r\n\r\n",
        b"SPAMD/1.5 0 EX_OK\r\n\r\n",
        b"SPAMD/1.1 0 EX_OK\r\nDidSet: local\r\n\r\n",
        b"SPAMD/1.1 0 EX_OK\r\n",
        b"SPAMD/1.1 0 EX_OK\r\nSpam: True ; 15 / 5\r\n",
        b"SPAMD/1.1 0 EX_OK\r\nSpam: True ; 15 / 5\r\nContent-length: 9\r\n\r\nGTU",
        b"SPAMD/1.1 0 EX_OK\r\nSpam: True ; 15 / 5\r\nContent-length: -1\r\n\r\n",
        b"SPAMD/1.1 0 EX_OK\r\nSpam: True ; 15 / 5\r\nContent-length: 99999999\r\n\r\n",
        b"SPAMD/1.1 0 EX_OK\r\nSpam: False ; nan / 5.0\r\n\r\n",
        b"SPAMD/1.1 0 EX_OK\r\nSpam: False ; inf / 5.0\r\n\r\n",
        b"SPAMD/1.1 0 EX_OK\r\nSpam: Perhaps ; 1 / 5.0\r\n\r\n",
        b"SPAMD/1.1 0 EX_OK\r\nno colon\r\n\r\n",
        b"SPAMD/1.1 0 EX_OK\r\n" + b"X: y\r\n" * 60 + b"\r\n",
        b"SPAMD/1.1 0 EX_OK\r\nX: " + b"y" * 2000,
        b"SPAMD/1.1 0 EX_OK\r\nSpam: True ; 15 / 5\r\n\r\n" + b"A" * 70000,
    ],
)
def test_no_broken_answer_of_spamd_is_a_score(answer: bytes) -> None:
    for several in ([answer], [answer[at : at + 1] for at in range(len(answer))]):
        with pytest.raises(PeerError):
            read(SpamdReader(), several).scan_result()


def test_a_request_names_a_user_only_if_it_is_one() -> None:
    assert spamc.symbols_request("ann@example.org", 7) == (
        b"SYMBOLS SPAMC/1.5\r\nUser: ann@example.org\r\nContent-length: 7\r\n\r\n"
    )
    assert spamc.symbols_request("", 7) == b"SYMBOLS SPAMC/1.5\r\nContent-length: 7\r\n\r\n"
    for user in ("a/../../b@example.org", "a\r\nUser: b", "a b", "-a", "jörg"):
        with pytest.raises(ValueError, match="is not a user"):
            spamc.symbols_request(user, 7)


def http(body: object, head: bytes = b"") -> bytes:
    octets = body if isinstance(body, bytes) else json.dumps(body).encode()
    return b"HTTP/1.1 200 OK\r\nServer: rspamd\r\n%b\r\n%b" % (
        head or b"Content-Length: %d\r\n" % len(octets),
        octets,
    )


def result(action: str, score: float = 7.1, **more: object) -> dict[str, object]:
    return {"score": score, "required_score": 15, "action": action, "symbols": {}, **more}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            result("reject", 19.5, symbols={"GTUBE": {"score": 0}, "<script>": {}}),
            ScanResult(19.5, 15, ("GTUBE",), True),
        ),
        (result("add header"), ScanResult(7.1, 15, (), True)),
        (result("rewrite subject", subject="x"), ScanResult(7.1, 15, (), True)),
        (result("add header", required_score=None), ScanResult(7.1, None, (), True)),
        (
            result("reject", 0, is_skipped=True),
            ScanResult(0, 15, (), True, is_forced=True),
        ),
        (result("discard"), ScanResult(7.1, 15, (), True)),
        (result("greylist", 4.2), ScanResult(4.2, 15, (), False)),
        (result("no action", 0, is_skipped=True), ScanResult(0, 15, (), False, is_skipped=True)),
        (result("soft reject"), ScanResult(7.1, 15, (), False, must_wait=True)),
    ],
)
def test_actions_of_rspamd(body: dict[str, object], expected: ScanResult) -> None:
    answer = http(body)
    several = [[answer], [answer[at : at + 1] for at in range(len(answer))], [answer + b"more"]]
    for one in several:
        assert read(RspamdReader(), one, eof=False) == expected
    assert read(RspamdReader(), [http(body, b"Connection: close\r\n")]) == expected


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SPAMD/1.1 0 EX_OK\r\n\r\n",
        b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\n{}",
        http(b"{"),
        http([]),
        http(b"[" * 100_000),
        http(result("no action", float("nan"))),
        http(result("no action", 1e300)),
        http(result("drop it")),
        http({"action": "no action"}),
        http(b'{"score": %b, "required_score": 1, "action": "reject"}' % (b"9" * 400)),
        http(result("reject"))[:-1],
        http(result("reject"), b"Transfer-Encoding: chunked\r\n"),
        http(result("reject"), b"Content-Length: x\r\n"),
        http(result("reject"), b"Content-Length: 99999999\r\n"),
        http(result("reject"), b"X: y\r\n" * 101),
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 9000,
        b"HTTP/1.1 200 OK\r\n\r\n" + b" " * (rspamd.MAX_BODY + 9000),
    ],
)
def test_no_broken_answer_of_rspamd_is_a_score(answer: bytes) -> None:
    with pytest.raises(PeerError):
        read(RspamdReader(), [answer])


def test_a_question_to_rspamd_has_only_plain_values() -> None:
    question = RspamdQuestion("ann@example.org", "a\r\nX: b", "4abc", "secret")
    assert rspamd.check_request(question, 5) == (
        b"POST /checkv2 HTTP/1.0\r\nRcpt: ann@example.org\r\nQueue-Id: 4abc\r\n"
        b"Password: secret\r\nContent-Type: message/rfc822\r\nContent-Length: 5\r\n\r\n"
    )
    with pytest.raises(ValueError, match="password"):
        rspamd.check_request(RspamdQuestion(password="a\nb"), 5)


@pytest.mark.parametrize(
    ("lesson", "expected"),
    [
        (LessonClass.SPAM, b"Message-class: spam\r\nSet: local\r\n"),
        (LessonClass.HAM, b"Message-class: ham\r\nSet: local\r\n"),
        (None, b"Remove: local\r\n"),
    ],
)
def test_a_lesson_for_spamd_stays_here(lesson: LessonClass | None, expected: bytes) -> None:
    head = spamc.tell_request("ann@example.org", 7, lesson)
    assert head == (
        b"TELL SPAMC/1.5\r\n" + expected + b"User: ann@example.org\r\nContent-length: 7\r\n\r\n"
    )
    with pytest.raises(ValueError, match="not a user"):
        spamc.tell_request("../ann@example.org", 7, lesson)


@pytest.mark.parametrize(
    ("octets", "what", "expected"),
    [
        (b"SPAMD/1.1 0 EX_OK\r\nDidSet: local\r\n\r\n\r\n", "set", True),
        (b"SPAMD/1.1 0 EX_OK\r\nDidRemove: local\r\n\r\n\r\n", "set", False),
        (b"SPAMD/1.1 0 EX_OK\r\nDidRemove: remote,local\r\n\r\n\r\n", "remove", True),
        (b"SPAMD/1.1 0 EX_OK\r\n\r\n\r\n", "set", False),
    ],
)
def test_what_spamd_has_done_with_a_lesson(octets: bytes, what: str, expected: bool) -> None:
    answer = read(SpamdReader(), [octets])
    assert isinstance(answer, spamc.SpamdAnswer)
    assert answer.has_done(what) is expected


def test_a_spamd_that_takes_no_lessons_says_so() -> None:
    answer = read(SpamdReader(), [b"SPAMD/1.0 69 Service Unavailable: TELL is not enabled\r\n"])
    assert isinstance(answer, spamc.SpamdAnswer)
    with pytest.raises(PeerError, match="69 Service Unavailable: TELL"):
        answer.has_done("set")
    # an answer without an error needs its end
    with pytest.raises(PeerError, match="without a complete answer"):
        read(SpamdReader(), [b"SPAMD/1.1 0 EX_OK\r\n"])


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (b"200 OK", b'{"success":true}', True),
        (b"208 Already", b'{"error":"x"}', False),
        (b"204 x", b'{"error":"all learn conditions denied learning spam"}', False),
        (b"204 x", b"", False),
        (b"404 x", b'{"error":"<id> has been already learned as spam, ignore it"}', False),
    ],
)
def test_what_rspamd_says_of_a_lesson(status: bytes, body: bytes, expected: bool) -> None:
    octets = b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)
    assert read(RspamdLearnReader(), [octets]) is expected


def test_an_answer_without_content_does_not_wait_for_it() -> None:
    reader = RspamdLearnReader()
    reader.receive_data(b"HTTP/1.1 204 No Content\r\nContent-Length: 20\r\n\r\n")
    assert reader.next_event() is False


@pytest.mark.parametrize("status", [b"403 Forbidden", b"500 x", b"404 Not found"])
def test_errors_of_rspamd_are_no_lesson(status: bytes) -> None:
    with pytest.raises(PeerError, match="HTTP status"):
        read(RspamdLearnReader(), [b"HTTP/1.1 %b\r\nContent-Length: 0\r\n\r\n" % status])


def test_rules_of_rspamd_with_their_points() -> None:
    symbols = {
        "A": {"score": 1.5, "description": "first"},
        "B": {"score": "many"},
        "C": 3,
        "bad name": {"score": 1},
    }
    body = json.dumps({"score": 1.5, "action": "no action", "symbols": symbols}).encode()
    result = read(RspamdReader(with_hits=True), [http(body, b"Connection: close\r\n")])
    assert isinstance(result, ScanResult)
    assert result.hits == (RuleHit("A", 1.5, "first"), RuleHit("B", 0.0), RuleHit("C", 0.0))
