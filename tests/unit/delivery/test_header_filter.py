"""Header of a message as it passes through, however it is cut."""

from __future__ import annotations

import random

import pytest

from delivery.header_filter import MAX_KEPT, MAX_PIECE, MAX_PLACES, HeaderFilter, HiddenPlace
from tests.unit.delivery.feeding import portions


def run(several: list[bytes]) -> tuple[HeaderFilter, bytes]:
    passed = HeaderFilter()
    out = b"".join([*map(passed.write, several), passed.finish()])
    assert passed.size == len(out)
    return passed, out


MESSAGE = (
    b"Authentication-Results: mx.example.org;\r\n dmarc=pass header.from=example.com\r\n"
    b"Received: from a (b [192.0.2.1])\r\n\tby mx.example.org (Postfix) with ESMTPS id 4XyzAb12\r\n"
    b"\tfor <ann@example.org>; Wed, 26 Nov 2026 10:00:00 +0000\r\n"
    b"x-spam-flag: NO\r\n"
    b"X-Spam-Status: No,\r\n\tscore=-100\r\n tests=x\r\n"
    b"authentication-results: mx.example.org; dmarc=pass\r\n"
    b"ARC-Authentication-Results: i=1; mx.example.org; dmarc=pass\r\n"
    b"From: Ann <ann@example.com>\r\n"
    b"X-Spammer: me\r\nX-SPAM : x\r\nX-Virus-Status: Clean\r\n"
    b"Subject: X-Spam-Flag: YES\r\n X-Spam-Flag: YES\r\n"
    b"\r\nX-Spam-Flag: in the body\r\n"
)
REST = (
    b"Authentication-Results: mx.example.org;\r\n dmarc=pass header.from=example.com\r\n"
    b"Received: from a (b [192.0.2.1])\r\n\tby mx.example.org (Postfix) with ESMTPS id 4XyzAb12\r\n"
    b"\tfor <ann@example.org>; Wed, 26 Nov 2026 10:00:00 +0000\r\n"
    b"authentication-results: mx.example.org; dmarc=pass\r\n"
    b"ARC-Authentication-Results: i=1; mx.example.org; dmarc=pass\r\n"
    b"From: Ann <ann@example.com>\r\n"
    b"Subject: X-Spam-Flag: YES\r\n X-Spam-Flag: YES\r\n"
    b"\r\nX-Spam-Flag: in the body\r\n"
)


@pytest.mark.parametrize("ending", [b"\r\n", b"\n"])
def test_only_fields_of_others_in_our_name_are_gone(ending: bytes) -> None:
    for several in portions(MESSAGE.replace(b"\r\n", ending)):
        passed, out = run(several)
        assert out == REST
        assert passed.removed == 5
        assert passed.queue_id == "4XyzAb12"
        assert passed.authors == [b" Ann <ann@example.com>"]
        # only what stands above our own Received field can be of our milter
        assert [field.text for field in passed.results] == [
            "mx.example.org; dmarc=pass header.from=example.com"
        ]
        assert passed.header_size is not None
        assert out[passed.header_size :].startswith(b"\r\nX-Spam-Flag: in")
        shown, at = b"", 0
        for start, end in passed.hidden:
            shown, at = shown + out[at:start], end
        assert b"uthentication-" not in (shown + out[at:]).lower()
        assert len(passed.hidden) == 2


@pytest.mark.parametrize(
    "field",
    [
        b"X-Spam-Flag: YES\n",
        b"a: b\nX-Spam-Flag: YES\r\n",
        b"X-Spam-Flag\t : YES\r\n",
        b"\x0bX-Spam-Flag: YES\r\n",
        b"\0X-Spam-Flag: YES\r\n",
        b"X-Spam-Flag: " + b"y" * (3 * MAX_PIECE) + b"\r\n",
        b"X-Spam-Flag: y\r\n " + b"y" * (3 * MAX_PIECE) + b"\r\n y\r\n",
    ],
)
def test_a_field_cannot_hide(field: bytes) -> None:
    for size in (1 if len(field) < 100 else 100, 1000, 10**9):
        data = b"To: x\r\n" + field + b"\r\nbody\r\n"
        _, out = run([data[at : at + size] for at in range(0, len(data), size)])
        assert b"spam-flag" not in out.lower()
        assert b"YES" not in out
        assert b"yy" not in out
        assert out.endswith(b"\r\nbody\r\n")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", b""),
        (b"a", b"a\r\n"),
        (b"\r\n", b"\r\n"),
        (b"a: b", b"a: b\r\n"),
        (b"a: b\r", b"a: b\r\r\n"),
        (b"a: b\n\nc\nd", b"a: b\r\n\r\nc\r\nd\r\n"),
        (b"a: b\r\n\r\nc\r\r\n\n\r", b"a: b\r\n\r\nc\r\r\n\r\n\r\r\n"),
        (b" fold\r\n\r\n", b" fold\r\n\r\n"),
        (b"\r\nX-Spam-Flag: YES\r\n", b"\r\nX-Spam-Flag: YES\r\n"),
        (b"X-Spam-Flag: YES", b"\r\n"),
    ],
)
def test_line_ends_become_crlf(data: bytes, expected: bytes) -> None:
    for several in portions(data) if data else [[b""]]:
        assert run(several)[1] == expected


