"""Strings of the Sieve language (RFC 5228), written so that no value can become a command.

Every value that a person or a program chose goes through a function of this module once. The
extensions "variables" and "encoded-character" are never required by our scripts, so ``${...}`` in
a string means itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from gatepost.printable import escape

_LINE_END = re.compile(r"\r\n|\r|\n")


def quote(value: str) -> str:
    """Write a value as a quoted string; line ends become CR LF.

    The value has no NUL.
    """
    # RFC 5228 section 2.4.2: only the quote and the backslash are escaped
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + _LINE_END.sub("\r\n", escaped) + '"'


def quote_list(values: Iterable[str]) -> str:
    """Write values as a string list; one value as a string (RFC 5228 section 2.4.2.1)."""
    quoted = [quote(value) for value in values]
    return quoted[0] if len(quoted) == 1 else f"[{', '.join(quoted)}]"


def multi_line(value: str) -> str:
    """Write a value as a multi-line string; the value then ends with CR LF.

    Whatever follows begins on a new line. The value has no NUL.
    """
    lines = _LINE_END.split(value)
    if lines[-1] == "" and len(lines) > 1:
        lines.pop()
    # RFC 5228 section 2.4.2: a line that begins with a dot gets a second one
    stuffed = (f".{line}" if line.startswith(".") else line for line in lines)
    return "text:\r\n" + "".join(f"{line}\r\n" for line in stuffed) + ".\r\n"


def escape_pattern(value: str) -> str:
    """Return the pattern of ``:matches`` that matches exactly `value`."""
    # RFC 5228 section 2.7.1
    return re.sub(r"[\\*?]", r"\\\g<0>", value)


def comment(text: str) -> str:
    """Write a hash comment of one line, whatever the text has in it (RFC 5228 section 2.3)."""
    return f"# {escape(text)}\r\n"
