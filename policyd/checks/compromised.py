"""Check for stolen passwords: logins from many networks or countries, and many bounces."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from gatepost.logs import get_logger
from gatepost.metrics import Counter
from policyd.action import hold, refuse
from policyd.buckets import RecentItems, note_recent, read_recent, recent_entry
from policyd.checks import CheckResult
from policyd.countries import Countries, read_countries
from policyd.facts import NO_FACTS, Facts
from policyd.identity import network_identity
from policyd.reasons import reply
from policyd.request import Request
from policyd.settings.accounts import CompromisedSettings
from policyd.stores import Known, Store, StoreEntry
from policyd.template import fill, of_request

REASON = "compromised"
ALERTS = Counter(
    "gatepost_policyd_compromised_total",
    "Requests with a login that shows a sign of abuse",
    ["sign"],
)
ALERT_INTERVAL = 600.0
"""Seconds between two alerts in the log for one login."""
MAX_ALERTED = 10_000
"""Maximum number of logins whose last alert is remembered."""

log = get_logger("policyd")


@dataclass(frozen=True, slots=True)
class Sign:
    """A sign of abuse: a word for the metrics, and a sentence for the log and the reply."""

    word: str
    told: str


class CompromisedCheck:
    """The check `compromised`. Raises `StoreError` when the store fails."""

    name = "compromised"

    def __init__(
        self,
        settings: CompromisedSettings,
        store: Store,
        hostname: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.states = frozenset({"RCPT", settings.bounces_at})
        self._settings = settings
        self._store = store
        self._hostname = hostname
        self._clock = clock
        self._exempt = frozenset(name.lower() for name in settings.exempt_users)
        self._countries = (
            read_countries(settings.countries_file) if settings.countries_file else Countries()
        )
        self._alerted: dict[str, float] = {}

    async def check(self, request: Request, _facts: Facts = NO_FACTS) -> CheckResult | None:
        """Record the use of a login, its messages and its bounces; act on a sign of abuse."""
        user = request.sasl_username.lower()
        if user:
            if user in self._exempt or request.state != "RCPT":
                return None
            sign = await self._judge_login(request, user)
            return self._act(request, user, sign) if sign else None
        is_counted = self._settings.bounces and request.state == self._settings.bounces_at
        if is_counted and request.recipient and not request.sender:
            await self._note_bounce(request)
        return None

    async def _judge_login(self, request: Request, user: str) -> Sign | None:
        settings = self._settings
        network = network_identity(request.client, 24, 64) if settings.max_networks else ""
        country = self._countries.of(request.client) if settings.max_countries else ""
        watched = (
            (network, settings.max_networks, "networks"),
            (country, settings.max_countries, "countries"),
        )
        keys = [f"u\n{word}\n{user}" for _, _, word in watched]
        if settings.bounces:
            sender = request.sender.lower()
            keys += [f"u\nsent\n{sender}", f"u\nbounces\n{sender}"]
        now = int(self._clock())

        def change(known: Known) -> tuple[Known, Sign | None]:
            entries = list(known)
            signs: list[Sign] = []
            for n, (item, most, word) in enumerate(watched):
                if item:
                    recent = note_recent(
                        read_recent(known[n]), item, now, settings.period, most + 1
                    )
                    entries[n] = recent_entry(recent, now, settings.period)
                    if len(recent.items) > most:
                        signs.append(Sign(word, f"used from {_names(recent)}"))
            if settings.bounces:
                entries[2] = _counted(known[2], now, settings.bounce_period)
                bounced, sent = _count(known[3]), _count(entries[2])
                if bounced > settings.bounces and bounced > settings.bounce_rate * sent:
                    signs.append(Sign("bounces", f"{bounced} bounces of {sent} messages"))
            return entries, signs[0] if signs else None

        return await self._store.update(keys, change)

    async def _note_bounce(self, request: Request) -> None:
        now = int(self._clock())
        period = self._settings.bounce_period

        def change(known: Known) -> tuple[Known, None]:
            return [_counted(known[0], now, period)], None

        await self._store.update((f"u\nbounces\n{request.recipient.lower()}",), change)

    def _act(self, request: Request, user: str, sign: Sign) -> CheckResult:
        ALERTS.labels(sign.word).inc()
        now = self._clock()
        if now - self._alerted.get(user, 0.0) >= ALERT_INTERVAL:
            if len(self._alerted) >= MAX_ALERTED:
                self._alerted.clear()
            self._alerted[user] = now
            log.error("login looks compromised", sasl_username=user, sign=sign.word, told=sign.told)
        action = self._settings.action
        if action == "note":
            return CheckResult(sign.word, detail=sign.told)
        if action == "hold":
            return CheckResult(sign.word, hold(f"{REASON}: {sign.told}"), REASON, sign.told)
        text = fill(self._settings.text, of_request(request, self._hostname))
        told = reply(REASON, text, temporary=action == "defer")
        return CheckResult(sign.word, refuse(told), REASON, sign.told)


def _names(recent: RecentItems) -> str:
    return ", ".join(name.removeprefix("net:") for name, _ in recent.items)


def _counted(entry: StoreEntry | None, now: int, period: float) -> StoreEntry:
    """Add one to a count, or start again at one when its period is over."""
    expires = entry.expires if entry is not None else now + int(period) + 1
    return StoreEntry(str(_count(entry) + 1), expires)


def _count(entry: StoreEntry | None) -> int:
    return int(entry.value) if entry is not None and entry.value.isdecimal() else 0
