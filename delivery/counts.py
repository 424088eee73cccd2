"""Metrics of the proxy."""

from __future__ import annotations

from gatepost.metrics import Counter, Gauge, Histogram

CONNECTIONS = Gauge("gatepost_delivery_connections", "Open connections", across="sum")
MADE_ROOM = Counter(
    "gatepost_delivery_connections_made_room_total",
    "Idle connections closed to make room for others at max_connections",
)
MALFORMED = Counter("gatepost_delivery_malformed_total", "Commands refused as malformed")
MESSAGES = Counter("gatepost_delivery_messages_total", "Messages received completely")
ABANDONED = Counter(
    "gatepost_delivery_abandoned_total",
    "Messages whose client closed the connection, or fell silent, before it had its answers",
)
RECIPIENTS = Counter(
    "gatepost_delivery_recipients_total",
    "Recipients answered, by the spam verdict and the class of the reply",
    ["verdict", "reply"],
)
REASONS_GIVEN = Counter(
    "gatepost_delivery_refused_total", "Recipients refused by the proxy itself", ["reason"]
)
SCANS = Counter("gatepost_delivery_scans_total", "Scans", ["scanner", "outcome"])
SCAN_SECONDS = Histogram(
    "gatepost_delivery_scan_seconds",
    "Time of a scan, with the wait for its turn",
    ["scanner"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120),
)
OUTAGE = Gauge(
    "gatepost_delivery_scanner_outage",
    "1 while the last scan has failed",
    ["scanner"],
    across="max",
)
UNCHECKED = Counter(
    "gatepost_delivery_unchecked_total",
    "Recipients whose mail was delivered without a scan, after an outage",
    ["scanner"],
)
QUARANTINED = Counter(
    "gatepost_delivery_quarantined_total", "Messages with a virus, delivered to the quarantine"
)
QUARANTINE_ACTIONS = Counter(
    "gatepost_delivery_quarantine_actions_total",
    "Messages that have left the quarantine folder, by action: released, deleted, expired",
    ["action"],
)
QUARANTINE_MESSAGES = Gauge(
    "gatepost_delivery_quarantine_messages", "Messages in the quarantine folder", across="sum"
)
QUARANTINE_BYTES = Gauge(
    "gatepost_delivery_quarantine_bytes", "Octets in the quarantine folder", across="sum"
)
SPOOLED = Gauge(
    "gatepost_delivery_spooled_bytes",
    "Octets of messages in progress that are in files",
    across="sum",
)
LESSONS = Counter(
    "gatepost_delivery_lessons_total", "Messages to learn by the spam filter", ["kind", "outcome"]
)
