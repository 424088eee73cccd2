"""Dashboards and alerts ask for what is measured, and for nothing else."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.helm import CHART, HelmError, Rendered, render, template
from tools.scripts.metrics import declared

DASHBOARDS = sorted((CHART / "dashboards").glob("*.json"))
ALERTS: list[dict[str, Any]] = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())
GIVEN = {"le", "namespace", "pod", "component", "service"}
"""Labels that are not ours: of histograms, and those that Prometheus and the monitor add."""
OTHERS = {
    "up": set(),
    "kubelet_volume_stats_available_bytes": {"persistentvolumeclaim"},
    "kubelet_volume_stats_capacity_bytes": {"persistentvolumeclaim"},
    "certmanager_certificate_expiration_timestamp_seconds": {"name"},
}
"""Metrics of Prometheus, the kubelet and cert-manager, with their labels."""
WORDS = {
    *("sum", "min", "max", "by", "rate", "increase", "time", "histogram_quantile"),
    "__rate_interval",
}
"""Names in expressions that are no metrics."""
RULES = "monitoring: {prometheusRule: {enabled: true}}\n"


@pytest.fixture(scope="module")
def known() -> dict[str, set[str]]:
    """Every metric with its labels, from the code."""
    ours: dict[str, set[str]] = {}
    for family in declared():
        ours[family.name] = set(family.label_names)
    assert len(ours) > 80
    return {**ours, **OTHERS}


def assert_measured(expression: str, known: dict[str, set[str]]) -> None:
    bare = re.sub(r'"[^"]*"', "", expression)
    labels = set(re.findall(r"(\w+)=~?", bare))
    for group in re.findall(r"by \(([^)]*)\)", bare):
        labels |= set(re.split(r", *", group))
    without = re.sub(r"\{[^}]*\}|\[[^]]*\]|by \([^)]*\)", "", bare)
    names = set(re.findall(r"[a-z_][a-z_0-9]*", without)) - WORDS
    assert names, expression
    for name in names:
        measured = known.get(name) if name in known else known[name.removesuffix("_bucket")]
        assert measured is not None
        assert labels - GIVEN <= measured, (name, expression)


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_asks_for_metrics_and_labels_that_there_are(
    path: Path, known: dict[str, set[str]]
) -> None:
    dashboard = json.loads(path.read_text())
    for panel in dashboard["panels"]:
        assert panel["targets"], panel["title"]
        for target in panel["targets"]:
            assert_measured(target["expr"], known)


def test_dashboards_are_told_apart() -> None:
    found = [json.loads(path.read_text()) for path in DASHBOARDS]
    assert len(found) == 2
    assert len({each["uid"] for each in found}) == len({each["title"] for each in found}) == 2
    for each in found:
        places = [
            (panel["gridPos"]["x"], panel["gridPos"]["y"], panel["id"]) for panel in each["panels"]
        ]
        assert len({place[:2] for place in places}) == len({place[2] for place in places})
        assert len(places) == len(each["panels"])


def test_all_dashboards_are_in_the_config_map() -> None:
    rendered = render("monitoring: {dashboard: {enabled: true}}")
    data = rendered.one("ConfigMap", "mail-dashboard")["data"]
    assert {name: json.loads(text) for name, text in data.items()} == {
        path.name: json.loads(path.read_text()) for path in DASHBOARDS
    }


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: str(alert["alert"]))
def test_an_alert_asks_for_metrics_and_labels_that_there_are(
    alert: dict[str, Any], known: dict[str, set[str]]
) -> None:
    assert_measured(alert["expr"], known)
    assert alert["labels"]["severity"] in ("warning", "critical")
    assert set(alert["annotations"]) == {"summary", "description"}
    # a label in a sentence has to be left after the aggregation
    used = set(re.findall(r"\$labels\.(\w+)", " ".join(alert["annotations"].values())))
    kept = re.findall(r"by \(([^)]*)\)", alert["expr"])
    if kept:
        assert used <= set(re.split(r", *", kept[0])), alert["alert"]


def alerts(rendered: Rendered) -> dict[str, dict[str, Any]]:
    (group,) = rendered.one("PrometheusRule", "mail")["spec"]["groups"]
    return {each["alert"]: each for each in group["rules"]}


def test_an_alert_is_there_when_what_it_watches_is() -> None:
    whole = "mailboxes: {enabled: true}\nvirus: {enabled: true}\ncertificate: {enabled: true}\n"
    assert list(alerts(render(RULES + whole))) == [each["alert"] for each in ALERTS]
    small = alerts(render(RULES))
    left_out = {each["alert"] for each in ALERTS} - set(small)
    assert left_out == {
        each["alert"]
        for each in ALERTS
        if each.get("needs") in ("accounts", "delivery", "clamav", "certificate")
    }
    assert render().kind("PrometheusRule") == {}


def test_an_alert_has_the_names_of_the_release_and_those_of_prometheus() -> None:
    for name, alert in alerts(render(RULES + "mailboxes: {enabled: true}\n")).items():
        assert "$NAMESPACE" not in alert["expr"], name
        assert "$RELEASE" not in alert["expr"], name
        assert "needs" not in alert
        assert 'namespace="default"' in alert["expr"], name
    down = alerts(render(RULES))["GatepostDown"]
    assert 'service=~"mail-.+-metrics"' in down["expr"]
    assert down["annotations"]["summary"] == "{{ $labels.component }} does not answer"


def test_an_alert_may_be_left_out_and_others_added() -> None:
    own = {"alert": "Mine", "expr": "up == 0", "for": "1m", "labels": {"severity": "warning"}}
    rendered = render(
        yaml.safe_dump(
            {
                "monitoring": {
                    "prometheusRule": {
                        "enabled": True,
                        "labels": {"release": "prometheus"},
                        "without": ["GatepostDown"],
                        "rules": [own],
                    }
                }
            }
        )
    )
    found = alerts(rendered)
    assert "GatepostDown" not in found
    assert found["Mine"] == own
    labels = rendered.one("PrometheusRule", "mail")["metadata"]["labels"]
    assert labels["release"] == "prometheus"


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ("enabled: true, without: [GatepostUp]", "GatepostUp, which is none of GatepostDown"),
        ("rules: [{alert: A}]", "missing property 'expr'"),
        ("rules: [{alert: A, expr: up, severity: x}]", "severity"),
        ("enabled: maybe", "want boolean"),
        ("without: GatepostDown", "want array"),
    ],
)
def test_it_says_what_is_wrong(values: str, sentence: str) -> None:
    with pytest.raises(HelmError) as caught:
        template(f"{{monitoring: {{prometheusRule: {{{values}}}}}}}")
    assert sentence in str(caught.value)
