"""The log line of each message, and the metrics of the milter."""

from __future__ import annotations

from structlog.typing import FilteringBoundLogger

from gatepost.metrics import Counter, Histogram
from milters.outcome import MessageOutcome

MESSAGES = Counter(
    "gatepost_milters_messages_total",
    "Messages by origin and action",
    ["origin", "action"],
)
RESULTS = Counter(
    "gatepost_milters_results_total",
    "Results of the checks of mail from outside",
    ["method", "result"],
)
REASONS = Counter(
    "gatepost_milters_reasons_total",
    "Messages not simply accepted, by reason id",
    ["action", "reason"],
)
SIGNATURES = Counter("gatepost_milters_signatures_total", "DKIM signatures made", ["algorithm"])
UNSIGNED = Counter(
    "gatepost_milters_unsigned_total",
    "Own messages that were not signed, by reason id",
    ["reason"],
)
SEALS = Counter(
    "gatepost_milters_seals_total",
    "Messages to seal (ARC): `sealed`, or the reason id why there is no new seal",
    ["result"],
)
FRAGILE = Counter(
    "gatepost_milters_fragile_total",
    "Messages signed or sealed whose signatures Postfix may break, by reason id",
    ["reason"],
)
FORGED = Counter(
    "gatepost_milters_forged_fields_total",
    "Header fields in our name removed from incoming mail",
)
SECOND_FIELDS = Counter(
    "gatepost_milters_second_fields_total",
    "Messages with a second field added to a signed one that may only occur once: "
    "`dkim-second-field`",
)
PROXIED = Counter(
    "gatepost_milters_proxied_total",
    "Messages whose client address is in proxy_networks, so that the client was not checked",
)
FAILURES = Counter(
    "gatepost_milters_failures_total", "Messages deferred because of an error in Gatepost"
)
SECONDS = Histogram(
    "gatepost_milters_decision_seconds",
    "Time from the end of a message to the answer, DNS included",
    buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30),
)


def report(
    log: FilteringBoundLogger, queue_id: str, outcome: MessageOutcome, seconds: float
) -> None:
    """Count a message and write its line; `seconds` is the duration of the decision."""
    MESSAGES.labels(outcome.origin, outcome.action).inc()
    for method, result in outcome.results:
        RESULTS.labels(method, result).inc()
    for algorithm in outcome.signatures:
        SIGNATURES.labels(algorithm).inc()
    SECONDS.observe(seconds)
    facts = dict(outcome.facts)
    if outcome.reason:
        REASONS.labels(outcome.action, outcome.reason).inc()
        facts["reason"] = outcome.reason
    if outcome.unsigned:
        UNSIGNED.labels(outcome.unsigned).inc()
        facts["unsigned"] = outcome.unsigned
    if outcome.seal:
        SEALS.labels(outcome.seal).inc()
        facts["seal"] = outcome.seal
    for reason in outcome.fragile:
        FRAGILE.labels(reason).inc()
    if outcome.fragile:
        facts["fragile"] = list(outcome.fragile)
    if outcome.forged:
        FORGED.inc(outcome.forged)
        facts["forged_fields"] = outcome.forged
    if outcome.second_field:
        SECOND_FIELDS.inc()
    log.info(
        "message",
        queue_id=queue_id,
        origin=outcome.origin,
        action=outcome.action,
        **facts,
        seconds=round(seconds, 4),
    )
    if outcome.proxied:
        PROXIED.inc()
        log.warning(
            "the client's address is that of a proxy: SPF and iprev are skipped",
            queue_id=queue_id,
            client=facts.get("client"),
        )
