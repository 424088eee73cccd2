"""ConfigMap or Secret, mounted and changed as by the kubelet.

In a cluster, the folder of a mounted ConfigMap contains links ``NAME -> ..data/NAME``, and
``..data`` is a link to a folder with a date in its name. A change creates a new folder and swaps
``..data`` with one rename(2), so a reader sees either all old or all new files. podman copies plain
files into a volume and never changes them. `MountedFolder` turns that volume, or an empty folder,
into the form of a cluster.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

_DATA = "..data"
_NEXT = "..data_tmp"


class MountedFolder:
    """A folder on this machine that containers mount."""

    def __init__(self, path: Path, mode: int = 0o644) -> None:
        self.path = path
        self._mode = mode

    def files(self) -> dict[str, str]:
        """Return the content of each file by name, as a container reads it."""
        return {
            each.name: each.read_text()
            for each in sorted(self.path.iterdir())
            if not each.name.startswith("..")
        }

    def update(self, changes: Mapping[str, str | None]) -> None:
        """Replace the files by the same ones with these changes; None removes a file."""
        files = {**self.files(), **changes}
        self.replace({name: text for name, text in files.items() if text is not None})

    def replace(self, files: Mapping[str, str]) -> None:
        """Replace all files by these."""
        old = self.path / os.readlink(self.path / _DATA) if self._is_linked() else None
        new = Path(tempfile.mkdtemp(prefix="..", dir=self.path))
        new.chmod(0o755)
        for name, text in files.items():
            (new / name).write_text(text)
            (new / name).chmod(self._mode)
        (self.path / _NEXT).symlink_to(new.name)
        (self.path / _NEXT).rename(self.path / _DATA)
        for name in files:
            self._link(name)
        for each in list(self.path.iterdir()):
            if not each.name.startswith("..") and each.name not in files:
                each.unlink()
        if old is not None:
            shutil.rmtree(old)

    def _is_linked(self) -> bool:
        return (self.path / _DATA).is_symlink()

    def _link(self, name: str) -> None:
        path = self.path / name
        if path.is_symlink():
            return
        # replaces podman's plain file in one step, so that a file always exists
        link = self.path / f"..link-{name}"
        link.symlink_to(f"{_DATA}/{name}")
        link.rename(path)
