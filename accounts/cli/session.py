"""Session of a command: its executor, and the form of its output."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import click

from accounts.api_settings import ApiSettings, check_api_url
from accounts.cli.datastore import errors_in_one_line, opened_file, read_file
from accounts.cli.executor import Executor, OperationStep, StepResult
from accounts.cli.local_executor import LocalExecutor
from accounts.cli.options import json_option
from accounts.cli.output import print_done, print_json, print_list, print_object
from accounts.cli.remote_executor import RemoteExecutor
from accounts.http.models.base import MAX_LIMIT
from accounts.settings import AccountsFile
from gatepost.cli.configuration import config_option
from gatepost.config.types import SecretFile
from gatepost.printable import escape_lines

SessionCommand: TypeAlias = Callable[..., None]
OptionValues: TypeAlias = dict[str, Any]

MAX_PAGE = MAX_LIMIT
"""Objects on each page of a request."""


@dataclass
class CommandSession:
    """A command in progress. The database or the connection is opened when it is first needed."""

    config: Path | None
    as_json: bool
    is_maker: bool
    """True if the command creates a missing database file."""
    api: OptionValues = field(default_factory=dict)
    """The options for the API."""
    _stack: ExitStack = field(default_factory=ExitStack)

    @functools.cached_property
    def file(self) -> AccountsFile:
        """The configuration."""
        return read_file(self.config)

    @functools.cached_property
    def executor(self) -> Executor:
        """The executor: the datastore, if it is on this host, or else the API."""
        settings = self.file.accounts
        path = settings.database.path
        # a file in a folder that this user may not enter counts as missing
        has_file = path is None or os.path.exists(path)
        executor: Executor
        if "url" in self.api or (settings.api.url is not None and not has_file):
            executor = RemoteExecutor(settings.api.model_copy(update=self.api))
        else:
            datastore = self._stack.enter_context(opened_file(self.file, make=self.is_maker))
            executor = LocalExecutor(datastore)
        self._stack.callback(executor.close)
        return executor

    def close(self) -> None:
        """Close everything."""
        self._stack.close()

    def do(self, *steps: OperationStep, dry_run: bool = False) -> list[StepResult]:
        """Do all steps in one transaction, or none."""
        return self.executor.do(*steps, dry_run=dry_run)

    def one(self, step: OperationStep, *, dry_run: bool = False) -> Any:
        """Do one step; return the object in its answer."""
        return self.do(step, dry_run=dry_run)[0].body

    def pages(self, step: OperationStep) -> Iterator[Any]:
        """Yield the objects of a list, page by page."""
        after: Any = None
        while True:
            query = {**step.query, "limit": MAX_PAGE, "after": after}
            (done,) = self.do(OperationStep(step.operation, step.params, query=query))
            yield from done.body["items"]
            if done.next is None:
                return
            after = done.next

    # output

    def done(self, text: str, data: Any) -> None:
        """Print a message, or the result as JSON."""
        print_done(text, data, as_json=self.as_json)

    def done_lines(self, text: str, data: Any) -> None:
        """Print a message like `done`, for our own text of several lines."""
        if self.as_json:
            print_json(data)
        else:
            click.echo(escape_lines(text))

    def show(self, data: OptionValues, pairs: Iterable[tuple[str, str]]) -> None:
        """Print one object."""
        print_object(data, pairs, as_json=self.as_json)

    def list(
        self,
        objects: Iterable[Any],
        heads: Sequence[str],
        row: Callable[[Any], Sequence[str]],
        data: Callable[[Any], Any] = lambda one: one,
    ) -> None:
        """Print objects as a table."""
        print_list(objects, heads, row, data, as_json=self.as_json)


def session_options(*, make: bool = False) -> Callable[[SessionCommand], SessionCommand]:
    """Add the options of every command: the configuration, the API, and the form of output.

    The command gets a `CommandSession` in their place as its first argument.
    """

    def decorate(command: SessionCommand) -> SessionCommand:
        @config_option
        @click.option("--api", metavar="URL", help="Use the API at this URL, not the database.")
        @click.option("--token-file", type=_FILE, help="The file with the token for the API.")
        @click.option("--ca-file", type=_FILE, help="File with the CA certificates for the API.")
        @json_option
        @functools.wraps(command)
        def with_session(
            config: Path | None,
            api: str | None,
            token_file: Path | None,
            ca_file: Path | None,
            as_json: bool,
            **values: Any,
        ) -> None:
            session = CommandSession(config, as_json, make, _api(api, token_file, ca_file))
            with errors_in_one_line():
                try:
                    command(session, **values)
                finally:
                    session.close()

        return with_session

    return decorate


_FILE = click.Path(path_type=Path, dir_okay=False)


def _api(url: str | None, token_file: Path | None, ca_file: Path | None) -> OptionValues:
    given: OptionValues = {}
    if url is not None:
        try:
            given["url"] = check_api_url(url)
        except ValueError as error:
            raise click.UsageError(f"--api: {error}") from None
    if token_file is not None:
        given["token_file"] = SecretFile(token_file)
    if ca_file is not None:
        given["ca_file"] = ca_file
    assert given.keys() <= ApiSettings.model_fields.keys()  # noqa: S101
    return given
