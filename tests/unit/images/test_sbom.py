"""`sbom` of the images: CycloneDX that a program can read, with every package and no more."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.backends.openssl import backend

SBOM = Path(__file__).resolve().parents[3] / "images" / "base" / "bin" / "sbom"


@pytest.fixture
def dpkg(tmp_path: Path) -> Path:
    """A folder for PATH with a dpkg that has two packages."""
    program = tmp_path / "dpkg-query"
    program.write_text(
        "#!/bin/sh\n"
        # as dpkg fills in its format, once a package
        'for each in "bash 5.2.37-2+b10" "libc6 2.41-12"; do set -- $each\n'
        'printf \'    {"type": "library", "name": "%s", "version": "%s"},\\n\' "$1" "$2"\n'
        "done\n"
    )
    program.chmod(0o755)
    return tmp_path


def sbom(dpkg: Path, *arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        ["sh", SBOM, "postfix", "0.1.0", *arguments],
        env={"PATH": f"{dpkg}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_an_image_without_python_has_its_debian_packages(dpkg: Path) -> None:
    found = sbom(dpkg)
    assert [each["name"] for each in found["components"]] == ["bash", "libc6"]
    assert found["metadata"]["component"]["version"] == "0.1.0"


def test_an_image_with_python_has_its_packages_too(dpkg: Path) -> None:
    found = sbom(dpkg, sys.executable)["components"]
    assert [each["name"] for each in found[:2]] == ["bash", "libc6"]
    ours = {each["name"] for each in found if each.get("bom-ref", "").startswith("pypi:")}
    installed = {each.name.lower().replace("_", "-") for each in metadata.distributions()}
    assert ours == installed


def test_what_a_wheel_carries_inside_is_there(dpkg: Path) -> None:
    """cryptography's wheel has an OpenSSL of its own, and says so (PEP 770)."""
    found = sbom(dpkg, sys.executable)["components"]
    (openssl,) = (each for each in found if each.get("purl", "").startswith("pkg:generic/openssl@"))
    assert openssl["version"] in backend.openssl_version_text()
    assert openssl["bom-ref"].startswith("in:cryptography:")
    # a tool of its build is not in it
    assert not [one for one in found if "in:cryptography:pkg:cargo/pkg-config@" in str(one)]
    references = [each["bom-ref"] for each in found if "bom-ref" in each]
    assert len(references) == len(set(references))
