"""What cannot work fails, with a sentence that says what to change."""

from __future__ import annotations

import pytest

from tests.chart.helm import HelmError, template


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            "{topology: services, store: {kind: sqlite}}",
            "a SQLite file cannot be shared by several pods. Set store.kind to valkey",
        ),
        (
            "{topology: services, store: {kind: sqlite},"
            " policyd: {replicas: 1, autoscaling: {enabled: true}}}",
            "a SQLite file cannot be shared by several pods",
        ),
        ("{milters: {autoscaling: {enabled: true}}}", "topology pod is one pod and cannot scale"),
        ("{store: {url: valkey://v:6379/0}}", "set store.kind to valkey"),
        ("{store: {kind: valkey, url: valkey://u:p@v:6379/0}}", "must not have a password"),
        ("{postfix: {sasl: 'inet:dovecot:12345'}, tls: {secret: ''}}", "needs a certificate"),
        ("{certificate: {enabled: true}, tls: {secret: ''}}", "needs tls.secret"),
        ("{postfix: {proxy: true}}", "name the load balancers that may reach them"),
        (
            "{mail: {networks: [10.0.0.0/8], proxyNetworks: [10.0.0.0/8]}}",
            "10.0.0.0/8 of mail.networks and 10.0.0.0/8 of mail.proxyNetworks",
        ),
        (
            "{mail: {networks: [10.0.0.0/8], proxyNetworks: [10.9.1.0/24]}}",
            "10.0.0.0/8 of mail.networks and 10.9.1.0/24 of mail.proxyNetworks",
        ),
        (
            "{mail: {networks: [10.20.4.0/22], proxyNetworks: [10.20.0.0/16]}}",
            "10.20.4.0/22 of mail.networks and 10.20.0.0/16 of mail.proxyNetworks",
        ),
        ("{mail: {networks: [0.0.0.0/0]}}", "this would be an open relay"),
        (
            "{topology: services, milters: {autoscaling: {enabled: true, minReplicas: 9}}}",
            "milters.autoscaling.minReplicas is more than maxReplicas",
        ),
        ("{postfix: {files: {POSTFIX_NETWORKS: x}}}", "settings are set by the values"),
        ("{topology: cluster}", "value must be one of 'pod', 'services'"),
        ("{mail: {hostnme: a.example.org}}", "hostnme"),
        ("{mail: {hostname: localhost}}", "'localhost' does not match pattern"),
        ("{postfix: {replicas: 0}}", "minimum"),
    ],
)
def test_it_says_why(values: str, sentence: str) -> None:
    with pytest.raises(HelmError) as caught:
        template(values)
    assert sentence in str(caught.value)


def test_one_policy_server_may_have_sqlite() -> None:
    template("{topology: services, store: {kind: sqlite}, policyd: {replicas: 1}}")


def test_networks_side_by_side_are_two() -> None:
    template("{mail: {networks: [10.20.0.0/23], proxyNetworks: [10.20.2.0/23, '2001:db8::/64']}}")
