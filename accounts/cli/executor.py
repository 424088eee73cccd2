"""Executor of the work of commands: in the datastore of this host, or by the service's API.

Both take the same operations, by their names in `accounts.http.resources.table`, and return the
same objects and the same messages.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Protocol

import click

AWAY = 75
"""Exit status of a temporary failure (EX_TEMPFAIL of sysexits.h)."""


@dataclass(frozen=True, slots=True)
class OperationStep:
    """One operation. `params` are those of its path, `match` is its If-Match."""

    operation: str
    params: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    query: Mapping[str, Any] = field(default_factory=dict)
    match: str = "*"

    def as_part(self) -> dict[str, Any]:
        """Return the form that `accounts.http.models.batch.BatchPart` reads."""
        return {
            "operation": self.operation,
            "params": dict(self.params),
            "query": {name: value for name, value in self.query.items() if value is not None},
            "body": None if self.body is None else dict(self.body),
            "if_match": self.match,
        }


@dataclass(frozen=True, slots=True)
class StepResult:
    """The answer to a step: an object, or a list of them and the key of its next page."""

    body: Any = None
    tag: str | None = None
    next: str | int | None = None


class Executor(Protocol):
    """Interface of an executor of operations."""

    def do(self, *steps: OperationStep, dry_run: bool = False) -> list[StepResult]:
        """Do all steps in one transaction, or none of them; `dry_run` undoes them.

        Raises `Declined` and `Away`.
        """
        ...

    def close(self) -> None:
        """Close the database or the connection."""
        ...


class Declined(click.ClickException):
    """The operation was refused, and nothing was written. The message is a sentence."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status

    @property
    def is_no_key(self) -> bool:
        """True if the object does not exist, or cannot exist."""
        return self.status in (HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY)


class Away(click.ClickException):
    """The operation cannot be done now."""

    exit_code = AWAY
