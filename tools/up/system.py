"""The pod of k8s/mailboxes.yaml, adapted for this machine.

Secrets are folders of the state, images those of this tree, and ports are high ones on loopback, so
that nothing of the machine is in the way. Volumes are podman's, and outlive the pod.
"""

from __future__ import annotations

import base64
import copy
import json
import os
import re
import secrets
import shutil
import socket
from typing import Any

import yaml

from tests.testbed import images
from tests.testbed.certificate import self_signed
from tests.testbed.container import Container
from tests.testbed.podman import attempt, exists, inspect, podman
from tools.up.place import HOSTNAME, ROOT, Place, PlaceError

MANIFEST = ROOT / "k8s" / "mailboxes.yaml"
INSIDE = {
    "smtp": 25,
    "submission": 587,
    "submissions": 465,
    "imap": 10143,
    "imaps": 10993,
    "pop3s": 10995,
    "sieve": 14190,
    "webmail": 8090,
    "api": 8080,
}
"""By service: the port in the pod."""
_SEAL = re.compile(r'(\[milters\.seal\]\s+domain = )"[^"]*"')
"""The line of gatepost.toml with the domain that seals."""
_NAME = re.compile(r"^mail(?=$|-)")
_QUEUE_CLAIM = "queue-mail-postfix-0"
IMAGE = re.compile(r"^ghcr\.io/gatepost/gatepost(?:-(?P<name>[a-z]+))?:")
"""An image of ours in the manifest; `name` is its folder in images/, none that of gatepost."""
_FOR_ALL = 0o755
_COMPLETE = "complete"


class System:
    """The pod, its volumes and its secrets. `manifest` is the text of the rendered chart, if it is
    not that of `MANIFEST`."""

    def __init__(self, place: Place | None = None, manifest: str = "") -> None:
        self.place = place or Place().with_settings()
        text = manifest or MANIFEST.read_text()
        found = [each for each in yaml.safe_load_all(text) if each]
        self._objects = [
            self._adapted(each)
            for each in found
            if each["kind"] in _KINDS and each["metadata"]["name"] != _BACKUP_CLAIM
        ]

    @property
    def is_up(self) -> bool:
        """Return whether the pod is there, running or not."""
        return bool(self._pods())

    @property
    def is_new(self) -> bool:
        """Return whether there are no data of an earlier run."""
        return not any(exists("volume", name) for name in self.claims)

    @property
    def is_complete(self) -> bool:
        """Return whether an earlier run came to its end (`complete`), and its keys are there."""
        return (self.place.state / _COMPLETE).is_file()

    def complete(self) -> None:
        """Record that users and keys are made."""
        (self.place.state / _COMPLETE).touch()

    @property
    def images(self) -> list[str]:
        """Return the names of the images that it needs: the base first, then in the order of
        images.NAMES."""
        (spec,) = (_pod_spec(each) for each in self._objects if each["kind"] == "Deployment")
        needed = {_name_of_image(container["image"]) for container in spec["containers"]}
        return [images.BASE, *(name for name in images.NAMES if name in needed)]

    def check_ports(self) -> None:
        """Raise `PlaceError` if another program has one of the ports."""
        taken = [
            f"{port} ({service})"
            for service, port in self.place.ports.items()
            if _is_taken(self.place.opened_at(service), port)
        ]
        if taken:
            raise PlaceError(
                f"ports taken by other programs: {', '.join(taken)}; `ss -ltnp` names the programs"
            )

    def write_secrets(self) -> None:
        """Make keys and a certificate, where they are missing."""
        certificate, key = self_signed(self.place.hostname)
        made: dict[str, dict[str, str]] = {
            "dkim": {},  # the keys are in the database
            "tls": {"tls.crt": certificate, "tls.key": key, "ca.crt": certificate},
            "mailboxes": {
                "seal": base64.b64encode(secrets.token_bytes(32)).decode() + "\n",
                "doveadm": secrets.token_urlsafe(24) + "\n",
                "srs": secrets.token_urlsafe(24) + "\n",
            },
        }
        for folder, files in made.items():
            path = self.place.state / folder
            if path.is_dir():
                continue
            path.mkdir(parents=True, mode=_FOR_ALL)
            for name, text in files.items():
                # the containers run as other users, all in group 0
                descriptor = os.open(path / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o440)
                with open(descriptor, "w") as file:
                    file.write(text)

    def play(self, *, with_ports: bool = True) -> None:
        """Start the pod; without ports, nobody reaches it. Raises `PodmanError`."""
        self.place.backup.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not any(self.place.backup.iterdir()):
            # the containers run as other users, all in group 0
            self.place.backup.chmod(0o770)
        played = [
            _playable(each, with_ports=with_ports)
            for each in self._objects
            # podman 4.3 refuses a claim whose volume exists
            if each["kind"] != "PersistentVolumeClaim" or not exists("volume", _name_of(each))
        ]
        text = yaml.safe_dump_all(played, sort_keys=False)
        network = [f"--network={self.place.network}"] if self.place.network else []
        podman("kube", "play", *network, "-", stdin=text, timeout=300)

    def containers(self) -> list[Container]:
        """Return the containers with a probe, in the order of the manifest."""
        (spec,) = (_pod_spec(each) for each in self._objects if each["kind"] == "Deployment")
        names = {one["Name"] for one in inspect("pod", self._pods()[0])["Containers"]}
        return [
            Container(one["name"], name, one["readinessProbe"]["exec"]["command"])
            for one in spec["containers"]
            for name in names
            if name.endswith(f"-{one['name']}")
        ]

    def remove(self, *, keep: bool) -> None:
        """Remove the pod, and the data unless they are kept."""
        for pod in self._pods():
            # in good order, if anybody is to have the data
            podman("pod", "rm", "--force", f"--time={20 if keep else 2}", pod)
        claims = self.claims
        for volume in podman("volume", "ls", "--format={{.Name}}").split():
            if volume.startswith(f"{self.place.name}-") and not (keep and volume in claims):
                attempt("volume", "rm", volume)
        if not keep:
            shutil.rmtree(self.place.state, ignore_errors=True)

    @property
    def claims(self) -> set[str]:
        """Return the names of the volumes that hold its data."""
        return {_name_of(each) for each in self._objects if each["kind"] == "PersistentVolumeClaim"}

    def _pods(self) -> list[str]:
        # the pod of a Deployment is NAME-pod, with podman before 4.4 NAME-pod-0
        name = self.place.name
        return [pod for pod in (f"{name}-pod", f"{name}-pod-0") if exists("pod", pod)]

    def _adapted(self, each: dict[str, Any]) -> dict[str, Any]:
        if each["kind"] == "Deployment":
            spec = _pod_spec(each)
            if self.place.nameserver:
                spec["dnsPolicy"] = "None"
                spec["dnsConfig"] = {"nameservers": [self.place.nameserver]}
            for container in spec["containers"]:
                self._adapt(container)
            for volume in spec["volumes"]:
                volume["name"] = f"{self.place.name}-{volume['name']}"
                if volume.get("persistentVolumeClaim") == {"claimName": _BACKUP_CLAIM}:
                    del volume["persistentVolumeClaim"]
                    volume["hostPath"] = {"path": str(self.place.backup), "type": "Directory"}
                if secret := volume.pop("secret", None):
                    folder = self.place.state / secret["secretName"].removeprefix("mail-")
                    volume["hostPath"] = {"path": str(folder), "type": "Directory"}
        return dict(self._named(_renamed(each, self.place.name)))

    def _named(self, value: Any) -> Any:
        """Replace the name of the demonstration, in files and settings too."""
        if isinstance(value, dict):
            return {k: self._named(v) for k, v in value.items()}
        if isinstance(value, list):
            return [self._named(one) for one in value]
        if not isinstance(value, str):
            return value
        text = value.replace(HOSTNAME, self.place.hostname)
        return _SEAL.sub(lambda found: found[1] + json.dumps(self.place.domain), text)

    def _adapt(self, container: dict[str, Any]) -> None:
        opened = [one["containerPort"] for one in container.get("ports", ())]
        container["ports"] = [
            {
                "containerPort": INSIDE[service],
                "hostPort": port,
                "hostIP": self.place.opened_at(service),
            }
            for service, port in self.place.ports.items()
            if INSIDE[service] in opened
        ]
        for mount in container["volumeMounts"]:
            mount["name"] = f"{self.place.name}-{mount['name']}"


