"""How deep the keys of a TOML file go, before `tomllib` reads it.

The standard library's parser takes time and memory with the square of the parts of a dotted key:
one of a hundred thousand parts, 200 KB of text, ends the process. Everything else it reads in
time that grows with the text.
"""

from __future__ import annotations

import re

MAX_KEY_PARTS = 64
"""Parts of a dotted key; ours have five at most."""

# Each string is taken to its end, or to where it should have ended, in one go: no octet twice
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


def deep_key(text: str) -> int | None:
    """The line (from 1) of a key of more than `MAX_KEY_PARTS` parts; None without one."""
    # what a string holds is no key, but a string may be a part of one
    bare = _NO_KEY.sub(lambda found: "''" + "\n" * found[0].count("\n"), text)
    found = _DEEP.search(bare)
    return bare.count("\n", 0, found.start()) + 1 if found else None
