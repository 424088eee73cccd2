"""A reader of the Sieve grammar (RFC 5228 section 8), which shares nothing with what writes it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TypeAlias

_TOKEN = re.compile(
    rb"""(?P<space>(?:[ \t]|\r\n)+)
    |(?P<hash>\#[^\r\n\0]*\r\n)
    |(?P<multi>text:[ \t]*\r\n(?P<lines>(?:(?!\.\r\n)(?:[^\r\n\0]*)\r\n)*)\.\r\n)
    |(?P<quoted>"(?P<inner>(?:[^"\\\r\n\0]|\\[^\r\n\0]|\r\n)*)")
    |(?P<number>[0-9]+)
    |(?P<word>:?[A-Za-z_][A-Za-z0-9_]*)
    |(?P<mark>[\[\](){},;])""",
    re.VERBOSE,
)

Value: TypeAlias = "str | int | tuple[str, ...]"


@dataclass
class Command:
    """A command or test: its arguments (a tag is one that begins with a colon), tests and block."""

    word: str
    tags: list[str] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)
    tests: list[Command] = field(default_factory=list)
    block: list[Command] | None = None

    def all(self) -> list[Command]:
        """The command with all inside it, in the order of the text."""
        inside = [*self.tests, *(self.block or [])]
        return [self, *(found for one in inside for found in one.all())]


def tokens(script: bytes) -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    at = 0
    while at < len(script):
        match = _TOKEN.match(script, at)
        assert match, script[at : at + 60]
        at = match.end()
        kind = str(match.lastgroup) if match.lastgroup not in ("lines", "inner") else ""
        if match["quoted"] is not None:
            found.append(("string", re.sub(rb"\\(.)", rb"\1", match["inner"], flags=re.S).decode()))
        elif match["multi"] is not None:
            found.append(("string", re.sub(rb"(?m)^\.", b"", match["lines"]).decode()))
        elif kind in ("number", "word", "mark"):
            found.append((kind, match[kind].decode()))
    return found


class Reader:
    """Reads the commands of a script; an AssertionError says that it is none."""

    def __init__(self, script: bytes) -> None:
        self._tokens = tokens(script)
        self._at = 0

    def script(self) -> list[Command]:
        commands = self._commands()
        assert self._at == len(self._tokens)
        return commands

    def _peek(self) -> tuple[str, object]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("end", "")

    def _next(self) -> tuple[str, object]:
        token = self._peek()
        self._at += 1
        return token

    def _takes(self, mark: str) -> bool:
        if self._peek() == ("mark", mark):
            self._at += 1
            return True
        return False

    def _commands(self) -> list[Command]:
        found = []
        while self._peek()[0] == "word":
            command = self._command()
            if self._takes("{"):
                command.block = self._commands()
                assert self._takes("}")
            else:
                assert self._takes(";"), self._peek()
            found.append(command)
        return found

    def _command(self) -> Command:
        kind, word = self._next()
        assert kind == "word"
        assert not str(word).startswith(":")
        command = Command(str(word))
        while True:
            kind, value = self._peek()
            if kind == "word" and str(value).startswith(":"):
                command.tags.append(str(self._next()[1]))
            elif kind in ("string", "number"):
                self._next()
                command.values.append(int(str(value)) if kind == "number" else str(value))
            elif self._takes("["):
                command.values.append(self._list())
            else:
                break
        if self._takes("("):
            command.tests.append(self._command())
            while self._takes(","):
                command.tests.append(self._command())
            assert self._takes(")")
        elif self._peek()[0] == "word":
            command.tests.append(self._command())
        return command

    def _list(self) -> tuple[str, ...]:
        values = []
        while True:
            kind, value = self._next()
            assert kind == "string"
            values.append(str(value))
            if not self._takes(","):
                break
        assert self._takes("]")
        return tuple(values)


def read(script: str) -> list[Command]:
    return Reader(script.encode("utf-8")).script()
