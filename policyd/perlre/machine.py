"""A matcher whose work grows at most with the length of the pattern times that of the text.

It backtracks like Perl, but remembers each position in pattern and text from which it found no
match, and does not try it again. This is correct as long as nothing depends on how a position was
reached, so it does not support backreferences.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from functools import lru_cache

from policyd.errors import CheckError
from policyd.perlre import nodes, sets
from policyd.perlre.errors import PerlRegexError
from policyd.perlre.nodes import Anchor, Node

MAX_INSTRUCTIONS = 900
"""Maximum instructions of one expression: about one per character; counted quantifiers are
expanded."""
MAX_STEPS = 300_000
"""Maximum steps of one search, some tenths of a second: enough for the largest expression with a
subject of 330 bytes, and for a usual one with several thousand. The longest address in mail has
320."""


class _Op(enum.IntEnum):
    CHARS = 0
    SPLIT = 1
    JUMP = 2
    ANCHOR = 3
    LOOK = 4
    ATOMIC = 5
    MATCH = 6


@dataclass(slots=True)
class _Instruction:
    """One step. SPLIT tries `to` before `other`; JUMP goes to `to`; the rest is by name."""

    op: _Op
    characters: frozenset[str] = frozenset()
    to: int = 0
    other: int = 0
    anchor: Anchor = Anchor.BEGIN
    program: Program | None = None
    look: nodes.Lookaround | None = None


@dataclass(slots=True)
class Program:
    """Instructions for one tree; lookarounds and atomic groups have programs of their own."""

    code: list[_Instruction] = field(default_factory=list)


def compile_tree(node: Node) -> Program:
    """Compile a tree without backreferences; raises `PerlRegexError`."""
    return _Compiler().program(node)


class _Compiler:
    def __init__(self) -> None:
        self._room = MAX_INSTRUCTIONS

    def program(self, node: Node) -> Program:
        """Make a program that ends in MATCH."""
        program = Program()
        self._add(program.code, node)
        self._put(program.code, _Instruction(_Op.MATCH))
        return program

    def _put(self, code: list[_Instruction], instruction: _Instruction) -> _Instruction:
        self._room -= 1
        if self._room < 0:
            raise PerlRegexError("the quantifiers make it too large")
        code.append(instruction)
        return instruction

    def _add(self, code: list[_Instruction], node: Node) -> None:
        match node:
            case Anchor():
                self._put(code, _Instruction(_Op.ANCHOR, anchor=node))
            case nodes.Chars(mask):
                self._put(code, _Instruction(_Op.CHARS, _characters(mask)))
            case nodes.Sequence(items):
                for item in items:
                    self._add(code, item)
            case nodes.Alternatives(branches):
                self._add_alternatives(code, branches)
            case nodes.Repeat():
                self._add_repeat(code, node)
            case nodes.Lookaround(body):
                self._put(code, _Instruction(_Op.LOOK, program=self.program(body), look=node))
            case nodes.Atomic(body):
                self._put(code, _Instruction(_Op.ATOMIC, program=self.program(body)))
            case nodes.Group() | nodes.Reference():
                raise PerlRegexError("a backreference with so many ways to match is not supported")

    def _add_alternatives(self, code: list[_Instruction], branches: tuple[Node, ...]) -> None:
        ends = []
        for branch in branches[:-1]:
            split = self._put(code, _Instruction(_Op.SPLIT, to=len(code) + 1))
            self._add(code, branch)
            ends.append(self._put(code, _Instruction(_Op.JUMP)))
            split.other = len(code)
        self._add(code, branches[-1])
        for jump in ends:
            jump.to = len(code)

    def _add_repeat(self, code: list[_Instruction], node: nodes.Repeat) -> None:
        for _ in range(node.least):
            self._add(code, node.body)
        if node.most is None:
            begin = len(code)
            split = self._put(code, _Instruction(_Op.SPLIT))
            self._add(code, node.body)
            self._put(code, _Instruction(_Op.JUMP, to=begin))
            _aim(split, begin + 1, len(code), node.greedy)
            return
        splits = []
        for _ in range(node.most - node.least):
            splits.append((self._put(code, _Instruction(_Op.SPLIT)), len(code)))
            self._add(code, node.body)
        for split, into in splits:
            _aim(split, into, len(code), node.greedy)


@lru_cache(maxsize=1024)
def _characters(mask: int) -> frozenset[str]:
    """Return the set of characters; instructions of all programs share it."""
    return frozenset(sets.members(mask))


def _aim(split: _Instruction, into: int, past: int, greedy: bool) -> None:
    split.to, split.other = (into, past) if greedy else (past, into)


def search(program: Program, text: str, *, anchored: bool) -> bool:
    """Return whether the program matches anywhere; raises `CheckError` beyond `MAX_STEPS`."""
    run = _Run(text)
    starts = 1 if anchored else len(text) + 1
    return any(run.match(program, start) >= 0 for start in range(starts))


class _Run:
    """One search in one text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._steps = 0
        self._known: dict[tuple[int, int, int], int] = {}
        self._failed: dict[tuple[int, int], set[int]] = {}

    def match(self, program: Program, start: int, target: int = -1) -> int:
        """Return where the first match from `start` ends (only at `target`, if given), or -1."""
        # whether a match continues from a position does not depend on where it began
        failed = self._failed.setdefault((id(program), target), set())
        visited: set[int] = set()
        end = self._follow(program, start, target, failed, visited)
        if end < 0:
            failed |= visited
        return end

    def _follow(
        self, program: Program, start: int, target: int, failed: set[int], visited: set[int]
    ) -> int:
        text, code = self._text, program.code
        length = len(text)
        size = len(code)
        waiting = [(0, start)]
        while waiting:
            pc, at = waiting.pop()
            while True:
                key = at * size + pc
                if key in visited or key in failed:
                    break
                visited.add(key)
                self._count()
                one = code[pc]
                op = one.op
                if op == _Op.CHARS:
                    if at >= length or text[at] not in one.characters:
                        break
                    pc, at = pc + 1, at + 1
                elif op == _Op.SPLIT:
                    waiting.append((one.other, at))
                    pc = one.to
                elif op == _Op.JUMP:
                    pc = one.to
                elif op == _Op.MATCH:
                    if target < 0 or at == target:
                        return at
                    break
                elif op == _Op.ATOMIC:
                    at = self._inner(one, at, -1)
                    if at < 0:
                        break
                    pc += 1
                elif self._holds(one, at):
                    pc += 1
                else:
                    break
        return -1

    def _count(self) -> None:
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise CheckError("a regular expression takes too long to match this text")

    def _inner(self, one: _Instruction, start: int, target: int) -> int:
        assert one.program is not None  # noqa: S101 # LOOK and ATOMIC have one
        key = (id(one.program), start, target)
        if key not in self._known:
            self._known[key] = self.match(one.program, start, target)
        return self._known[key]

    def _holds(self, one: _Instruction, at: int) -> bool:
        """Return whether an anchor or lookaround holds at a position."""
        look = one.look
        if look is None:
            return is_at(one.anchor, self._text, at)
        if not look.behind:
            return (self._inner(one, at, -1) >= 0) is not look.negative
        least, most = nodes.widths(look.body)
        widest = at if most is None else min(most, at)
        found = any(self._inner(one, at - size, at) >= 0 for size in range(least, widest + 1))
        return found is not look.negative


def is_at(anchor: Anchor, text: str, at: int) -> bool:
    """Return whether the anchor holds at position `at` of a text."""
    if anchor is Anchor.BEGIN:
        return at == 0
    if anchor is Anchor.LINE_BEGIN:
        return at == 0 or (text[at - 1] == "\n" and at < len(text))
    if anchor is Anchor.VERY_END:
        return at == len(text)
    if anchor is Anchor.END:
        return at == len(text) or text[at:] == "\n"
    if anchor is Anchor.LINE_END:
        return at == len(text) or text[at] == "\n"
    before = at > 0 and bool(sets.WORD >> ord(text[at - 1]) & 1)
    after = at < len(text) and bool(sets.WORD >> ord(text[at]) & 1)
    return (before != after) is (anchor is Anchor.BOUNDARY)
