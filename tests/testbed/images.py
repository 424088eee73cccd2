"""Builder of the container images of this tree, with podman.

The tag of an image contains a digest of its sources: the Dockerfile, the files that it copies and
its parent image, which may be `BASE`. An existing image is not built again.
``python -m tests.testbed.images`` builds all images and removes its older ones. Each checkout has
its own tags, so that it does not remove the images of another; podman shares the layers.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.testbed.podman import WITHOUT_CONTAINERS, PodmanError, attempt, exists, inspect, podman

ROOT = Path(__file__).resolve().parents[2]

BASE = "base"
"""The parent image of the others; no program runs in it."""

NAMES = tuple(
    path.parent.name
    for path in sorted((ROOT / "images").glob("*/Dockerfile"))
    if path.parent.name != BASE
)
"""The images, by the names of their folders in images/."""

DEBIAN = "debian"
"""A Debian 13 with systemd, for the test of docs/debian.md alone."""

BUILD_TIMEOUT = 1800.0
"""Maximum seconds for one image, because Debian's packages come over the network."""

_CHECKOUT = hashlib.sha256(str(ROOT).encode()).hexdigest()[:8]
"""Part of the tags that identifies this checkout."""

_COPY = re.compile(r"^COPY (?!--from)(?P<words>.*)$", re.MULTILINE)
_FROM = re.compile(r"^FROM (?P<image>\S+)", re.MULTILINE)
_FROM_BASE = "${BASE}"
"""The name of our base image in a Dockerfile; the build supplies the tag."""


def tag(name: str) -> str:
    """Return the tag of an image with the current sources."""
    return f"{_repository(name)}:{_digest(name)}"


def build(name: str) -> bool:
    """Build an image and the base if they are missing; return whether the image was built. Raises
    `PodmanError`."""
    if name not in (BASE, DEBIAN):
        build(BASE)
    wanted = tag(name)
    if exists("image", wanted):
        return False
    podman(
        "build",
        # the build fetches packages over the network of the machine
        "--network=host",
        "--format=docker",  # OCI images have no HEALTHCHECK
        f"--file={_dockerfile(name)}",
        *(() if name in (BASE, DEBIAN) else (f"--build-arg=BASE={tag(BASE)}",)),
        f"--tag={wanted}",
        str(ROOT),
        timeout=BUILD_TIMEOUT,
    )
    _remove_older(name, wanted)
    return True


def copied(name: str) -> list[Path]:
    """Return the Dockerfile of an image and the files that it copies from the tree."""
    dockerfile = _dockerfile(name)
    found = {dockerfile}
    for line in _COPY.finditer(dockerfile.read_text()):
        *sources, _ = (word for word in line["words"].split() if not word.startswith("--"))
        for source in sources:
            found |= set(_files(ROOT / source))
    return sorted(found)


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    for each in path.rglob("*"):
        if each.is_file() and "__pycache__" not in each.parts:
            yield each


def _dockerfile(name: str) -> Path:
    folder = ROOT / "tests" / "stack" if name == DEBIAN else ROOT / "images"
    return folder / name / "Dockerfile"


def _repository(name: str) -> str:
    return f"localhost/gatepost-stack-{_CHECKOUT}/{name}"


def _digest(name: str) -> str:
    digest = hashlib.sha256()
    dockerfile = _dockerfile(name).read_text()
    bases = {line["image"] for line in _FROM.finditer(dockerfile)}
    for base in sorted(tag(BASE) if each == _FROM_BASE else each for each in bases):
        known = inspect("image", base)["Id"] if exists("image", base) else "not here yet"
        digest.update(f"{base} {known}\n".encode())
    for path in copied(name):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(
            f"{path.relative_to(ROOT)} {path.stat().st_mode & 0o777} {content}\n".encode()
        )
    return digest.hexdigest()[:16]


def _remove_older(name: str, wanted: str) -> None:
    listed = podman("images", _repository(name), "--format={{.Repository}}:{{.Tag}}")
    for image in set(listed.split()) - {wanted}:
        # podman lists all tags of an image, including those of other checkouts
        if image.startswith(f"{_repository(name)}:"):
            attempt("rmi", image)  # podman keeps an image that a container uses


def main() -> int:
    """Build all images and print a line for each. Returns 1 with an error message if that fails, or
    0 if it may fail (`WITHOUT_CONTAINERS`)."""
    for name in (BASE, *NAMES, DEBIAN):
        start = time.monotonic()
        try:
            built = build(name)
        except PodmanError as error:
            print(f"make stack: the image {name} cannot be built: {error}", file=sys.stderr)
            if os.environ.get(WITHOUT_CONTAINERS):
                print(f"{WITHOUT_CONTAINERS} is set: the containers are not tested.")
                return 0
            print(
                f"The stack needs podman, as root. On a machine where containers cannot run, "
                f"{WITHOUT_CONTAINERS}=1 skips these tests.",
                file=sys.stderr,
            )
            return 1
        done = f"built in {time.monotonic() - start:.0f} s" if built else "already built"
        print(f"image {tag(name)}: {done}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
