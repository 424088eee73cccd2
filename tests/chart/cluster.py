"""A stand-in for the Kubernetes API: the few answers that helm's `lookup` function needs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import yaml

_KINDS = {
    "v1": ("ConfigMap", "PersistentVolumeClaim", "Secret", "Service", "ServiceAccount"),
    "apps/v1": ("Deployment", "StatefulSet"),
    "batch/v1": ("Job",),
    "autoscaling/v2": ("HorizontalPodAutoscaler",),
    "networking.k8s.io/v1": ("NetworkPolicy",),
    "policy/v1": ("PodDisruptionBudget",),
}
"""The kinds that the chart renders, by API version."""


OPERATORS = {
    "cert-manager.io/v1": ("Certificate",),
    "monitoring.coreos.com/v1": ("PrometheusRule", "ServiceMonitor"),
    "gateway.networking.k8s.io/v1": ("HTTPRoute",),
}
"""The kinds that operators bring along."""


def _path(version: str, kind: str) -> str:
    return f"{'/apis' if '/' in version else '/api'}/{version}/namespaces/default/{kind.lower()}s"


def _discovery(others: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    groups, answers = [], {}
    for version, kinds in (_KINDS | dict(others)).items():
        group, _, number = version.rpartition("/")
        one = {"groupVersion": version, "version": number}
        if group:
            groups.append({"name": group, "versions": [one], "preferredVersion": one})
        answers[f"/apis/{version}" if group else f"/api/{version}"] = {
            "kind": "APIResourceList",
            "groupVersion": version,
            "resources": [
                {"name": f"{kind.lower()}s", "namespaced": True, "kind": kind, "verbs": ["get"]}
                for kind in kinds
            ],
        }
    return answers | {
        "/version": {"major": "1", "minor": "33", "gitVersion": "v1.33.0"},
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups},
    }


def owned(thing: Mapping[str, Any]) -> dict[str, Any]:
    """Make an object one that release `mail` has created."""
    metadata = {
        **thing["metadata"],
        "namespace": "default",
        "labels": {"app.kubernetes.io/managed-by": "Helm"},
        "annotations": {
            "meta.helm.sh/release-name": "mail",
            "meta.helm.sh/release-namespace": "default",
            **thing["metadata"].get("annotations", {}),
        },
    }
    return {**thing, "metadata": metadata}


@contextmanager
def cluster(
    folder: Path,
    secrets: Mapping[str, Mapping[str, str]],
    objects: Iterable[Mapping[str, Any]] = (),
    others: Mapping[str, tuple[str, ...]] = OPERATORS,
) -> Iterator[Path]:
    """Serve `secrets` (name to encoded data), owned by release `mail`, and `objects`.

    `others` are kinds that the API has besides those of Kubernetes. Yields a kubeconfig.
    """
    served = [
        owned({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data})
        for name, data in secrets.items()
    ]
    answers = _discovery(others)
    for each in (*served, *objects):
        where = _path(each["apiVersion"], each["kind"])
        answers[f"{where}/{each['metadata']['name']}"] = dict(each)
        answers.setdefault(where, {"kind": f"{each['kind']}List", "items": []})
        answers[where] |= {"apiVersion": each["apiVersion"]}
        answers[where]["items"].append(dict(each))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            found = answers.get(path)
            missing = {"kind": "Status", "apiVersion": "v1", "code": 404, "reason": "NotFound"}
            body = json.dumps(found or missing).encode()
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "it",
                    "clusters": [
                        {
                            "name": "it",
                            "cluster": {"server": f"http://127.0.0.1:{server.server_port}"},
                        }
                    ],
                    "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
                    "users": [{"name": "it", "user": {}}],
                }
            )
        )
        kubeconfig.chmod(0o600)
        try:
            yield kubeconfig
        finally:
            server.shutdown()
