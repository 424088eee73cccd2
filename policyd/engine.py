"""Engine of the policy server: runs the checks in order and combines their results.

The first check that refuses, defers or accepts ends the evaluation. A hold or a header field to
prepend stays pending, because a later check may refuse: a denied message must not be held instead.
If a check fails, its failure mode decides; a check in a dry run only writes to the log. The facts
that a check returns are passed to later checks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gatepost.logs import get_logger
from gatepost.metrics import Count, Counter
from gatepost.reply import Reply
from gatepost.shortage import DEFERRED, ShortageError
from policyd.action import DUNNO, Action, refuse
from policyd.checks import Check, CheckResult
from policyd.errors import CheckError
from policyd.facts import NO_FACTS, Facts
from policyd.match import ClientTable
from policyd.reasons import reply
from policyd.request import Request, State
from policyd.settings.base import CheckSection, FailureMode

RESULTS = Counter(
    "gatepost_policyd_checks_total",
    "Findings and actions of the checks",
    ["check", "finding", "action"],
)
FAILURES = Counter(
    "gatepost_policyd_check_failures_total",
    "Checks that failed, by the failure mode that answered",
    ["check", "mode"],
)

PROXIED = Counter(
    "gatepost_policyd_proxied_total",
    "Requests whose client address is in proxy_networks, so that the client was not checked",
)

WAITING = {"PREPEND": 1, "HOLD": 2}
"""Actions that do not end the evaluation, with their ranks; the highest one is the answer."""

_STRICTNESS: dict[FailureMode, int] = {"open": 0, "tempfail": 1, "closed": 2}

log = get_logger("policyd")


@dataclass(frozen=True, slots=True)
class Row:
    """A check, with the settings that every check has."""

    check: Check
    dry_run: bool
    failure_mode: FailureMode

    @classmethod
    def of(cls, check: Check, section: CheckSection) -> Row:
        """Return the row of a check and its section."""
        return cls(check, section.dry_run, section.failure_mode)


class Decision:
    """The answer to one request, and the findings of the checks."""

    __slots__ = ("action", "check", "findings", "proxied", "reason")

    def __init__(self) -> None:
        self.action: Action = DUNNO
        self.check = ""
        """The check that set the action; empty if none did."""
        self.reason = ""
        self.findings: list[str] = []
        """``check: finding (detail)`` of each check with a finding, in order."""
        self.proxied = False
        """True if the client's address is a proxy's and was hidden from the checks."""

    @classmethod
    def refused(cls, reply: Reply) -> Decision:
        """Return a refusal without running any check."""
        decision = cls()
        decision.action, decision.reason = refuse(reply), reply.reason
        return decision


class Engine:
    """The checks of one configuration."""

    def __init__(self, rows: Sequence[Row], proxy_networks: Iterable[object] = ()) -> None:
        self.rows = tuple(rows)
        proxies = ClientTable(str(network) for network in proxy_networks)
        self._proxies = proxies if proxies else None
        self._warned = False
        # needed for every request, so the checks of each state are selected once
        self._by_state: dict[str, tuple[Row, ...]] = {
            state: tuple(row for row in self.rows if state in row.check.states) for state in State
        }
        # There are few names and findings, so the counter of each pair is looked up once.
        self._counted: dict[tuple[str, str, str], Count] = {}

    async def decide(self, request: Request) -> Decision:
        """Return the answer to a request; raises only when it is cancelled.

        A cancellation means that the time is up; `out_of_time` then returns the answer.
        """
        decision = Decision()
        if self._proxies is not None and self._is_proxied(request):
            self._note_proxy(request)
            decision.proxied = True
            decision.findings.append("client address is a proxy's")
            # the address of a proxy says nothing about the client
            request = request.without_client()
        facts = NO_FACTS
        for row in self._by_state.get(request.state, ()):
            try:
                result = await row.check.check(request, facts)
            except ShortageError as error:
                found = error.facts if isinstance(error, CheckError) else NO_FACTS
                result = _out_of_resources(row, str(error), found)
            except CheckError as error:
                result = _failed(row, str(error), error.facts)
            except Exception as error:  # a mistake of ours must not stop mail
                log.exception("check broke", check=row.check.name)
                result = _failed(row, type(error).__name__)
            if result is None:
                continue
            if self._take(decision, row, result):
                break
            facts = facts.plus(result.facts)
        return decision

    def _is_proxied(self, request: Request) -> bool:
        proxies = self._proxies
        return (
            proxies is not None and not request.is_probe and bool(proxies.match(request.client, ""))
        )

    def _note_proxy(self, request: Request) -> None:
        PROXIED.inc()
        if not self._warned:
            self._warned = True
            log.error(
                "the client's address is that of a proxy: client checks are skipped",
                client=request.client_address,
            )

    def out_of_time(self, request: Request) -> Decision:
        """Return the answer when time is up: the strictest failure mode of all checks."""
        decision = Decision()
        decision.proxied = self._is_proxied(request)
        asked = [row for row in self._by_state.get(request.state, ()) if not row.dry_run]
        if asked:
            row = max(asked, key=lambda row: _STRICTNESS[row.failure_mode])
            self._take(decision, row, _failed(row, "out of time"))
        return decision

    def _take(self, decision: Decision, row: Row, result: CheckResult) -> bool:
        """Add a result to the decision; return whether it ends the evaluation."""
        check, action, finding = row.check.name, result.action, result.finding
        shown = f"{check}: {finding}"
        if result.detail:
            shown = f"{shown} ({result.detail})"
        if row.dry_run and action is not None:
            shown = f"{shown} [dry run, would {result.kind}]"
        decision.findings.append(shown)
        key = (check, finding, "" if action is None else action.verb)
        counter = self._counted.get(key)
        if counter is None:
            kind = f"dry-run-{result.kind}" if row.dry_run and action else result.kind
            counter = self._counted[key] = RESULTS.labels(check, finding, kind)
        counter.inc()
        if action is None or row.dry_run:
            return False
        if _replaces(action, decision.action):
            decision.action, decision.check, decision.reason = action, check, result.reason
        return action.verb not in WAITING


def _replaces(action: Action, waiting: Action) -> bool:
    """Return whether `action` replaces the pending action, which is `DUNNO` at first."""
    if action.verb in WAITING:
        return WAITING[action.verb] > WAITING.get(waiting.verb, 0)
    if action == DUNNO:
        # a check that accepts keeps a pending header field or hold
        return waiting.verb not in WAITING
    return True


def _failed(row: Row, why: str, facts: Facts = NO_FACTS) -> CheckResult:
    """Return the result that the failure mode of a check demands."""
    name, mode = row.check.name, row.failure_mode
    FAILURES.labels(name, mode).inc()
    reason = f"{name}-unavailable"
    if mode == "tempfail":
        told = reply(
            reason, "Temporary problem with a check, please try again later", temporary=True
        )
        return CheckResult("failed", refuse(told), reason, why, facts)
    if mode == "closed":
        told = reply(reason, "A check could not be made", temporary=False)
        return CheckResult("failed", refuse(told), reason, why, facts)
    return CheckResult("failed", None, reason, why, facts)


def _out_of_resources(row: Row, why: str, facts: Facts) -> CheckResult:
    """Defer whatever the failure mode: this server is short of resources for the moment."""
    FAILURES.labels(row.check.name, DEFERRED.reason).inc()
    log.error("out of resources, a check could not be made", check=row.check.name, error=why)
    return CheckResult("failed", refuse(DEFERRED), DEFERRED.reason, why, facts)


async def within(engine: Engine, request: Request, seconds: float) -> Decision:
    """Return a decision within `seconds`, for callers that have no server."""
    try:
        async with asyncio.timeout(seconds):
            return await engine.decide(request)
    except TimeoutError:
        return engine.out_of_time(request)
