"""A component is one folder of templates: nothing else of the chart's templates knows of it."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.helm import CHART, HelmError, Rendered, helm, template

TEMPLATES = CHART / "templates"
NAMES = sorted(path.parent.name for path in TEMPLATES.glob("*/_component.tpl"))

ANTIVIRUS = {
    "_component.tpl": """
{{- define "mail.antivirus.component" -}}
sharesPod: true
metrics: 9199
egress:
  - ports: [{port: 443}]
reaches:
  - {component: policyd, ports: [10023]}
  - {component: valkey, ports: [6379]}
podVolumes: |
  - name: signatures
    emptyDir: {}
{{- end }}
{{- define "mail.antivirus.config" -}}
{{- dict "listen" "inet:3310" | toYaml }}
{{- end }}
""",
    "_container.tpl": """
{{- define "mail.antivirus.container" -}}
name: antivirus
image: {{ include "mail.image" (dict "root" . "name" "antivirus") }}
ports:
  - {name: metrics-antivir, containerPort: 9199}
volumeMounts:
  - {name: signatures, mountPath: /signatures}
{{- end }}
{{- define "mail.antivirus.volumes" -}}
- name: scratch
  emptyDir: {}
{{- end }}
""",
    "deployment.yaml": """
{{- if eq .Values.topology "services" }}
{{ include "mail.deployment" (dict "root" . "component" "antivirus") }}
{{- end }}
""",
}
"""A component that the chart does not have: its folder."""

VALUES = {
    "replicas": 3,
    "autoscaling": {"enabled": False, "minReplicas": 1, "maxReplicas": 2, "targetCPU": 70},
    "resources": {"requests": {"cpu": "1m"}},
}


@pytest.fixture(scope="module")
def larger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The chart with the folder of one component more, and its values; no template is changed."""
    chart = tmp_path_factory.mktemp("chart") / "mail"
    shutil.copytree(CHART, chart)
    folder = chart / "templates" / "antivirus"
    folder.mkdir()
    for name, text in ANTIVIRUS.items():
        (folder / name).write_text(text)
    values = yaml.safe_load((chart / "values.yaml").read_text())
    values["antivirus"] = VALUES
    values["images"]["antivirus"] = {"repository": "example.org/antivirus", "tag": "1"}
    values["config"]["antivirus"] = {"depth": 7, "listen": "not this"}
    values["monitoring"]["serviceMonitor"]["enabled"] = True
    (chart / "values.yaml").write_text(yaml.safe_dump(values))
    schema = json.loads((chart / "values.schema.json").read_text())
    for part in (schema, *(schema["properties"][name] for name in ("config", "images"))):
        part["properties"]["antivirus"] = {"type": "object"}
    (chart / "values.schema.json").write_text(json.dumps(schema))
    return chart


def rules(rendered: Rendered, name: str, direction: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = rendered.one("NetworkPolicy", name)["spec"][direction]
    return found


def peer(component: str) -> dict[str, Any]:
    labels = {"app.kubernetes.io/name": "mail", "app.kubernetes.io/instance": "mail"}
    return {"podSelector": {"matchLabels": {**labels, "app.kubernetes.io/component": component}}}


def test_a_folder_adds_a_component_to_the_pod(larger: Path) -> None:
    rendered = Rendered(helm("template", "mail", larger))
    pod = rendered.pods()["mail"]["spec"]
    assert [one["name"] for one in pod["containers"]] == [
        "antivirus", "milters", "policyd", "postfix",
    ]  # fmt: skip
    assert {"signatures", "scratch"} <= {volume["name"] for volume in pod["volumes"]}
    (scraped,) = (rule for rule in rules(rendered, "mail-pod", "ingress") if "from" in rule)
    assert scraped["ports"] == [{"port": 9199}, {"port": 9101}, {"port": 9102}]
    assert {"ports": [{"port": 443}]} in rules(rendered, "mail-pod", "egress")
    # what is in one pod needs no way out of it
    ports = [port for rule in rules(rendered, "mail-pod", "egress") for port in rule["ports"]]
    assert {"port": 10023} not in ports
    # and what does not run is not reached
    assert {"port": 6379} not in ports
    service = rendered.one("Service", "mail-antivirus-metrics")["spec"]
    assert service["selector"]["app.kubernetes.io/component"] == "pod"


def test_a_folder_adds_a_component_to_the_services(larger: Path) -> None:
    rendered = Rendered(helm("template", "mail", larger, values="{topology: services}"))
    deployment = rendered.one("Deployment", "mail-antivirus")["spec"]
    assert deployment["replicas"] == 3
    volumes = {volume["name"] for volume in deployment["template"]["spec"]["volumes"]}
    assert volumes == {"gatepost-config", "scratch"}
    way = {"ports": [{"port": 10023}]}
    assert {"to": [peer("policyd")], **way} in rules(rendered, "mail-antivirus", "egress")
    assert {"from": [peer("antivirus")], **way} in rules(rendered, "mail-policyd", "ingress")
    assert rules(rendered, "mail-antivirus", "ingress") == [
        {"from": [{"podSelector": {}}], "ports": [{"port": 9199}]}
    ]


def test_two_components_of_one_pod_have_one_way_to_a_third(larger: Path) -> None:
    rendered = Rendered(helm("template", "mail", larger, values="{store: {kind: valkey}}"))
    way = {"ports": [{"port": 6379}]}
    assert rules(rendered, "mail-valkey", "ingress") == [{"from": [peer("pod")], **way}]
    assert rules(rendered, "mail-pod", "egress").count(way) == 1


def test_a_folder_adds_a_section_to_the_configuration(larger: Path) -> None:
    rendered = Rendered(helm("template", "mail", larger))
    text = rendered.one("ConfigMap", "mail-gatepost")["data"]["gatepost.toml"]
    assert '[antivirus]\n  depth = 7\n  listen = "inet:3310"\n' in text


def test_a_new_component_cannot_scale_in_one_pod(larger: Path) -> None:
    with pytest.raises(HelmError, match="topology pod is one pod and cannot scale"):
        helm("template", "mail", larger, values="{antivirus: {autoscaling: {enabled: true}}}")


@pytest.mark.parametrize(
    "path",
    [path for path in sorted(TEMPLATES.glob("*")) if path.suffix in (".yaml", ".tpl")],
    ids=lambda path: path.name,
)
def test_the_common_templates_name_no_component(path: Path) -> None:
    code = re.sub(r"\{\{-? /\*.*?\*/ ?-?\}\}", "", path.read_text(), flags=re.DOTALL)
    assert NAMES
    assert re.findall(rf"\b({'|'.join(NAMES)})\b", code) == []


def test_a_component_has_values_and_a_folder() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    sections = {
        name for name, each in values.items() if isinstance(each, dict) and "resources" in each
    }
    assert sections == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_no_value_removes_a_component(name: str) -> None:
    """Without these values it would not be rendered, and nothing would say so."""
    with pytest.raises(HelmError, match=f"missing property '{name}'"):
        template(f"{{{name}: null}}")
    with pytest.raises(HelmError, match=f"'/{name}': missing property 'resources'"):
        template(f"{{{name}: {{resources: null}}}}")
