"""What the chart promises: security, probes, networks, secrets."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from gatepost.cli import configuration as configuration_file
from milters.file import MiltersFile
from tests.chart.helm import ROOT, VALUES, Rendered, render

sets = pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
DAEMONS = {"milters", "policyd", "accounts", "delivery"}
FULL = {path.stem.removesuffix("-values"): path.read_text() for path in VALUES}


BASELINE = {
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD",
    "NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
}  # fmt: skip
"""The capabilities that the Pod Security Standard baseline lets a container add."""


def configuration(rendered: Rendered) -> dict[str, Any]:
    return tomllib.loads(rendered.one("ConfigMap", "mail-gatepost")["data"]["gatepost.toml"])


@sets
def test_nothing_can_write_its_image_or_gain_rights(values: Path) -> None:
    for name, container in render(values.read_text()).containers().items():
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"] is True
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"]["drop"] == ["ALL"]
        # more than the Pod Security Standard baseline would need a privileged namespace
        assert set(context["capabilities"].get("add", [])) <= BASELINE
        if name == "postfix":
            assert set(context["capabilities"]["add"]) == {
                "CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID",
            }  # fmt: skip
        else:
            assert context["runAsNonRoot"] is True
            assert "add" not in context["capabilities"]


@sets
def test_pods_have_no_token_of_the_cluster(values: Path) -> None:
    for pod in render(values.read_text()).pods().values():
        assert pod["spec"]["automountServiceAccountToken"] is False
        assert pod["spec"]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}


@sets
def test_every_probe_shakes_hands(values: Path) -> None:
    words = {
        "postfix": ["probe"],
        "valkey": ["probe"],
        "dovecot": ["probe"],
        "webmail": ["probe"],
        **{name: ["probe"] for name in ("spamassassin", "rspamd", "bayes", "clamav")},
        "freshclam": ["has-database"],
        "postfixwatch": ["gatepost", "postfix-watch", "--check"],
        # no servers: whether they are alive and on time
        **{name: ["daily", "--check"] for name in ("spamrules", "training")},
    }
    for name, container in render(values.read_text()).containers().items():
        for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
            if name in DAEMONS:
                asked = {"path": "/handshake", "port": f"metrics-{name}"[:15]}
                assert container[kind]["httpGet"] == asked
                assert "exec" not in container[kind]
            else:
                command = container[kind]["exec"]["command"]
                assert command[: len(words[name])] == words[name]


@sets
def test_arguments_are_for_programs_that_read_them(values: Path) -> None:
    """`run` of our images reads none: with arguments alone, a container would do something else."""
    for name, container in render(values.read_text()).containers().items():
        image = re.split("[@:]", container["image"].rpartition("/")[2])[0]
        folder = image.removeprefix("gatepost-")
        dockerfile = (ROOT / "images" / folder / "Dockerfile").read_text()
        if "args" in container and "command" not in container:
            assert '\nENTRYPOINT ["gatepost"]\n' in dockerfile, name


@sets
def test_the_probes_ask_where_the_daemons_listen(values: Path) -> None:
    rendered = render(values.read_text())
    config = configuration(rendered)
    for word in DAEMONS & set(rendered.containers()):
        ports = {each["name"]: each for each in rendered.containers()[word]["ports"]}
        port = ports[f"metrics-{word}"[:15]]["containerPort"]
        # on all addresses of the pod: the kubelet asks at one, and `exec` at 127.0.0.1
        assert config[word]["metrics_listen"] == f"inet:{port}"
    if "probes" not in values.read_text():
        asked = render(values.read_text() + "\nprobes: {handshake: exec}\n").containers()
        for word in DAEMONS & set(asked):
            port = config[word]["metrics_listen"].removeprefix("inet:")
            for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
                assert asked[word][kind]["exec"]["command"] == ["probe", port]
                assert "httpGet" not in asked[word][kind]


@sets
def test_resources_are_asked_for(values: Path) -> None:
    for container in render(values.read_text()).containers().values():
        assert {"cpu", "memory"} <= set(container["resources"]["requests"])
        assert "memory" in container["resources"]["limits"]


@sets
def test_no_secret_is_in_the_environment(values: Path) -> None:
    rendered = render(values.read_text())
    # the secrets that the chart makes: Valkey's password, the keys of the mailboxes and of the demo
    assert set(rendered.kind("Secret")) <= {
        *("mail-valkey", "mail-mailboxes", "mail-demo-tls", "mail-rspamd")
    }
    for container in rendered.containers().values():
        for variable in container.get("env", []):
            assert "valueFrom" not in variable
        assert "envFrom" not in container


@sets
def test_every_mount_has_a_volume_and_every_volume_a_mount(values: Path) -> None:
    rendered = render(values.read_text())
    for name, pod in rendered.pods().items():
        workload = [o for o in rendered.objects if o["metadata"]["name"] == name]
        claims = {
            claim["metadata"]["name"]
            for each in workload
            for claim in each.get("spec", {}).get("volumeClaimTemplates", [])
        }
        volumes = {volume["name"] for volume in pod["spec"]["volumes"]} | claims
        containers = pod["spec"]["containers"]
        mounts = {mount["name"] for each in containers for mount in each["volumeMounts"]}
        assert mounts == volumes, name


@sets
def test_selectors_find_pods(values: Path) -> None:
    rendered = render(values.read_text())
    pods = [pod["metadata"]["labels"].items() for pod in rendered.pods().values()]
    selectors = [each["spec"]["selector"] for each in rendered.kind("Service").values()]
    for kind in ("NetworkPolicy", "PodDisruptionBudget"):
        for each in rendered.kind(kind).values():
            spec = each["spec"]
            selectors.append(spec.get("podSelector", spec.get("selector"))["matchLabels"])
    for selector in selectors:
        assert any(selector.items() <= labels for labels in pods), selector


@sets
def test_the_ports_of_services_are_ports_of_containers(values: Path) -> None:
    rendered = render(values.read_text())
    names = {
        port["name"] for each in rendered.containers().values() for port in each.get("ports", [])
    }
    for service in rendered.kind("Service").values():
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= names


@sets
def test_everything_is_denied_that_is_not_named(values: Path) -> None:
    policies = render(values.read_text()).kind("NetworkPolicy")
    spec = policies["mail-default-deny"]["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in spec
    assert "egress" not in spec
    for name, policy in policies.items():
        for rule in policy["spec"].get("ingress", []):
            assert rule["ports"], name
            if "from" not in rule:
                open_to_all = {25, 465, 587, 10143, 10993, 10110, 10995, 14190, 8080, 8090}
                assert {port["port"] for port in rule["ports"]} <= open_to_all


@pytest.mark.parametrize(("values", "name"), [("pod-full", "pod"), ("services-full", "postfix")])
def test_only_load_balancers_reach_the_ports_with_proxy_protocol(values: str, name: str) -> None:
    policy = render(FULL[values]).one("NetworkPolicy", f"mail-{name}")
    (rule,) = [
        rule
        for rule in policy["spec"]["ingress"]
        if {port["port"] for port in rule["ports"]} & {12525, 10465, 10587}
    ]
    assert rule["from"] == [{"ipBlock": {"cidr": "10.0.0.0/24"}}]
    assert {port["port"] for port in rule["ports"]} == {12525, 10465, 10587}


def test_the_milter_is_reached_by_postfix_alone() -> None:
    rendered = render(FULL["services"])
    (rule,) = [
        rule
        for rule in rendered.one("NetworkPolicy", "mail-milters")["spec"]["ingress"]
        if rule["ports"] == [{"port": 8891}]
    ]
    (peer,) = rule["from"]
    assert peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "postfix"


def test_postfix_may_reach_its_next_hop_and_the_logins() -> None:
    policy = render(FULL["pod-full"]).one("NetworkPolicy", "mail-pod")
    ports = {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]}
    assert ports == {25, 53, 465, 587, 12345}
    policy = render(FULL["minimal"]).one("NetworkPolicy", "mail-pod")
    ports = {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]}
    assert ports == {24, 25, 53, 465, 587}


@sets
def test_the_address_of_the_client_is_kept(values: Path) -> None:
    for service in render(values.read_text()).kind("Service").values():
        if service["spec"].get("type") in ("LoadBalancer", "NodePort"):
            assert service["spec"]["externalTrafficPolicy"] == "Local"


def test_balancers_are_known_to_both_daemons() -> None:
    config = configuration(render(FULL["pod-full"]))
    assert config["proxy_networks"] == ["10.0.0.0/24"]
    assert config["milters"]["internal_networks"][2:] == ["10.20.0.0/16", "2001:db8:1::/48"]


def test_what_the_chart_decides_wins_and_all_else_is_the_users() -> None:
    config = configuration(
        render(
            "{config: {milters:"
            " {listen: 'inet:1', max_header: 100000, verify: {max_signatures: 3}},"
            " policyd: {greylist: {delay: 60}, dnslists: {threshold: 2.5}}}}"
        )
    )
    assert config["milters"]["listen"] == "unix:/run/gatepost/milter.sock"
    assert config["milters"]["max_header"] == 100000
    assert config["milters"]["verify"] == {"max_signatures": 3}
    assert config["policyd"]["greylist"] == {"delay": 60}
    assert config["policyd"]["dnslists"] == {"threshold": 2.5}


def test_one_pod_has_everything_and_never_twice() -> None:
    rendered = render()
    deployment = rendered.one("Deployment", "mail")
    assert deployment["spec"]["replicas"] == 1
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}
    assert set(rendered.containers()) == {"milters", "policyd", "postfix"}
    assert rendered.kind("StatefulSet") == {}
    queue = rendered.one("PersistentVolumeClaim", "queue-mail-postfix-0")
    keep = queue["metadata"]["annotations"]
    assert keep == {"helm.sh/resource-policy": "keep"}


def test_services_are_replicated_and_survive_a_drained_node() -> None:
    rendered = render(FULL["services"])
    assert set(rendered.kind("Deployment")) == {"mail-milters", "mail-policyd"}
    assert set(rendered.kind("StatefulSet")) == {"mail-postfix", "mail-valkey"}
    assert set(rendered.kind("PodDisruptionBudget")) == {
        "mail-milters", "mail-policyd", "mail-postfix",
    }  # fmt: skip
    assert all(each["spec"]["replicas"] == 2 for each in rendered.kind("Deployment").values())
    settings = rendered.one("ConfigMap", "mail-postfix")["data"]
    assert settings["POSTFIX_MILTERS"] == "inet:mail-milters:8891"
    assert settings["POSTFIX_POLICY"] == "inet:mail-policyd:10023"
    assert configuration(rendered)["policyd"]["store"] == {
        "kind": "valkey", "url": "valkey://mail-valkey:6379/0",
        "password_file": "/secrets/valkey/password",
    }  # fmt: skip


def test_the_autoscaler_has_the_number_of_replicas_to_itself() -> None:
    rendered = render(FULL["services-full"])
    scalers = rendered.kind("HorizontalPodAutoscaler")
    assert set(scalers) == {"mail-milters", "mail-policyd"}
    for name, scaler in scalers.items():
        assert scaler["spec"]["scaleTargetRef"]["name"] == name
        assert "replicas" not in rendered.one("Deployment", name)["spec"]


def test_the_certificate_is_for_the_name_of_the_server() -> None:
    certificate = render(FULL["pod-full"]).one("Certificate", "mail-tls")
    assert certificate["spec"]["dnsNames"] == ["mail.example.org"]
    assert certificate["spec"]["secretName"] == "mail-tls"


def test_the_monitor_finds_both_metrics() -> None:
    for values in ("pod-full", "services-full"):
        rendered = render(FULL[values])
        monitor = rendered.one("ServiceMonitor", "mail")["spec"]
        found = [
            service["spec"]["ports"]
            for service in rendered.kind("Service").values()
            if monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
        ]
        assert sorted(ports[0]["port"] for ports in found) == [9101, 9102]
        assert all(ports[0]["name"] == monitor["endpoints"][0]["port"] for ports in found)


def test_the_cluster_may_choose_the_user() -> None:
    containers = render(FULL["external-valkey"]).containers()
    assert "runAsUser" not in containers["milters"]["securityContext"]
    assert containers["milters"]["securityContext"]["runAsNonRoot"] is True


@sets
def test_who_is_let_in_is_there(values: Path) -> None:
    """A peer that no pod has the labels of is a door for nobody."""
    rendered = render(values.read_text())
    pods = [pod["metadata"]["labels"].items() for pod in rendered.pods().values()]
    peers = [
        peer["podSelector"]["matchLabels"]
        for policy in rendered.kind("NetworkPolicy").values()
        for rule in (*policy["spec"].get("ingress", []), *policy["spec"].get("egress", []))
        for peer in (*rule.get("from", []), *rule.get("to", []))
        if peer.get("podSelector")
    ]
    for labels in peers:
        assert any(labels.items() <= pod for pod in pods), labels


def test_the_pod_reaches_its_valkey() -> None:
    rendered = render(FULL["pod-valkey"])
    (rule,) = rendered.one("NetworkPolicy", "mail-valkey")["spec"]["ingress"]
    (peer,) = rule["from"]
    assert peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "pod"
    assert 6379 in egress_ports(rendered, "pod")


def egress_ports(rendered: Rendered, component: str) -> set[int]:
    policy = rendered.one("NetworkPolicy", f"mail-{component}")
    return {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]}


@pytest.mark.parametrize(
    ("url", "port"),
    [
        ("valkey://cache.data.svc:6390/0", 6390),
        ("valkeys://cache.data.svc:7000", 7000),
        ("valkey://cache.data.svc/2", 6379),
        ("valkey://[2001:db8::6]:6391/1", 6391),
    ],
)
@pytest.mark.parametrize("topology", ["pod", "services"])
def test_a_store_of_ones_own_is_reached_at_its_port(topology: str, url: str, port: int) -> None:
    rendered = render(f"{{topology: {topology}, store: {{kind: valkey, url: '{url}'}}}}")
    ports = egress_ports(rendered, "pod" if topology == "pod" else "policyd")
    assert ports & {6379, 6390, 6391, 7000} == {port}


@pytest.mark.parametrize("next_hop", ["lmtp:inet:dovecot", "lmtp:[dovecot.example]"])
def test_the_next_hop_may_leave_its_port_to_lmtp(next_hop: str) -> None:
    assert 24 in egress_ports(render(f"{{mail: {{nextHop: '{next_hop}'}}}}"), "pod")


def test_a_resolver_is_reached_at_its_port() -> None:
    """The DNS server of a cluster may listen on another port in its pod, as OpenShift's does."""
    rendered = render(
        "{networkPolicy: {dnsPorts: [53, 5353]},"
        " config: {dns: {nameservers: ['192.0.2.1', '192.0.2.2:5300', '[2001:db8::1]:5301']}}}"
    )
    assert {53, 5353, 5300, 5301} <= egress_ports(rendered, "pod")
    rendered = render("{topology: services, networkPolicy: {dnsPorts: [5353]}}")
    for component in ("milters", "policyd", "postfix"):
        assert 5353 in egress_ports(rendered, component)


