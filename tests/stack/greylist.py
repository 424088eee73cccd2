"""The delay of a client that nobody knows, as its sender sees it."""

from __future__ import annotations

from collections.abc import Callable

from tests.testbed.swaks import Exchange
from tests.testbed.waiting import wait_until


def wait_out_the_delay(send: Callable[[], Exchange]) -> None:
    """Send a message of a new client until it is accepted; it must be greylisted first."""
    first = send()
    assert first.reply.code == 450, first.transcript
    assert first.reply.text.endswith("[greylist-new]")

    def again() -> Exchange | None:
        sent = send()
        assert sent.accepted or sent.reply.text.endswith("[greylist-early]"), sent.transcript
        return sent if sent.accepted else None

    wait_until(again, "the delay to be over", pause=0.5)
