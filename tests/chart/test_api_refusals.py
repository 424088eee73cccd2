"""Values that the API would refuse: the chart refuses them before anything changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chart.cluster import OPERATORS, cluster
from tests.chart.helm import CHART, HelmError, Rendered, helm, render, template

SENTENCES = [
    # networks
    ("{mail: {networks: [10.1.2.3/8]}}", "10.1.2.3/8 in mail.networks is an address inside"),
    ("{mail: {networks: ['2001:db8::1/64']}}", "2001:db8::1/64 in mail.networks is an address"),
    ("{mail: {networks: ['2001:db8:0:8000::/48']}}", "is an address inside a network"),
    ("{mail: {networks: ['::ffff:10.0.0.1/104']}}", "is an address inside a network"),
    ("{mail: {proxyNetworks: [10.0.0.1/24]}}", "10.0.0.1/24 in mail.proxyNetworks is an address"),
    ("{mail: {proxyNetworks: ['::ffff:10.0.0.0/104']}}", "is an IPv4 network in the form of IPv6"),
    ("{mail: {proxyNetworks: ['::ffff:a00:0/104']}}", "is an IPv4 network in the form of IPv6"),
    (
        "{service: {loadBalancerSourceRanges: [192.0.2.1/24]}}",
        "192.0.2.1/24 in service.loadBalancerSourceRanges is an address inside",
    ),
    (
        "{networkPolicy: {metricsFrom: [{ipBlock: {cidr: 10.0.0.1/8}}]}}",
        "10.0.0.1/8 in networkPolicy.metricsFrom is an address inside",
    ),
    (
        "{networkPolicy: {metricsFrom: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.0/8]}}]}}",
        "is excepted from 10.0.0.0/8, of which it is no part",
    ),
    (
        "{networkPolicy: {metricsFrom: [{ipBlock: {cidr: 10.0.0.0/8, except: [192.0.2.0/24]}}]}}",
        "192.0.2.0/24 in networkPolicy.metricsFrom is excepted",
    ),
    ("{webmail: {proxies: [10.0.0.1/8]}}", "10.0.0.1/8 in webmail.proxies is an address inside"),
    # what overlaps, in IPv6, too
    (
        "{mail: {networks: ['2001:db8::/47'], proxyNetworks: ['2001:db8:1::/48']}}",
        "overlap: everybody could relay through the load balancer",
    ),
    # resources
    (
        "{milters: {resources: {requests: {memory: 385Mi}}}}",
        "milters.resources requests 385Mi of memory, which is more than its limit of 384Mi",
    ),
    (
        "{postfix: {resources: {requests: {cpu: 2}, limits: {cpu: 1500m}}}}",
        "postfix.resources requests 2 of cpu, which is more than its limit of 1500m",
    ),
    ("{valkey: {resources: {limits: {memory: 33000000}}}, store: {kind: valkey}}", "its limit of"),
    (
        "{topology: services, milters: {autoscaling: {enabled: true},"
        " resources: {requests: {cpu: null}}}}",
        "milters.autoscaling compares the CPU in use with milters.resources.requests.cpu",
    ),
    # pods
    ("{dnsPolicy: None}", "name at least one"),
    ("{dnsPolicy: None, dnsConfig: {searches: [example.org]}}", "name at least one"),
]

SCHEMA = [
    *(f"{{mail: {{networks: ['{network}']}}}}" for network in (
        "10.0.0.0/99", "10.0.0.0/33", "10.0.0.0", "10.0.0/24", "256.0.0.0/8", "010.0.0.0/8",
        "2001:db8::/129", "2001:db8::1::/64", "2001:db8/32", "1:2:3:4:5:6:7:8:9/128", ":/0",
        "1:2:3:4:5:6:7/112", "10.0.0.0/08",
    )),
    "{mail: {proxyNetworks: [10.0.0.0/99]}}",
    "{service: {loadBalancerSourceRanges: [10.0.0.0/99]}}",
    "{networkPolicy: {metricsFrom: [{ipBlock: {cidr: 10.0.0.0/99}}]}}",
    "{networkPolicy: {metricsFrom: [{ipBlock: {}}]}}",
    "{networkPolicy: {metricsFrom: [{}]}}",
    "{networkPolicy: {metricsFrom: [{podSelecter: {}}]}}",
    "{networkPolicy: {metricsFrom: [{podSelector: {}, ipBlock: {cidr: 10.0.0.0/8}}]}}",
    "{networkPolicy: {metricsFrom: [{podSelector: {app: prometheus}}]}}",
    "{networkPolicy: {metricsFrom: [{podSelector: {matchLabels: {'a b': c}}}]}}",
    "{networkPolicy: {metricsFrom: [{podSelector: {matchExpressions: [{key: a, operator: In}]}}]}}",
    "{networkPolicy: {metricsFrom: [{podSelector:"
    " {matchExpressions: [{key: a, operator: Exists, values: [b]}]}}]}}",
    "{networkPolicy: {dnsPorts: [0]}}",
    "{networkPolicy: {extraEgressPorts: [65536]}}",
    "{webmail: {proxies: [10.0.0.999]}}",
    *(f"{{persistence: {{queue: {{size: {size}}}}}}}" for size in (
        "0Gi", "00Gi", "-1Gi", "1GB", "1.5", "lots", "''", "Gi",
    )),
    *(f"{{persistence: {{{claim}: {{size: 0Gi}}}}}}" for claim in (
        "store", "valkey", "accounts", "mail", "webmail", "spam", "bayes", "virus", "backup",
    )),
    *(f"{{milters: {{resources: {{limits: {{memory: {memory}}}}}}}}}" for memory in (
        "lots", "1 Gi", "1GB", "1gi", "-1Gi", "100m", "1.5", "true", "''", "[1]", "1KI",
    )),
    *(f"{{milters: {{resources: {{requests: {{cpu: {cpu}}}}}}}}}" for cpu in (
        "some", "-1", "1mm", "1 m", "0.5m", "''", "1Gb",
    )),
    *(f"{{{component}: {{resources: {{requests: {{memory: lots}}}}}}}}" for component in (
        "postfix", "policyd", "accounts", "dovecot", "webmail", "delivery", "spamassassin",
        "spamrules", "training", "rspamd", "bayes", "clamav", "freshclam", "valkey",
    )),
    "{milters: {resources: {limits: {mem: 1Gi}}}}",
    "{milters: {resources: {limits: {example.org/: 1}}}}",
    "{milters: {resources: {claims: []}}}",
    "{tolerations: [{}]}",
    "{tolerations: [{kye: a, operator: Exists}]}",
    "{tolerations: [{key: a, operator: Is}]}",
    "{tolerations: [{key: a, operator: Exists, value: b}]}",
    "{tolerations: [{operator: Equal, value: b}]}",
    "{tolerations: [{value: b}]}",
    "{tolerations: [{key: a, effect: Never}]}",
    "{tolerations: [{key: a, effect: NoSchedule, tolerationSeconds: 3}]}",
    "{tolerations: [{key: a, tolerationSeconds: 3}]}",
    "{tolerations: [{key: 'a b'}]}",
    "{tolerations: [{key: a, value: 'b c'}]}",
    "{nodeSelector: {'a b': c}}",
    "{nodeSelector: {a: 'b c'}}",
    "{nodeSelector: {a: -b}}",
    "{nodeSelector: {a: " + "b" * 64 + "}}",
    "{affinity: {nodeAfinity: {}}}",
    "{affinity: {nodeAffinity: {required: {}}}}",
    "{affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution:"
    " {nodeSelectorTerms: []}}}}",
    "{affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution:"
    " {nodeSelectorTerms: [{matchExpressions: [{key: a, operator: Has}]}]}}}}",
    "{affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution:"
    " [{weight: 0, preference: {matchExpressions: [{key: a, operator: Exists}]}}]}}}",
    "{affinity: {podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{}]}}}",
    "{affinity: {podAntiAffinity: {preferredDuringSchedulingIgnoredDuringExecution:"
    " [{topologyKey: a}]}}}",
    "{dnsConfig: {nameserver: [192.0.2.1]}}",
    "{dnsConfig: {nameservers: [dns.example.org]}}",
    "{dnsConfig: {nameservers: [192.0.2.1, 192.0.2.2, 192.0.2.3, 192.0.2.4]}}",
    "{dnsConfig: {searches: ['a b']}}",
    "{dnsConfig: {options: [{value: '2'}]}}",
    "{dnsConfig: {options: [{name: ndots, value: 2}]}}",
    "{dnsPolicy: Cluster}",
    "{certificate: {issuer: {name: ''}}}",
    "{certificate: {enabled: true, issuer: {name: ''}}}",
    "{certificate: {issuer: {name: a..b}}}",
    "{certificate: {issuer: {groups: a}}}",
    "{certificate: {dnsNames: [a..example.org]}}",
    "{mail: {hostname: " + "a" * 64 + ".example.org}}",
    "{dkim: {secret: a..b}}",
    "{tls: {secret: a.-b}}",
    "{tls: {secret: Mail}}",
    "{tls: {more: [a.b]}}",
    "{store: {passwordKey: ..}}",
    "{store: {passwordKey: a/b}}",
    "{dovecot: {encryption: {secret: 'a b'}}}",
    "{dovecot: {encryption: {secret: a, key: ..}}}",
    *(f"{{{component}: {{files: {{'{name}': x}}}}}}" for component in (
        "postfix", "dovecot", "spamassassin", "rspamd", "clamav",
    ) for name in (".", "..", "..a", "a/b", "a b", "")),
    "{service: {annotations: {'a b': c}}}",
    "{service: {annotations: {a: 1}}}",
    "{service: {loadBalancerClass: 'a b'}}",
    "{proxyService: {loadBalancerClass: a/b/c}}",
    "{podAnnotations: {'a b': c}}",
    "{podAnnotations: {'a/b/c': d}}",
    "{monitoring: {serviceMonitor: {labels: {a: 'b c'}}}}",
    "{monitoring: {serviceMonitor: {interval: 0s}}}",
    "{monitoring: {dashboard: {labels: {'a b': c}}}}",
    "{images: {postfix: {repository: 'Example/postfix'}}}",
    "{images: {postfix: {repository: 'example/postfix:1'}}}",
    "{images: {postfix: {repository: 'example/post fix'}}}",
    "{images: {postfix: {tag: 'a b'}}}",
    "{images: {postfix: {tag: -a}}}",
    "{images: {pullSecrets: [{}]}}",
    "{images: {pullSecrets: [{name: ''}]}}",
    "{runAsUser: 2147483648}",
    "{fsGroup: 0}",
    "{persistence: {storageClass: 'a b'}}",
    "{persistence: {queue: {existingClaim: a..b}}}",
]  # fmt: skip


@pytest.mark.parametrize(("values", "sentence"), SENTENCES)
def test_a_template_says_why(values: str, sentence: str) -> None:
    with pytest.raises(HelmError) as caught:
        template(values)
    assert sentence in str(caught.value)


@pytest.mark.parametrize("values", SCHEMA)
def test_the_schema_refuses(values: str) -> None:
    with pytest.raises(HelmError, match="values don't meet the specifications of the schema"):
        template(values)


@pytest.mark.parametrize(
    "values",
    [
        "{mail: {networks: [10.0.0.0/8, 192.0.2.1/32, '2001:db8:0:8000::/49', '::1/128',"
        " '1:2:3:4:5:6:7:8/128', '::ffff:10.0.0.0/104', '2001:DB8::/32']}}",
        "{networkPolicy: {metricsFrom: [{namespaceSelector: {}, podSelector: {matchExpressions:"
        " [{key: app.kubernetes.io/name, operator: In, values: [prometheus]}]}},"
        " {ipBlock: {cidr: 10.0.0.0/8, except: [10.9.0.0/16]}}]}}",
        "{milters: {resources: {requests: {cpu: 0.5, memory: 100000000, ephemeral-storage: 1G},"
        " limits: {cpu: '1', memory: 1e9, ephemeral-storage: 1Gi, example.org/card: 1}}}}",
        "{milters: {resources: {requests: {cpu: 1000m, memory: 0.5Gi},"
        " limits: {cpu: 1, memory: 512Mi}}}}",
        "{tolerations: [{operator: Exists}, {key: a/b, value: '', effect: NoExecute,"
        " tolerationSeconds: 60}, {key: c, operator: Exists, effect: NoSchedule}]}",
        "{affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution:"
        " {nodeSelectorTerms: [{matchExpressions: [{key: a, operator: Gt, values: ['3']}]}]}},"
        " podAntiAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 100,"
        " podAffinityTerm: {topologyKey: kubernetes.io/hostname,"
        " labelSelector: {matchLabels: {a: b}}}}]}}}",
        "{dnsPolicy: None, dnsConfig: {nameservers: [192.0.2.53, '2001:db8::53'],"
        " searches: [mail.svc.cluster.local, example.org.], options: [{name: ndots, value: '2'},"
        " {name: edns0}]}}",
        "{images: {postfix: {repository: 'registry.example.org:5000/a/b_c-d', tag: v1.0_a}}}",
        "{postfix: {dnsLists: ['zen.example.org=127.0.0.[2..11;13]*3', 'dnswl.example*-2']}}",
        "{postfix: {files: {10-a.cf: 'a = b', .hidden: c}}}",
    ],
)
def test_the_api_takes_these(values: str) -> None:
    template(values)


@pytest.mark.parametrize("name", ["mail.example", "1mail", "m" * 48])
def test_a_release_has_a_name_for_services(name: str) -> None:
    with pytest.raises(HelmError, match=f"the release is called {name}"):
        helm("template", name, CHART)


def test_the_longest_name_leaves_room_for_all_services() -> None:
    proxy = (
        "{postfix: {proxy: true}, mail: {proxyNetworks: [10.0.0.0/24]}, mailboxes: {enabled: true}}"
    )
    names = Rendered(helm("template", "m" * 47, CHART, values=proxy)).kind("Service")
    assert max(map(len, names)) == 63
    with pytest.raises(HelmError, match="a name of at most 44 characters"):
        helm("template", "m" * 45, CHART, values="{topology: services}")
    helm("template", "m" * 44, CHART, values="{topology: services}")
    with pytest.raises(HelmError, match="more than 63 characters"):
        helm(
            *("template", "m" * 47, CHART),
            values="{mailboxes: {enabled: true}, monitoring: {serviceMonitor: {enabled: true}}}",
        )


def test_a_large_user_id_stays_a_whole_number() -> None:
    """OpenShift's begin at a thousand million, which a template writes as 1e+09."""
    rendered = render("{runAsUser: 1000680000, fsGroup: 1000680001}")
    for name, container in rendered.containers().items():
        if name != "postfix":
            assert container["securityContext"]["runAsUser"] == 1000680000
    for pod in rendered.pods().values():
        assert pod["spec"]["securityContext"]["fsGroup"] == 1000680001
    assert "1.00068e+09" not in template("{runAsUser: 1000680000, fsGroup: 1000680001}")


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ("{monitoring: {serviceMonitor: {enabled: true}}}", "ServiceMonitor"),
        ("{certificate: {enabled: true}}", "Certificate"),
        ("{monitoring: {prometheusRule: {enabled: true}}}", "PrometheusRule"),
        (
            "{mailboxes: {enabled: true}, webmail: {enabled: true},"
            " gateway: {enabled: true, parentRefs: [{name: edge}]}}",
            "HTTPRoute",
        ),
    ],
)
def test_a_cluster_without_the_kind_is_told_of(values: str, kind: str, tmp_path: Path) -> None:
    command = (
        *("template", "mail", CHART, "--namespace", "default", "--dry-run=server"),
        *("--disable-openapi-validation", "--kubeconfig"),
    )
    with (
        cluster(tmp_path, {}, others={}) as kubeconfig,
        pytest.raises(HelmError, match=f"this cluster has no kind {kind}"),
    ):
        helm(*command, kubeconfig, values=values)
    with cluster(tmp_path, {}, others=OPERATORS) as kubeconfig:
        assert f"kind: {kind}\n" in helm(*command, kubeconfig, values=values)
