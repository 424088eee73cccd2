"""The steps of `make backup` and `make restore`."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

from gatepost.backup import run
from gatepost.backup.folder import BackupFolder
from gatepost.backup.manifest import Manifest
from gatepost.backup.secrets import copied_files
from gatepost.errors import StartError
from tests.testbed.podman import attempt, podman
from tools.steps import Steps
from tools.up.lifecycle import UpError, accounts_of, build_images, wait_ready
from tools.up.place import SETTINGS
from tools.up.system import System

INSIDE = "/backup"
"""The folder of the backup in the containers."""
_FOLDERS = {"/secrets/mailboxes": "mailboxes", "/keys": "dkim", "/tls": "tls"}
"""Folders of the containers: the folder of the state that is mounted there."""
_RESTORING = "restoring"
"""The file in the state that tells a restore that was cut off from any other system."""


def back_up(system: System, folder: Path | None = None) -> str:
    """Bring the backup up to date while the system runs; return the lines of the command. Raises
    `UpError` and `PodmanError`, and `UpError` for a folder that is not the one of the system: its
    containers have that one alone."""
    if folder is not None and folder.absolute() != system.place.backup.absolute():
        raise UpError(
            f"it writes to {system.place.backup}; for another folder, write "
            f"`backup = {json.dumps(str(folder.absolute()))}` into "
            f"{system.place.state / SETTINGS}, and start the system again: `make down KEEP=1`, "
            "`make up`"
        )
    if not system.is_up:
        raise UpError("it is not up: `make up` starts it")
    command = ("exec", accounts_of(system), "gatepost", "backup", INSIDE)
    done = attempt(*command, timeout=None)
    # podman's own log lines are about other things
    warnings = [line for line in done.stderr.splitlines() if not line.startswith("time=")]
    if done.returncode:
        raise UpError("\n".join(warnings))
    where = f"{INSIDE} in the containers is {system.place.backup}"
    return "\n".join([*done.stdout.splitlines(), *warnings, where])


def restore(system: System, steps: Steps, folder: Path | None = None) -> None:
    """Start the system with the data of its last backup, or of the one in a folder; raises
    `UpError` and `PodmanError`.

    Nobody reaches it before everything is there: Postfix would refuse the users who are missing.
    Later backups go to the folder of the system, whichever this one was.
    """
    state = system.place.state
    source = System(replace(system.place, backup=folder or system.place.backup))
    if system.is_up:
        raise UpError("it is up; `make down` ends it and removes its data")
    if not system.is_new and not (state / _RESTORING).exists():
        raise UpError(f"there are data of an earlier run; {system.place.how_to_remove('them')}")
    system.check_ports()
    with steps.step("check") as step:
        found = put_secrets(source.place.backup, state)
        step.outcome = f"backup of {found.time} is whole"
    build_images(system, steps)
    with steps.step("start") as step:
        (state / _RESTORING).touch()
        system.write_secrets()
        source.play(with_ports=False)
        step.outcome = "without ports"
    wait_ready(system, steps)
    with steps.step("restore") as step:
        command = ("gatepost", "restore", INSIDE, "--without", "secrets", "--yes")
        said = podman("exec", accounts_of(system), *command, timeout=None)
        step.outcome = next((line for line in said.splitlines() if line.startswith("mail: ")), "")
    with steps.step("start again") as step:
        system.remove(keep=True)
        system.play()
        step.outcome = "with its ports"
    wait_ready(system, steps)
    system.complete()
    (state / _RESTORING).unlink()


def put_secrets(backup: Path, state: Path) -> Manifest:
    """Check the backup, and write the secrets in it to the state, unless they are there."""
    try:
        with BackupFolder.opened(backup, make=False) as folder:
            found = run.check(folder)
            if "secrets" in found.parts:
                for path, data in copied_files(folder.current / "secrets"):
                    _put(state, path, data)
    except (StartError, OSError) as error:
        raise UpError(str(error)) from error
    if not (state / "mailboxes").is_dir():
        raise UpError(
            f"the backup has no secrets: put those of the old system into {state}, the folders "
            "mailboxes, tls and dkim"
        )
    return found


def _put(state: Path, path: str, data: bytes) -> None:
    for inside, name in _FOLDERS.items():
        if path.startswith(f"{inside}/"):
            target = state / name / path.removeprefix(f"{inside}/")
            if target.exists():
                return
            target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            new = target.with_name(f".{target.name}.new")
            new.unlink(missing_ok=True)
            # the containers run as other users, all in group 0
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o440)
            with open(descriptor, "wb") as file:
                os.fchmod(descriptor, 0o440)
                file.write(data)
            new.rename(target)
