"""Command ``python -m tools.scripts.vendored``: writes the files of others anew, from npm.

The versions and digests are here. After a change of a version, the command prints the new digests.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parents[2]
PAGES: Final = "accounts/pages/static"
AXE: Final = "tests/browser/axe"


class VendoredFile(NamedTuple):
    """A file of a package of npm, its place here, and the SHA-256 of its content."""

    source: str
    place: str
    digest: str


PACKAGES: Final = {
    "htmx.org@4.0.1": (
        VendoredFile(
            "dist/htmx.min.js",
            f"{PAGES}/htmx.js",
            "a0abb04f2f45a1f89d1d4844023245537e5e6014c87b144553e0607b4cc32130",
        ),
        VendoredFile(
            "LICENSE",
            f"{PAGES}/htmx.LICENSE",
            "d3d2456f76414f2456104660ebd65aff1c04cd7966b942bdabd63f3cdb316a38",
        ),
    ),
    "@picocss/pico@2.1.1": (
        VendoredFile(
            "css/pico.min.css",
            f"{PAGES}/pico.css",
            "fbc9a63fc9fc9f72d12fd7fc9806e11fa9f77ae4f9cad146b27003a1119ba3db",
        ),
        VendoredFile(
            "LICENSE.md",
            f"{PAGES}/pico.LICENSE",
            "afaff063e044233f917b7807dccab022f09dca474f92b642846bee4850655bbf",
        ),
    ),
    "axe-core@4.14.1": (
        VendoredFile(
            "axe.min.js",
            f"{AXE}/axe.min.js",
            "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c",
        ),
        VendoredFile(
            "LICENSE",
            f"{AXE}/LICENSE",
            "af175b9d96ee93c21a036152e1b905b0b95304d4ae8c2c921c7609100ba8df7e",
        ),
    ),
}


def main() -> None:
    """Fetch each package, check its files, and write them."""
    for package, files in PACKAGES.items():
        with tempfile.TemporaryDirectory() as folder:
            packed = subprocess.run(
                ["npm", "pack", "--silent", package],
                cwd=folder,
                check=True,
                capture_output=True,
                text=True,
            )
            with tarfile.open(Path(folder) / packed.stdout.split()[-1]) as archive:
                for file in files:
                    _write(archive, package, file)


def _write(archive: tarfile.TarFile, package: str, file: VendoredFile) -> None:
    member = archive.extractfile(f"package/{file.source}")
    if member is None:
        sys.exit(f"{package} has no file {file.source}")
    octets = member.read()
    digest = hashlib.sha256(octets).hexdigest()
    if digest != file.digest:
        sys.exit(f"{package}: {file.source} has the SHA-256 {digest}, and not {file.digest}")
    place = ROOT / file.place
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(octets)
    print(f"{file.place}: {package}")


if __name__ == "__main__":
    main()
