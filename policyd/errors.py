"""The exceptions of the policy server; anything else that escapes is a bug."""

from __future__ import annotations


class PolicydError(Exception):
    """Base of all that the policy server raises."""


class CheckError(PolicydError):
    """A check could not find out what it needs; its failure mode decides what is answered."""
