"""Settings of users for pods and containers: the same keys for all of them and in each section."""

from __future__ import annotations

import json
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.chart.helm import CHART, HelmError, Rendered, render, template
from tests.chart.test_valid import NEWEST, OLDEST

SERVICES = "topology: services\n"
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
OF_CONTAINER = {"extraEnv", "envFrom", "extraVolumeMounts"}
OF_POD = {
    *("extraVolumes", "initContainers", "sidecars", "podLabels", "podAnnotations", "nodeSelector"),
    *("tolerations", "affinity", "topologySpreadConstraints", "priorityClassName"),
    "revisionHistoryLimit",
}
ONLY_IN_SECTIONS = {"updateStrategy", "serviceAccountName"}
COMPONENTS = sorted(
    name for name, each in SCHEMA["properties"].items() if "resources" in each.get("required", [])
)

EVERYTHING: dict[str, Any] = {
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [
        {
            "key": "mail",
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": 3_600_000,
        }
    ],
    "affinity": {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [
                    {"matchExpressions": [{"key": "arch", "operator": "In", "values": ["arm64"]}]}
                ]
            }
        }
    },
    "topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
    ],
    "priorityClassName": "high",
    "revisionHistoryLimit": 0,
    "podLabels": {"team": "mail"},
    "podAnnotations": {"note": "ours"},
    "extraVolumes": [{"name": "own", "configMap": {"name": "own"}}],
    "initContainers": [{"name": "before", "image": "example.org/before:1"}],
    "sidecars": [
        {
            "name": "beside",
            "image": "example.org/beside:1",
            "securityContext": {"runAsUser": 1_000_650_000},
        }
    ],
}
CONTAINER: dict[str, Any] = {
    "extraEnv": [{"name": "TZ", "value": "Europe/Berlin"}],
    "envFrom": [{"configMapRef": {"name": "own"}}],
    "extraVolumeMounts": [{"name": "own", "mountPath": "/own", "readOnly": True}],
}


def values(**sections: object) -> str:
    return yaml.safe_dump(sections)


def valid(rendered: Rendered) -> None:
    for version in (OLDEST, NEWEST):
        for each in rendered.objects:
            kubernetes_validate.validate(each, version, strict=True)


def assert_pod_has_everything(template_: dict[str, Any]) -> None:
    metadata, spec = template_["metadata"], template_["spec"]
    assert metadata["labels"]["team"] == "mail"
    assert metadata["annotations"]["note"] == "ours"
    for key in ("nodeSelector", "tolerations", "affinity", "priorityClassName", "initContainers"):
        assert spec[key] == EVERYTHING[key], key
    (constraint,) = spec["topologySpreadConstraints"]
    own = {key: value for key, value in metadata["labels"].items() if key != "team"}
    assert constraint.pop("labelSelector") == {"matchLabels": own}
    assert [constraint] == EVERYTHING["topologySpreadConstraints"]
    assert spec["containers"][-1] == EVERYTHING["sidecars"][0]
    assert spec["volumes"][-1] == EVERYTHING["extraVolumes"][0]


def test_every_component_has_every_key() -> None:
    assert len(COMPONENTS) > 10
    for name in COMPONENTS:
        assert set(SCHEMA["properties"][name]["properties"]) >= (
            OF_CONTAINER | OF_POD | ONLY_IN_SECTIONS
        )
    of_the_pod = set(SCHEMA["properties"]["pod"]["properties"])
    assert of_the_pod == OF_POD | {"serviceAccountName"}
    assert set(yaml.safe_load((CHART / "values.yaml").read_text())) >= OF_CONTAINER | OF_POD


def test_a_key_at_the_top_is_for_all_pods_and_containers() -> None:
    text = values(topology="services", **EVERYTHING, **CONTAINER)
    rendered = render(text)
    valid(rendered)
    assert len(rendered.pods()) == 4
    for pod in rendered.pods().values():
        assert_pod_has_everything(pod)
        for container in pod["spec"]["containers"][:-1]:
            assert container["env"][-1] == CONTAINER["extraEnv"][0]
            assert container["envFrom"] == CONTAINER["envFrom"]
            assert container["volumeMounts"][-1] == CONTAINER["extraVolumeMounts"][0]
    for kind in ("Deployment", "StatefulSet"):
        for each in rendered.kind(kind).values():
            assert each["spec"]["revisionHistoryLimit"] == 0


@pytest.mark.parametrize("name", ["postfix", "milters", "policyd", "valkey"])
def test_a_key_in_a_section_is_for_one_pod(name: str) -> None:
    rendered = render(values(topology="services", **{name: {**EVERYTHING, **CONTAINER}}))
    plain = render(SERVICES)
    valid(rendered)
    for workload, pod in rendered.pods().items():
        if workload == f"mail-{name}":
            assert_pod_has_everything(pod)
            assert pod["spec"]["containers"][0]["envFrom"] == CONTAINER["envFrom"]
        else:
            assert pod == plain.pods()[workload]