def test_any_cut_gives_the_same() -> None:
    chance = random.Random(1)
    words = [b"X-Spam-A: b", b"\r\n", b"\n", b"\r", b" ", b"From: a@b", b"Received: x id ABCDEF1"]
    for _ in range(100):
        data = b"".join(chance.choices(words, k=12))
        whole, out = run([data])
        for several in portions(data):
            passed, other = run(several)
            assert other == out
            assert (passed.hidden, passed.authors, passed.received, passed.removed) == (
                whole.hidden,
                whole.authors,
                whole.received,
                whole.removed,
            )


def test_memory_is_bounded() -> None:
    passed = HeaderFilter()
    passed.write(b"From: ")
    for _ in range(100):
        passed.write(b"x" * MAX_PIECE)
        assert len(passed._pending) <= MAX_PIECE
        assert len(passed._kept or b"") <= MAX_KEPT
    passed.finish()
    assert passed.authors == [b""]  # a field that is too long is one, so no other is the author


def test_places_are_bounded_and_none_is_forgotten() -> None:
    passed = HeaderFilter()
    lines = b"ARC-Authentication-Results: i=1; a\r\nTo: x\r\n" * (MAX_PLACES + 50)
    out = passed.write(lines) + passed.finish()
    assert len(passed.hidden) == MAX_PLACES
    assert out.count(b"ARC-") == MAX_PLACES
    # next to each other they are one place
    passed = HeaderFilter()
    passed.write(b"ARC-Authentication-Results: i=1; a\r\n" * 5000)
    passed.finish()
    assert passed.hidden == [HiddenPlace(0, passed.size)]
    assert passed.removed == 0


@pytest.mark.parametrize(
    ("received", "queue_id"),
    [
        (b"from x by mx (Postfix) with ESMTP id 830E5115158 for <a@b>; date", "830E5115158"),
        (b"by mx (Postfix, from userid 1000) id 4bCdEf1234; date", "4bCdEf1234"),
        (b"from x by mx (Postfix) with UTF8SMTPS id 4bCdEf1234; date", "4bCdEf1234"),
        (b"nothing", ""),
        (b"id ../../x", ""),
    ],
)
def test_the_queue_id_is_that_of_our_mta(received: bytes, queue_id: str) -> None:
    passed, _ = run([b"Received: " + received + b"\r\nReceived: by a id FFFFFF1\r\n\r\n"])
    assert passed.queue_id == queue_id


@pytest.mark.parametrize("ending", [b"\r\n", b"\n"])
def test_the_virus_status_of_our_milter_may_stay(ending: bytes) -> None:
    ours = b"X-Virus-Status: Clean\r\n"
    # the names of our other fields are of this proxy alone, wherever they stand
    message = b"X-Spam-Flag: NO\r\n" + ours + MESSAGE
    for several in portions(message.replace(b"\r\n", ending)):
        passed = HeaderFilter(keeps_virus_status=True)
        out = b"".join([*map(passed.write, several), passed.finish()])
        assert out == ours + REST
        assert passed.removed == 6
        assert run(several)[1] == REST


def test_no_virus_status_below_a_received_field_in_obsolete_form_stays() -> None:
    passed = HeaderFilter(keeps_virus_status=True)
    forged = b"Received : from x by y\r\nX-Virus-Status: Clean\r\n\r\n"
    assert passed.write(forged) + passed.finish() == b"Received : from x by y\r\n\r\n"
