"""Checks of a policy request: their interface and their results.

A check has a name, the protocol states in which it runs, and one method. The method returns None
if the check has no opinion, or a `CheckResult` with a finding and perhaps an action for Postfix and
facts for later checks. If it cannot reach a result, it raises `CheckError`, and its failure mode
decides. It changes neither the request nor the facts that it gets.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Protocol

from policyd.action import DUNNO, Action
from policyd.facts import NO_FACTS, Facts
from policyd.request import Request


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of a check for one request.

    `finding` is a word or two for the log and the metrics. `action` is the answer to Postfix; None
    leaves it to later checks. `reason` is the reason id of a refusal; the reply, the log, the
    metrics and docs/reference/replies.md all use it. `detail` appears only in the log. `facts` are
    for later checks.
    """

    finding: str
    action: Action | None = None
    reason: str = ""
    detail: str = ""
    facts: Facts = NO_FACTS

    @property
    def kind(self) -> str:
        """The action in one word, for metrics."""
        action = self.action
        if action is None:
            return "continue"
        if action.permanent:
            return "reject"
        if action.temporary:
            return "defer"
        return "accept" if action == DUNNO else action.verb.lower()


def accept(finding: str, detail: str = "") -> CheckResult:
    """Skip all later checks; Postfix continues with its own restrictions."""
    return CheckResult(finding, DUNNO, detail=detail)


class Check(Protocol):
    """One check."""

    @property
    def name(self) -> str:
        """Its name in the configuration, the log and the metrics."""
        ...

    @property
    def states(self) -> AbstractSet[str]:
        """The protocol states (`policyd.request.State`) in which it runs."""
        ...

    async def check(self, request: Request, facts: Facts, /) -> CheckResult | None:
        """Check a request, given the facts from earlier checks.

        Raises `CheckError` if it cannot reach a result.
        """
        ...
