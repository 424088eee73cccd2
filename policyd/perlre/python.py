"""Translator of a tree into a pattern of Python's `re`, using only unambiguous syntax.

Sets are written out character by character, so neither flags nor classes of `re` matter.
"""

from __future__ import annotations

import re

from policyd.perlre import nodes, sets
from policyd.perlre.nodes import Anchor, Node

_ANCHORS = {
    Anchor.BEGIN: r"\A",
    # perlre: not after a line feed that ends the text
    Anchor.LINE_BEGIN: r"(?:\A|(?<=\n)(?!\Z))",
    Anchor.END: r"(?=\n?\Z)",
    Anchor.LINE_END: r"(?=\n|\Z)",
    Anchor.VERY_END: r"\Z",
    Anchor.BOUNDARY: r"\b",
    Anchor.NO_BOUNDARY: r"(?!\b)",  # \B of Python 3.13 and older is false in an empty text
}


def to_python(node: Node) -> re.Pattern[str] | None:
    """Compile a tree with `re`; None if `re` would match part of it differently."""
    source = _source(node)
    return None if source is None else re.compile(source, re.ASCII)


def _source(node: Node) -> str | None:
    match node:
        case Anchor():
            return _ANCHORS[node]
        case nodes.Chars(mask):
            return _set(mask)
        case nodes.Group(body, number):
            inner = _source(body)
            return None if inner is None else f"(?P<g{number}>{inner})"
        case nodes.Reference(number, ignore_case):
            return f"(?i:(?P=g{number}))" if ignore_case else f"(?P=g{number})"
        case nodes.Sequence(items):
            return _joined("", items)
        case nodes.Alternatives(branches):
            joined = _joined("|", branches)
            return None if joined is None else f"(?:{joined})"
        case nodes.Repeat(body, least, most, greedy):
            inner = _source(body)
            if inner is None:
                return None
            numbers = f"{least}" if most == least else f"{least},{'' if most is None else most}"
            return f"(?:{inner}){{{numbers}}}{'' if greedy else '?'}"
        case nodes.Lookaround(body, behind, negative):
            least, most = nodes.widths(body)
            inner = _source(body)
            if inner is None or (behind and least != most):
                return None
            return f"(?{'<' if behind else ''}{'!' if negative else '='}{inner})"
        case nodes.Atomic():
            return None


def _joined(separator: str, items: tuple[Node, ...]) -> str | None:
    parts = []
    for item in items:
        part = _source(item)
        if part is None:
            return None
        parts.append(part)
    return separator.join(parts)


def _set(mask: int) -> str:
    if mask == 0:
        return r"(?!)"
    if mask == sets.ALL:
        return r"[\x00-\xff]"
    text = sets.members(mask)
    if len(text) == 1:
        return re.escape(text)
    negated = "^" if len(text) > 128 else ""
    listed = sets.members(sets.complement(mask)) if negated else text
    return f"[{negated}{''.join(map(_escaped, listed))}]"


def _escaped(character: str) -> str:
    return f"\\x{ord(character):02x}"
