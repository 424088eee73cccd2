"""The container images of this tree, built with podman once for each content.

An image is tagged with a digest of what goes into it: the Dockerfile, the files that it copies and
the image it starts from, which may be `BASE`. What is there already is not built again.
``python -m tests.testbed.images`` builds all of them, and removes what it built of an older
content. Each checkout has tags of its own, so that none takes away the images of another; podman's
layers they share.
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
"""The image that the others start from; nothing runs in it."""

NAMES = tuple(
    path.parent.name
    for path in sorted((ROOT / "images").glob("*/Dockerfile"))
    if path.parent.name != BASE
)
"""The images, as their folders in images/ are called."""

BUILD_TIMEOUT = 1800.0
"""Seconds for one image: Debian's packages come over the network."""

_CHECKOUT = hashlib.sha256(str(ROOT).encode()).hexdigest()[:8]
"""Stands in the tags for this checkout."""

_COPY = re.compile(r"^COPY (?!--from)(?P<words>.*)$", re.MULTILINE)
_FROM = re.compile(r"^FROM (?P<image>\S+)", re.MULTILINE)
_FROM_BASE = "${BASE}"
"""How a Dockerfile names our own base image, whose tag the build gives."""


def tag(name: str) -> str:
    """Return the tag of an image with today's content."""
    return f"{_repository(name)}:{_digest(name)}"


def build(name: str) -> bool:
    """Build an image, and the base first, if it is not there; whether it had to be. Raises
    `PodmanError`."""
    if name != BASE:
        build(BASE)
    wanted = tag(name)
    if exists("image", wanted):
        return False
    podman(
        "build",
        # the build fetches packages: over the network of the machine, whatever that is
        "--network=host",
        "--format=docker",  # OCI images have no HEALTHCHECK
        f"--file={ROOT / 'images' / name / 'Dockerfile'}",
        *(() if name == BASE else (f"--build-arg=BASE={tag(BASE)}",)),
        f"--tag={wanted}",
        str(ROOT),
        timeout=BUILD_TIMEOUT,
    )
    _remove_older(name, wanted)
    return True


def copied(name: str) -> list[Path]:
    """Return the files that the Dockerfile of an image copies out of the tree, and itself."""
    dockerfile = ROOT / "images" / name / "Dockerfile"
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


def _repository(name: str) -> str:
    return f"localhost/gatepost-stack-{_CHECKOUT}/{name}"


def _digest(name: str) -> str:
    digest = hashlib.sha256()
    dockerfile = (ROOT / "images" / name / "Dockerfile").read_text()
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
        # podman lists all tags of an image, those of other checkouts too
        if image.startswith(f"{_repository(name)}:"):
            attempt("rmi", image)  # podman keeps one that a container is using


def main() -> int:
    """Build all images, and say what was done; exit status 1 and one sentence when it cannot, 0
    when it need not (`WITHOUT_CONTAINERS`)."""
    for name in (BASE, *NAMES):
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
                f"{WITHOUT_CONTAINERS}=1 does without these tests.",
                file=sys.stderr,
            )
            return 1
        done = f"built in {time.monotonic() - start:.0f} s" if built else "there already"
        print(f"image {tag(name)}: {done}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
