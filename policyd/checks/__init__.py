"""The checks: what each looks at, and what it makes of a request.

A check has a name, the protocol states at which it has something to say, and one verb. It returns
None (nothing to say), or a `CheckResult`: an action for Postfix, or a finding alone, and facts for
the checks after it. If it cannot find out, it raises `CheckError`, and its failure mode decides. It
changes neither the request nor the facts it is given.
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

    `finding` is a word or two for the log and the metrics. `action` is what Postfix shall do; None
    leaves it to the checks that follow. `reason` is the reason id of a refusal, which its reply,
    the log, the metrics and docs/reference/replies.md share. `detail` is for the log alone. `facts`
    are for the checks that follow.
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
    """No further check of ours is asked; Postfix goes on with its own restrictions."""
    return CheckResult(finding, DUNNO, detail=detail)


class Check(Protocol):
    """One check."""

    @property
    def name(self) -> str:
        """The word for it in configuration, log and metrics."""
        ...

    @property
    def states(self) -> AbstractSet[str]:
        """The protocol states (`policyd.request.State`) at which it is asked."""
        ...

    async def check(self, request: Request, facts: Facts, /) -> CheckResult | None:
        """Look at a request, knowing the facts from the checks before this one.

        Raises `CheckError` when it cannot find out.
        """
        ...
