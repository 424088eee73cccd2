"""Ports of pods that are others than those of their Services."""

from __future__ import annotations

from tests.chart.helm import render
from tests.chart.test_templates import egress_ports


def test_pods_that_listen_elsewhere_than_their_services_are_reached() -> None:
    """A policy is about the port of the pod: a Service's own does not count."""
    ports = "networkPolicy: {nextHopPorts: [10024], saslPorts: [11345], storePorts: [16379]}"
    others = (
        "mail: {nextHop: 'lmtp:inet:dovecot:24'}, postfix: {sasl: 'inet:dovecot:12345'},"
        " store: {kind: valkey, url: 'valkey://cache:6379'}"
    )
    rendered = render(f"{{{ports}, {others}}}")
    assert {24, 10024, 12345, 11345, 6379, 16379} <= egress_ports(rendered, "pod")
    rendered = render(f"{{topology: services, {ports}, {others}}}")
    assert {24, 10024, 12345, 11345} <= egress_ports(rendered, "postfix")
    assert {6379, 16379} <= egress_ports(rendered, "policyd")
    assert 16379 not in egress_ports(rendered, "postfix")
    # a way that nothing needs stays closed
    rendered = render(f"{{mailboxes: {{enabled: true}}, {ports}}}")
    assert not {10024, 11345, 16379} & egress_ports(rendered, "pod")
