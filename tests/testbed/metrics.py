"""What a daemon answers on its port for metrics and probes."""

from __future__ import annotations

import urllib.error
import urllib.request

from prometheus_client.parser import text_string_to_metric_families

TIMEOUT = 5.0
"""Seconds for one answer."""

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Without the proxies that the environment may name."""


class MetricsPort:
    """The port `port` of `host`, as `metrics_listen` names it."""

    def __init__(self, host: str, port: int) -> None:
        self._base = f"http://{host}:{port}"

    def ready(self) -> bool:
        """Return what `/readyz` says now; False when nobody answers."""
        try:
            with _OPENER.open(f"{self._base}/readyz", timeout=TIMEOUT) as response:
                return bool(response.status == 200)
        except OSError:
            return False

    def metric(self, name: str, **labels: str) -> float:
        """The sum of the samples of that name that have these labels; 0 when there is none."""
        with _OPENER.open(f"{self._base}/metrics", timeout=TIMEOUT) as response:
            text = response.read().decode()
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )
