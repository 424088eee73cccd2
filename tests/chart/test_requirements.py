"""What cannot work fails, with a sentence that says what to change."""

from __future__ import annotations

import pytest

from tests.chart.helm import HelmError, template


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            "{topology: services, store: {kind: sqlite}}",
            "several pods cannot share a SQLite file. Set store.kind to valkey",
        ),
        (
            "{topology: services, store: {kind: sqlite},"
            " policyd: {replicas: 1, autoscaling: {enabled: true}}}",
            "several pods cannot share a SQLite file",
        ),
        ("{milters: {autoscaling: {enabled: true}}}", "topology pod is one pod and cannot scale"),
        ("{store: {url: valkey://v:6379/0}}", "set store.kind to valkey"),
        ("{store: {kind: valkey, url: valkey://u:p@v:6379/0}}", "must not have a password"),
        ("{postfix: {sasl: 'inet:dovecot:12345'}, tls: {secret: ''}}", "needs a certificate"),
        ("{certificate: {enabled: true}, tls: {secret: ''}}", "needs tls.secret"),
        (
            "{dovecot: {encryption: {secret: mail-keys, key: ''}}}",
            "neither key nor oldKeys names a key in it: mail would not be encrypted",
        ),
        ("{backup: {enabled: true}}", "is about mailboxes, so set both or none"),
        ("{postfix: {proxy: true}}", "list the load balancers that may reach them"),
        (
            "{mail: {networks: [10.0.0.0/8], proxyNetworks: [10.0.0.0/8]}}",
            "10.0.0.0/8 in mail.networks and 10.0.0.0/8 in mail.proxyNetworks",
        ),
        (
            "{mail: {networks: [10.0.0.0/8], proxyNetworks: [10.9.1.0/24]}}",
            "10.0.0.0/8 in mail.networks and 10.9.1.0/24 in mail.proxyNetworks",
        ),
        (
            "{mail: {networks: [10.20.4.0/22], proxyNetworks: [10.20.0.0/16]}}",
            "10.20.4.0/22 in mail.networks and 10.20.0.0/16 in mail.proxyNetworks",
        ),
        *(
            (
                f"{{mail: {{networks: [{networks}]}}}}",
                f"addresses of {family}: this would be an open",
            )
            for family, networks in [
                ("IPv4", "0.0.0.0/0"),
                ("IPv4", "0.0.0.0/1, 128.0.0.0/1"),
                ("IPv4", "64.0.0.0/4"),
                ("IPv4", "64.0.0.0/5, 72.0.0.0/5"),
                ("IPv4", ", ".join(f"{first}.0.0.0/8" for first in range(50, 64))),
                ("IPv4", "'::ffff:0:0/96'"),
                ("IPv4", "'0:0:0:0:0:FFFF:0:0/97'"),
                ("IPv6", "'::/0'"),
                ("IPv6", "'::/1', '8000::/1'"),
                ("IPv6", "'2000::/3'"),
                ("IPv6", "'2a00::/7', '2400::/8'"),
                (
                    "IPv6",
                    ", ".join(f"'2{second:x}00::/8'" for second in range(16)) + ", '3000::/7'",
                ),
            ]
        ),
        ("{mail: {proxyNetworks: [0.0.0.0/1, 128.0.0.0/1]}}", "could claim to be anybody"),
        (
            "{topology: services, milters: {autoscaling: {enabled: true, minReplicas: 9}}}",
            "milters.autoscaling.minReplicas is more than maxReplicas",
        ),
        ("{postfix: {files: {POSTFIX_NETWORKS: x}}}", "use the values of mail and postfix"),
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


def test_large_networks_may_be_ones_own() -> None:
    """Private ones in any size, and as many of the public ones as an owner has."""
    template(
        "{mail: {networks: [10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10, 240.0.0.0/4,"
        " 8.0.0.0/5, '2a00::/8', '2001:db8::/32', 'fc00::/7', 'fe80::/10', '::1/128',"
        " '::ffff:10.0.0.0/104', '2001:db8::1/128']}}"
    )
