"""Parser of TOML from untrusted sources, with one kind of error.

The time and memory of the standard library's parser grow with the square of the parts of a dotted
key: one of a hundred thousand parts, 200 KB of text, kills the process. For everything else its
time is proportional to the text. Text that is nested too deeply, or has a number with thousands of
digits, raises other errors than bad syntax.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any

MAX_KEY_PARTS = 64
"""Maximum parts of a dotted key; ours have at most five."""

# Each string is matched to its end, or to where it should have ended, without backtracking
_NO_KEY = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*+(?:""")?'
    r"|'''(?:[^']|'(?!''))*+(?:''')?"
    r'|"(?:[^"\\\n]|\\.)*+"?'
    r"|'[^'\n]*+'?"
    r"|#[^\n]*+",
    re.DOTALL,
)
_DEEP = re.compile(
    r"(?<![A-Za-z0-9_-])(?:(?:[A-Za-z0-9_-]++|'')[ \t]*+\.[ \t]*+)" + f"{{{MAX_KEY_PARTS}}}"
)

_DECLARED_TWICE = re.compile(r"Cannot declare \((?P<names>(?:'[A-Za-z0-9_-]+',? ?)+)\) twice")
"""A message of tomllib about a table whose name needs no quotes."""


def deep_key(text: str) -> int | None:
    """Return the line (from 1) of a key with more than `MAX_KEY_PARTS` parts, or None."""
    # the content of a string is not a key, but a string may be part of one
    bare = _NO_KEY.sub(lambda found: "''" + "\n" * found[0].count("\n"), text)
    found = _DEEP.search(bare)
    return bare.count("\n", 0, found.start()) + 1 if found else None


class TomlError(ValueError):
    """A text is not TOML, or exceeds a limit; the message is one clause without the line.

    `line` counts from 1; None if unknown.
    """

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line

    def __str__(self) -> str:
        """Return the clause, preceded by its line if known."""
        return self.message if self.line is None else f"line {self.line}: {self.message}"

    @property
    def message(self) -> str:
        """The clause alone."""
        return str(self.args[0])


def parse_toml(text: str) -> dict[str, Any]:
    """Return the tables in `text`; raises `TomlError` and nothing else."""
    if (line := deep_key(text)) is not None:
        raise TomlError(f"a key has more than {MAX_KEY_PARTS} parts", line)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _bad_syntax(text, str(error)) from None
    except RecursionError:
        raise TomlError("not TOML: nested too deep") from None
    except ValueError as error:  # valid TOML that Python refuses
        clause = "a number is too long" if "digits" in str(error) else str(error)
        raise TomlError(f"not TOML: {clause}") from None


def _bad_syntax(text: str, message: str) -> TomlError:
    line: int | None = None
    if " (at line " in message:
        message, _, place = message.rpartition(" (at line ")
        line = int(place.split(",")[0])
    elif message.endswith(" (at end of document)"):
        message = message.removesuffix(" (at end of document)")
        line = text.count("\n") + 1
    if declared := _DECLARED_TWICE.fullmatch(message):
        table = "[" + ".".join(re.findall(r"[A-Za-z0-9_-]+", declared["names"])) + "]"
        message = f"{table} already has keys above: write all of them below one {table}"
    return TomlError(f"not TOML: {message[:1].lower()}{message[1:]}", line)
