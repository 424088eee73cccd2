"""The names of objects, when the user chooses them."""

from __future__ import annotations

import json
import re

import pytest

from tests.chart.helm import CHART, VALUES, HelmError, Rendered, helm, template

SETS = {path.stem.removesuffix("-values"): path.read_text() for path in VALUES}


def render(values: str, release: str = "mail") -> Rendered:
    text = helm("template", release, CHART, values=values)
    return Rendered(text)


@pytest.mark.parametrize("name", ["services-full", "mailboxes-offers", "mailboxes-full", "demo"])
def test_one_name_is_at_the_beginning_of_all(name: str) -> None:
    plain = render(SETS[name])
    own = render(SETS[name] + "\nfullnameOverride: post-office\n")
    assert len(own.objects) == len(plain.objects)
    for before, after in zip(plain.objects, own.objects, strict=True):
        if before["metadata"]["name"] == "authorities":
            continue
        expected = re.sub(r"^((queue|data)-)?mail\b", r"\1post-office", before["metadata"]["name"])
        assert after["metadata"]["name"] == expected
    # and whatever points to one points to the new one; these names are the user's or an image's
    text = json.dumps(own.objects)
    left = set(re.findall(r"(?<![-\w./:])mail-[a-z]+", text))
    assert left <= {"mail-dkim", "mail-tls", "mail-mailboxes", "mail-keys"}, left
    for each in own.objects:
        if "labels" in each["metadata"]:
            assert each["metadata"]["labels"]["app.kubernetes.io/instance"] == "mail"


@pytest.mark.parametrize(
    ("release", "values", "name"),
    [
        ("mail", "nameOverride: gate", "mail-gate"),
        ("gate-1", "nameOverride: gate", "gate-1"),
        ("mail", "{nameOverride: gate, fullnameOverride: own}", "own"),
        ("mail", "{}", "mail"),
    ],
)
def test_a_name_may_be_added(release: str, values: str, name: str) -> None:
    rendered = render(values, release)
    deployment = rendered.one("Deployment", name)
    label = "gate" if "nameOverride: gate" in values else "mail"
    labels = {
        "app.kubernetes.io/name": label,
        "app.kubernetes.io/instance": release,
        "app.kubernetes.io/component": "pod",
    }
    assert deployment["spec"]["selector"]["matchLabels"] == labels
    assert rendered.one("Service", f"{name}-smtp")["spec"]["selector"] == labels


def test_the_templates_take_names_from_one_place() -> None:
    for path in (CHART / "templates").rglob("*"):
        if path.is_file() and path.name != "_names.tpl":
            # an owner and the label of an instance are compared with the name of the release itself
            own = r"(?<!owner \.root)(?<!kubernetes\.io/instance\"\) \$)"
            found = re.findall(own + r"\.Release\.Name\b", path.read_text())
            assert not found, f"{path}: use mail.fullname"


@pytest.mark.parametrize("text", ["{nameOverride: A_B}", "{fullnameOverride: 1st}"])
def test_a_wrong_name_is_refused(text: str) -> None:
    with pytest.raises(HelmError, match="does not match pattern"):
        template(text)
