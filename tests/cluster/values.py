"""Values files of k8s/chart/ci, adapted to a bare cluster, and the objects that they expect."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.commands import CHART

FILES = {
    path.stem.removesuffix("-values"): path for path in sorted((CHART / "ci").glob("*-values.yaml"))
}
"""The values files by name."""

CERTIFICATES = "certificates.cert-manager.io"
MONITORS = "servicemonitors.monitoring.coreos.com"
RULES = "prometheusrules.monitoring.coreos.com"
ROUTES = "httproutes.gateway.networking.k8s.io"
ELSEWHERE = frozenset(
    {
        *("nodeSelector", "tolerations", "topologySpreadConstraints", "priorityClassName"),
        *("storageClass", "accessModes", "imageRegistry", "imagePullSecrets", "digest"),
        *("initContainers", "sidecars", "ipFamilies", "loadBalancerIP", "loadBalancerClass"),
        *("nodePorts", "externalIPs"),
    }
)
"""Keys of values that name something that a bare cluster does not have."""
RETRY = "queue_run_delay = 10s\nminimal_backoff_time = 10s\nmaximal_backoff_time = 30s\n"
"""Lines of main.cf: mail in the queue is tried again every few seconds."""
SINK_PORT = 2525
SIGNATURES = "signatures"
"""The claim with a signature of the test."""
DOMAIN = "example.org"
"""The domain of the recipients in all scenes."""


def read(name: str) -> dict[str, Any]:
    """Return the values of a file."""
    return dict(yaml.safe_load(FILES[name].read_text()) or {})


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return values in which those of `above` take precedence, as helm merges them."""
    result = copy.deepcopy(dict(below))
    for key, value in above.items():
        old = result.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        result[key] = merged(old, value) if both else copy.deepcopy(value)  # type: ignore[arg-type]
    return result


def adapted(values: Mapping[str, Any], kinds: Collection[str]) -> dict[str, Any]:
    """Return `values` for a cluster that has these kinds of custom resources, and nothing else.

    The next hop is the sink, greylisting is short, and deferred mail is tried again soon. Values
    about nodes, classes and registries of a certain cluster are left out (`ELSEWHERE`), and so are
    objects of kinds that the cluster does not know. Everything else stays.
    """
    values = _without(values)
    above: dict[str, Any] = {
        "mail": {
            "domains": [DOMAIN],
            "nextHop": f"smtp:[sink]:{SINK_PORT}",
        },
        "config": {"policyd": {"greylist": {"delay": "1s"}}},
        "postfix": {"files": {"99-tests.cf": RETRY}},
    }
    if CERTIFICATES not in kinds:
        above["certificate"] = {"enabled": False}
    for key, kind in (("serviceMonitor", MONITORS), ("prometheusRule", RULES)):
        if kind not in kinds and key in values.get("monitoring", {}):
            above.setdefault("monitoring", {})[key] = {"enabled": False}
    if ROUTES not in kinds and "gateway" in values:
        above["gateway"] = {"enabled": False}
    if has_scanner(values):  # ClamAV waits for signatures, which may be out of reach
        above["persistence"] = {"virus": {"existingClaim": SIGNATURES}}
    nameservers = values.get("config", {}).get("dns", {}).get("nameservers")
    if nameservers:  # those of the example do not exist
        above["config"]["dns"] = {"nameservers": []}
    if values.get("postfix", {}).get("dnsLists"):
        above["postfix"]["dnsLists"] = []  # they refuse the resolvers of most clusters
    if "url" in values.get("store", {}):  # a server of the user: the sink's namespace has one
        above["store"] = {"url": "valkey://user-valkey:6379/3"}
    return merged(values, above)


def has_mailboxes(values: Mapping[str, Any]) -> bool:
    """Return whether mail ends in Dovecot and not in the sink."""
    return bool(values.get("demo") or values.get("mailboxes", {}).get("enabled"))


def _without(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values without the keys in `ELSEWHERE`, at any depth."""
    return {
        key: _without(value) if isinstance(value, Mapping) else value
        for key, value in values.items()
        if key not in ELSEWHERE
    }


def has_scanner(values: Mapping[str, Any]) -> bool:
    """Return whether ClamAV runs."""
    return bool(values.get("virus", {}).get("enabled"))


def expected_secrets(values: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Return the Secrets that the values name and the chart does not make, with their texts.

    The certificate is not among them: see `Site.make_certificate`.
    """
    found: dict[str, dict[str, str]] = {}
    store = values.get("store", {})
    if name := store.get("passwordSecret"):
        found[name] = {store.get("passwordKey", "password"): "first-password"}
    if name := values.get("mailboxes", {}).get("secret"):
        # 32 octets in base64, and two words of at least 16 characters
        found[name] = {
            "seal": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
            "doveadm": "a-word-for-doveadm-in-tests",
            "srs": "a-word-for-srs-in-these-tests",
        }
    if name := values.get("spam", {}).get("secret"):
        found[name] = {"password": "a-password-for-rspamd", "valkey": "a-password-for-valkey"}
    return found


def expected_claims(values: Mapping[str, Any]) -> dict[str, str]:
    """Return the claims that the values name as existing, with a size that is enough for a test."""
    return {
        section["existingClaim"]: "1Gi"
        for section in values.get("persistence", {}).values()
        if isinstance(section, Mapping) and section.get("existingClaim")
    }


def chart_file(name: str) -> Path:
    """Return the path of a values file."""
    return FILES[name]
