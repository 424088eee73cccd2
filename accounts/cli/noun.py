"""Nouns of the commands: kinds of objects, and the commands that every kind has.

The kinds are those of the API, `accounts.http.resources`: their keys, names and functions are
defined only there, and the options are the fields of its models.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import click

from accounts.cli.executor import Declined, OperationStep, StepResult
from accounts.cli.new_password import new_password
from accounts.cli.options import Field, ask, field_options, given, insist_on_change, yes_option
from accounts.cli.session import CommandSession, session_options
from accounts.http.operation import PARAMETER
from accounts.http.resources.kind import Kind

Shown: TypeAlias = Mapping[str, Any]
"""An object in JSON."""


@dataclass(frozen=True, slots=True)
class Noun:
    """A kind of object. `word` is its name for people.

    `arguments` are its key on the command line: those of its owner, then its own. `name` is the
    field that identifies the object. `heads` and `row` make the table of a list, and `pairs`
    returns the fields that `show` prints.
    """

    kind: Kind
    word: str
    arguments: tuple[str, ...]
    name: str
    heads: tuple[str, ...]
    row: Callable[[Shown], tuple[str, ...]]
    pairs: Callable[[Shown], Iterable[tuple[str, str]]]
    owner: str | None = None
    """The field with the name of its mailbox or domain, unless its own name includes it."""

    def step(self, verb: str, key: Sequence[str] = (), **more: Any) -> OperationStep:
        """Return an operation of the kind, on the object with a key."""
        if verb in ("list", "add"):
            names = PARAMETER.findall(self.kind.where)
            noun = self.kind.where.rpartition("/")[2] if verb == "list" else self.kind.noun
        else:
            names = PARAMETER.findall(f"{self.kind.where}/{self.kind.one}")
            noun = self.kind.noun
        return OperationStep(f"{verb}-{noun}", dict(zip(names, key, strict=True)), **more)

    def called(self, one: Shown) -> str:
        """Return a description of the object."""
        whose = f" of {one[self.owner]}" if self.owner else ""
        return f"{self.word} {one[self.name]}{whose}"

    def removed(self, one: Shown) -> dict[str, Any]:
        """Return what `remove` prints as JSON."""
        whose = {self.owner: one[self.owner]} if self.owner else {}
        return {"removed": one[self.name], **whose}

    # the commands

    def add_list(self, group: click.Group, text: str, *filters: Field, **queries: str) -> None:
        """Add the command `list`.

        Options set the query of the same name, or the one in `queries`.
        """

        show_list = self.lister(**queries)
        self._command(group, "list", text, show_list, self._owners, field_options(filters))

    def lister(self, **queries: str) -> Callable[..., None]:
        """Return the function of the command `list`."""

        def show_list(session: CommandSession, **values: Any) -> None:
            key = [values.pop(name) for name in self._owners]
            query = {queries.get(name, name): value for name, value in values.items()}
            step = self.step("list", key, query=query)
            objects: Iterable[Any] = (
                session.pages(step) if self.kind.order else session.one(step)["items"]
            )
            session.list(objects, self.heads, self.row, self.data)

        return show_list

    def add_show(self, group: click.Group, text: str) -> None:
        """Add the command `show`."""

        def show(session: CommandSession, **values: Any) -> None:
            found = session.one(self.step("get", self._key(values)))
            session.show(self.data(found), self.pairs(found))

        self._command(group, "show", text, show, self.arguments)

    def add_set(self, group: click.Group, text: str, *fields: Field) -> None:
        """Add the command `set`."""

        def change(session: CommandSession, **values: Any) -> None:
            key = self._key(values)
            changes = given(values)
            insist_on_change(changes)
            made = session.one(self.step("change", key, body=changes))
            session.done(f"{self.called(made)} set", self.data(made))

        self._command(group, "set", text, change, self.arguments, field_options(fields))

    def add_remove(
        self,
        group: click.Group,
        text: str,
        question: Callable[[Shown], str] | None = None,
        *decorators: Callable[[Any], Any],
    ) -> None:
        """Add the command `remove`, which asks first; the options of `decorators` are its query."""

        def remove(session: CommandSession, yes: bool, **values: Any) -> None:
            one = self.remove(session, self._key(values), question, yes=yes, query=values)
            session.done(f"{self.called(one)} removed", self.removed(one))

        self._command(group, "remove", text, remove, self.arguments, yes_option, *decorators)

    def remove(
        self,
        session: CommandSession,
        key: Sequence[str],
        question: Callable[[Shown], str] | None = None,
        *,
        yes: bool,
        query: Mapping[str, Any] | None = None,
    ) -> Shown:
        """Remove an object, and return it."""
        step = self.step("remove", key, query=query or {})
        found: StepResult
        # every refusal comes before the question
        found, _ = session.do(self.step("get", key), step, dry_run=True)
        asked = f"the {self.called(found.body)}" if question is None else question(found.body)
        ask(f"Remove {asked}?", yes=yes)
        session.do(
            OperationStep(step.operation, step.params, query=step.query, match=found.tag or "*")
        )
        shown: Shown = found.body
        return shown

    def add_with_password(
        self,
        session: CommandSession,
        body: Mapping[str, Any],
        file: Path | None,
        *before: OperationStep,
        no_password: bool = False,
    ) -> None:
        """Add an object with a password, after the steps `before`, and report it."""
        if not no_password:
            # check everything else before asking for a password
            session.do(*before, self.step("add", body=body), dry_run=True)
            body = {**body, "password": new_password(file)}
        made = session.do(*before, self.step("add", body=body))[-1].body
        session.done(f"{self.called(made)} added", made)

    def set_password(
        self,
        session: CommandSession,
        operation: str,
        name: str,
        file: Path | None,
        *,
        no_password: bool,
    ) -> None:
        """Ask for another password of an object, set it, and report it."""
        read = self.step("get", [name])
        session.do(OperationStep(operation, read.params, {"password": None}), dry_run=True)
        password = None if no_password else new_password(file)
        _, done = session.do(OperationStep(operation, read.params, {"password": password}), read)
        made = done.body
        text = f"password of {made[self.name]} {'removed' if no_password else 'set'}"
        session.done(text, made)

    def find(self, session: CommandSession, key: Sequence[str]) -> StepResult | None:
        """Return an object with its tag, or None if it does not exist."""
        try:
            return session.do(self.step("get", key))[0]
        except Declined as error:
            if error.is_no_key:
                return None
            raise

    def data(self, one: Shown) -> dict[str, Any]:
        """Return an object in the form that `--json` prints."""
        return dict(one)

    @property
    def _owners(self) -> tuple[str, ...]:
        return self.arguments[: len(PARAMETER.findall(self.kind.where))]

    def _key(self, values: dict[str, Any]) -> list[str]:
        return [str(values.pop(name)) for name in self.arguments]

    def _command(
        self,
        group: click.Group,
        verb: str,
        text: str,
        function: Callable[..., None],
        arguments: Sequence[str],
        *decorators: Callable[[Any], Any],
    ) -> None:
        command: Any = session_options()(function)
        for decorate in reversed(decorators):
            command = decorate(command)
        for name in reversed(arguments):
            kind: Any = int if name == "number" else None
            command = click.argument(name, type=kind)(command)
        group.command(verb, help=text)(command)
