"""Part with the files that an administrator wrote: the configuration, keys and other secrets."""

from __future__ import annotations

import grp
import json
import os
import pwd
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from gatepost.backup.part import Saved
from gatepost.errors import StartError
from gatepost.files import open_regular

INDEX = "index.jsonl"
MAX_FILE = 64 << 20
"""Octets of a file; a larger one is no configuration."""
MAX_FILES = 100_000
MAX_DEPTH = 20
_MODE = 0o777
"""Bits of a mode that are restored: no secret is a program that runs as its owner."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A file: its place, and its copy by number."""

    path: str
    number: int
    mode: int
    owner: str
    group: str


class SecretsPart:
    """`gatepost.backup.part.BackupPart` for files and folders, which are read through links."""

    name: Final = "secrets"
    lists_itself: Final = False

    def __init__(self, paths: Iterable[Path]) -> None:
        self._paths = sorted({path.absolute() for path in paths})

    def save(self, new: Path, before: Path | None) -> Saved:  # noqa: ARG002
        """Copy each file, with its mode and the names of its owner and group."""
        missing: list[str] = []
        count = 0
        with open(new / INDEX, "w", encoding="utf-8") as index:
            for path in self._files(missing):
                with open_regular(path) as file:
                    status = os.fstat(file.fileno())
                    data = file.read(MAX_FILE + 1)
                if len(data) > MAX_FILE:
                    raise StartError(f"{path} has more than {MAX_FILE} octets: is it a secret?")
                if count >= MAX_FILES:
                    raise StartError(f"there are more than {MAX_FILES} files of secrets")
                _write(new / f"{count}", data)
                mode = status.st_mode & _MODE
                owner, group = _name(status.st_uid), _group(status.st_gid)
                kept = Kept(str(path), count, mode, owner, group)
                index.write(json.dumps(asdict(kept)) + "\n")
                count += 1
        return Saved({"file": count}, tuple(f"{path} is not there" for path in missing))

    def _files(self, missing: list[str]) -> Iterator[Path]:
        seen: set[Path] = set()
        for path in self._paths:
            if not path.exists():
                missing.append(str(path))
            for file in _below(path, MAX_DEPTH):
                if file not in seen:
                    seen.add(file)
                    yield file

    def find_obstacle(self) -> str | None:
        """Return None: `restore` compares each file."""
        return None

    def restore(self, saved: Path, scratch: Path) -> Saved:  # noqa: ARG002
        """Write each file that is missing. Nothing is written if another content is in the place
        of one of them, or a place cannot be written to."""
        return put_secrets_back(saved, replace=False)


def put_secrets_back(saved: Path, *, replace: bool) -> Saved:
    """Write the files of a copy to their places, or raise `StartError` before the first one."""
    kept = list(_index(saved))
    differing = [one for one in kept if _differs(saved, one)]
    absent = [one for one in kept if not os.path.lexists(one.path)]
    if differing and not replace:
        names = ", ".join(one.path for one in differing[:5])
        raise StartError(
            f"these files differ from the backup: {names}; move them away, or use --yes"
        )
    written = [*absent, *differing]
    for one in written:
        _insist_on_writable(one)
    for one in written:
        _put(saved, one)
    return Saved({"file": len(kept), "restored file": len(written)})


def copied_files(saved: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the path and the content of each file of a copy; raises `StartError`."""
    for one in _index(saved):
        yield one.path, (saved / f"{one.number}").read_bytes()


def _below(path: Path, depth: int) -> Iterator[Path]:
    if path.is_file():
        yield path
    elif path.is_dir() and depth:
        for name in sorted(os.listdir(path)):
            if not name.startswith(".."):  # Kubernetes' own folders in a mounted Secret
                yield from _below(path / name, depth - 1)


def _index(saved: Path) -> Iterator[Kept]:
    try:
        with open(saved / INDEX, encoding="utf-8") as lines:
            for line in lines:
                found = json.loads(line)
                number, mode = int(found["number"]), int(found["mode"]) & _MODE
                path = str(found["path"])
                if not path.startswith("/") or ".." in path.split("/"):
                    raise ValueError(f"{path!r} is not the path of a file")  # noqa: TRY301
                yield Kept(path, number, mode, str(found["owner"]), str(found["group"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StartError(f"{saved / INDEX} is damaged: {error}") from None


def _differs(saved: Path, one: Kept) -> bool:
    try:
        with open_regular(Path(one.path)) as file:
            return file.read(MAX_FILE + 1) != (saved / f"{one.number}").read_bytes()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StartError(f"{one.path} cannot be read: {error.strerror}") from None


def _insist_on_writable(one: Kept) -> None:
    folder = Path(one.path).parent
    while not folder.exists():
        folder = folder.parent
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StartError(
            f"{one.path} is missing, and {folder} cannot be written to: put the file there first"
        )


def _put(saved: Path, one: Kept) -> None:
    path = Path(one.path)
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    _write(new, (saved / f"{one.number}").read_bytes(), one)
    new.rename(path)


def _write(path: Path, data: bytes, kept: Kept | None = None) -> None:
    """Write a new file, with the mode, owner and group of `kept`, or closed to others."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with open(os.open(path, flags, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        if kept is not None:
            # by the descriptor: the owner of the folder can replace the name by a link
            _give(file.fileno(), kept)
        os.fsync(file.fileno())


def _give(descriptor: int, kept: Kept) -> None:
    if os.geteuid() == 0:
        with suppress(KeyError):
            os.fchown(descriptor, pwd.getpwnam(kept.owner).pw_uid, -1)
        with suppress(KeyError):
            os.fchown(descriptor, -1, grp.getgrnam(kept.group).gr_gid)
    os.fchmod(descriptor, kept.mode)


def _name(uid: int) -> str:
    with suppress(KeyError):
        return pwd.getpwuid(uid).pw_name
    return str(uid)


def _group(gid: int) -> str:
    with suppress(KeyError):
        return grp.getgrgid(gid).gr_name
    return str(gid)
