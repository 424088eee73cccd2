"""helm, as a user calls it, and what it renders."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "k8s" / "chart"
VALUES = [*sorted((CHART / "ci").glob("*-values.yaml")), CHART / "micro-values.yaml"]

WITHOUT_HELM = "GATEPOST_WITHOUT_HELM"
"""The environment variable with which a machine says that it has no helm, and means it."""

Manifest = dict[str, Any]


class HelmError(Exception):
    """helm refused; the message is what it said."""


def missing() -> str:
    """Why nothing can be rendered here; empty when it can."""
    return "" if shutil.which("helm") else "helm is not in PATH"


def helm(*arguments: str | Path, values: str = "") -> str:
    """Run helm, `values` being a values file in YAML; returns its output or raises `HelmError`."""
    command = ["helm", *map(str, arguments)]
    if values:
        command += ["--values", "-"]
    done = subprocess.run(
        command,
        input=values,
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")},
    )
    if done.returncode != 0:
        raise HelmError(done.stderr)
    return done.stdout


def template(values: str = "") -> str:
    """The chart rendered as release `mail`, without the pod of `helm test`."""
    return helm("template", "mail", CHART, "--skip-tests", values=values)


class Rendered:
    """The objects of a rendered chart."""

    def __init__(self, text: str) -> None:
        self.objects: list[Manifest] = [each for each in yaml.safe_load_all(text) if each]

    def kind(self, kind: str) -> dict[str, Manifest]:
        """All objects of a kind, by name."""
        return {each["metadata"]["name"]: each for each in self.objects if each["kind"] == kind}

    def one(self, kind: str, name: str) -> Manifest:
        """The object of that kind and name."""
        return self.kind(kind)[name]

    def pods(self) -> dict[str, Manifest]:
        """The pod templates of all workloads, by the name of the workload."""
        return {
            each["metadata"]["name"]: each["spec"]["template"]
            for each in self.objects
            if each["kind"] in ("Deployment", "StatefulSet")
        }

    def containers(self) -> dict[str, Manifest]:
        """All containers by name; no two have the same."""
        found = [each for pod in self.pods().values() for each in pod["spec"]["containers"]]
        by_name = {each["name"]: each for each in found}
        assert len(by_name) == len(found)
        return by_name


def render(values: str = "") -> Rendered:
    """The chart with these values, as objects."""
    return Rendered(template(values))
