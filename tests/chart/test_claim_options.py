"""The claims of volumes, and those of the user in their place."""

from __future__ import annotations

import pytest
import yaml

from tests.chart.helm import CHART, HelmError, render, template

NAMES = [
    name
    for name in yaml.safe_load((CHART / "values.yaml").read_text())["persistence"]
    if name not in ("storageClass", "keep")
]
WHOLE = {
    "mailboxes": {"enabled": True},
    "webmail": {"enabled": True},
    "virus": {"enabled": True},
    "backup": {"enabled": True},
}


def whole(engine: str, **more: object) -> str:
    return yaml.safe_dump({**WHOLE, "spam": {"engine": engine}, **more})


@pytest.mark.parametrize("engine", ["spamassassin", "rspamd"])
def test_each_claim_may_have_its_class_modes_and_annotations(engine: str) -> None:
    own = {
        name: {
            "storageClass": f"class-{name}",
            "accessModes": ["ReadWriteOncePod"],
            "annotations": {"of": name},
        }
        for name in NAMES
    }
    claims = render(whole(engine, persistence=own)).kind("PersistentVolumeClaim")
    plain = render(whole(engine, persistence={"storageClass": "fast"})).kind(
        "PersistentVolumeClaim"
    )
    expected = set(NAMES) - {"valkey"} - ({"bayes"} if engine == "spamassassin" else set())
    objects = {name: f"mail-{name}" for name in expected} | {"queue": "queue-mail-postfix-0"}
    assert set(claims) == set(plain) == set(objects.values())
    for name, of_cluster in objects.items():
        claim, before = claims[of_cluster], plain[of_cluster]
        assert claim["spec"]["storageClassName"] == f"class-{name}"
        assert claim["spec"]["accessModes"] == ["ReadWriteOncePod"]
        assert claim["metadata"]["annotations"] == {
            **before["metadata"].get("annotations", {}),
            "of": name,
        }
        assert before["spec"]["storageClassName"] == "fast"
        assert before["spec"]["accessModes"] == ["ReadWriteOnce"]


@pytest.mark.parametrize("engine", ["spamassassin", "rspamd"])
def test_each_claim_may_be_the_users(engine: str) -> None:
    own = {name: {"existingClaim": f"own-{name}"} for name in NAMES}
    rendered = render(whole(engine, persistence=own))
    assert rendered.kind("PersistentVolumeClaim") == {}
    used = {
        volume["persistentVolumeClaim"]["claimName"]
        for volume in rendered.pods()["mail"]["spec"]["volumes"]
        if "persistentVolumeClaim" in volume
    }
    unused = {"valkey"} | ({"bayes"} if engine == "spamassassin" else set())
    assert used == {f"own-{name}" for name in set(NAMES) - unused}


def test_the_claims_of_stateful_sets() -> None:
    rendered = render(
        "{topology: services, persistence:"
        " {queue: {existingClaim: own-queue}, valkey: {annotations: {of: valkey}}}}"
    )
    postfix = rendered.one("StatefulSet", "mail-postfix")["spec"]
    assert "volumeClaimTemplates" not in postfix
    (queue,) = [one for one in postfix["template"]["spec"]["volumes"] if one["name"] == "queue"]
    assert queue["persistentVolumeClaim"] == {"claimName": "own-queue"}
    claim = rendered.one("PersistentVolumeClaim", "data-mail-valkey-0")
    assert claim["metadata"]["annotations"]["of"] == "valkey"
    assert set(rendered.kind("PersistentVolumeClaim")) == {"data-mail-valkey-0"}
    rendered = render("{store: {kind: valkey}, persistence: {valkey: {existingClaim: own}}}")
    valkey = rendered.one("StatefulSet", "mail-valkey")["spec"]
    assert "volumeClaimTemplates" not in valkey
    (data,) = [one for one in valkey["template"]["spec"]["volumes"] if one["name"] == "data"]
    assert data["persistentVolumeClaim"] == {"claimName": "own"}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "{topology: services, postfix: {replicas: 2},"
            " persistence: {queue: {existingClaim: own}}}",
            "each Postfix needs its own",
        ),
        ("{persistence: {mail: {accessModes: []}}}", "minItems"),
        ("{persistence: {mail: {accessModes: [ReadOnlyMany]}}}", "value must be one of"),
        ("{persistence: {mail: {storageClass: A_B}}}", "does not match pattern"),
        ("{persistence: {mail: {annotations: {a: 1}}}}", "want string"),
        ("{persistence: {valkey: {claim: x}}}", "claim"),
    ],
)
def test_it_says_what_is_wrong(text: str, sentence: str) -> None:
    with pytest.raises(HelmError) as caught:
        template(text)
    assert sentence in str(caught.value)


def test_an_annotation_of_helm_is_there_once() -> None:
    text = template(
        "{persistence: {keep: false, queue: {annotations: {helm.sh/resource-policy: keep}}}}"
    )
    queue = next(part for part in text.split("\n---\n") if "name: queue-mail-postfix-0" in part)
    assert queue.count("helm.sh/resource-policy") == 1
