"""The metrics of the policy server's connections and requests."""

from __future__ import annotations

from gatepost.metrics import Counter, Gauge, Histogram

CONNECTIONS = Gauge(
    "gatepost_policyd_connections",
    "Open connections",
    across="sum",
)
REQUESTS = Counter("gatepost_policyd_requests_total", "Requests answered", ["state", "action"])
MALFORMED = Counter("gatepost_policyd_malformed_total", "Malformed requests received")
OUT_OF_TIME = Counter(
    "gatepost_policyd_out_of_time_total", "Requests that exceeded their time limit"
)
REFUSED = Counter(
    "gatepost_policyd_connections_refused_total",
    "Connections closed at once because max_connections was reached",
)
MADE_ROOM = Counter(
    "gatepost_policyd_connections_made_room_total",
    "Silent connections closed to make room for others at max_connections",
)
SECONDS = Histogram(
    "gatepost_policyd_request_seconds",
    "Time from the end of a request to its answer",
    buckets=(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1, 2.5, 5, 10),
)

HELD = Gauge(
    "gatepost_policyd_held_bytes",
    "Memory used by requests in progress, limited by request_memory",
    across="sum",
)