@pytest.mark.parametrize("engine", ["spamassassin", "rspamd"])
def test_each_container_of_the_one_pod_has_its_own(engine: str) -> None:
    whole: dict[str, Any] = {
        "mailboxes": {"enabled": True},
        "webmail": {"enabled": True},
        "virus": {"enabled": True},
        "spam": {"engine": engine},
    }
    plain = render(values(**whole)).containers()
    assert len(plain) > 8
    for name in plain:
        side = {"name": f"beside-{name}", "image": "example.org/beside:1"}
        own = {"extraEnv": [{"name": "OF", "value": name}], "sidecars": [side]}
        whole[name] = {**whole.get(name, {}), **own}
    rendered = render(values(**whole))
    valid(rendered)
    found = rendered.containers()
    for name, before in plain.items():
        assert found[name]["env"] == [*before.get("env", []), {"name": "OF", "value": name}]
        assert {**found[name], "env": None} == {**before, "env": None}
        assert f"beside-{name}" in found


def test_the_one_pod_has_a_section() -> None:
    rendered = render(values(pod=EVERYTHING))
    valid(rendered)
    assert_pod_has_everything(rendered.pods()["mail"])
    assert rendered.one("Deployment", "mail")["spec"]["revisionHistoryLimit"] == 0


def test_lists_and_maps_are_added_and_all_else_is_replaced() -> None:
    rendered = render(
        values(
            topology="services",
            tolerations=[{"key": "all", "operator": "Exists"}],
            priorityClassName="low",
            podLabels={"a": "1", "b": "1"},
            extraEnv=[{"name": "A", "value": "1"}, {"name": "B", "value": "1"}],
            milters={
                "tolerations": [],
                "priorityClassName": "high",
                "podLabels": {"b": "2"},
                "extraEnv": [{"name": "B", "value": "2"}],
            },
        )
    )
    milters, policyd = (rendered.pods()[f"mail-{name}"] for name in ("milters", "policyd"))
    assert "tolerations" not in milters["spec"]
    assert milters["spec"]["priorityClassName"] == "high"
    assert milters["metadata"]["labels"].items() >= {"a": "1", "b": "2"}.items()
    assert milters["spec"]["containers"][0]["env"] == [
        {"name": "A", "value": "1"},
        {"name": "B", "value": "2"},
    ]
    assert policyd["spec"]["tolerations"] == [{"key": "all", "operator": "Exists"}]
    assert policyd["spec"]["priorityClassName"] == "low"
    assert policyd["metadata"]["labels"].items() >= {"a": "1", "b": "1"}.items()


def test_a_selector_of_the_user_stays() -> None:
    selector = {"matchLabels": {"team": "mail"}}
    constraint = {"maxSkew": 2, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}
    rendered = render(
        values(
            topology="services",
            topologySpreadConstraints=[{**constraint, "labelSelector": selector}],
        )
    )
    for pod in rendered.pods().values():
        (found,) = pod["spec"]["topologySpreadConstraints"]
        assert found["labelSelector"] == selector


def test_the_strategy_of_updates() -> None:
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "50%", "maxUnavailable": 1}}
    staged = {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}
    rendered = render(
        values(
            topology="services",
            milters={"updateStrategy": rolling},
            postfix={"updateStrategy": staged},
            valkey={"updateStrategy": {"type": "OnDelete"}},
        )
    )
    valid(rendered)
    assert rendered.one("Deployment", "mail-milters")["spec"]["strategy"] == rolling
    assert rendered.one("StatefulSet", "mail-postfix")["spec"]["updateStrategy"] == staged
    valkey = rendered.one("StatefulSet", "mail-valkey")["spec"]["updateStrategy"]
    assert valkey == {"type": "OnDelete"}


def test_all_pods_may_have_a_service_account() -> None:
    for account, name in (
        ({"create": True}, "mail"),
        ({"create": True, "name": "post", "annotations": {"role": "arn:x"}}, "post"),
    ):
        rendered = render(values(topology="services", serviceAccount=account))
        valid(rendered)
        made = rendered.one("ServiceAccount", name)
        assert made["automountServiceAccountToken"] is False
        assert made["metadata"].get("annotations", {}) == account.get("annotations", {})
        for pod in rendered.pods().values():
            assert pod["spec"]["serviceAccountName"] == name
            assert pod["spec"]["automountServiceAccountToken"] is False
    rendered = render(
        values(
            topology="services",
            serviceAccount={"name": "there"},
            postfix={"serviceAccountName": "root"},
        )
    )
    assert rendered.kind("ServiceAccount") == {}
    names = {name: pod["spec"]["serviceAccountName"] for name, pod in rendered.pods().items()}
    assert names.pop("mail-postfix") == "root"
    assert set(names.values()) == {"there"}
    assert "serviceAccountName" not in render().pods()["mail"]["spec"]


