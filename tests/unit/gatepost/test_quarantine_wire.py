"""Requests to a holder of mail, its answers, and the reach of a caller."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from gatepost.quarantine import wire
from gatepost.quarantine.held import MAX_LISTED, HeldKind, HeldMail, HeldReach
from gatepost.quarantine.holder import HeldContent, HeldPage, HeldRelease

MAIL = HeldMail(
    id="a1",
    kind=HeldKind.HOLD,
    held_at=1_900_000_000.5,
    sender="sender@example.com",
    recipients=("ann@Example.ORG", "bob@example.net"),
    size=7,
    subject="böse\n\u202e",
)


def test_a_request_is_read_as_it_was_written() -> None:
    for reach in (HeldReach(), HeldReach(frozenset()), HeldReach(frozenset({"example.org"}))):
        request = wire.HolderRequest(reach, "virus-mx1", "a1", "root", 5, 9)
        assert wire.read_request(bytes(request)) == request


@pytest.mark.parametrize(
    "body",
    [b"", b"\xff", b"null", b"[]", b"{}", b'{"domains": 1}', b'{"domains": [1]}', b"[" * 99_999]
    + [
        json.dumps({"domains": None, **one}).encode()
        for one in (
            {"id": "../x"},
            {"id": ".x"},
            {"id": "a/b"},
            {"id": "x\n"},
            {"id": "a" * 129},
            {"id": None},
            {"limit": -1},
            {"limit": True},
            {"most": 1.5},
            {"by": "x" * 1001},
        )
    ],
)
def test_other_requests_are_refused(body: bytes) -> None:
    with pytest.raises(wire.WireError):
        wire.read_request(body)


def test_answers_are_read_as_they_were_written() -> None:
    page = HeldPage((MAIL,), has_more=True)
    assert wire.read_page(wire.page_answer("hold-mx1", page)) == ("hold-mx1", page)
    content = HeldContent(MAIL, b"a\nb\n\0", is_whole=False)
    assert wire.read_content(wire.content_answer("hold-mx1", content)) == ("hold-mx1", content)
    done = HeldRelease(("ann@example.org",), {"bob@example.net": "451 later"})
    assert wire.read_release(wire.release_answer("hold-mx1", done)) == done
    assert wire.read_mail(wire.mail_answer("hold-mx1", MAIL)) == MAIL


@pytest.mark.parametrize(
    "change",
    [
        {"holder": ""},
        {"holder": "a/b"},
        {"mails": None},
        {"mails": [7]},
        {"mails": [{}]},
        {"mails": [{**MAIL.as_json(), "size": "7"}]},
        {"mails": [{**MAIL.as_json(), "size": -1}]},
        {"mails": [{**MAIL.as_json(), "size": 10**400}]},
        {"mails": [{**MAIL.as_json(), "held_at": float("nan")}]},
        {"mails": [{**MAIL.as_json(), "held_at": float("-inf")}]},
        {"mails": [{**MAIL.as_json(), "kind": "other"}]},
        {"mails": [{**MAIL.as_json(), "id": "../x"}]},
        {"mails": [{**MAIL.as_json(), "recipients": [7]}]},
    ],
)
def test_a_strange_answer_is_an_error(change: dict[str, object]) -> None:
    answer = json.loads(wire.page_answer("hold-mx1", HeldPage((MAIL,), has_more=False)))
    with pytest.raises(wire.WireError):
        wire.read_page(json.dumps(answer | change).encode())


def test_a_list_is_bounded() -> None:
    long = [f"{'x' * 900}{number}@example.org" for number in range(500)]
    huge = replace(MAIL, recipients=tuple(long), recipient_count=500)
    octets = wire.page_answer("hold-mx1", HeldPage((huge,) * 1000, has_more=False))
    assert len(octets) <= wire.MAX_ANSWER
    _, page = wire.read_page(octets)
    assert page.has_more
    assert len(page.mails) > 100
    assert page.mails[0].recipient_count == 500
    assert len(page.mails[0].recipients) == MAX_LISTED


def test_reach() -> None:
    whole = HeldReach().narrowed(MAIL)
    assert whole is not None
    assert (whole.recipients, whole.has_others) == (MAIL.recipients, False)
    mine = HeldReach(frozenset({"example.org"})).narrowed(MAIL)
    assert mine is not None
    assert (mine.recipients, mine.has_others, mine.recipient_count) == (
        ("ann@Example.ORG",),
        True,
        1,
    )
    for other in (frozenset[str](), frozenset({"org"}), frozenset({"xample.org"})):
        assert HeldReach(other).narrowed(MAIL) is None
