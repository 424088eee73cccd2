"""Replacement for systemctl and journalctl on machines without systemd.

It runs the command of a unit as the unit's user, with its groups, umask and folders, on a file
system that is read-only except for the unit's writable paths, as in systemd.exec(5). A service that
ends at once has failed. ``python -m tests.testbed.systemctl enable --now gatepost-milters``.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

from gatepost.cli.service import Account, find_account, find_group
from gatepost.systemd import Unit, find_unit
from tests.testbed.waiting import wait_until

STATE = Path("/run/systemctl")


def main(words: list[str]) -> int:
    """Run one command; return its exit status."""
    STATE.mkdir(exist_ok=True)
    command, *rest = words
    names = [word.removesuffix(".service") for word in rest if not word.startswith("-")]
    match command:
        case "daemon-reload":
            return 0
        case "enable" | "disable" if "--now" not in rest:
            return 0
        case "enable" | "start":
            return max(map(_start, names))
        case "disable" | "stop":
            return max(map(_stop, names))
        case "is-active":
            states = ["active" if _pid(name) else "failed" for name in names]
            print("\n".join(states))
            return 0 if "active" in states and "failed" not in states else 3
        case "journal":
            name = rest[rest.index("-u") + 1]
            print((STATE / f"{name}.log").read_text(), end="")
            return 0
    print(f"systemctl {command}: this stand-in knows no such command", file=sys.stderr)
    return 1


def _start(name: str) -> int:
    unit = find_unit(f"{name}.service")
    if unit is None:
        print(f"Unit {name}.service not found.", file=sys.stderr)
        return 5
    if _pid(name):
        return 0
    account = _account(unit)
    for folder in unit.made_folders:
        folder.mkdir(parents=True, exist_ok=True)
        os.chown(folder, account.uid, account.gid)
    command = shlex.split(unit.last("ExecStart"))
    if unit.last("Type") == "forking":
        return subprocess.run(command, check=False).returncode
    log = open(STATE / f"{name}.log", "a")  # noqa: SIM115  # the service keeps it
    process = subprocess.Popen(
        ["unshare", "--mount", "sh", "-ec", _script(unit, account, command)],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    (STATE / f"{name}.pid").write_text(str(process.pid))
    return 0  # like systemd, which does not wait for a service of Type=simple


def _script(unit: Unit, account: Account, command: list[str]) -> str:
    """Return the unit's command as a script for a shell in a separate mount namespace."""
    lines = []
    if unit.last("ProtectSystem") == "strict":
        writable = [word.lstrip("-+") for word in unit.words("ReadWritePaths")]
        writable += map(str, unit.made_folders)
        present = [shlex.quote(path) for path in writable if Path(path).exists()]
        lines += [f"mount --bind {path} {path}" for path in present]
        # a separate mount of /, so that it is read-only in this namespace alone
        lines += ["mount -o remount,bind,ro /", "mount -o remount,bind,ro /run"]
        lines += [f"mount -o remount,bind,rw {path}" for path in present]
    groups = ",".join(map(str, sorted(account.groups)))
    become = f"--reuid={account.uid} --regid={account.gid} --groups={groups} --no-new-privs"
    lines.append(f"umask {unit.last('UMask') or '0022'}")
    lines.append(f"exec setpriv {become} {shlex.join(command)}")
    return "\n".join(lines)


def _account(unit: Unit) -> Account:
    account = find_account(unit.user or "root")
    gid = find_group(unit.last("Group")) if unit.last("Group") else account.gid
    more = {find_group(group) for group in unit.words("SupplementaryGroups")}
    return Account(account.name, account.uid, gid, account.groups | more | {gid})


def _pid(name: str) -> int:
    """Return the process id of a running service; 0 if it is not running."""
    unit = find_unit(f"{name}.service")
    file = Path(unit.last("PIDFile")) if unit and unit.last("PIDFile") else STATE / f"{name}.pid"
    try:
        pid = int(file.read_text())
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, ValueError):
        return 0
    return 0 if state in "ZX" else pid


def _stop(name: str) -> int:
    if pid := _pid(name):
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not _pid(name), f"{name} to end")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
