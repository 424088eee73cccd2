"""Writer of the log line of a decision: there is one for every request, so it is built cheaply.

JSON lines are built here, in the same form as those of `gatepost.logs`, and all lines of one turn
of the event loop go out in one write. In the console format, lines go through `gatepost.logs`.

Probes ask several times a minute; their answers are logged at level debug, so that the log of an
idle server stays empty.
"""

from __future__ import annotations

import asyncio
import time
from json.encoder import encode_basestring_ascii as quote

from gatepost.config import LogSettings
from gatepost.logs import MAX_VALUE, as_json, get_logger, output
from policyd.action import DUNNO
from policyd.engine import Decision
from policyd.request import Request

FIELDS = (
    ("client", "client_address"),
    ("client_name", "client_name"),
    ("helo", "helo_name"),
    ("sender", "sender"),
    ("recipient", "recipient"),
    ("sasl_username", "sasl_username"),
    ("queue_id", "queue_id"),
    ("instance", "instance"),
)
"""Key of the log line, attribute of Postfix. Empty attributes are left out."""

_BEGINNINGS = tuple((f',"{key}":', attribute) for key, attribute in FIELDS)
MAX_HEADS = 1000
"""Cached beginnings of lines: some 300 bytes each."""

log = get_logger("policyd")


class DecisionLog:
    """Writes decisions to standard error, in the configured format."""

    def __init__(self, settings: LogSettings) -> None:
        self._wanted = settings.level in ("debug", "info")
        self._probes_wanted = settings.level == "debug"
        self._as_json = as_json(settings)
        self._output = output()
        self._lines: list[str] = []
        self._heads: dict[tuple[bytes, str, str, str], str] = {}
        self._second = 0
        self._second_text = ""

    def write(self, request: Request, decision: Decision, seconds: float) -> None:
        """Log one decision; called in the event loop."""
        if not self._wanted:
            return
        is_probe = request.is_probe and decision.action is DUNNO
        if is_probe and not self._probes_wanted:
            return
        level = "debug" if is_probe else "info"
        if not self._as_json:
            getattr(log, level)("decision", **_shown(request, decision, seconds))
            return
        if not self._lines:
            asyncio.get_running_loop().call_soon(self.flush)
        self._lines.append(self._line(request, decision, seconds, level))

    def flush(self) -> None:
        """Write the waiting lines."""
        lines, self._lines = self._lines, []
        self._output.write("".join(lines))

    def _line(self, request: Request, decision: Decision, seconds: float, level: str) -> str:
        parts = [self._head(decision), f',"state":{_quote(request.state)}']
        get = request.attributes.get
        if decision.proxied:
            parts.append(f',"proxy":{_quote(request.client_address)}')
        for begin, attribute in _BEGINNINGS:
            if said := get(attribute):
                parts.append(begin)
                parts.append(quote(said) if len(said) <= MAX_VALUE else _quote(said))
        parts.append(
            f',"seconds":{seconds:.6f},"event":"decision","level":"{level}","time":"{self._time()}"}}\n'
        )
        return "".join(parts)

    def _head(self, decision: Decision) -> str:
        """Return the part that describes the decision; few different ones recur, so they are
        cached."""
        findings = "; ".join(decision.findings)
        key = (decision.action.wire, decision.check, decision.reason, findings)
        head = self._heads.get(key)
        if head is None:
            head = f'{{"daemon":"policyd","action":{quote(str(decision.action))}'
            if decision.check:
                head += f',"check":"{decision.check}"'
            if decision.reason:
                head += f',"reason":"{decision.reason}"'
            if findings:
                head += f',"findings":{_quote(findings)}'
            if len(self._heads) >= MAX_HEADS:  # a detail may come from mail
                self._heads.clear()
            self._heads[key] = head
        return head

    def _time(self) -> str:
        now = time.time()
        second = int(now)
        if second != self._second:
            self._second = second
            self._second_text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return f"{self._second_text}.{int((now - second) * 1e6):06d}Z"


def _quote(value: str) -> str:
    return quote(value if len(value) <= MAX_VALUE else value[:MAX_VALUE] + "…")


def _shown(request: Request, decision: Decision, seconds: float) -> dict[str, object]:
    shown: dict[str, object] = {
        "action": str(decision.action),
        "check": decision.check,
        "reason": decision.reason,
        "findings": "; ".join(decision.findings),
        "state": request.state,
    }
    if decision.proxied:
        shown["proxy"] = request.client_address
    shown.update((key, request.attributes.get(attribute, "")) for key, attribute in FIELDS)
    shown["seconds"] = round(seconds, 6)
    return {key: value for key, value in shown.items() if value not in ("", None)}
