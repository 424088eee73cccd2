"""Options of a run, from the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.testbed import images

NAMES = (
    *("gatepost", "postfix", "valkey", "accounts", "dovecot", "webmail"),
    *("spamassassin", "rspamd", "clamav"),
)
"""The images of the chart, as `images` in values.yaml has them."""


class OptionError(Exception):
    """A variable is unusable; the message says what is allowed."""


@dataclass(frozen=True)
class Options:
    """`images` and `tag` say where the nodes find the images; both empty: as the chart has them."""

    kubeconfig: Path
    images: str = ""
    tag: str = ""
    prefix: str = "gatepost-test"
    """The beginning of the names of all namespaces, which the run creates and deletes."""
    patience: int = 600
    """Seconds until a rollout or the arrival of mail counts as failed."""

    def image(self, name: str) -> str:
        """Return the repository of an image, without a tag; empty: the chart's own."""
        if not self.images:
            return ""
        return f"{self.images}/{'gatepost' if name == 'gatepost' else f'gatepost-{name}'}"

    def values(self) -> dict[str, Any]:
        """Return the values of the chart that choose the images."""
        if not self.images and not self.tag:
            return {}
        found: dict[str, Any] = {}
        for name in NAMES:
            found[name] = {"tag": self.tag} if self.tag else {}
            if self.images:
                found[name]["repository"] = self.image(name)
        return {"images": found}


def read(environment: Mapping[str, str]) -> Options:
    """Return the options; raises `OptionError`."""
    kubeconfig = environment.get("KUBECONFIG", "")
    if not kubeconfig or ":" in kubeconfig:
        raise OptionError("set KUBECONFIG to the file of one cluster that may be used for tests")
    text = environment.get("GATEPOST_CLUSTER_PATIENCE", "600")
    if not text.isdecimal() or not 10 <= int(text) <= 7200:
        raise OptionError("GATEPOST_CLUSTER_PATIENCE is a number of seconds from 10 to 7200")
    return Options(
        Path(kubeconfig),
        images=environment.get("GATEPOST_CLUSTER_IMAGES", "").rstrip("/"),
        tag=environment.get("GATEPOST_CLUSTER_TAG", ""),
        patience=int(text),
    )


def local_images() -> dict[str, str]:
    """Return the images of this checkout by the names that the chart gives them by default."""
    return {name: images.tag(name) for name in NAMES}
