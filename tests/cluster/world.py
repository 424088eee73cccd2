"""Objects around a release: the sink, the senders, and a user's own Secrets and claims."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.commands import CHART
from tests.cluster.options import Options
from tests.cluster.values import SIGNATURES, SINK_PORT

PROGRAMS = Path(__file__).parent / "inside"
PROGRAM_NAMES = ("sink.py", "sender.py", "signature.py")
ARRIVED = "/data/arrived"
"""The sink's file of subjects."""
NOBODY = {"app": "nobody"}
"""Labels that no pod has: with them as its selector, a Service refuses all connections."""
SINK = {"app": "gatepost-test-sink"}
OURS = "gatepost-test"
"""The label of our namespaces; a run deletes no other."""

Manifest = dict[str, Any]


def namespace(name: str) -> Manifest:
    """Return a namespace of ours."""
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": {OURS: "true"}},
    }


def programs() -> Manifest:
    """Return the ConfigMap with the programs that run in the cluster."""
    data = {name: (PROGRAMS / name).read_text() for name in PROGRAM_NAMES}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "programs"}, "data": data}


def claim(name: str, size: str) -> Manifest:
    """Return a claim of the default class."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": size}},
        },
    }


def secret(name: str, data: Mapping[str, str]) -> Manifest:
    """Return a Secret with these texts."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "stringData": dict(data),
    }


def sink(options: Options) -> list[Manifest]:
    """Return the next hop with its Service and claim."""
    pod = _pod(options, ["/programs/sink.py", str(SINK_PORT), ARRIVED])
    pod["containers"][0]["readinessProbe"] = {"tcpSocket": {"port": SINK_PORT}, "periodSeconds": 2}
    pod["containers"][0]["volumeMounts"].append({"name": "data", "mountPath": "/data"})
    pod["volumes"].append({"name": "data", "persistentVolumeClaim": {"claimName": "sink"}})
    return [
        claim("sink", "100Mi"),
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "sink"},
            "spec": {
                "replicas": 1,
                "strategy": {"type": "Recreate"},
                "selector": {"matchLabels": SINK},
                "template": {"metadata": {"labels": SINK}, "spec": pod},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "sink"},
            "spec": {"selector": SINK, "ports": [{"port": SINK_PORT, "targetPort": SINK_PORT}]},
        },
    ]


def signatures(options: Options) -> Manifest:
    """Return a pod that writes a signature for ClamAV into its claim, and ends."""
    pod = _pod(options, ["/programs/signature.py", "/data/site.hdb"])
    pod["containers"][0]["volumeMounts"].append({"name": "data", "mountPath": "/data"})
    pod["volumes"].append({"name": "data", "persistentVolumeClaim": {"claimName": SIGNATURES}})
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "signatures"},
        "spec": {**pod, "restartPolicy": "Never"},
    }


def sender(
    options: Options,
    name: str,
    host: str,
    recipient: str,
    count: int,
    *,
    pause: float = 0.0,
) -> Manifest:
    """Return a pod that sends `count` messages with `name` at the beginning of their subjects."""
    words = [host, "25", recipient, name, str(count), str(options.patience), str(pause)]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": "gatepost-test-sender"}},
        "spec": {**_pod(options, ["/programs/sender.py", *words]), "restartPolicy": "Never"},
    }


def user_valkey(options: Options, secret_name: str, key: str) -> list[Manifest]:
    """Return the Valkey server of a user, for values that name one: the image, with a password."""
    labels = {"app": "user-valkey"}
    image = options.image("valkey") or "ghcr.io/gatepost/gatepost-valkey"
    container = {
        "name": "valkey",
        "image": f"{image}:{options.tag or chart_version()}",
        "env": [{"name": "VALKEY_PASSWORD_FILE", "value": f"/secrets/{key}"}],
        "volumeMounts": [
            {"name": "secret", "mountPath": "/secrets", "readOnly": True},
            {"name": "data", "mountPath": "/var/lib/valkey"},
        ],
    }
    spec = {
        "automountServiceAccountToken": False,
        "containers": [container],
        "volumes": [
            {"name": "secret", "secret": {"secretName": secret_name}},
            {"name": "data", "emptyDir": {}},
        ],
    }
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "user-valkey"},
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": spec},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "user-valkey"},
            "spec": {"selector": labels, "ports": [{"port": 6379}]},
        },
    ]


def chart_version() -> str:
    """Return the tag that the chart gives its images by default."""
    return str(yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"])


def _pod(options: Options, words: list[str]) -> Manifest:
    """Return the spec of a pod that runs one of the programs, which satisfies `restricted`."""
    image = options.image("gatepost") or "ghcr.io/gatepost/gatepost"
    return {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 1,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "fsGroup": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": "program",
                "image": f"{image}:{options.tag or chart_version()}",
                "command": ["python3", *words],
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": [{"name": "programs", "mountPath": "/programs", "readOnly": True}],
            }
        ],
        "volumes": [{"name": "programs", "configMap": {"name": "programs"}}],
    }