def test_labels_and_annotations_of_all_objects() -> None:
    full = (CHART / "ci" / "mailboxes-full-values.yaml").read_text()
    rendered = render(full + "commonLabels: {team: mail}\ncommonAnnotations: {owner: ops}\n")
    plain = render(full)
    assert len(rendered.objects) == len(plain.objects)
    for each in rendered.objects:
        assert each["metadata"]["labels"]["team"] == "mail", each["metadata"]["name"]
        assert each["metadata"]["annotations"]["owner"] == "ops", each["metadata"]["name"]
    for pod in rendered.pods().values():
        assert pod["metadata"]["labels"]["team"] == "mail"
        assert pod["metadata"]["annotations"]["owner"] == "ops"
    # what finds pods stays: a selector cannot change in an upgrade
    assert (
        rendered.one("Deployment", "mail")["spec"]["selector"]
        == (plain.one("Deployment", "mail")["spec"]["selector"])
    )
    # and what the chart says of an object, too
    for before, after in zip(plain.objects, rendered.objects, strict=True):
        told = before["metadata"].get("annotations", {})
        assert after["metadata"]["annotations"] == {**told, "owner": "ops"}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{milters: {affinity: {}}}", "milters is a container of the one pod in topology pod"),
        ("{postfix: {serviceAccountName: root}}", "set pod.serviceAccountName"),
        ("{topology: services, pod: {priorityClassName: x}}", "each component has a pod of its"),
        (
            "{topology: services, policyd: {replicas: 1, updateStrategy: {type: RollingUpdate}},"
            " store: {kind: sqlite}}",
            "policyd.updateStrategy.type is RollingUpdate, but here it can only be Recreate",
        ),
        (
            "{topology: services, milters: {updateStrategy: {type: OnDelete}}}",
            "it can only be RollingUpdate or Recreate",
        ),
        (
            "{topology: services, postfix: {updateStrategy: {type: Recreate}}}",
            "it can only be RollingUpdate or OnDelete",
        ),
        (
            "{topology: services, postfix: {updateStrategy: {type: RollingUpdate,"
            " rollingUpdate: {maxSurge: 1}}}}",
            "a StatefulSet no maxSurge",
        ),
        (
            "{topology: services, milters: {updateStrategy: {type: Recreate,"
            " rollingUpdate: {maxSurge: 1}}}}",
            "rollingUpdate, which type Recreate does not know",
        ),
        (
            "{store: {kind: valkey}, valkey: {extraEnv:"
            " [{name: VALKEY_PASSWORD_FILE, value: /x}]}}",
            "VALKEY_PASSWORD_FILE, which the chart sets for valkey",
        ),
        (
            "{milters: {extraEnv: [{name: KEY, valueFrom:"
            " {secretKeyRef: {name: mail-dkim, key: a.pem}}}]}}",
            "extraEnv reads the Secret mail-dkim, which the chart mounts as files",
        ),
        (
            "{mailboxes: {enabled: true, secret: mine}, envFrom: [{secretRef: {name: mine}}]}",
            "envFrom reads the Secret mine, which the chart mounts as files",
        ),
        (
            "{spam: {engine: rspamd, secret: words}, mailboxes: {enabled: true},"
            " rspamd: {envFrom: [{secretRef: {name: words}}]}}",
            "envFrom reads the Secret words",
        ),
        (
            "{sidecars: [{name: x, image: a}], postfix: {sidecars: [{name: x, image: b}]}}",
            "sidecars has x twice in the pod pod",
        ),
        (
            "{extraVolumes: [{name: x, emptyDir: {}}], pod: {extraVolumes:"
            " [{name: x, configMap: {name: x}}]}}",
            "extraVolumes has x twice in the pod pod",
        ),
        (
            "{milters: {sidecars: [{name: x, image: a}], initContainers: [{name: x, image: a}]}}",
            "initContainers has x twice in the pod pod",
        ),
        ("{extraEnv: [{name: A, value: x}, {name: A, value: z}]}", "extraEnv has A twice"),
        *(
            (
                f"{{postfix: {{extraEnv: [{{name: {name}, value: x}}]}}}}",
                f"extraEnv has {name}, a setting of the image",
            )
            for name in ("POSTFIX_NETWORKS", "GATEPOST_MILTERS__LISTEN", "DOVECOT_ACCOUNTS")
        ),
        (
            "{sidecars: [{name: x, image: z, env: [{name: K, valueFrom:"
            " {secretKeyRef: {name: mail-dkim, key: a.pem}}}]}]}",
            "sidecars reads the Secret mail-dkim, which the chart mounts as files",
        ),
        (
            "{milters: {initContainers: [{name: x, image: z,"
            " envFrom: [{secretRef: {name: mail-tls}}]}]}}",
            "initContainers reads the Secret mail-tls, which the chart mounts as files",
        ),
        (
            "{milters: {extraVolumeMounts: [{name: sockets, mountPath: /keys}]}}",
            "extraVolumeMounts has /keys, where the chart mounts",
        ),
        # volumes that are not there, and names in the pod of `helm test`
        (
            "{milters: {extraVolumeMounts: [{name: x, mountPath: /x}]}}",
            "extraVolumeMounts has x for milters, but its pod pod has no such volume",
        ),
        (
            "{topology: services, extraVolumeMounts: [{name: x, mountPath: /x}],"
            " milters: {extraVolumes: [{name: x, emptyDir: {}}]}}",
            "but its pod policyd has no such volume",
        ),
        (
            "{sidecars: [{name: s, image: z, volumeMounts: [{name: x, mountPath: /x}]}]}",
            "sidecars has a container that mounts x, but its pod pod has no such volume",
        ),
        (
            "{mailboxes: {enabled: true}, extraVolumes: [{name: postfix-log, emptyDir: {}}]}",
            "extraVolumes has postfix-log, a volume of the chart",
        ),
        ("{extraVolumes: [{name: check, emptyDir: {}}]}", "in the pod of helm test"),
        ("{initContainers: [{name: check, image: z}]}", "in the pod of helm test"),
        ("{tests: {secret: x}}", "there is no submission to send its message with"),
        # what only some containers may have
        (
            "{sidecars: [{name: x, image: z, restartPolicy: Always}]}",
            "sidecars has x with restartPolicy",
        ),
        (
            "{initContainers: [{name: x, image: z, livenessProbe: {exec: {command: [z]}}}]}",
            "initContainers has x with probes or lifecycle",
        ),
        (
            "{extraEnv: [{name: A, value: x, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}]}",
            "'not' failed",
        ),
        (
            "{topology: services, milters: {updateStrategy: {type: RollingUpdate,"
            " rollingUpdate: {maxUnavailable: 0, maxSurge: 0%}}}}",
            "no pod could ever be replaced",
        ),
        ("{extraVolumes: [{name: queue, emptyDir: {}}]}", "extraVolumes has queue, a volume of"),
        ("{extraVolumes: [{name: keys, emptyDir: {}}]}", "extraVolumes has keys, a volume of"),
        ("{sidecars: [{name: postfix, image: x}]}", "sidecars has postfix, a container of"),
        ("{initContainers: [{name: milters, image: x}]}", "initContainers has milters"),
        *(
            (f"{{milters: {{{key}: 7}}}}", f"'/milters/{key}'")
            for key in sorted((OF_POD | OF_CONTAINER) - {"revisionHistoryLimit"})
        ),
        ("{revisionHistoryLimit: -1}", "minimum"),
        ("{milters: {extraEnvs: []}}", "extraEnvs"),
        ("{pod: {extraEnv: []}}", "extraEnv"),
        ("{milters: {extraEnv: [{value: x}]}}", "missing property 'name'"),
        ("{milters: {extraEnv: [{name: A, value: 7}]}}", "want string"),
        ("{milters: {envFrom: [{configMap: {name: x}}]}}", "envFrom"),
        ("{milters: {extraVolumes: [{name: X, emptyDir: {}}]}}", "does not match pattern"),
        ("{milters: {extraVolumes: [{name: x, emptyDirs: {}}]}}", "emptyDirs"),
        ("{milters: {extraVolumeMounts: [{name: x}]}}", "missing property 'mountPath'"),
        ("{milters: {sidecars: [{name: x}]}}", "missing property 'image'"),
        ("{milters: {sidecars: [{name: x, image: z, cmd: [z]}]}}", "cmd"),
        ("{milters: {updateStrategy: {type: Sometimes}}}", "value must be one of"),
        ("{milters: {serviceAccountName: A_B}}", "does not match pattern"),
        ("{podLabels: {app.kubernetes.io/component: x}}", "app.kubernetes.io/component"),
        ("{commonLabels: {gatepost/metrics: 'true'}}", "gatepost/metrics"),
        ("{podLabels: {a: 'not a label'}}", "does not match pattern"),
        ("{commonAnnotations: {'a b': x}}", "does not match pattern"),
        ("{serviceAccount: {created: true}}", "created"),
        ("{serviceAccount: {name: A_B}}", "does not match pattern"),
    ],
)
def test_it_says_what_is_wrong(text: str, sentence: str) -> None:
    with pytest.raises(HelmError) as caught:
        template(text)
    assert sentence in str(caught.value)
