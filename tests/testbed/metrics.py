"""Client of a daemon's port for metrics and probes."""

from __future__ import annotations

import urllib.error
import urllib.request

from prometheus_client.parser import text_string_to_metric_families

TIMEOUT = 5.0
"""Maximum seconds to wait for an answer."""

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Ignores proxies from the environment."""


class MetricsPort:
    """The port `port` of `host`, as in `metrics_listen`."""

    def __init__(self, host: str, port: int) -> None:
        self._base = f"http://{host}:{port}"

    def ready(self) -> bool:
        """Return whether `/readyz` is ready; False without an answer."""
        try:
            with _OPENER.open(f"{self._base}/readyz", timeout=TIMEOUT) as response:
                return bool(response.status == 200)
        except OSError:
            return False

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of the samples with this name and these labels; 0 if there are none."""
        with _OPENER.open(f"{self._base}/metrics", timeout=TIMEOUT) as response:
            text = response.read().decode()
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )
