from __future__ import annotations

import io

import pytest

from milters.cli.keys import progress
from milters.cli.keys.progress import Progress


class Written(io.StringIO):
    def __init__(self, *, is_terminal: bool) -> None:
        super().__init__()
        self.is_terminal = is_terminal

    def isatty(self) -> bool:
        return self.is_terminal


def test_a_line_is_never_wider_than_a_terminal() -> None:
    shown = Progress("keys of a very long description, longer than there is any need for", 10**9)
    assert len(shown.text(12345.6)) <= progress.WIDTH < 80


def test_a_quick_command_shows_nothing() -> None:
    for is_terminal in (True, False):
        stream = Written(is_terminal=is_terminal)
        with Progress("keys", 2, stream) as shown:
            shown.advance()
        assert stream.getvalue() == ""


def test_without_a_terminal_there_are_whole_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "QUIET", 0.0)
    monkeypatch.setattr(progress, "INTERVAL", 0.001)
    monkeypatch.setattr(progress, "LINE_INTERVAL", 0.001)
    stream = Written(is_terminal=False)
    with Progress("keys", 2, stream):
        while stream.getvalue().count("\n") < 3:
            pass
    assert set(stream.getvalue().splitlines()) == {"0 of 2 keys looked up after 0 s"}
