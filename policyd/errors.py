"""The exceptions of the policy server; anything else that escapes is a bug."""

from __future__ import annotations

from gatepost.shortage import ShortageError
from policyd.facts import NO_FACTS, Facts


class PolicydError(Exception):
    """Base of all that the policy server raises."""


class CheckError(PolicydError):
    """A check could not get the data it needs; its failure mode decides the answer.

    `facts` are those that it found before the failure; later checks still get them.
    """

    def __init__(self, message: str = "", facts: Facts = NO_FACTS) -> None:
        super().__init__(message)
        self.facts = facts


class CheckShortageError(CheckError, ShortageError):
    """A check lacked a local resource after it had found facts; no failure mode is about this."""
