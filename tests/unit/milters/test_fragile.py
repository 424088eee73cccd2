"""Changes of Postfix behind the milter are seen, in whatever pieces the body comes."""

import itertools
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from milters.fragile import MAX_LINE, FragileParts
from milters.reasons import FRAGILE
from milters.report import report
from msgauth.dkim import DEFAULT_HEADERS
from msgauth.message import HeaderField
from tests.unit.milters.mail import Mail, key_zone, play, session_of

INSIDE, OUTSIDE = "127.0.0.1", "192.0.2.1"
ROOT = Path(__file__).parents[3]


def found(*chunks: bytes) -> tuple[str, ...]:
    parts = FragileParts([], [])
    for chunk in chunks:
        parts.update(chunk)
    return parts.reasons


def is_long(body: bytes) -> bool:
    """The plain way to say it: some line, without LF and one CR before it, is too long."""
    *lines, rest = body.split(b"\n")
    lengths = [len(line.removesuffix(b"\r")) for line in lines]
    return max([*lengths, len(rest.removesuffix(b"\r"))]) > MAX_LINE


@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
@pytest.mark.parametrize("before", [b"", b"x\r\n", b"x" * 998 + b"\r\n", b"\r\n" * 700])
@pytest.mark.parametrize("after", [b"", b"y", b"y\r\n" * 500])
def test_998_octets_are_whole_and_999_are_not(before: bytes, end: bytes, after: bytes) -> None:
    for size, reasons in ((998, ()), (999, ("long-line",)), (5000, ("long-line",))):
        body = before + b"x" * size + end + after
        assert found(body) == reasons
        for cut in range(len(before) + 980, min(len(before) + size + 4, len(before) + 1010)):
            assert found(body[:cut], body[cut:]) == reasons, cut
        assert found(*(body[n : n + 1] for n in range(len(body)))) == reasons


PIECES = st.sampled_from(
    [b"\r\n", b"\n", b"\r", b"x", b"x" * 76, b"x" * 499, b"x" * 997, b"x" * 998, b"x" * 999]
)


@given(st.lists(PIECES, max_size=30), st.lists(st.integers(0, 9000), max_size=6))
def test_it_is_what_the_plain_way_says(pieces: list[bytes], cuts: list[int]) -> None:
    body = b"".join(pieces)
    bounds = [0, *sorted(cuts), len(body)]
    chunks = [body[a:b] for a, b in itertools.pairwise(bounds)]
    assert (found(*chunks) == ("long-line",)) == is_long(body)


def test_eight_bit_octets() -> None:
    assert found(b"plain\r\n", "grüße\r\n".encode("latin-1")) == ("eight-bit",)
    assert found("ü".encode() * 600) == ("long-line", "eight-bit")
    assert found(b"\0\x7f\r\n") == ()


@pytest.mark.parametrize(
    ("field", "is_fragile"),
    [
        (HeaderField(b"References", b" " + b"<1@x.example> " * 70), False),
        (HeaderField(b"References", b" " + b"x" * 986), False),
        (HeaderField(b"References", b" " + b"x" * 987), True),
        (HeaderField(b"subject", b" x\r\n " + b"y" * 998), True),
        (HeaderField(b"Subject", b" " + b"x\r\n y" * 900), False),
        # nobody minds: it is not signed
        (HeaderField(b"X-Trace", b" " + b"x" * 5000), False),
    ],
)
def test_lines_of_signed_header_fields(field: HeaderField, is_fragile: bool) -> None:
    parts = FragileParts([field], [DEFAULT_HEADERS])
    assert parts.reasons == (("long-line",) if is_fragile else ())


def test_it_keeps_no_more_than_a_line() -> None:
    parts = FragileParts([], [])
    for _ in range(100):
        parts.update(b"x" * 65535)
        assert len(parts._tail) <= MAX_LINE + 1


LONG = Mail.of(body=b"y" * 999 + b"\r\n")


def test_the_line_of_a_signed_message_says_it() -> None:
    outcome = play(session_of(INSIDE), LONG, key_zone("signer.example"))
    assert (outcome.action, outcome.fragile) == ("accept", ("long-line",))
    assert len(outcome.signatures) == 2


@pytest.mark.parametrize("client", [INSIDE, OUTSIDE])
def test_what_is_not_signed_breaks_nothing(client: str) -> None:
    session = session_of(client, {"sign": {"internal": False}})
    assert play(session, LONG, key_zone("signer.example")).fragile == ()


def test_what_is_sealed_breaks_as_well() -> None:
    session = session_of(OUTSIDE, {"seal": {"domain": "signer.example"}})
    outcome = play(session, LONG, key_zone("signer.example"))
    assert (outcome.seal, outcome.fragile) == ("sealed", ("long-line",))


def test_log_and_metrics_have_it() -> None:
    lines: list[dict[str, object]] = []

    class Log:
        def info(self, event: str, **facts: object) -> None:
            lines.append({"event": event, **facts})

    def counted() -> float:
        labels = {"reason": "long-line"}
        return REGISTRY.get_sample_value("gatepost_milters_fragile_total", labels) or 0.0

    before = counted()
    outcome = play(session_of(INSIDE), LONG, key_zone("signer.example"))
    report(Log(), "4X", outcome, 0.1)  # type: ignore[arg-type]
    assert lines[0]["fragile"] == ["long-line"]
    assert counted() == before + 1


def test_each_reason_is_documented() -> None:
    text = (ROOT / "docs/logs.md").read_text()
    for reason in FRAGILE:
        assert re.search(rf"`{reason}`", text)
