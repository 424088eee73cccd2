"""Reader of systemd units on disk: the user of a service, and the paths that it may write to.

It only reads files, so it works without a running systemd and before `daemon-reload`.
systemd.unit(5) and systemd.exec(5) describe the meaning of a unit and its drop-ins.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gatepost.files import open_regular

FOLDERS: Final = tuple(
    map(
        Path,
        (
            "/etc/systemd/system",
            "/run/systemd/system",
            "/usr/local/lib/systemd/system",
            "/usr/lib/systemd/system",
            "/lib/systemd/system",
        ),
    )
)
"""Folders of system units; the first one wins (systemd.unit(5), UNIT FILE LOAD PATH)."""

MAX_FILE: Final = 1 << 20
"""Maximum octets of a unit file."""

_BASES: Final = {
    "RuntimeDirectory": Path("/run"),
    "StateDirectory": Path("/var/lib"),
    "CacheDirectory": Path("/var/cache"),
    "LogsDirectory": Path("/var/log"),
}
"""Folders that systemd creates for the user of the unit, by setting."""

_READ_ONLY: Final[Mapping[str, tuple[str, ...]]] = {
    "yes": ("/usr", "/boot", "/efi"),
    "full": ("/usr", "/boot", "/efi", "/etc"),
    "strict": ("/",),
}
_YES: Final = ("1", "yes", "true", "on")


@dataclass(frozen=True, slots=True)
class Unit:
    """The section [Service] of a unit with its drop-ins: each setting with all its values."""

    name: str
    path: Path
    settings: Mapping[str, Sequence[str]]

    def last(self, key: str) -> str:
        """Return the value of a single-valued setting; empty if unset."""
        values = self.settings.get(key, ())
        return values[-1] if values else ""

    def words(self, key: str) -> list[str]:
        """Return the words of a list setting."""
        return [word for value in self.settings.get(key, ()) for word in value.split()]

    @property
    def user(self) -> str:
        """Return the user's name or id; empty for root."""
        return "" if self.last("User") in ("root", "0") else self.last("User")

    @property
    def has_dynamic_user(self) -> bool:
        """Return whether systemd allocates a user at each start."""
        return self.last("DynamicUser").lower() in _YES

    @property
    def made_folders(self) -> tuple[Path, ...]:
        """Return the folders that systemd creates for the user before the start."""
        return tuple(
            base / word.partition(":")[0]
            for key, base in _BASES.items()
            for word in self.words(key)
        )

    def makes(self, path: Path) -> bool:
        """Return whether systemd creates `path` or a parent of it."""
        return any(path.is_relative_to(made) for made in self.made_folders)

    def may_write(self, path: Path) -> bool:
        """Return whether the unit leaves `path` writable, apart from its owner and mode."""
        mode = self.last("ProtectSystem").lower()
        read_only = _READ_ONLY.get("yes" if mode in _YES else mode, ())
        home = self.last("ProtectHome").lower()
        if home in (*_YES, "read-only", "tmpfs"):
            read_only = (*read_only, "/home", "/root", "/run/user")
        if not any(path.is_relative_to(above) for above in read_only):
            return True
        writable = [Path(word.lstrip("-+")) for word in self.words("ReadWritePaths")]
        # kernel file systems are exempt: systemd.exec(5), ProtectSystem=
        writable += map(Path, ("/dev", "/proc", "/sys"))
        return self.makes(path) or any(path.is_relative_to(above) for above in writable)


def find_unit(name: str, folders: Iterable[Path] = FOLDERS) -> Unit | None:
    """Read the unit `name` (``gatepost-milters.service``) with its drop-ins.

    None if it does not exist, is masked, or is unreadable for this user.
    """
    folders = tuple(folders)
    for folder in folders:
        path = folder / name
        if not path.is_file():
            if path.is_symlink() or path.exists():
                return None  # masked: a link to /dev/null
            continue
        settings: dict[str, list[str]] = {}
        try:
            for file in (path, *_drop_ins(name, folders)):
                _read_into(settings, file)
        except OSError:
            return None
        return Unit(name, path, {key: tuple(values) for key, values in settings.items()})
    return None


def _drop_ins(name: str, folders: Iterable[Path]) -> list[Path]:
    """Return the drop-ins in order; of two with the same name, that of the first folder."""
    found: dict[str, Path] = {}
    for folder in folders:
        below = folder / f"{name}.d"
        if below.is_dir():
            for path in below.glob("*.conf"):
                found.setdefault(path.name, path)
    return [found[key] for key in sorted(found) if found[key].is_file()]


def _read_into(settings: dict[str, list[str]], path: Path) -> None:
    with open_regular(path) as file:
        text = file.read(MAX_FILE).decode("utf-8", "replace")
    section = ""
    for line in _joined(text):
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
        elif section == "Service" and "=" in line:
            key, _, value = line.partition("=")
            key, value = key.strip(), _expand(value.strip())
            if value:
                settings.setdefault(key, []).append(value)
            else:
                settings.pop(key, None)  # an empty value resets the setting


def _joined(text: str) -> Iterator[str]:
    """Yield the non-empty lines; one that ends in a backslash continues in the next."""
    begun = ""
    for line in text.splitlines():
        if line.lstrip().startswith(("#", ";")):
            continue
        begun += line.strip() if not begun else f" {line.strip()}"
        if begun.endswith("\\"):
            begun = begun[:-1].rstrip()
            continue
        if begun:
            yield begun
        begun = ""
    if begun:
        yield begun


def _expand(value: str) -> str:
    """Expand the specifiers of folders; others stay unchanged."""
    for specifier, folder in (("%t", "/run"), ("%S", "/var/lib"), ("%C", "/var/cache")):
        value = value.replace(specifier, folder)
    return value.replace("%%", "%")
