"""Pod of k8s/mail.yaml and its volumes, played by podman from `start()` to `remove()`.

All objects of a run are named ``gatepost-stack-PROCESS-NUMBER``, and a running run holds a lock on
a file of that name. If a run was killed, its lock is free, and the next run removes its objects.
Other objects are never touched.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import itertools
import os
import signal
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from tests.testbed import manifest
from tests.testbed.closing import Closing
from tests.testbed.container import Container
from tests.testbed.manifest import Changes
from tests.testbed.mounted import MountedFolder
from tests.testbed.podman import PodmanError, attempt, exists, inspect, podman

PREFIX = "gatepost-stack-"

_LOCKS = Path(tempfile.gettempdir()) / "gatepost-stack"


class Network(Closing):
    """A podman network for the pods of one run, and the lock of that run.

    Its bridge is created in the network namespace of this process, which should be a separate one.
    """

    def __init__(self) -> None:
        self.name = f"{PREFIX}{os.getpid()}"
        self._numbers = itertools.count()
        self._names: set[str] = set()
        _LOCKS.mkdir(mode=0o700, exist_ok=True)
        self._lock = _locked(_LOCKS / self.name)
        if self._lock is None:
            raise PodmanError(f"{_LOCKS / self.name} is locked by somebody else")
        _remove_left_behind()
        podman("network", "create", "--disable-dns", self.name)
        self.subnet = str(inspect("network", self.name)["subnets"][0]["subnet"])
        """The addresses of the pods."""
        atexit.register(self.close)  # in case the caller is interrupted while closing it

    def new_name(self) -> str:
        """Return a name for another pod of this run, and record it for a later cleanup."""
        assert self._lock is not None
        name = f"{self.name}-{next(self._numbers)}"
        self._lock.write(f"{name}\n")
        self._lock.flush()
        self._names.add(name)
        return name

    def remove(self, name: str) -> None:
        """Remove all objects with this name; signals wait until it is done."""
        with _signals_wait():
            _remove(name)
            self._names.discard(name)

    def close(self) -> None:
        """Remove the network and all its pods, and release the lock."""
        if self._lock is None:
            return
        with _signals_wait():
            for name in self._names:
                _remove(name)
            attempt("network", "rm", self.name)
            (_LOCKS / self.name).unlink(missing_ok=True)
            self._lock.close()
            self._lock = None


class Pod:
    """The pod of k8s/mail.yaml with a user's changes."""

    def __init__(self, network: Network, changes: Changes) -> None:
        self.name = network.new_name()
        self._network = network
        self._objects = manifest.objects(self.name, changes)
        (deployment,) = manifest.kind(self._objects, "Deployment")
        self._probes = manifest.probes(deployment)
        self._claims = [
            each["metadata"]["name"]
            for each in manifest.kind(self._objects, "PersistentVolumeClaim")
        ]
        self.containers: dict[str, Container] = {}
        """The containers by name (milters, policyd, postfix); empty while the pod is down."""

    def start(self, *, wait: bool = True) -> None:
        """Play the manifest, reuse existing volumes of its claims, and wait until every container
        is ready."""
        play = [each for each in self._objects if each["kind"] != "PersistentVolumeClaim"]
        for claim in manifest.kind(self._objects, "PersistentVolumeClaim"):
            # podman 4.3 refuses a claim whose volume exists
            if not exists("volume", claim["metadata"]["name"]):
                play.insert(0, claim)
        podman("kube", "play", f"--network={self._network.name}", "-", stdin=manifest.text(play))
        self.containers = {}
        (pod,) = _pods(self.name)
        for one in inspect("pod", pod)["Containers"]:
            for short, probe in self._probes.items():
                if one["Name"].endswith(f"-{short}"):
                    self.containers[short] = Container(short, one["Name"], probe)
        if wait:
            self.wait_ready()

    def wait_ready(self) -> None:
        """Wait until the readiness probe of every container passes."""
        for container in self.containers.values():
            container.wait_ready()

    def stop(self) -> None:
        """Stop and remove the pod, but keep the volumes of its claims."""
        podman("kube", "down", "-", stdin=manifest.text(self._objects))
        self.containers = {}
        for name in _beginning_with(self.name, _listed("volume", "ls", "--format={{.Name}}")):
            if name not in self._claims:
                podman("volume", "rm", name)

    def remove(self) -> None:
        """Remove the pod and all its volumes."""
        self._network.remove(self.name)
        self.containers = {}

    @property
    def address(self) -> str:
        """The address of the pod; Postfix listens on port 25."""
        infra = inspect("container", self.containers["postfix"].name)
        return str(infra["NetworkSettings"]["Networks"][self._network.name]["IPAddress"])

    def folder(self, name: str) -> MountedFolder:
        """Return the mounted folder of a ConfigMap, such as ``mail-postfix`` in the manifest. Its
        files can be changed in the same way as by the kubelet."""
        volume = f"{self.name}{name.removeprefix('mail')}"
        return MountedFolder(Path(inspect("volume", volume)["Mountpoint"]))

    def configure(self, name: str, changes: Mapping[str, str | None]) -> None:
        """Change files of a ConfigMap in the running pod and for later starts."""
        self.folder(name).update(changes)
        (found,) = [
            each
            for each in manifest.kind(self._objects, "ConfigMap")
            if each["metadata"]["name"] == f"{self.name}{name.removeprefix('mail')}"
        ]
        data: dict[str, Any] = {**found["data"], **changes}
        found["data"] = {file: text for file, text in data.items() if text is not None}

    def data(self, name: str) -> dict[str, str]:
        """Return the files of a ConfigMap, such as ``mail-gatepost``."""
        wanted = f"{self.name}{name.removeprefix('mail')}"
        for each in manifest.kind(self._objects, "ConfigMap"):
            if each["metadata"]["name"] == wanted:
                return dict(each["data"])
        raise KeyError(name)


@contextlib.contextmanager
def _signals_wait() -> Iterator[None]:
    """Delay Ctrl-C and SIGTERM until the end of the block."""
    wanted = {signal.SIGINT, signal.SIGTERM}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, wanted)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _remove(name: str) -> None:
    """Remove the pod or container with this name, and the volumes whose names begin with it."""
    if exists("container", name):
        attempt("rm", "--force", "--volumes", "--time=1", name)
    for pod in _pods(name):
        attempt("pod", "rm", "--force", "--time=1", pod)
    for volume in _beginning_with(name, _listed("volume", "ls", "--format={{.Name}}")):
        attempt("volume", "rm", volume)


def _pods(name: str) -> list[str]:
    # not from a list: podman cannot list pods if other users' containers are inaccessible.
    # A Deployment's pod is NAME-pod, with podman before 4.4 NAME-pod-0.
    return [pod for pod in (f"{name}-pod", f"{name}-pod-0") if exists("pod", pod)]


def _beginning_with(name: str, listed: Sequence[str]) -> list[str]:
    return [one for one in listed if one.startswith(f"{name}-")]


def _remove_left_behind() -> None:
    for path in _LOCKS.glob(f"{PREFIX}*"):
        if (lock := _locked(path)) is None:
            continue  # that run is alive
        with lock:
            for name in path.read_text().split():
                _remove(name)
            attempt("network", "rm", path.name)
            path.unlink(missing_ok=True)


def _listed(*arguments: str) -> list[str]:
    return podman(*arguments).split()


def _locked(path: Path) -> IO[str] | None:
    """Return the file, opened and locked; None if another process has the lock."""
    file = path.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file
