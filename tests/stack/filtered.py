"""Whole systems with other filters than that of `make up`: the chart, rendered with other values.

The chart needs helm, as in tests/chart.
"""

from __future__ import annotations

import base64
import contextlib
import os
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.helm import CHART, WITHOUT_HELM, Rendered, helm, missing
from tests.stack.stack import World
from tests.stack.up import WholeSystem
from tests.testbed.mounted import MountedFolder
from tests.testbed.pod import Network
from tools.up.place import PORTS, ROOT

OTHER_PORTS = {name: port + 1000 for name, port in PORTS.items()}
"""The ports of this machine: the system of `make up` is there, too."""
WITHOUT = "webmail: {enabled: false}\nbackup: {enabled: false}\n"
"""The values for what is of no use here."""


def render(values: str) -> Rendered:
    """Return the chart as `make up` has it, with these values in YAML over its own."""
    if reason := missing():
        if os.environ.get(WITHOUT_HELM):
            pytest.skip(f"{reason}, and {WITHOUT_HELM} is set")
        pytest.fail(f"{reason}: install helm 3.14 or later, or set {WITHOUT_HELM}=1", pytrace=False)
    usual = ROOT / "k8s" / "mailboxes.values.yaml"
    text = helm(
        "template", "mail", CHART, "--skip-tests", "--values", usual, values=WITHOUT + values
    )
    return Rendered(text)


def configuration(rendered: Rendered) -> dict[str, Any]:
    """Return gatepost.toml of a rendered chart."""
    return tomllib.loads(rendered.one("ConfigMap", "mail-gatepost")["data"]["gatepost.toml"])


@contextlib.contextmanager
def running(
    network: Network,
    world: World,
    values: str,
    volumes: Mapping[str, Path] | None = None,
) -> Iterator[WholeSystem]:
    """Run a system with these values, and remove it at the end. `volumes` are the folders of this
    machine that replace volumes, by their names in the chart."""
    rendered = render(values)
    # pytest's tmp_path can be reached by root alone
    with tempfile.TemporaryDirectory(prefix="gatepost-test-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        state = Path(folder) / "state"
        state.mkdir()
        _adapt(rendered, state, volumes or {})
        text = yaml.safe_dump_all(rendered.objects, sort_keys=False)
        whole = WholeSystem(network, world, state, manifest=text, ports=OTHER_PORTS)
        try:
            assert whole.start() is not None
            whole.hurry()
            yield whole
        finally:
            whole.close()


def _adapt(rendered: Rendered, state: Path, volumes: Mapping[str, Path]) -> None:
    """Write the Secrets that the chart generates into folders of the state, and replace what
    podman does not mount."""
    secrets = {
        name: {file: base64.b64decode(text).decode() for file, text in each.get("data", {}).items()}
        for name, each in rendered.kind("Secret").items()
    }
    for name, files in secrets.items():
        _mounted(state, name, files)
    (pod,) = rendered.pods().values()
    for volume in pod["spec"]["volumes"]:
        if volume["name"] in volumes:
            del volume["persistentVolumeClaim"]
            volume["hostPath"] = {"path": str(volumes[volume["name"]]), "type": "Directory"}
        if projected := volume.pop("projected", None):
            # podman 4.3 has no projected volumes
            files = _files(rendered, secrets, projected["sources"])
            name = f"mail-{volume['name']}"
            _mounted(state, name, files)
            volume["secret"] = {"secretName": name}


def _files(
    rendered: Rendered, secrets: Mapping[str, Mapping[str, str]], sources: list[Any]
) -> dict[str, str]:
    found: dict[str, str] = {}
    for source in sources:
        if "configMap" in source:
            found |= rendered.one("ConfigMap", source["configMap"]["name"])["data"]
        else:
            secret = source["secret"]
            found |= {
                item["path"]: secrets[secret["name"]][item["key"]] for item in secret["items"]
            }
    return found


def _mounted(state: Path, name: str, files: Mapping[str, str]) -> None:
    path = state / name.removeprefix("mail-")
    path.mkdir(mode=0o755)
    # the containers run as other users, all in group 0
    MountedFolder(path, 0o640).replace(files)
