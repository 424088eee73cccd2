"""Steps of a backup, its check and its restore, over all parts of a system."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from gatepost.backup.folder import OWNER_ONLY, BackupFolder
from gatepost.backup.listing import (
    ENDING,
    LISTED,
    LISTS,
    Listed,
    damage,
    digest_of,
    entries,
    read_list,
    walk,
    write_list,
)
from gatepost.backup.manifest import Manifest, read_manifest
from gatepost.backup.part import BackupPart, Saved
from gatepost.errors import StartError

LIST = "files.jsonl"
PartReport = Callable[[str, Saved], None]
"""Is told each part as it is done."""


@dataclass(frozen=True, slots=True)
class BackupOrigin:
    """The system that a backup is of, for its manifest."""

    version: str
    hostname: str
    time: str


def save(
    folder: BackupFolder,
    parts: Sequence[BackupPart],
    left_out: Sequence[str],
    origin: BackupOrigin,
    report: PartReport,
) -> None:
    """Write the next backup with all parts, in this order, and make it the last one.

    Raises `StartError`; then the last backup is as it was.
    """
    new = folder.begin()
    before = folder.current if folder.current.is_dir() else None
    numbers: dict[str, dict[str, int]] = {}
    with _told_about_space(folder.path):
        _remove_others(new, {part.name for part in parts if part.lists_itself})
        for part in parts:
            place = new / part.name
            place.mkdir(mode=OWNER_ONLY, exist_ok=True)
            earlier = before / part.name if before is not None else None
            saved = part.save(place, earlier if earlier is not None and earlier.is_dir() else None)
            if saved is None:
                shutil.rmtree(place)
                continue
            numbers[part.name] = saved.counts
            report(part.name, saved)
        with open(new / LIST, "x", encoding="utf-8") as file:
            write_list(file, _listed(new, parts))
        _, digest = digest_of(new / LIST)
        made = Manifest(
            origin.version, origin.hostname, origin.time, numbers, tuple(left_out), digest
        )
        folder.finish(made.text())


def check(folder: BackupFolder) -> Manifest:
    """Read the whole last backup, and return its manifest; raises `StartError` with what is
    damaged."""
    found = read_manifest(folder.current)
    try:
        _, digest = digest_of(folder.current / LIST)
    except OSError as error:
        raise StartError(f"{folder.current / LIST} is damaged: {error.strerror}") from None
    if digest != found.list_sha256:
        raise StartError(f"{folder.current / LIST} is damaged: it has changed")
    damaged: list[str] = []
    for sentence in _damage(folder.current):
        damaged.append(sentence)
        if len(damaged) == _MANY:
            damaged.append("and perhaps more")
            break
    if damaged:
        raise StartError("\n".join(["the backup is damaged:", *damaged]))
    return found


def restore(folder: BackupFolder, parts: Sequence[BackupPart], report: PartReport) -> None:
    """Put the parts of the last backup into place, in this order; raises `StartError`."""
    for part in parts:
        saved = folder.current / part.name
        with folder.emptied_scratch() as scratch:
            report(part.name, part.restore(saved, scratch))


_MANY = 20
_SCARCE = 1 << 20
"""Octets on a disk that counts as full."""


def _damage(current: Path) -> Iterator[str]:
    for one in read_list(current / LIST):
        yield from damage(current, [one])
        part, _, rest = one.path.partition("/")
        if one.path.endswith(ENDING):
            inner = rest.removeprefix(f"{LISTS}/").removesuffix(ENDING)
            home = current / part / LISTED / inner
            yield from damage(home, read_list(current / one.path))
            yield from _surplus(home, current / one.path)
    for home in sorted(current.glob(f"*/{LISTED}/*/*")):
        part, _, domain, name = home.relative_to(current).parts
        if not (current / part / LISTS / domain / f"{name}{ENDING}").is_file():
            yield f"{home} has no list"


def _surplus(home: Path, file: Path) -> Iterator[str]:
    """Yield a sentence if there are files in a home that are not in its list."""
    if home.is_dir():
        more = sum(1 for _ in walk(home)) - sum(1 for _ in read_list(file))
        if more > 0:
            yield f"{home} has files that are not in its list"


def _listed(new: Path, parts: Sequence[BackupPart]) -> Iterator[Listed]:
    """Yield all files; of a part that lists itself, its lists."""
    for part in sorted(parts, key=lambda part: part.name):
        prefix = f"{part.name}/{LISTS}/" if part.lists_itself else f"{part.name}/"
        if (new / prefix).is_dir():
            for one in entries(new / prefix):
                yield replace(one, path=prefix + one.path)


def _remove_others(new: Path, kept: set[str]) -> None:
    """Remove what a killed backup left, but for the parts that go on."""
    for path in new.iterdir():
        if path.name in kept:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


@contextmanager
def _told_about_space(path: Path) -> Iterator[None]:
    """Report an error in one line, and say so if the disk is full: other programs may not."""
    try:
        yield
    except OSError as error:
        where = error.filename or path
        text = f"the backup failed at {where}: {error.strerror or error}"
        if isinstance(error, PermissionError):
            text += _closed_above(path)
        raise StartError(f"{text}{_advice(path)}") from None
    except StartError as error:
        raise StartError(f"{error}{_advice(path)}") from None


def _closed_above(path: Path) -> str:
    """Return which folder above `path` is closed to the user of Dovecot, who writes the mail."""
    closed = [each for each in path.parents if not each.stat().st_mode & stat.S_IXOTH]
    return f"; Dovecot's user cannot pass through {closed[-1]}" if closed else ""


def _advice(path: Path) -> str:
    disk = os.statvfs(path)
    full = disk.f_bavail * disk.f_frsize < _SCARCE or (disk.f_files and not disk.f_favail)
    told = f"; the disk of {path} is full" if full else ""
    return f"{told}; the last complete backup is unchanged"
