"""What counts as the content of an image: all that its Dockerfile copies."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.testbed import images


@pytest.mark.parametrize("name", images.NAMES)
def test_the_dockerfile_and_its_own_folder_count(name: str) -> None:
    copied = {str(path.relative_to(images.ROOT)) for path in images.copied(name)}
    assert f"images/{name}/Dockerfile" in copied


def test_the_base_is_content_of_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change of the base builds every image again."""
    monkeypatch.setattr(images, "exists", lambda kind, name: False)  # no podman is asked
    base = {str(path.relative_to(images.ROOT)) for path in images.copied(images.BASE)}
    assert {"images/base/apt.conf", "images/base/bin/sbom"} <= base
    root = tmp_path / "tree"
    for name in (images.BASE, *images.NAMES):
        for path in images.copied(name):
            copy = root / path.relative_to(images.ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)
    monkeypatch.setattr(images, "ROOT", root)
    before = {name: images.tag(name) for name in images.NAMES}
    (root / "images/base/apt.conf").write_text("")
    assert all(images.tag(name) != before[name] for name in images.NAMES)


def test_every_image_starts_from_the_base() -> None:
    for name in images.NAMES:
        dockerfile = (images.ROOT / "images" / name / "Dockerfile").read_text()
        assert dockerfile.splitlines()[2] == "ARG BASE=gatepost-base:latest", name
        starts = [line for line in dockerfile.splitlines() if line.startswith("FROM")]
        assert {line.split()[1] for line in starts} == {"${BASE}"}, name
        # written once, in the base
        for word in ("apt-get", "LABEL org.opencontainers.image.source", "ARG VERSION"):
            assert word not in dockerfile, name
        assert "/usr/local/lib/image/finish " in dockerfile, name


def test_the_code_is_content_of_gatepost_and_not_of_postfix() -> None:
    gatepost = {str(path.relative_to(images.ROOT)) for path in images.copied("gatepost")}
    assert {"constraints.txt", "msgauth/ask.py", "milters/session.py"} <= gatepost
    assert not any("__pycache__" in path for path in gatepost)
    postfix = {str(path.relative_to(images.ROOT)) for path in images.copied("postfix")}
    assert {"images/postfix/main.cf", "images/postfix/bin/run"} <= postfix
    assert not any(path.startswith("milters/") for path in postfix)