_KINDS = ("ConfigMap", "PersistentVolumeClaim", "Deployment")
_BACKUP_CLAIM = "mail-backup"
"""The claim in whose place is a folder of this machine."""


def _playable(each: dict[str, Any], *, with_ports: bool) -> dict[str, Any]:
    if each["kind"] != "Deployment":
        return each
    played = copy.deepcopy(each)
    for container in _pod_spec(played)["containers"]:
        # now, because an image has its tag only once its base is built
        container["image"] = images.tag(_name_of_image(container["image"]))
        if not with_ports:
            container["ports"] = []
    return played


def _name_of_image(image: str) -> str:
    found = IMAGE.match(image)
    assert found is not None, image  # noqa: S101 # the chart wrote it
    return found["name"] or "gatepost"


def _renamed(value: Any, name: str, key: str = "") -> Any:
    if isinstance(value, dict):
        # files are the programs' own
        return {k: v if k == "data" else _renamed(v, name, k) for k, v in value.items()}
    if isinstance(value, list):
        return [_renamed(one, name, key) for one in value]
    if isinstance(value, str) and key in ("name", "claimName"):
        # all volumes begin with the name of the system
        return f"{name}-queue" if value == _QUEUE_CLAIM else _NAME.sub(name, value, count=1)
    return value


def _pod_spec(deployment: dict[str, Any]) -> dict[str, Any]:
    return dict(deployment["spec"]["template"])["spec"]  # type: ignore[no-any-return]


def _name_of(each: dict[str, Any]) -> str:
    return str(each["metadata"]["name"])


def _is_taken(address: str, port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # a port whose last connections are just over is free
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return True
    return False
