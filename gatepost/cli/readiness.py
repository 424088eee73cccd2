"""Whether the daemons of a configuration can work with it: what `gatepost config check` opens."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from gatepost.cli.access import look_at, postfix_problems
from gatepost.cli.configuration import Configuration
from gatepost.cli.service import Service, find_service
from gatepost.config import Loaded
from gatepost.errors import StartError
from policyd.build import faults

WORDS = ("milters", "policyd")


@dataclass(slots=True)
class Report:
    """Problems and advice by key of the configuration, and a line for each daemon looked at."""

    problems: list[tuple[str, str]] = field(default_factory=list)
    advice: list[tuple[str, str]] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)


def look(loaded: Loaded[Configuration], user: str | None) -> Report:
    """Look at each daemon that has a section or a systemd unit; raises `StartError`.

    `user` is who runs all of them, where the administrator says so.
    """
    report = Report()
    looked_at_lists = False
    for word in WORDS:
        try:
            service = find_service(word, user, _configured_user(word, loaded.model))
        except StartError as error:
            # who is not root may look at the configuration of another machine
            told = report.problems if os.geteuid() == 0 else report.advice
            told.append((f"{word}.user", str(error)))
            continue
        if word not in loaded.model.model_fields_set and service.unit is None:
            continue
        if _is_within_reach(service, word, report):
            looked_at_lists = looked_at_lists or word == "policyd"
            _look_at(service, loaded, report)
    if not looked_at_lists:
        report.problems += faults(loaded.model, loaded.model.policyd)
    return report


def _look_at(service: Service, loaded: Loaded[Configuration], report: Report) -> None:
    found = look_at(service, loaded.model, (loaded.path or Path()).absolute())
    report.problems += found
    report.advice += postfix_problems(service, loaded.model)
    if not found:
        report.opened.append(
            f"{service.word}: {service.runner} can open all that it needs"
            + (f", by {service.unit.path}" if service.unit is not None else "")
        )


def _is_within_reach(service: Service, word: str, report: Report) -> bool:
    """Whether files can be opened as the user of the daemon; else it is told why not."""
    starter, runner = service.starter, service.runner
    if starter is None or runner is None:
        why = "nothing says who runs it: --user NAME"
    elif os.geteuid() != 0 and not (starter.is_me and runner.is_me):
        why = f"only root can open files as {runner if starter.is_me else starter}"
    else:
        return True
    report.advice.append((word, f"its files and sockets were not opened: {why}"))
    return False


def _configured_user(word: str, model: Configuration) -> str | None:
    return model.milters.user if word == "milters" else model.policyd.user
