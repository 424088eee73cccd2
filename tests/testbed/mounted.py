"""A ConfigMap or Secret as the kubelet mounts and changes it.

In a cluster the folder of a mounted ConfigMap has links: ``NAME -> ..data/NAME``, and ``..data`` is
a link to a folder with a date in its name. A change is a new folder, and ``..data`` swapped by one
rename(2): a reader sees all of the old files or all of the new ones. podman copies plain files into
a volume and never changes them; `MountedFolder` makes of that volume what a cluster would have, and
of an empty folder a Secret.
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
    """The folder on this machine that containers have mounted."""

    def __init__(self, path: Path, mode: int = 0o644) -> None:
        self.path = path
        self._mode = mode

    def files(self) -> dict[str, str]:
        """Return what a container reads: the content of each file by name."""
        return {
            each.name: each.read_text()
            for each in sorted(self.path.iterdir())
            if not each.name.startswith("..")
        }

    def update(self, changes: Mapping[str, str | None]) -> None:
        """Swap in the present files with these changes; None removes one."""
        files = {**self.files(), **changes}
        self.replace({name: text for name, text in files.items() if text is not None})

    def replace(self, files: Mapping[str, str]) -> None:
        """Swap in these files, and no others."""
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
        # over a plain file of podman's: at no moment is there none
        link = self.path / f"..link-{name}"
        link.symlink_to(f"{_DATA}/{name}")
        link.rename(path)
