"""The values of `make cluster` are values that the chart takes, for each file and change."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.chart.helm import render
from tests.cluster import claims
from tests.cluster.options import Options
from tests.cluster.scenes import SERVICES, scenes
from tests.cluster.values import FILES, adapted, expected_claims, merged, read

SCENES = {scene.name: scene for scene in scenes(FILES)}
OPTIONS = Options(Path("k"), images="registry.example/mail", tag="7")


@pytest.mark.parametrize("name", SCENES)
def test_each_scene_begins_with_values_that_the_chart_takes(name: str) -> None:
    scene = SCENES[name]
    values = merged(adapted(merged(read(scene.values), scene.change), ()), OPTIONS.values())
    rendered = render(yaml.safe_dump(values))
    kinds = {each["apiVersion"].partition("/")[0] for each in rendered.objects}
    assert not kinds & {"cert-manager.io", "monitoring.coreos.com", "gateway.networking.k8s.io"}
    for container in rendered.containers().values():
        assert container["image"].startswith("registry.example/mail/gatepost")
        assert container["image"].endswith(":7")
    # nothing is missing when it is installed
    assert claims.used(rendered.objects) <= claims.made(rendered.objects) | set(
        expected_claims(values)
    )


def test_a_change_of_the_topology_is_one_that_the_chart_takes() -> None:
    values = adapted(merged(read("minimal"), SERVICES), ())
    assert "mail-postfix" in render(yaml.safe_dump(values)).kind("StatefulSet")
