"""The exceptions of the policy server; anything else that escapes is a bug."""

from __future__ import annotations

from policyd.facts import NO_FACTS, Facts


class PolicydError(Exception):
    """Base of all that the policy server raises."""


class CheckError(PolicydError):
    """A check could not find out what it needs; its failure mode decides what is answered.

    `facts` are those that it found before: later checks use them if they are still asked.
    """

    def __init__(self, message: str = "", facts: Facts = NO_FACTS) -> None:
        super().__init__(message)
        self.facts = facts
