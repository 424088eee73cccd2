"""Limits: token buckets for users, clients, senders and recipients, charged in one step."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from gatepost.metrics import Counter
from policyd.action import Action, hold, refuse
from policyd.buckets import Bucket, Rate, bucket_entry, is_ahead, read_bucket, take, wait_for
from policyd.checks import CheckResult
from policyd.facts import NO_FACTS, Facts
from policyd.identity import network_identity
from policyd.reasons import reply
from policyd.request import Request
from policyd.settings.limits import LimitSettings, LimitsSettings
from policyd.stores import Known, Store, StoreEntry
from policyd.template import fill, of_request

EXCEEDED = Counter("gatepost_policyd_limits_exceeded_total", "Requests beyond a limit", ["rule"])
MESSAGE_SECONDS = 3600
"""Seconds for which a counted message is remembered by its `instance`. An SMTP transaction with
many recipients is over by then (RFC 5321 section 4.5.3.2)."""
_STRICTNESS = {"hold": 0, "defer": 1, "reject": 2}


@dataclass(frozen=True, slots=True)
class Charge:
    """The cost of a request under one rule. If the store has the key `once`, it is free."""

    rule: LimitSettings
    rate: Rate
    who: str
    cost: int
    key: str
    once: str = ""
    once_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Exceeded:
    """A rule whose limit a request exceeds, and the seconds until it would not."""

    charge: Charge
    wait: float


class LimitsCheck:
    """The check `limits`. Raises `StoreError` if the store fails; its failure mode decides."""

    name = "limits"
    states = frozenset({"RCPT", "DATA", "END-OF-MESSAGE"})

    def __init__(
        self,
        settings: LimitsSettings,
        store: Store,
        hostname: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._store = store
        self._hostname = hostname
        self._clock = clock
        self._rules: dict[str, list[LimitSettings]] = {}
        for rule in settings.rules:
            self._rules.setdefault(rule.state, []).append(rule)

    async def check(self, request: Request, _facts: Facts = NO_FACTS) -> CheckResult | None:
        """Charge a request under every rule that applies to it."""
        rules = self._rules.get(request.state)
        if not rules:
            return None
        charges = [charge for rule in rules if (charge := _charge(rule, request)) is not None]
        if not charges:
            return None
        now = self._clock()
        keys = list(dict.fromkeys(key for one in charges for key in (one.key, one.once) if key))

        def change(known: Known) -> tuple[Known, Exceeded | None]:
            entries = dict(zip(keys, known, strict=True))
            exceeded = charge_all(charges, entries, now)
            return [entries[key] for key in keys], exceeded

        exceeded = await self._store.update(keys, change)
        if exceeded is None:
            return CheckResult("within")
        rule = exceeded.charge.rule
        EXCEEDED.labels(rule.name).inc()
        reason = f"limit-{rule.name}"
        return CheckResult(
            reason, self._action(request, exceeded, reason), reason, exceeded.charge.who
        )

    def _action(self, request: Request, exceeded: Exceeded, reason: str) -> Action:
        charge = exceeded.charge
        values = of_request(request, self._hostname) | {
            "rule": charge.rule.name,
            "key": charge.who,
            "limit": charge.rate.limit,
            "seconds": int(exceeded.wait) + 1,
        }
        text = fill(self._settings.text, values)
        if charge.rule.action == "hold":
            return hold(f"{reason}: {charge.who}")
        return refuse(reply(reason, text, temporary=charge.rule.action == "defer"))


def charge_all(
    charges: list[Charge], entries: dict[str, StoreEntry | None], now: float
) -> Exceeded | None:
    """Take the cost of each charge from `entries`; return the strictest rule that is exceeded.

    A refused request costs nothing under any rule, because only accepted mail is counted.
    """
    after: dict[str, StoreEntry | None] = {}
    exceeded: list[Exceeded] = []
    for charge in charges:
        if charge.once and entries.get(charge.once) is not None:
            continue
        # two rules never share a bucket, so `entries` still holds the old values
        before = read_bucket(entries.get(charge.key))
        bucket, enough = take(before, now, charge.rate, charge.cost)
        if not enough:
            if before is not None and is_ahead(before, now):
                entries[charge.key] = bucket_entry(bucket, charge.rate)
            exceeded.append(Exceeded(charge, wait_for(bucket, charge.rate, charge.cost)))
            bucket = _drained(bucket, charge)
        after[charge.key] = bucket_entry(bucket, charge.rate)
        if charge.once:
            after[charge.once] = StoreEntry("1", int(now + charge.once_seconds) + 1)
    worst = max(exceeded, key=lambda one: _STRICTNESS[one.charge.rule.action], default=None)
    if worst is None or worst.charge.rule.action == "hold":
        entries.update(after)
    return worst


def _drained(bucket: Bucket, charge: Charge) -> Bucket:
    """Charge a message that is held, because it was sent; a bucket never drops below zero."""
    return Bucket(max(0.0, bucket.tokens - charge.cost), bucket.time)


def _charge(rule: LimitSettings, request: Request) -> Charge | None:
    """Return the cost of a request under a rule; None if the rule does not apply."""
    who = _who(rule, request)
    if not who or who in rule.exempt:
        return None
    rate = Rate(rule.overrides.get(who, rule.limit), rule.period)
    key = f"l\n{rule.name}\n{who}"
    if rule.count == "bytes":
        return Charge(rule, rate, who, request.size, key)
    at_rcpt = request.state == "RCPT"
    if rule.count == "recipients":
        cost = 1 if at_rcpt else max(1, request.recipient_count)
        return Charge(rule, rate, who, cost, key)
    if rule.count == "messages":
        if not at_rcpt or not request.instance:
            return Charge(rule, rate, who, 1, key)
        once = f"{key}\n{request.instance}"
        return Charge(rule, rate, who, 1, key, once, MESSAGE_SECONDS)
    once = f"{key}\n{request.recipient.lower()}"
    return Charge(rule, rate, who, 1, key, once, rule.period)


def _who(rule: LimitSettings, request: Request) -> str:
    """Return the subject of the limit in lower case; empty if the request has none."""
    if rule.per == "user":
        return request.sasl_username.lower()
    if rule.per == "client":
        return "" if request.client is None else str(request.client)
    if rule.per == "network":
        return network_identity(request.client, 24, 64).removeprefix("net:")
    if rule.per == "sender":
        return request.sender.lower()
    if rule.per == "sender_domain":
        return request.sender_domain
    return request.recipient.lower()
