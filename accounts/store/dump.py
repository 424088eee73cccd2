"""Backups of a datastore in PostgreSQL, by its own pg_dump and pg_restore."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

from accounts.store.migrate import FILE_MODE
from accounts.store.replica import ENDING, insist_on_known
from accounts.store.revisions import VERSION_TABLE
from accounts.store.schema import metadata
from accounts.store.settings import DatabaseSettings
from gatepost.errors import StartError


def dump(settings: DatabaseSettings, file: Path) -> None:
    """Write the data to `file` and check the result.

    `file` is replaced at the end, or not at all. Raises `StartError`.
    """
    program, _ = _find("pg_dump"), _find("pg_restore")
    new = file.with_name(file.name + ENDING)
    try:
        with suppress(FileNotFoundError):
            new.unlink()
        os.close(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, FILE_MODE))
        options = ("--format=custom", "--no-owner", "--no-privileges", "--no-password")
        place = (f"--file={new}", f"--dbname={_url(settings)}")
        _run((program, *options, *place), _environment(settings))
        check(new)
        os.replace(new, file)
    except OSError as error:
        raise StartError(f"cannot write the backup {file}: {error.strerror}") from None
    finally:
        with suppress(OSError):
            new.unlink()


def restore_dump(settings: DatabaseSettings, file: Path) -> str:
    """Replace the data with those of `file`, in one transaction; return their revision.

    Raises `StartError`, and then nothing is changed.
    """
    revision = check(file)
    options = ("--clean", "--if-exists", "--no-owner", "--no-privileges", "--no-password")
    safe = ("--single-transaction", "--exit-on-error", f"--dbname={_url(settings)}")
    _run((_find("pg_restore"), *options, *safe, str(file)), _environment(settings))
    return revision


def check(file: Path) -> str:
    """Read a whole dump and return the revision of its data; raises `StartError`."""
    program = _find("pg_restore")
    listed = _run((program, "--list", str(file)))
    missing = [name for name in metadata.tables if f" TABLE DATA public {name} " not in listed]
    if missing:
        raise StartError(f"{file} is not a backup of a datastore: it has no table {missing[0]}")
    _run((program, f"--file={os.devnull}", str(file)))
    text = _run((program, "--data-only", f"--table={VERSION_TABLE}", "--file=-", str(file)))
    lines = iter(text.splitlines())
    for line in lines:
        if line.startswith("COPY "):
            revision = next(lines, "")
            insist_on_known(file, revision)
            return revision
    raise StartError(f"{file} is not a backup of a datastore: it has no revision")


def _find(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        raise StartError(f"there is no {program} in $PATH: apt-get install postgresql-client")
    return found


def _run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(
        command,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise StartError(f"{Path(command[0]).name}: {said[0]}")
    return done.stdout


def _environment(settings: DatabaseSettings) -> dict[str, str]:
    if settings.password_file is None:
        return {}
    try:
        return {"PGPASSWORD": settings.password_file.read_text()}
    except (OSError, ValueError) as error:
        raise StartError(f"cannot read the password: {error}") from None


def _url(settings: DatabaseSettings) -> str:
    """Return the URL as libpq takes it: it says sslmode for ssl."""
    parts = urlsplit(settings.url)
    query = [("sslmode" if key == "ssl" else key, value) for key, value in parse_qsl(parts.query)]
    return parts._replace(query=urlencode(query)).geturl()
