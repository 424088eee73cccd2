"""The names of images, and objects of the user."""

from __future__ import annotations

import pytest
import yaml

from tests.chart.helm import CHART, HelmError, Rendered, helm, render, template

IMAGES = {
    name: each["repository"]
    for name, each in yaml.safe_load((CHART / "values.yaml").read_text())["images"].items()
    if isinstance(each, dict)
}
WHOLE = {
    "mailboxes": {"enabled": True},
    "webmail": {"enabled": True},
    "virus": {"enabled": True},
    "store": {"kind": "valkey"},
}
DIGEST = "sha256:" + "0123456789abcdef" * 4


def names(engine: str, **more: object) -> set[str]:
    rendered = render(yaml.safe_dump({**WHOLE, "spam": {"engine": engine}, **more}))
    return {each["image"] for each in rendered.containers().values()}


@pytest.mark.parametrize("engine", ["spamassassin", "rspamd"])
def test_a_digest_takes_the_place_of_the_tag(engine: str) -> None:
    images = {name: {"digest": DIGEST, "tag": "ignored"} for name in IMAGES}
    found = names(engine, images=images)
    other = "rspamd" if engine == "spamassassin" else "spamassassin"
    assert found == {f"{where}@{DIGEST}" for name, where in IMAGES.items() if name != other}


@pytest.mark.parametrize(
    ("repository", "expected"),
    [
        ("ghcr.io/gatepost/gatepost", "r.example:5000/mirror/gatepost/gatepost:0.1.0"),
        ("localhost/gatepost", "r.example:5000/mirror/gatepost:0.1.0"),
        ("host:5000/a/b", "r.example:5000/mirror/a/b:0.1.0"),
        ("library/gatepost", "r.example:5000/mirror/library/gatepost:0.1.0"),
        ("gatepost", "r.example:5000/mirror/gatepost:0.1.0"),
    ],
)
def test_one_registry_for_all_images(repository: str, expected: str) -> None:
    rendered = render(
        "{global: {imageRegistry: r.example:5000/mirror, other: {of: parents}},"
        f" images: {{gatepost: {{repository: '{repository}'}}}}}}"
    )
    found = {name: each["image"] for name, each in rendered.containers().items()}
    assert found == {
        "milters": expected,
        "policyd": expected,
        "postfix": "r.example:5000/mirror/gatepost/gatepost-postfix:0.1.0",
    }


def test_the_global_keys_of_a_chart_around_this_one() -> None:
    values = (
        "{global: {imagePullSecrets: [{name: all}], storageClass: shared},"
        " images: {pullSecrets: [{name: own}, {name: all}]}}"
    )
    rendered = render(values)
    secrets = rendered.pods()["mail"]["spec"]["imagePullSecrets"]
    assert secrets == [{"name": "own"}, {"name": "all"}]
    for claim in rendered.kind("PersistentVolumeClaim").values():
        assert claim["spec"]["storageClassName"] == "shared"


def test_objects_of_the_user() -> None:
    text = yaml.safe_dump(
        {
            "extraObjects": [
                {
                    "apiVersion": "v1",
                    "kind": "ConfigMap",
                    "metadata": {"name": "{{ .Release.Name }}-own"},
                    "data": {"host": "{{ .Values.mail.hostname }}"},
                },
                "apiVersion: v1\nkind: Secret\nmetadata: {name: text}\n"
                "stringData: {number: {{ add 1 2 | quote }}}\n",
            ]
        }
    )
    rendered = Rendered(helm("template", "post", CHART, values=text))
    assert rendered.one("ConfigMap", "post-own")["data"] == {"host": "mail.example.org"}
    assert rendered.one("Secret", "text")["stringData"] == {"number": "3"}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{images: {gatepost: {digest: 'sha256:abc'}}}", "does not match pattern"),
        ("{images: {gatepost: {digests: x}}}", "digests"),
        ("{global: {imageRegistry: 'https://r.example/'}}", "does not match pattern"),
        ("{global: {imagePullSecrets: [own]}}", "want object"),
        ("{global: {storageClass: A_B}}", "does not match pattern"),
        ("{extraObjects: {a: b}}", "want array"),
        ("{extraObjects: [{kind: ConfigMap}]}", "missing property 'apiVersion'"),
        ("{extraObjects: [7]}", "/extraObjects/0"),
    ],
)
def test_it_says_what_is_wrong(text: str, sentence: str) -> None:
    with pytest.raises(HelmError) as caught:
        template(text)
    assert sentence in str(caught.value)
