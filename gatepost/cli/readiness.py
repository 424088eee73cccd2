"""Readiness of the daemons of a configuration: the files that `gatepost config check` opens."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from gatepost.cli.access import look_at, postfix_problems
from gatepost.cli.configuration import Daemon, daemons
from gatepost.cli.service import DaemonService, find_service
from gatepost.config import GroundSettings, Loaded
from gatepost.errors import StartError


@dataclass(slots=True)
class Report:
    """Problems and advice by key of the configuration, and a line for each checked daemon."""

    problems: list[tuple[str, str]] = field(default_factory=list)
    advice: list[tuple[str, str]] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)


def look(loaded: Loaded[GroundSettings], user: str | None) -> Report:
    """Check each daemon that has a section or a systemd unit; raises `StartError`.

    `user` is the user of all daemons, if given. The lists and secrets of the other daemons are read
    as the calling user.
    """
    report = Report()
    found = daemons(loaded.model)
    not_opened = [daemon for daemon in found if not _is_looked_at(daemon, loaded, user, report)]
    for daemon in not_opened:
        report.problems += daemon.section.faults(loaded.model, daemon.settings)
    return report


def _is_looked_at(
    daemon: Daemon, loaded: Loaded[GroundSettings], user: str | None, report: Report
) -> bool:
    """Open what the daemon opens, if the daemon is used and this user can do so."""
    word = daemon.word
    try:
        service = find_service(word, user, daemon.settings.user)
    except StartError as error:
        # without root, this may be the configuration of another machine
        told = report.problems if os.geteuid() == 0 else report.advice
        told.append((f"{word}.user", str(error)))
        return False
    if not daemon.is_written and service.unit is None:
        return False
    if not _is_within_reach(service, word, report):
        return False
    _look_at(service, daemon, loaded, report)
    return True


def _look_at(
    service: DaemonService, daemon: Daemon, loaded: Loaded[GroundSettings], report: Report
) -> None:
    found = look_at(service, daemon, loaded.model, (loaded.path or Path()).absolute())
    report.problems += found
    report.advice += postfix_problems(service, daemon)
    if not found:
        report.opened.append(
            f"{service.word}: {service.runner} can open everything it needs"
            + (f", by {service.unit.path}" if service.unit is not None else "")
        )


def _is_within_reach(service: DaemonService, word: str, report: Report) -> bool:
    """Return whether files can be opened as the daemon's user; if not, report why."""
    starter, runner = service.starter, service.runner
    if starter is None or runner is None:
        why = "its user is unknown: use --user NAME"
    elif os.geteuid() != 0 and not (starter.is_me and runner.is_me):
        why = f"only root can open files as {runner if starter.is_me else starter}"
    else:
        return True
    report.advice.append((word, f"its files and sockets were not opened: {why}"))
    return False
