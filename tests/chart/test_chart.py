"""The chart as a whole: what Artifact Hub shows, and the values for a small machine."""

from __future__ import annotations

import re

import yaml

from tests.chart.helm import CHART, ROOT, render

UNITS = {"Mi": 1, "Gi": 1024}


def mebibytes(text: str) -> int:
    number, unit = re.fullmatch(r"(\d+)(Mi|Gi)", text).groups()  # type: ignore[union-attr]
    return int(number) * UNITS[unit]


def test_artifact_hub_is_told_of_every_image_and_of_pages_that_there_are() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())["images"]
    told = yaml.safe_load(chart["annotations"]["artifacthub.io/images"])
    assert {each["name"]: each["image"] for each in told} == {
        name: f"{each['repository']}:{chart['appVersion']}"
        for name, each in values.items()
        if isinstance(each, dict)
    }
    for link in yaml.safe_load(chart["annotations"]["artifacthub.io/links"]):
        assert (ROOT / link["url"].partition("/blob/main/")[2]).is_file(), link
    licence = (ROOT / "LICENSE").read_text()
    assert chart["annotations"]["artifacthub.io/license"] == "Apache-2.0"
    assert "Apache License" in licence


def test_a_small_machine_has_room_for_the_micro_values() -> None:
    rendered = render((CHART / "micro-values.yaml").read_text())
    containers = rendered.containers()
    daemons = {"milters", "policyd", "accounts", "postfixwatch"}
    assert set(containers) == {"postfix", "dovecot", "webmail", *daemons}
    asked = [each["resources"] for each in containers.values()]
    assert sum(mebibytes(each["requests"]["memory"]) for each in asked) <= 320
    assert sum(int(each["requests"]["cpu"].removesuffix("m")) for each in asked) <= 100
    # what each may use at most, if all do at once, is a little more than the machine has
    assert sum(mebibytes(each["limits"]["memory"]) for each in asked) <= 1200
    plain = render("{mailboxes: {enabled: true}, webmail: {enabled: true}}").containers()
    for name, container in containers.items():
        for kind in ("requests", "limits"):
            ours, theirs = (each["resources"][kind]["memory"] for each in (container, plain[name]))
            assert mebibytes(ours) <= mebibytes(theirs), name


def test_the_micro_values_leave_the_daemons_memory_for_work() -> None:
    """A container needs twice the memory of what is in progress: see the reference."""
    rendered = render((CHART / "micro-values.yaml").read_text())
    text = rendered.one("ConfigMap", "mail-gatepost")["data"]["gatepost.toml"]
    for name, key in (("milters", "message_memory"), ("policyd", "request_memory")):
        (found,) = re.findall(rf'{key} = "(\d+)M"', text)
        limit = rendered.containers()[name]["resources"]["limits"]["memory"]
        assert 2 * int(found) <= mebibytes(limit)
