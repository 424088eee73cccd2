"""A compiled Perl regular expression."""

from __future__ import annotations

from policyd.errors import CheckError
from policyd.perlre import cost, nodes
from policyd.perlre.errors import PerlRegexError
from policyd.perlre.machine import Program, compile_tree, search
from policyd.perlre.parser import parse
from policyd.perlre.python import to_python

MAX_PATHS = 200_000
"""Maximum ways that Python's `re` may try in one search: milliseconds. Beyond that, our own matcher
is used, which is slower in the ordinary case but has bounded time."""
_LENGTHS = (32, 64, 128, 256, 512, 1024, 2048)
_MUST_REACH = 320
"""Bytes of the longest address (RFC 5321 section 4.5.3.1): a backreference that may take too long
on one is refused."""


class PerlRegex:
    """One expression, ignoring case; a search tells whether it matches anywhere.

    Characters beyond ASCII are matched byte by byte, in UTF-8, as in postgrey.
    """

    def __init__(self, pattern: str) -> None:
        """Compile `pattern`; raises `PerlRegexError`."""
        self.pattern = pattern
        """The expression as written."""
        tree = parse(_bytes(pattern))
        self._anchored = nodes.begins_at_the_start(tree)
        self._fast_length = -1
        """Bytes of the longest subject for which `re` is fast enough; -1: none."""
        python = to_python(tree)
        if python is not None:
            self._match = python.match if self._anchored else python.search
            self._fast_length = _reach(tree, self._anchored)
        self._program: Program | None = None
        try:
            self._program = compile_tree(tree)
        except PerlRegexError:
            if self._fast_length < _MUST_REACH:
                raise

    def search(self, text: str) -> bool:
        """Return whether it matches anywhere in `text`; raises `CheckError` if that takes too long.

        The work is bounded for every pattern and text.
        """
        if not text.isascii():
            text = _bytes(text)
        if len(text) <= self._fast_length:
            return self._match(text) is not None
        if self._program is None:
            raise CheckError("a regular expression takes too long to match this text")
        return search(self._program, text, anchored=self._anchored)


def _bytes(text: str) -> str:
    """Return the bytes of a text in UTF-8, one character each."""
    return text.encode("utf-8", "surrogatepass").decode("latin-1")


def _reach(tree: nodes.Node, anchored: bool) -> int:
    """Return the longest of several subject lengths for which backtracking stays within the
    bound."""
    reach = -1
    for length in _LENGTHS:
        starts = 1 if anchored else length + 1
        if starts * cost.paths(tree, length) > MAX_PATHS:
            break
        reach = length
    return reach
