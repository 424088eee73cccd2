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
            "10.0.0.0/8 is in mail.networks and in mail.proxyNetworks",
        ),
        ("{mail: {networks: [0.0.0.0/0]}}", "this would be an open relay"),
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
