"""A cluster of kind with two nodes, and the images of this checkout in it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.commands import Commands
from tests.cluster.options import NAMES, local_images
from tests.cluster.world import chart_version
from tests.testbed import images
from tests.testbed.podman import podman

NAME = "gatepost-test"
CONFIG = """\
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
nodes: [{role: control-plane}, {role: worker}, {role: worker}]
"""


def is_here() -> bool:
    """Return whether kind is installed."""
    return shutil.which("kind") is not None


@contextmanager
def cluster(commands: Commands) -> Iterator[Path]:
    """Create a cluster with the images, and yield its kubeconfig; delete it at the end."""
    with tempfile.TemporaryDirectory(prefix="gatepost-cluster-") as folder:
        kubeconfig = Path(folder) / "kubeconfig"
        where = [f"--name={NAME}", f"--kubeconfig={kubeconfig}"]
        try:
            commands.run(["kind", "create", "cluster", *where, "--config=-", "--wait=300s"], CONFIG)
            archive = Path(folder) / "images.tar"
            if not commands.is_dry:
                save(archive)
            commands.run(["kind", "load", "image-archive", str(archive), f"--name={NAME}"])
            archive.unlink(missing_ok=True)
            yield kubeconfig
        finally:
            commands.attempt(["kind", "delete", "cluster", *where])


def save(archive: Path) -> None:
    """Build the images and write them into an archive, with the names that the chart has."""
    version = chart_version()
    named = []
    for name in NAMES:
        images.build(name)
        repository = "gatepost" if name == "gatepost" else f"gatepost-{name}"
        given = f"ghcr.io/gatepost/{repository}:{version}"
        podman("tag", local_images()[name], given)
        named.append(given)
    podman("save", "--multi-image-archive", f"--output={archive}", *named)
