"""Events of a byte protocol, however its octets arrive."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from gatepost.conversation import Conversation, StreamError

Make: TypeAlias = Callable[[], Conversation[Any, Any]]


def events(conversation: Conversation[Any, Any], *portions: bytes) -> list[Any]:
    """Return all events; the last is the text of the `StreamError`, where there was one."""
    found: list[Any] = []
    for portion in portions:
        conversation.receive_data(portion)
        try:
            while (event := conversation.next_event()) is not None:
                found.append(event)
        except StreamError as error:
            return [*found, str(error)]
    return found


def in_any_portions(make: Make, data: bytes, behind: bytes = b"") -> list[Any]:
    """Return the events of `data`, after checking that its portions make no difference.

    `behind` is the beginning of one more request, which changes nothing either.
    """
    whole = events(make(), data)
    step = 1 if len(data) < 50_000 else 977
    assert events(make(), *(data[n : n + step] for n in range(0, len(data), step))) == whole
    assert events(make(), data[: len(data) // 2], data[len(data) // 2 :]) == whole
    if behind:
        assert events(make(), data + behind) == whole
    return whole


def most_kept(conversation: Conversation[Any, Any], portion: bytes, times: int) -> int:
    """Return the most octets that were kept while `portion` came again and again."""
    kept = 0
    for _ in range(times):
        conversation.receive_data(portion)
        try:
            while conversation.next_event() is not None:
                pass
        except StreamError:
            break
        kept = max(kept, conversation.buffered)
    return kept
