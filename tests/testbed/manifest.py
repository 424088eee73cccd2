"""Adaptation of k8s/mail.yaml for a test run: a user's changes, and unique names.

The changes are the images, names and addresses in the two ConfigMaps, the resolver of the pod, and
folders of this machine in place of the Secrets. (podman 4.3 mounts no optional Secret, and passes
the others on without decoding their base64; see docs/kubernetes.md.) Then every object is renamed
from ``mail`` to the name of the run, including volumes, because podman 4.3 turns an emptyDir into a
volume with the same name. So several runs and a real ``mail`` can run at the same time.
"""

from __future__ import annotations

import copy
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.testbed import toml

Object = dict[str, Any]

MANIFEST = Path(__file__).resolve().parents[2] / "k8s" / "mail.yaml"

_NAME = re.compile(r"^mail(?=$|-)")
_QUEUE_CLAIM = "queue-mail-postfix-0"
_IMAGES = {"milters": "gatepost", "policyd": "gatepost", "postfix": "postfix"}


@dataclass(frozen=True)
class Changes:
    """The user's changes to the manifest."""

    images: Mapping[str, str]
    """The images to use, by their folders in images/."""
    nameserver: str
    """The resolver of the pod."""
    searches: tuple[str, ...] = ()
    """Domains in which the pod looks for short names."""
    gatepost: Mapping[str, Any] = field(default_factory=dict)
    """Nested keys of gatepost.toml, which override those of the manifest."""
    postfix: Mapping[str, str] = field(default_factory=dict)
    """Settings and files of the ConfigMap for Postfix, by name."""
    secrets: Mapping[str, Path] = field(default_factory=dict)
    """The folders of this machine that replace ``mail-dkim`` and ``mail-tls``."""
    user: int | None = None
    """The user of the containers that do not run as root; a cluster may choose any."""


def objects(name: str, changes: Changes) -> list[Object]:
    """Return the objects of the manifest with the changes, renamed from ``mail`` to `name`."""
    found = [each for each in yaml.safe_load_all(MANIFEST.read_text()) if each]
    for each in found:
        if each["kind"] == "ConfigMap":
            _change_configuration(each, changes)
        elif each["kind"] == "Deployment":
            _change_pod(each["spec"]["template"]["spec"], changes)
    return [_renamed(each, name) for each in found]


def probes(each: Object) -> dict[str, list[str]]:
    """Return the command of the readiness probe of each container of a Deployment."""
    containers = each["spec"]["template"]["spec"]["containers"]
    return {one["name"]: one["readinessProbe"]["exec"]["command"] for one in containers}


def kind(found: Iterable[Object], wanted: str) -> list[Object]:
    """Return the objects of a kind."""
    return [each for each in found if each["kind"] == wanted]


def text(found: Iterable[Object]) -> str:
    """Return the objects as YAML for `podman kube play`."""
    return yaml.safe_dump_all(found, sort_keys=False)


def overlaid(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return a nested dictionary in which the values of `above` override those of `below`."""
    result = copy.deepcopy(dict(below))
    for key, value in above.items():
        old = result.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        result[key] = overlaid(old, value) if both else value  # type: ignore[arg-type]
    return result


def _change_configuration(each: Object, changes: Changes) -> None:
    data = each["data"]
    if "gatepost.toml" in data:
        settings = overlaid(tomllib.loads(data["gatepost.toml"]), changes.gatepost)
        data["gatepost.toml"] = toml.document(settings)
    else:
        data.update(changes.postfix)


def _change_pod(spec: Object, changes: Changes) -> None:
    spec["dnsPolicy"] = "None"
    spec["dnsConfig"] = {
        "nameservers": [changes.nameserver],
        "searches": list(changes.searches),
    }
    for container in spec["containers"]:
        container["image"] = changes.images[_IMAGES[container["name"]]]
        if changes.user is not None and container["securityContext"]["runAsNonRoot"]:
            container["securityContext"]["runAsUser"] = changes.user
        # podman 4 would publish them on the machine; tests connect to the pod itself
        container.pop("ports")
    for volume in spec["volumes"]:
        if secret := volume.pop("secret", None):
            folder = changes.secrets[secret["secretName"]]
            volume["hostPath"] = {"path": str(folder), "type": "Directory"}


def _renamed(each: Object, name: str) -> Object:
    result: Object = _with_names(each, name)
    if each["kind"] == "Deployment":
        spec = result["spec"]["template"]["spec"]
        for volume in spec["volumes"]:
            volume["name"] = f"{name}-{volume['name']}"
        for container in spec["containers"]:
            for mount in container["volumeMounts"]:
                mount["name"] = f"{name}-{mount['name']}"
    return result


def _with_names(value: Any, name: str, key: str = "") -> Any:
    if isinstance(value, Mapping):
        # what the programs read is theirs
        return {k: v if k == "data" else _with_names(v, name, k) for k, v in value.items()}
    if isinstance(value, list):
        return [_with_names(one, name) for one in value]
    if not isinstance(value, str) or key == "image":
        return value
    # all volumes begin with the name of the pod
    return f"{name}-queue" if value == _QUEUE_CLAIM else _NAME.sub(name, value, count=1)
