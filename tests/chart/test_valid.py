"""Each set of values of ci/ gives what Kubernetes 1.29 and the newest take, and what it gave."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from gatepost.cli import configuration
from tests.chart.helm import CHART, ROOT, VALUES, Rendered, helm, template

SNAPSHOTS = Path(__file__).parent / "snapshots"
OLDEST = "1.29"
NEWEST = kubernetes_validate.latest_version()
OTHERS = {
    "Certificate": "cert-manager.io/v1",
    "HTTPRoute": "gateway.networking.k8s.io/v1",
    "PrometheusRule": "monitoring.coreos.com/v1",
    "ServiceMonitor": "monitoring.coreos.com/v1",
}
"""Kinds that Kubernetes itself does not know."""

sets = pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)


@pytest.mark.parametrize("values", [None, *VALUES], ids=lambda path: path.stem if path else "none")
def test_lint(values: Path | None) -> None:
    helm("lint", "--strict", CHART, values=values.read_text() if values else "")


@sets
@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_kubernetes_takes_it(values: Path, version: str) -> None:
    rendered = Rendered(template(values.read_text()))
    assert rendered.objects
    for each in rendered.objects:
        if each["kind"] in OTHERS:
            assert each["apiVersion"] == OTHERS[each["kind"]]
        else:
            kubernetes_validate.validate(each, version, strict=True)


def test_the_validation_can_fail() -> None:
    service = {"apiVersion": "v1", "kind": "Service", "spec": {"ports": [{"prot": 25}]}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(service, OLDEST, strict=True)


@sets
def test_names_are_there_once(values: Path) -> None:
    names = [
        (o["kind"], o["metadata"]["name"]) for o in Rendered(template(values.read_text())).objects
    ]
    assert len(names) == len(set(names))


def _names_of_ports(thing: Any) -> Iterator[str]:
    """The names of ports in an object, of containers, Services, probes and routes."""
    if isinstance(thing, list):
        for each in thing:
            yield from _names_of_ports(each)
    elif isinstance(thing, dict):
        for key, value in thing.items():
            if key in ("port", "targetPort") and isinstance(value, str):
                yield value
            elif key == "ports" and isinstance(value, list):
                yield from (str(each["name"]) for each in value if "name" in each)
            yield from _names_of_ports(value)


@sets
def test_names_of_ports_have_15_characters_at_most(values: Path) -> None:
    # RFC 6335 section 5.1, which the API checks, but not the schema of Kubernetes
    rendered = Rendered(template(values.read_text()))
    names = set(_names_of_ports([each for each in rendered.objects if "spec" in each]))
    assert names
    assert [each for each in names if not re.fullmatch(r"(?=.*[a-z])[-a-z0-9]{1,15}", each)] == []


@sets
def test_each_mount_has_its_volume(values: Path) -> None:
    for pod in Rendered(template(values.read_text())).pods().values():
        spec = pod["spec"]
        volumes = [each["name"] for each in spec.get("volumes", [])]
        assert len(volumes) == len(set(volumes))
        for container in spec["containers"] + spec.get("initContainers", []):
            paths = [each["mountPath"] for each in container.get("volumeMounts", [])]
            assert len(paths) == len(set(paths))
            for mount in container.get("volumeMounts", []):
                # the pods of a StatefulSet have those of its claims, too
                assert mount["name"] in [*volumes, "queue", "data"]


@sets
def test_gatepost_takes_its_configuration(values: Path, tmp_path: Path) -> None:
    rendered = Rendered(template(values.read_text()))
    text = rendered.one("ConfigMap", "mail-gatepost")["data"]["gatepost.toml"]
    # only the places are the chart's; what is in the files is the cluster's
    for file in set(re.findall(r"/secrets/[a-z]+/[a-z]+", text)):
        secret = tmp_path / file.rpartition("/")[2]
        secret.write_text("secret of 32 characters, or so, it is")
        secret.chmod(0o440)
        text = text.replace(file, str(secret))
    path = tmp_path / "gatepost.toml"
    path.write_text(text)
    configuration.read_whole(path)


@sets
def test_it_is_as_it_was(values: Path) -> None:
    snapshot = SNAPSHOTS / f"{values.stem}.yaml"
    # secrets are others with each rendering
    generated = r"(?m)^(  (?:password|valkey|seal|doveadm|srs|tls\.crt|tls\.key|ca\.crt): ).*"
    rendered = re.sub(generated, r"\1GENERATED", template(values.read_text()))
    expected = snapshot.read_text() if snapshot.exists() else ""
    if rendered != expected:
        SNAPSHOTS.mkdir(exist_ok=True)
        got = snapshot.with_suffix(".yaml.got")
        got.write_text(rendered)
        pytest.fail(f"differs from {snapshot}; look at {got} and move it there if it is right")


def test_the_plain_manifest_is_the_default() -> None:
    head = (ROOT / "k8s" / "mail.head").read_text()
    rendered = template((ROOT / "k8s" / "mail.values.yaml").read_text())
    assert (ROOT / "k8s" / "mail.yaml").read_text() == head + rendered, "run `make manifest`"


def test_the_manifest_of_the_whole_system_is_rendered_from_its_values() -> None:
    head = (ROOT / "k8s" / "mailboxes.head").read_text()
    rendered = template((ROOT / "k8s" / "mailboxes.values.yaml").read_text())
    assert (ROOT / "k8s" / "mailboxes.yaml").read_text() == head + rendered, "run `make manifest`"


_IN_EACH_SECTION = {
    *("extraEnv", "envFrom", "extraVolumeMounts", "extraVolumes", "initContainers", "sidecars"),
    *("podLabels", "podAnnotations", "nodeSelector", "tolerations", "affinity"),
    *("topologySpreadConstraints", "priorityClassName", "revisionHistoryLimit"),
    *("updateStrategy", "serviceAccountName"),
}
"""Keys that tests/chart/test_settings.py covers."""


def _leaves(value: Any, schema: Any, path: str = "") -> list[str]:
    """What is in the values and not in the schema, or the other way round."""
    properties = schema.get("properties")
    if properties is None or not isinstance(value, dict):
        return []
    optional = {"global"} if not path else set()
    if "resources" in value:
        # keys at the top that a section may have, too
        optional = set(_IN_EACH_SECTION)
    wrong = [f"{path}{name}" for name in set(value) ^ set(properties) if name not in optional]
    for name in set(value) & set(properties):
        wrong += _leaves(value[name], properties[name], f"{path}{name}.")
    return wrong


def test_the_schema_has_every_value_and_no_other() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())
    # what a resource may be asked for is Kubernetes' own to say
    ignored = (".resources.requests.", ".resources.limits.")
    assert values.pop("pod") == {}
    schema["properties"].pop("pod")
    assert [each for each in _leaves(values, schema) if not any(i in each for i in ignored)] == []
