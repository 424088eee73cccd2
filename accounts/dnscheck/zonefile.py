"""Records as lines of a zone file (RFC 1035 section 5.1)."""

from __future__ import annotations

import re

from msgauth.ask import RdType

CHARACTER_STRING = 255
"""Octets of one character-string (RFC 1035 section 3.3)."""

_ESCAPED = re.compile(r"[^ !#-\[\]-~]")


def record_line(name: str, rdtype: RdType, record: str, ttl: int) -> str:
    """Return the record as a line, or several within parentheses, with no final line end.

    `name` has no final dot; `record` is in the form of `msgauth.ask.Answer`. Characters of a TXT
    record stand for octets; those beyond U+00FF become UTF-8.
    """
    head = f"{name}. {ttl} IN {rdtype}"
    if rdtype == "TXT":
        strings = character_strings(record)
        if len(strings) == 1:
            return f"{head} {strings[0]}"
        inner = "\n".join(f"    {string}" for string in strings)
        return f"{head} (\n{inner} )"
    if rdtype in ("CNAME", "MX", "NS", "PTR", "SRV"):
        return f"{head} {record.removesuffix('.')}."
    return f"{head} {record}"


def character_strings(text: str) -> tuple[str, ...]:
    """Return the text in quoted strings of at most `CHARACTER_STRING` octets, one at least."""
    octets = "".join(
        char if ord(char) < 256 else char.encode("utf-8", "replace").decode("latin-1")
        for char in text
    )
    parts = [
        octets[at : at + CHARACTER_STRING] for at in range(0, len(octets), CHARACTER_STRING)
    ] or [""]
    return tuple(f'"{_ESCAPED.sub(_escape, part)}"' for part in parts)


def _escape(match: re.Match[str]) -> str:
    # RFC 1035 section 5.1: \X for a character, \DDD for an octet
    char = match[0]
    return f"\\{char}" if char in '"\\' else f"\\{ord(char):03d}"
