"""The Services for clients outside the cluster."""

from __future__ import annotations

from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.chart.helm import HelmError, Rendered, render, template
from tests.chart.test_valid import NEWEST, OLDEST

BOTH = {
    "mailboxes": {"enabled": True},
    "mail": {"proxyNetworks": ["10.0.0.0/24"]},
    "postfix": {"proxy": True},
}
PLAIN = ("mail-smtp", "mail-mailboxes")
PROXIED = ("mail-smtp-proxy", "mail-mailboxes-proxy")


def fronts(rendered: Rendered) -> dict[str, Any]:
    found = rendered.kind("Service")
    return {name: found[name] for name in (*PLAIN, *PROXIED) if name in found}


def both(**more: object) -> Rendered:
    return render(yaml.safe_dump({**BOTH, **more}))


def test_two_services_cannot_have_the_same_port_of_the_nodes() -> None:
    values = (
        "{postfix: {proxy: true}, mail: {proxyNetworks: [10.0.0.0/24]}, service: {type: NodePort,"
        " nodePorts: {smtp: 30025}}, proxyService: {type: NodePort, nodePorts: {smtp: %d}}}"
    )
    template(values % 30026)
    with pytest.raises(HelmError, match="both have 30025"):
        template(values % 30025)


def test_each_kind_has_its_own_options() -> None:
    options = {
        "labels": {"team": "mail"},
        "ipFamilyPolicy": "RequireDualStack",
        "ipFamilies": ["IPv6", "IPv4"],
        "loadBalancerClass": "example.org/lb",
        "loadBalancerIP": "192.0.2.25",
        "externalIPs": ["192.0.2.26", "2001:db8::25"],
        "nodePorts": {"smtp": 30025, "imaps": 30993},
    }
    for key, with_options, without in (
        ("service", PLAIN, PROXIED),
        ("proxyService", PROXIED, PLAIN),
    ):
        found = fronts(both(**{key: options}))
        for name in with_options:
            assert found[name]["metadata"]["labels"]["team"] == "mail"
            spec = found[name]["spec"]
            expected = {k: v for k, v in options.items() if k not in ("labels", "nodePorts")}
            assert spec.items() >= expected.items()
            ports = {port["name"]: port.get("nodePort") for port in spec["ports"]}
            assert ports.pop("smtp", 30025) == 30025
            assert ports.pop("imaps", 30993) == 30993
            assert set(ports.values()) == {None}
            for version in (OLDEST, NEWEST):
                kubernetes_validate.validate(found[name], version, strict=True)
        plain = fronts(both())
        assert {name: found[name] for name in without} == {name: plain[name] for name in without}


def test_addresses_of_ones_own_keep_the_clients_address() -> None:
    found = fronts(both(service={"type": "ClusterIP", "externalIPs": ["192.0.2.26"]}))
    for name in PLAIN:
        assert found[name]["spec"]["externalTrafficPolicy"] == "Local"
    for each in fronts(both(service={"type": "ClusterIP", "nodePorts": {"smtp": 30025}})).values():
        assert all("nodePort" not in port for port in each["spec"]["ports"])


def test_the_node_has_the_ports_of_the_service() -> None:
    rendered = both(service={"type": "ClusterIP", "hostPorts": True})
    opened = {
        port["hostPort"]: (name, port["name"])
        for name, container in rendered.containers().items()
        for port in container.get("ports", [])
        if "hostPort" in port
    }
    offered = {
        port["port"]: port["targetPort"]
        for name in PLAIN
        for port in rendered.one("Service", name)["spec"]["ports"]
    }
    assert {port: name for port, (_, name) in opened.items()} == offered
    assert set(opened) == {25, 465, 587, 143, 993, 110, 995, 4190}
    assert {name for name, _ in opened.values()} == {"postfix", "dovecot"}
    rendered = render("{topology: services, service: {type: ClusterIP, hostPorts: true}}")
    (smtp,) = rendered.containers()["postfix"]["ports"]
    assert smtp == {"name": "smtp", "containerPort": 25, "hostPort": 25}
    for each in rendered.objects:
        kubernetes_validate.validate(each, OLDEST, strict=True)


def test_external_dns_gets_each_name_for_one_service() -> None:
    dns = {"enabled": True, "ttl": 300, "mailboxes": "imap.example.org"}
    key = "external-dns.alpha.kubernetes.io/"
    expected = {"smtp": "mail.example.org", "mailboxes": "imap.example.org"}
    for rendered, suffix in (
        (both(externalDNS=dns), "-proxy"),
        (both(externalDNS=dns, postfix={"proxy": False}), ""),
    ):
        found = {
            name: each["metadata"]["annotations"]
            for name, each in rendered.kind("Service").items()
            if "annotations" in each["metadata"]
        }
        assert found == {
            f"mail-{name}{suffix}": {f"{key}hostname": value, f"{key}ttl": "300"}
            for name, value in expected.items()
        }
    alone = both(externalDNS={"enabled": True}).kind("Service")
    assert [name for name, each in alone.items() if "annotations" in each["metadata"]] == [
        "mail-smtp-proxy"
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{service: {ipFamilies: [IPv4, IPv6]}}", "set service.ipFamilyPolicy to PreferDualStack"),
        (
            "{proxyService: {ipFamilyPolicy: SingleStack, ipFamilies: [IPv4, IPv6]}}",
            "proxyService.ipFamilyPolicy is SingleStack",
        ),
        ("{service: {nodePorts: {smtp: 30025, imap: 30025}}}", "the same port twice"),
        ("{service: {nodePorts: {http: 30080}}}", "http"),
        ("{service: {nodePorts: {smtp: 70000}}}", "maximum"),
        ("{service: {ipFamilyPolicy: DualStack}}", "value must be one of"),
        ("{service: {ipFamilies: [IPv5]}}", "value must be one of"),
        ("{service: {loadBalancerIP: lb.example.org}}", "does not match pattern"),
        ("{service: {externalIPs: [here]}}", "does not match pattern"),
        ("{service: {labels: {a: 1}}}", "want string"),
        ("{service: {hostPorts: 25}}", "want boolean"),
        ("{proxyService: {hostPorts: true}}", "hostPorts"),
        ("{service: {hostNetwork: true}}", "hostNetwork"),
        ("{externalDNS: {ttl: -1}}", "minimum"),
        ("{externalDNS: {mailboxes: nowhere}}", "does not match pattern"),
        (
            "{externalDNS: {enabled: true, mailboxes: mail.example.org}}",
            "which leads to another Service",
        ),
    ],
)
def test_it_says_what_is_wrong(text: str, sentence: str) -> None:
    with pytest.raises(HelmError) as caught:
        template(text)
    assert sentence in str(caught.value)