def test_networks_are_written_as_each_program_reads_them() -> None:
    rendered = render("{mail: {networks: ['2001:db8:1::/48', '10.1.2.0/24']}}")
    settings = rendered.one("ConfigMap", "mail-postfix")["data"]
    assert settings["POSTFIX_NETWORKS"] == ("127.0.0.0/8 [::1]/128 [2001:db8:1::]/48 10.1.2.0/24")
    networks = configuration(rendered)["milters"]["internal_networks"]
    assert networks[2:] == ["2001:db8:1::/48", "10.1.2.0/24"]


def test_whole_numbers_stay_whole(tmp_path: Path) -> None:
    """YAML's numbers are floating-point for Helm, and no size is."""
    rendered = render(
        "{config: {dns: {cache_size: 5000000}, log: {level: debug},"
        " milters: {max_header: 10000000, verify: {max_signatures: 3}},"
        " policyd: {dnslists: {threshold: 2.5}, limits: {rules:"
        " [{name: day, per: user, count: bytes, limit: 500000000, period: 86400}]}}}}"
    )
    text = rendered.one("ConfigMap", "mail-gatepost")["data"]["gatepost.toml"]
    path = tmp_path / "gatepost.toml"
    path.write_text(text)
    config = configuration_file.read(path, MiltersFile).model
    assert config.milters.max_header == 10_000_000
    assert config.log.level == "debug"
    rule = tomllib.loads(text)["policyd"]["limits"]["rules"][0]
    assert (rule["limit"], rule["period"]) == (500_000_000, 86400)
    assert all(isinstance(rule[key], int) for key in ("limit", "period"))


def test_a_file_on_a_volume_has_one_pod_at_a_time() -> None:
    deployments = render(FULL["services-sqlite"]).kind("Deployment")
    strategies = {name: each["spec"]["strategy"] for name, each in deployments.items()}
    assert strategies["mail-policyd"] == {"type": "Recreate"}
    assert strategies["mail-milters"]["rollingUpdate"]["maxUnavailable"] == 0
    valkey = render(FULL["services"]).one("Deployment", "mail-policyd")["spec"]["strategy"]
    assert valkey["rollingUpdate"]["maxUnavailable"] == 0


def test_the_cluster_may_choose_the_group_of_the_volumes() -> None:
    """OpenShift refuses a pod that names a group out of its range."""
    for name, pod in render(FULL["external-valkey"]).pods().items():
        assert "fsGroup" not in pod["spec"]["securityContext"], name
    for name, pod in render().pods().items():
        assert pod["spec"]["securityContext"]["fsGroup"] == 10001, name
