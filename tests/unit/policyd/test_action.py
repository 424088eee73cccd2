"""Actions: one line of printable US-ASCII, whatever goes in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.reply import Reply
from policyd.action import DUNNO, MAX_HEADER, Action, defer_if_permit, hold, prepend, refuse


def test_on_the_wire() -> None:
    assert DUNNO.wire == b"action=DUNNO\n\n"
    listed = Reply(554, "5.7.1", "listed by bl.example.org", "dnslist")
    assert refuse(listed).wire == b"action=554 5.7.1 listed by bl.example.org [dnslist]\n\n"
    wait = Reply(450, "4.2.0", "come again", "greylist-new")
    assert str(defer_if_permit(wait)) == "DEFER_IF_PERMIT 4.2.0 come again [greylist-new]"
    assert str(refuse(wait)) == "450 4.2.0 come again [greylist-new]"
    assert str(prepend("X-Greylist", "delayed 3 seconds")) == (
        "PREPEND X-Greylist: delayed 3 seconds"
    )


def test_what_the_actions_are() -> None:
    wait = Reply(450, "4.2.0", "come again")
    assert refuse(wait).temporary
    assert defer_if_permit(wait).temporary
    assert refuse(Reply(554, "5.7.1", "no")).permanent
    assert Action("REJECT").permanent
    for action in (DUNNO, hold("odd"), prepend("A", "b")):
        assert not action.temporary
        assert not action.permanent


def test_a_permanent_reply_is_not_deferred() -> None:
    with pytest.raises(ValueError, match="Postfix would say 450"):
        defer_if_permit(Reply(550, "5.7.1", "no"))


@pytest.mark.parametrize("text", ["a\nb", "a\0b", "é", "a\r"])
def test_an_action_cannot_be_made_of_more_than_a_line(text: str) -> None:
    with pytest.raises(ValueError, match="one line"):
        Action("DUNNO", text)
    with pytest.raises(ValueError, match="one line"):
        Action(text)


@pytest.mark.parametrize("name", ["", "X Y", "X:", "X\n", "é"])
def test_a_header_field_needs_a_name(name: str) -> None:
    with pytest.raises(ValueError, match="not a header field name"):
        prepend(name, "value")


@given(st.text())
def test_no_text_can_add_a_line(text: str) -> None:
    for action in (
        prepend("X-Test", text),
        hold(text),
        refuse(Reply(554, "5.7.1", text, "reason")),
        defer_if_permit(Reply(450, "4.2.0", text, "reason")),
    ):
        encoded = action.wire
        assert encoded.startswith(b"action=")
        assert encoded.endswith(b"\n\n")
        assert encoded.count(b"\n") == 2
        assert all(0x20 <= byte < 0x7F for byte in encoded[:-2])
        assert len(encoded) < MAX_HEADER + 100
