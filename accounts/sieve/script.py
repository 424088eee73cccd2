"""Compilation of the rules of a mailbox to one script in the Sieve language (RFC 5228).

Dovecot runs the script before the owner's own one. Pigeonhole goes on to the next script while the
message is still to be delivered: ``stop`` ends our rules alone, and a rule that stored the message
elsewhere, or discarded it, ends the delivery.

There is a script in every case, also without rules: Dovecot defers the mail of a mailbox that has
none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from accounts.sieve.actions import AddFlags, MarkRead, Reject, RuleAction, Stop
from accounts.sieve.part import Part, all_of, any_of
from accounts.sieve.rule import MailRule, RuleError, StoredRule, read_stored
from accounts.sieve.text import comment, quote_list

MAX_RULES = 200
"""Rules of a mailbox, enabled or not."""

MAX_SCRIPT = 60_000
"""Octets of a script as Dovecot's dict protocol carries it, where a line end takes four. A line of
that protocol has at most 64 KiB."""

_HEAD = "Made by Gatepost from the rules of the mailbox; changes here are lost."


@dataclass(frozen=True, slots=True)
class ScriptProblem:
    """A stored rule that is not in the script; `text` is the reason, in one sentence."""

    rule: str
    text: str


@dataclass(frozen=True, slots=True)
class Compiled:
    """A script that Dovecot can run, and the rules that were left out of it."""

    text: str
    problems: tuple[ScriptProblem, ...] = ()

    @property
    def revision(self) -> str:
        """Return a name of 32 hexadecimal digits, which differs for other text."""
        return hashlib.sha256(self.text.encode("utf-8")).hexdigest()[:32]


def compile_rules(rules: Iterable[MailRule]) -> str:
    """Return the script of the enabled rules, in their order, with CR LF at the ends of lines.

    Whoever changes a rule calls this for all rules of the mailbox within the same transaction.

    Raises `RuleError` for more than `MAX_RULES` rules, for two enabled rules with a vacation, which
    may be executed once only (RFC 5230 section 4.7), and for more text than `MAX_SCRIPT` allows.
    """
    script = _Script()
    for rule in rules:
        script.add(rule)
    return script.text()


def compile_stored(stored: Iterable[StoredRule]) -> Compiled:
    """Return a script for the rules that the datastore holds, in their order; never raises.

    A rule that cannot be read, or does not go with those before it, is left out: mail that it would
    have moved is delivered as if the rule were disabled.
    """
    script = _Script()
    problems: list[ScriptProblem] = []
    for one in stored:
        try:
            script.add(read_stored(one))
        except RuleError as error:
            problems.append(ScriptProblem(one.name, str(error)))
    return Compiled(script.text(), tuple(problems))


def carried_size(script: str) -> int:
    """Return the octets of a script in Dovecot's dict protocol, which escapes CR, LF and TAB."""
    return len(script.encode("utf-8")) + sum(map(script.count, "\r\n\t"))


class _Script:
    """A script that grows by one rule at a time, within the bounds."""

    def __init__(self) -> None:
        self._rules = 0
        self._answers = False
        self._body = ""
        self._size = 0
        self._requires: frozenset[str] = frozenset()

    def add(self, rule: MailRule) -> None:
        """Add a rule, which a disabled one only counts as. Raises `RuleError` and adds nothing."""
        if self._rules == MAX_RULES:
            raise RuleError("", f"A mailbox has at most {MAX_RULES} rules.")
        if rule.answers and self._answers:
            raise RuleError("", "Only one enabled rule can have a vacation.")
        if rule.enabled:
            part = _rule(rule)
            block = f"\r\n{comment(rule.name)}{part.text}\r\n"
            requires = self._requires | part.requires
            size = self._size + carried_size(block)
            if size + carried_size(_head(requires)) > MAX_SCRIPT:
                raise RuleError("", f"The script of all rules is larger than {MAX_SCRIPT} octets.")
            self._body, self._requires, self._size = self._body + block, requires, size
        self._answers = self._answers or rule.answers
        self._rules += 1

    def text(self) -> str:
        return _head(self._requires) + self._body


def _head(requires: frozenset[str]) -> str:
    # RFC 5228 section 3.2: before any other command
    require = f"require {quote_list(sorted(requires))};\r\n" if requires else ""
    return comment(_HEAD) + require


def _rule(rule: MailRule) -> Part:
    flags = [action for action in rule.actions if isinstance(action, AddFlags | MarkRead)]
    others = [a for a in rule.actions if not isinstance(a, AddFlags | MarkRead | Stop)]
    # flags count for what is stored after them, whatever the order in the rule
    actions: list[RuleAction] = [*flags, *others]
    if any(isinstance(action, Stop | Reject) for action in rule.actions):
        # RFC 5429 section 2.4: what a later rule does with a rejected message would be an error
        actions.append(Stop())
    commands = [action.written() for action in actions]
    body = "\r\n".join(command.text for command in commands)
    requires = frozenset().union(*(command.requires for command in commands))
    if not rule.conditions:
        return Part(body, requires)
    tests = [condition.written() for condition in rule.conditions]
    test = any_of(tests) if rule.match == "any" else all_of(tests)
    return Part(f"if {test.text} {{\r\n{body}\r\n}}", requires | test.requires)
