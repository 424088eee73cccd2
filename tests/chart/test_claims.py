"""No change of values leaves mail behind in a claim, and no claim goes by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.chart.cluster import cluster, owned
from tests.chart.helm import CHART, HelmError, Manifest, Rendered, helm, render

QUEUE = "queue-mail-postfix-"
MAILBOXES = (CHART / "ci" / "mailboxes-values.yaml").read_text()


def claim(
    name: str, size: str = "2Gi", storage_class: str = "fast", **annotations: str
) -> Manifest:
    return owned(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {
                "name": name,
                "annotations": {f"gatepost/{key}": value for key, value in annotations.items()},
            },
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": storage_class,
                "resources": {"requests": {"storage": size}},
            },
        }
    )


def foreign(thing: Manifest) -> Manifest:
    """The same as a controller of Kubernetes makes it, or `kubectl apply`."""
    return {**thing, "metadata": {"name": thing["metadata"]["name"], "namespace": "default"}}


def workload(kind: str, name: str, *claims: str, **spec: Any) -> Manifest:
    volumes = [
        {"name": f"v{number}", "persistentVolumeClaim": {"claimName": each}}
        for number, each in enumerate(claims)
    ]
    pod = {"spec": {"volumes": [*volumes, {"name": "tmp", "emptyDir": {}}]}}
    thing = {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}}
    return owned({**thing, "spec": {"template": pod, **spec}})


def stateful(component: str, volume: str, size: str = "2Gi") -> Manifest:
    template = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": volume},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "fast",
            "resources": {"requests": {"storage": size}},
            "volumeMode": "Filesystem",
        },
        "status": {"phase": "Pending"},
    }
    return workload("StatefulSet", f"mail-{component}", volumeClaimTemplates=[template])


def upgrade(tmp_path: Path, values: str, *live: Manifest) -> Rendered:
    """Return the objects that an upgrade makes in a cluster with these."""
    with cluster(tmp_path, {}, live) as kubeconfig:
        return Rendered(
            helm(
                *("template", "mail", CHART, "--namespace", "default", "--is-upgrade"),
                *("--dry-run=server", "--disable-openapi-validation", "--kubeconfig", kubeconfig),
                values=values,
            )
        )


def refusal(tmp_path: Path, values: str, *live: Manifest) -> str:
    with pytest.raises(HelmError) as caught:
        upgrade(tmp_path, values, *live)
    return str(caught.value)


def used(rendered: Rendered) -> set[str]:
    """The claims that pods mount, those of StatefulSets by the names that Kubernetes looks for."""
    found = {
        volume["persistentVolumeClaim"]["claimName"]
        for pod in rendered.pods().values()
        for volume in pod["spec"]["volumes"]
        if "persistentVolumeClaim" in volume
    }
    for name, each in rendered.kind("StatefulSet").items():
        for template in each["spec"].get("volumeClaimTemplates", []):
            volume = template["metadata"]["name"]
            found |= {f"{volume}-{name}-{number}" for number in range(each["spec"]["replicas"])}
    return found


def test_both_topologies_have_the_same_queue() -> None:
    pod, services = render(), render("{topology: services}")
    assert f"{QUEUE}0" in used(pod) & used(services)
    one, other = (each.one("PersistentVolumeClaim", f"{QUEUE}0") for each in (pod, services))
    assert one == other


@pytest.mark.parametrize(
    "values",
    ["{}", "{topology: services, postfix: {replicas: 3}}", MAILBOXES, "{store: {kind: valkey}}"],
)
def test_helm_makes_every_claim_and_keeps_it(values: str) -> None:
    rendered = render(values)
    claims = rendered.kind("PersistentVolumeClaim")
    assert set(claims) == used(rendered)
    for name, each in claims.items():
        # signatures of viruses are fetched again
        kept = each["metadata"].get("annotations", {}).get("helm.sh/resource-policy") == "keep"
        assert kept == (name != "mail-virus"), name


def test_an_administrator_may_want_the_claims_to_go() -> None:
    rendered = render("{persistence: {keep: false}}")
    for each in rendered.kind("PersistentVolumeClaim").values():
        assert each["metadata"]["annotations"] == {"helm.sh/resource-policy": "delete"}


def test_fewer_replicas_leave_a_job_that_delivers_the_queue(tmp_path: Path) -> None:
    live = [stateful("postfix", "queue"), claim(f"{QUEUE}0"), claim(f"{QUEUE}1")]
    rendered = upgrade(tmp_path, "{topology: services, persistence: {keep: false}}", *live)
    ((name, job),) = rendered.kind("Job").items()
    assert name.startswith("mail-drain-1-")
    pod = job["spec"]["template"]["spec"]
    assert pod["restartPolicy"] == "OnFailure"
    (container,) = pod["containers"]
    assert container["env"] == [{"name": "POSTFIX_DRAIN", "value": "yes"}]
    assert {mount["name"] for mount in container["volumeMounts"]} == {
        volume["name"] for volume in pod["volumes"]
    }
    assert pod["volumes"][0]["persistentVolumeClaim"]["claimName"] == f"{QUEUE}1"
    # no mail from outside reaches it
    labels = job["spec"]["template"]["metadata"]["labels"].items()
    for service in rendered.kind("Service").values():
        assert not service["spec"]["selector"].items() <= labels
    for budget in rendered.kind("PodDisruptionBudget").values():
        assert not budget["spec"]["selector"]["matchLabels"].items() <= labels
    policies = rendered.kind("NetworkPolicy")
    assert "ingress" not in policies["mail-drain"]["spec"]
    ways = policies["mail-drain"]["spec"]["egress"]
    ports = {port["port"] for rule in ways for port in rule["ports"]}
    assert ports == {25, 53, 465, 587, 8891}
    (rule,) = policies["mail-drain-milters"]["spec"]["ingress"]
    assert rule["from"][0]["podSelector"]["matchLabels"].items() <= labels
    # and Helm does not delete the claim
    assert f"{QUEUE}1" in rendered.kind("PersistentVolumeClaim")


@pytest.mark.parametrize("live", [[], [claim(f"{QUEUE}0"), claim(f"{QUEUE}1", emptied="true")]])
def test_a_queue_without_mail_needs_no_job(tmp_path: Path, live: list[Manifest]) -> None:
    rendered = upgrade(tmp_path, "{topology: services}", *live)
    assert rendered.kind("Job") == {}
    assert "mail-drain" not in rendered.kind("NetworkPolicy")


def test_the_other_topology_takes_only_one_queue_along(tmp_path: Path) -> None:
    several = [claim(f"{QUEUE}{number}") for number in (0, 1)]
    said = refusal(tmp_path, "{}", *several)
    assert f"the queue in the claim {QUEUE}1 would stay behind" in said
    assert f"kubectl -n default delete pvc {QUEUE}1" in said
    assert f"{QUEUE}0" in used(upgrade(tmp_path, "{}", several[0]))
    upgrade(tmp_path, "{}", several[0], claim(f"{QUEUE}1", emptied="true"))


@pytest.mark.parametrize("topology", ["pod", "services"])
def test_another_claim_for_the_queue_leaves_none_behind(tmp_path: Path, topology: str) -> None:
    other = f"{{topology: {topology}, persistence: {{queue: {{existingClaim: mine}}}}}}"
    said = refusal(tmp_path, other, claim(f"{QUEUE}0"))
    assert f"the queue in the claim {QUEUE}0 would stay behind" in said
    assert "mine" in used(upgrade(tmp_path, other))


@pytest.mark.parametrize(
    ("kind", "name", "before"),
    [
        ("Deployment", "mail", "mine"),
        # the name of the queue in earlier charts
        ("Deployment", "mail", "mail-queue"),
        ("StatefulSet", "mail-postfix", "mine"),
    ],
)
@pytest.mark.parametrize("values", ["{}", "{topology: services}", MAILBOXES])
def test_a_claim_in_use_stays_in_use(
    tmp_path: Path, kind: str, name: str, before: str, values: str
) -> None:
    live = workload(kind, name, before)
    said = refusal(tmp_path, values, live, claim(before))
    assert f"the claim {before} is in use, and with these values it would not be" in said
    assert f"kubectl -n default annotate pvc {before} gatepost/emptied=true" in said


def test_a_claim_that_was_copied_may_be_left(tmp_path: Path) -> None:
    live = workload("Deployment", "mail", "mine")
    assert "mine" not in used(upgrade(tmp_path, "{}", live, claim("mine", emptied="true")))
    kept = "{persistence: {queue: {existingClaim: mine}}}"
    assert "mine" in used(upgrade(tmp_path, kept, live, claim("mine")))


def test_the_mail_of_the_mailboxes_is_not_left_either(tmp_path: Path) -> None:
    live = workload("Deployment", "mail", f"{QUEUE}0", "mail-mail", "mail-accounts", "mail-store")
    claims = [
        claim(f"{QUEUE}0"),
        *(claim(f"mail-{name}", "1Gi") for name in ("mail", "accounts", "store")),
    ]
    on = "mailboxes: {enabled: true}"
    upgrade(tmp_path, f"{{{on}}}", live, *claims)
    # turned off, they wait under their names until they are turned on again
    upgrade(tmp_path, "{}", live, *claims)
    said = refusal(
        tmp_path, f"{{{on}, persistence: {{mail: {{existingClaim: other}}}}}}", live, *claims
    )
    assert "the claim mail-mail is in use" in said


def test_several_postfixes_do_not_share_a_claim() -> None:
    with pytest.raises(HelmError, match="one claim, and each Postfix needs its own"):
        render(
            "{topology: services, postfix: {replicas: 2},"
            " persistence: {queue: {existingClaim: mine}}}"
        )


def test_the_claims_of_a_statefulset_stay_as_they_are(tmp_path: Path) -> None:
    """Kubernetes forbids any change of them. What grows is the claim itself."""
    live = [stateful("postfix", "queue"), stateful("valkey", "data"), claim(f"{QUEUE}0")]
    values = (
        "{topology: services, persistence: {storageClass: slow, queue: {size: 8Gi},"
        " valkey: {size: 3Gi}}}"
    )
    rendered = upgrade(tmp_path, values, *live)
    for name in ("mail-postfix", "mail-valkey"):
        (template,) = rendered.one("StatefulSet", name)["spec"]["volumeClaimTemplates"]
        assert template["spec"] == {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "fast",
            "resources": {"requests": {"storage": "2Gi"}},
            "volumeMode": "Filesystem",
        }
    queue = rendered.one("PersistentVolumeClaim", f"{QUEUE}0")["spec"]
    assert queue["resources"]["requests"]["storage"] == "8Gi"
    # a claim cannot change its class; a new one has the new class
    assert queue["storageClassName"] == "fast"
    data = rendered.one("PersistentVolumeClaim", "data-mail-valkey-0")["spec"]
    assert (data["storageClassName"], data["resources"]["requests"]["storage"]) == ("slow", "3Gi")


def test_a_statefulset_does_not_change_between_claims(tmp_path: Path) -> None:
    live = stateful("postfix", "queue")
    mine = "{topology: services, persistence: {queue: {existingClaim: mine}}}"
    assert "delete statefulset mail-postfix" in refusal(tmp_path, mine, live)


@pytest.mark.parametrize("name", [f"{QUEUE}0", "mail-store"])
def test_no_claim_shrinks(tmp_path: Path, name: str) -> None:
    said = refusal(tmp_path, "{}", claim(name, "1Ti"))
    assert f"the claim {name} has 1Ti, and a claim cannot shrink: set persistence." in said


def test_a_claim_that_is_not_of_the_release_is_used_and_not_touched(tmp_path: Path) -> None:
    """Helm would refuse to take over what a StatefulSet or kubectl has made."""
    rendered = upgrade(tmp_path, "{}", foreign(claim(f"{QUEUE}0")))
    assert f"{QUEUE}0" not in rendered.kind("PersistentVolumeClaim")
    assert f"{QUEUE}0" in used(rendered)
    larger = "{persistence: {queue: {size: 4Gi}}}"
    said = refusal(tmp_path, larger, foreign(claim(f"{QUEUE}0")))
    assert f"kubectl -n default patch pvc {QUEUE}0" in said


def test_autoscaling_begins_with_the_replicas_that_there_are(tmp_path: Path) -> None:
    """Without a number, Kubernetes would begin with one."""
    live = workload("Deployment", "mail-milters", replicas=5)
    values = "{topology: services, milters: {autoscaling: {enabled: true}}}"
    rendered = upgrade(tmp_path, values, live)
    assert rendered.one("Deployment", "mail-milters")["spec"]["replicas"] == 5
    assert rendered.one("Deployment", "mail-policyd")["spec"]["replicas"] == 2
    assert "replicas" not in upgrade(tmp_path, values).one("Deployment", "mail-milters")["spec"]


@pytest.mark.parametrize("name", ["mail", "mailboxes"])
def test_the_manifests_say_that_they_delete_the_queue(name: str) -> None:
    text = (CHART.parent / f"{name}.yaml").read_text()
    head = text.partition("---")[0]
    assert f"`kubectl delete -f {name}.yaml` also deletes the claims" in head


@pytest.mark.parametrize("override", ["nameOverride", "fullnameOverride"])
def test_other_names_leave_no_queue(override: str, tmp_path: Path) -> None:
    values = f"{{{override}: other}}"

    def made_by(chart: str, **annotations: str) -> Manifest:
        live = claim(f"{QUEUE}0", **annotations)
        live["metadata"]["labels"] |= {
            "app.kubernetes.io/instance": "mail",
            "helm.sh/chart": chart,
        }
        return live

    said = refusal(tmp_path, values, made_by("mail-0.1.0"))
    assert f"the queue in the claim {QUEUE}0 would stay behind" in said
    upgrade(tmp_path, "{}", made_by("mail-0.1.0"))
    upgrade(tmp_path, values, made_by("mail-0.1.0", emptied="true"))
    # another part of the same release
    upgrade(tmp_path, values, made_by("mail-two-0.1.0"))
    upgrade(
        tmp_path,
        f"{{{override}: other, persistence: {{queue: {{existingClaim: {QUEUE}0}}}}}}",
        made_by("mail-0.1.0"),
    )
