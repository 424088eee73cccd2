"""The pod of k8s/mailboxes.yaml, adapted for this machine.

Secrets are folders of the state, images those of this tree, and ports are high ones on loopback, so
that nothing of the machine is in the way. Volumes are podman's, and outlive the pod.
"""

from __future__ import annotations

import base64
import os
import re
import secrets
import shutil
from pathlib import Path
from typing import Any

import yaml

from gatepost.key_pair import new_key
from tests.testbed import images
from tests.testbed.certificate import self_signed
from tests.testbed.container import Container
from tests.testbed.podman import attempt, exists, inspect, podman

ROOT = Path(__file__).resolve().parents[2]
MANIFEST = ROOT / "k8s" / "mailboxes.yaml"
STATE = ROOT / ".up"
NAME = "gatepost-up"
"""The pod, and the beginning of the names of its volumes."""

HOSTNAME = "mail.example.org"
DOMAIN = "example.org"
SELECTOR = "demo"
PORTS = {
    "smtp": (2525, 25),
    "submission": (2587, 587),
    "submissions": (2465, 465),
    "imap": (2143, 10143),
    "imaps": (2993, 10993),
    "pop3s": (2995, 10995),
    "sieve": (2419, 14190),
    "webmail": (2080, 8090),
    "api": (2081, 8080),
}
"""By service: the port on loopback of this machine, and the port in the pod."""
HOST = "127.0.0.1"
_OUTSIDE = {inside: outside for outside, inside in PORTS.values()}

_NAME = re.compile(r"^mail(?=$|-)")
_IMAGE = re.compile(r"^ghcr\.io/gatepost/gatepost(?:-(?P<name>[a-z]+))?:")
_FOR_ALL = 0o755


class System:
    """The pod, its volumes and its secrets."""

    def __init__(self) -> None:
        found = [each for each in yaml.safe_load_all(MANIFEST.read_text()) if each]
        self._objects = [_adapted(each) for each in found if each["kind"] in _KINDS]

    @property
    def is_up(self) -> bool:
        """Return whether the pod is there, running or not."""
        return bool(_pods())

    @property
    def is_new(self) -> bool:
        """Return whether there are no data of an earlier run."""
        return not exists("volume", f"{NAME}-accounts")

    def write_secrets(self) -> None:
        """Make keys and a certificate, where they are missing."""
        certificate, key = self_signed(HOSTNAME)
        made = {
            "dkim": {f"{DOMAIN}.{SELECTOR}.pem": new_key("rsa").decode()},
            "tls": {"tls.crt": certificate, "tls.key": key, "ca.crt": certificate},
            "mailboxes": {
                "seal": base64.b64encode(secrets.token_bytes(32)).decode() + "\n",
                "doveadm": secrets.token_urlsafe(24) + "\n",
                "srs": secrets.token_urlsafe(24) + "\n",
            },
        }
        for folder, files in made.items():
            path = STATE / folder
            if path.is_dir():
                continue
            path.mkdir(parents=True, mode=_FOR_ALL)
            for name, text in files.items():
                # the containers run as other users, all in group 0
                descriptor = os.open(path / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o440)
                with open(descriptor, "w") as file:
                    file.write(text)

    def play(self) -> None:
        """Start the pod; raises `PodmanError`."""
        played = [
            each
            for each in self._objects
            # podman 4.3 refuses a claim whose volume exists
            if each["kind"] != "PersistentVolumeClaim" or not exists("volume", _name_of(each))
        ]
        text = yaml.safe_dump_all(played, sort_keys=False)
        podman("kube", "play", "-", stdin=text, timeout=300)

    def containers(self) -> list[Container]:
        """Return the containers with a probe, in the order of the manifest."""
        (spec,) = (_pod_spec(each) for each in self._objects if each["kind"] == "Deployment")
        names = {one["Name"] for one in inspect("pod", _pods()[0])["Containers"]}
        return [
            Container(one["name"], name, one["readinessProbe"]["exec"]["command"])
            for one in spec["containers"]
            for name in names
            if name.endswith(f"-{one['name']}")
        ]

    def remove(self, *, keep: bool) -> None:
        """Remove the pod, and the data unless they are kept."""
        for pod in _pods():
            podman("pod", "rm", "--force", "--time=20", pod)
        claims = {
            _name_of(each) for each in self._objects if each["kind"] == "PersistentVolumeClaim"
        }
        for volume in podman("volume", "ls", "--format={{.Name}}").split():
            if volume.startswith(f"{NAME}-") and not (keep and volume in claims):
                attempt("volume", "rm", volume)
        if not keep:
            shutil.rmtree(STATE, ignore_errors=True)


_KINDS = ("ConfigMap", "PersistentVolumeClaim", "Deployment")


def _adapted(each: dict[str, Any]) -> dict[str, Any]:
    if each["kind"] == "Deployment":
        spec = _pod_spec(each)
        for container in spec["containers"]:
            found = _IMAGE.match(container["image"])
            assert found is not None, container["image"]  # noqa: S101 # the chart wrote it
            container["image"] = images.tag(found["name"] or "gatepost")
            container["ports"] = [
                {"containerPort": port, "hostPort": _OUTSIDE[port], "hostIP": HOST}
                for port in (one["containerPort"] for one in container.get("ports", ()))
                if port in _OUTSIDE
            ]
            for mount in container["volumeMounts"]:
                mount["name"] = f"{NAME}-{mount['name']}"
        for volume in spec["volumes"]:
            volume["name"] = f"{NAME}-{volume['name']}"
            if secret := volume.pop("secret", None):
                folder = STATE / secret["secretName"].removeprefix("mail-")
                volume["hostPath"] = {"path": str(folder), "type": "Directory"}
    return dict(_renamed(each))


def _renamed(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        # files are the programs' own
        return {k: v if k == "data" else _renamed(v, k) for k, v in value.items()}
    if isinstance(value, list):
        return [_renamed(one, key) for one in value]
    if isinstance(value, str) and key in ("name", "claimName"):
        return _NAME.sub(NAME, value, count=1)
    return value


def _pod_spec(deployment: dict[str, Any]) -> dict[str, Any]:
    return dict(deployment["spec"]["template"])["spec"]  # type: ignore[no-any-return]


def _name_of(each: dict[str, Any]) -> str:
    return str(each["metadata"]["name"])


def _pods() -> list[str]:
    # the pod of a Deployment is NAME-pod, with podman before 4.4 NAME-pod-0
    return [pod for pod in (f"{NAME}-pod", f"{NAME}-pod-0") if exists("pod", pod)]
