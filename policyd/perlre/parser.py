"""Parser of Perl's syntax (perlre, perlrecharclass): text in, a tree out.

Perl accepts some mistakes with a warning, and reads some text differently from how it looks. Those
are refused here, so that every entry means what it says. ``\\Q…\\E`` quotes as in a Perl program.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from policyd.perlre import nodes, sets
from policyd.perlre.brackets import bracketed
from policyd.perlre.errors import PerlRegexError
from policyd.perlre.escapes import ZERO_WIDTH, byte_escape, set_escape
from policyd.perlre.nodes import Anchor, Node

MAX_LENGTH = 8192
"""Maximum bytes of a regular expression."""
MAX_DEPTH = 40
"""Maximum depth of nested groups."""
MAX_REPEAT = 1000
"""Maximum number in a quantifier: no name or address is longer."""
MAX_LOOKBEHIND = 255
"""Maximum bytes of a lookbehind, as in Perl."""

_QUANTIFIER = re.compile(r"([*+?])|\{([0-9]+)(?:(,)([0-9]*))?\}")
_FLAGS = re.compile(r"\?(\^)?([imsxnpad]*)(?:-([imsxnp]*))?([:)])")
_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_NAMED = re.compile(rf"\?(?:P?<({_NAME})>|'({_NAME})')")
_REFERENCE = re.compile(
    rf"\\(?:([1-9])(?![0-9])|g(-?[1-9]|\{{-?[1-9][0-9]*\}})"
    rf"|(?:g\{{|k\{{)({_NAME})\}}|k<({_NAME})>|k'({_NAME})')"
)
_PYTHON_REFERENCE = re.compile(rf"\?P=({_NAME})\)")
_LOOKS = {"?=": (False, False), "?!": (False, True), "?<=": (True, False), "?<!": (True, True)}


@dataclass(frozen=True, slots=True)
class _Flags:
    """The modifiers in effect at a position; postgrey begins with /i."""

    i: bool = True
    m: bool = False
    s: bool = False
    x: bool = False
    n: bool = False


def parse(pattern: str) -> Node:
    """Parse a regular expression whose characters are bytes; raises `PerlRegexError`."""
    if len(pattern) > MAX_LENGTH:
        raise PerlRegexError(f"it is longer than {MAX_LENGTH} bytes")
    return _Parser(_with_quotes_resolved(pattern)).parse()


def _with_quotes_resolved(pattern: str) -> str:
    """Put a backslash before each character that ``\\Q…\\E`` quotes (perlfunc, quotemeta)."""
    if "\\Q" not in pattern and "\\E" not in pattern:
        return pattern
    parts: list[str] = []
    at = 0
    while at < len(pattern):
        pair = pattern[at : at + 2]
        if pair == "\\Q":
            end = pattern.find("\\E", at + 2)
            end = len(pattern) if end < 0 else end
            parts.append(re.sub(r"([^A-Za-z0-9_])", r"\\\1", pattern[at + 2 : end]))
            at = end + 2
        elif pair == "\\E":
            raise PerlRegexError("\\E without \\Q")
        else:
            size = 2 if pair.startswith("\\") else 1
            parts.append(pattern[at : at + size])
            at += size
    return "".join(parts)


class _Parser:
    """Recursive descent; `_at` is the next character."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0
        self._flags = _Flags()
        self._groups = 0
        self._closed: set[int] = set()
        self._names: dict[str, int] = {}
        self._used: set[int] = set()
        self._numbers_are_odd = False  # a branch reset or /n: groups are numbered differently

    def parse(self) -> Node:
        """Parse the whole expression."""
        node = self._alternatives()
        if self._at < len(self._text):
            raise PerlRegexError("a ) without its (")
        if self._used:
            if self._numbers_are_odd:
                raise PerlRegexError("a backreference together with (?| or /n is not supported")
            if not self._used <= _certain_groups(node):
                raise PerlRegexError(
                    "a backreference to a group that is optional, repeated or in one of several "
                    "alternatives is not supported"
                )
        return _without_groups(node, self._used)

    def _peek(self, size: int = 1) -> str:
        return self._text[self._at : self._at + size]

    def _alternatives(self) -> Node:
        branches = [self._sequence()]
        while self._peek() == "|":
            self._at += 1
            branches.append(self._sequence())
        return branches[0] if len(branches) == 1 else nodes.Alternatives(tuple(branches))

    def _sequence(self) -> Node:
        items: list[Node] = []
        while (character := self._peek()) and character not in "|)":
            if _QUANTIFIER.match(self._text, self._at):
                raise PerlRegexError(f"the quantifier {character} follows nothing")
            atom = self._atom()
            if atom is not None:
                items.append(self._quantified(atom))
        return items[0] if len(items) == 1 else nodes.Sequence(tuple(items))

    def _quantified(self, atom: Node) -> Node:
        found = _QUANTIFIER.match(self._text, self._at)
        if found is None:
            return atom
        self._at = found.end()
        least, most = _bounds(found)
        suffix = self._peek() if self._peek() in ("?", "+") else ""
        self._at += len(suffix)
        if _QUANTIFIER.match(self._text, self._at):
            raise PerlRegexError("nested quantifiers, as in a**")
        if isinstance(atom, nodes.Lookaround):
            raise PerlRegexError("a repeated lookahead or lookbehind")  # Perl itself gets it wrong
        if nodes.widths(atom)[1] == 0:
            # a position matches any number of times
            return atom if least else nodes.EMPTY
        node = nodes.Repeat(atom, least, most, greedy=suffix != "?")
        return _atomic(node) if suffix == "+" else node

    def _atom(self) -> Node | None:
        """Parse one repeatable item; None if it is nothing by itself."""
        character = self._peek()
        if character == "(":
            return self._group()
        if character == "\\":
            return self._escape()
        if character == "[":
            mask, self._at = bracketed(self._text, self._at, self._flags.i)
            return nodes.Chars(mask)
        self._at += 1
        if character == ".":
            return nodes.Chars(sets.ALL if self._flags.s else sets.complement(sets.NEWLINE))
        if character == "^":
            return Anchor.LINE_BEGIN if self._flags.m else Anchor.BEGIN
        if character == "$":
            return Anchor.LINE_END if self._flags.m else Anchor.END
        if self._flags.x and (character == "#" or character.isspace()):
            raise PerlRegexError("blanks and comments of /x are not supported")
        if character == "{":
            # Perl treats it as a literal in some places and not in others, depending on its version
            raise PerlRegexError("a { that begins no quantifier: write \\{")
        return self._literal(character)

    def _literal(self, character: str) -> Node:
        mask = sets.of(character)
        return nodes.Chars(sets.folded(mask) if self._flags.i else mask)

    def _escape(self) -> Node | None:
        reference = _REFERENCE.match(self._text, self._at)
        if reference:
            self._at = reference.end()
            return self._reference(reference)
        letter = self._text[self._at + 1 : self._at + 2]
        if letter in ZERO_WIDTH:
            self._at += 2
            if letter in "bB" and self._peek() == "{":
                raise PerlRegexError(f"\\{letter}{{…}} is not supported")
            return ZERO_WIDTH[letter]
        if letter == "K":
            # only whether there is a match counts here, not its extent
            self._at += 2
            if self._depth:
                raise PerlRegexError("\\K within a group is not supported")
            if _QUANTIFIER.match(self._text, self._at):
                raise PerlRegexError("\\K cannot be repeated")
            return None
        if letter == "R":
            self._at += 2
            pair = nodes.Sequence((nodes.Chars(sets.of("\r")), nodes.Chars(sets.of("\n"))))
            return _atomic(nodes.Alternatives((pair, nodes.Chars(sets.VERTICAL))))
        if letter == "N" and not re.compile(r"\{(?![0-9]+(,[0-9]*)?\})").match(
            self._text, self._at + 2
        ):
            self._at += 2
            return nodes.Chars(sets.complement(sets.NEWLINE))
        found = set_escape(self._text, self._at)
        if found is not None:
            self._at += 2
            return nodes.Chars(found)
        character, self._at = byte_escape(self._text, self._at)
        return self._literal(character)

    def _reference(self, found: re.Match[str]) -> Node:
        digit, relative, *names = found.groups()
        name = next((one for one in names if one), "")
        if name:
            number = self._names.get(name, 0)
        elif digit:
            number = int(digit)
        else:
            number = int(relative.strip("{}"))
            number = number if number > 0 else self._groups + 1 + number
        return self._refer(number)

    def _refer(self, number: int) -> Node:
        if number not in self._closed:
            raise PerlRegexError("a backreference to a group that is not closed before it")
        self._used.add(number)
        return nodes.Reference(number, self._flags.i)

    def _group(self) -> Node | None:
        """Parse a construct that begins with a parenthesis."""
        self._at += 1
        if self._peek() == "*":
            raise PerlRegexError("(*VERB) is not supported")
        if self._peek() != "?":
            if self._flags.n:
                self._numbers_are_odd = True
                return self._inside()
            return self._numbered("")
        for mark in ("?<=", "?<!", "?=", "?!"):
            if self._peek(len(mark)) == mark:
                self._at += len(mark)
                return _look(self._inside(), *_LOOKS[mark])
        if self._peek(2) == "?>":
            self._at += 2
            return _atomic(self._inside())
        if self._peek(2) == "?|":
            self._at += 2
            self._numbers_are_odd = True
            return self._inside()
        if self._peek(2) == "?#":
            end = self._text.find(")", self._at)
            if end < 0:
                raise PerlRegexError("a (?# without its )")
            self._at = end + 1
            return None
        if named := _NAMED.match(self._text, self._at):
            self._at = named.end()
            return self._numbered(named[1] or named[2])
        if reference := _PYTHON_REFERENCE.match(self._text, self._at):
            self._at = reference.end()
            return self._refer(self._names.get(reference[1], 0))
        return self._flag_group()

    def _flag_group(self) -> Node | None:
        found = _FLAGS.match(self._text, self._at)
        if found is None:
            raise PerlRegexError(f"({self._peek(2)}… is not supported")
        caret, on, off, end = found.groups()
        if caret and off is not None:
            raise PerlRegexError("(?^…-…) is not a group")
        flags = _Flags(i=False) if caret else self._flags
        flags = replace(flags, **{flag: True for flag in on if flag in "imsxn"})
        flags = replace(flags, **{flag: False for flag in off or "" if flag in "imsxn"})
        self._at = found.end()
        if end == ")":
            self._flags = flags  # up to the end of the enclosing group
            return None
        return self._inside(flags)

    def _numbered(self, name: str) -> Node:
        self._groups += 1
        number = self._groups
        if name in self._names:
            raise PerlRegexError(f"two groups named {name}")
        body = self._inside()
        self._closed.add(number)
        if name:
            self._names[name] = number
        return nodes.Group(body, number)

    def _inside(self, flags: _Flags | None = None) -> Node:
        """Parse up to the closing parenthesis."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise PerlRegexError(f"more than {MAX_DEPTH} nested groups")
        outer = self._flags
        self._flags = flags or outer
        node = self._alternatives()
        self._flags = outer
        if self._peek() != ")":
            raise PerlRegexError("a ( without its )")
        self._at += 1
        self._depth -= 1
        return node


def _bounds(found: re.Match[str]) -> tuple[int, int | None]:
    """Return the numbers of a quantifier."""
    sign, first, comma, last = found.groups()
    if sign:
        return {"*": (0, None), "+": (1, None), "?": (0, 1)}[sign]
    if max(len(first), len(last or "")) > 4 or max(int(first), int(last or 0)) > MAX_REPEAT:
        raise PerlRegexError(f"a quantifier of more than {MAX_REPEAT}")
    least = int(first)
    most = least if not comma else int(last) if last else None
    if most is not None and most < least:
        raise PerlRegexError(f"{found[0]} can never match")
    return least, most


def _atomic(body: Node) -> Node:
    if _loops_over_nothing(body):
        raise PerlRegexError("a possessive or atomic group around a loop that may match nothing")
    return nodes.Atomic(body)


def _loops_over_nothing(node: Node) -> bool:
    match node:
        case nodes.Repeat(body, _, most):
            return (most != 1 and nodes.widths(body)[0] == 0) or _loops_over_nothing(body)
        case nodes.Sequence(items) | nodes.Alternatives(items):
            return any(_loops_over_nothing(item) for item in items)
        case nodes.Group(body) | nodes.Atomic(body):
            return _loops_over_nothing(body)
        case _:
            return False


def _look(body: Node, behind: bool, negative: bool) -> Node:
    # Perl itself gets the first two wrong: (?=b*)x does not match x in 5.36
    least, most = nodes.widths(body)
    if least == 0 and most != 0:
        raise PerlRegexError("a lookahead or lookbehind that may match nothing")
    if behind:
        if _has_atomic(body):
            raise PerlRegexError("a lookbehind with a possessive or atomic part")
        if most is None or most > MAX_LOOKBEHIND:
            raise PerlRegexError(f"a lookbehind of more than {MAX_LOOKBEHIND} bytes")
    return nodes.Lookaround(body, behind, negative)


def _has_atomic(node: Node) -> bool:
    match node:
        case nodes.Atomic():
            return True
        case nodes.Sequence(items) | nodes.Alternatives(items):
            return any(_has_atomic(item) for item in items)
        case nodes.Group(body) | nodes.Repeat(body) | nodes.Lookaround(body):
            return _has_atomic(body)
        case _:
            return False


def _certain_groups(node: Node) -> set[int]:
    """Return the groups that take part in every match exactly once."""
    match node:
        case nodes.Group(body, number):
            return {number} | _certain_groups(body)
        case nodes.Sequence(items):
            return set().union(*map(_certain_groups, items))
        case _:
            return set()


def _without_groups(node: Node, kept: set[int]) -> Node:
    """Return the tree without groups that have no backreference."""
    match node:
        case nodes.Group(body, number):
            inner = _without_groups(body, kept)
            return nodes.Group(inner, number) if number in kept else inner
        case nodes.Sequence(items):
            return nodes.Sequence(tuple(_without_groups(item, kept) for item in items))
        case nodes.Alternatives(branches):
            return nodes.Alternatives(tuple(_without_groups(branch, kept) for branch in branches))
        case nodes.Repeat(body, least, most, greedy):
            return nodes.Repeat(_without_groups(body, kept), least, most, greedy)
        case nodes.Atomic(body):
            return nodes.Atomic(_without_groups(body, kept))
        case nodes.Lookaround(body, behind, negative):
            return nodes.Lookaround(_without_groups(body, kept), behind, negative)
        case _:
            return node
