"""A command line over one datastore, as the tests of the commands use it."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from sqlalchemy import Connection, select

from accounts.store import schema
from accounts.store.settings import DatabaseSettings
from gatepost.cli.__main__ import gatepost
from tests.unit.accounts.desk import Desk

WIDTH = 80
PASSWORD = "correct horse battery"
KEY = b"k" * 32


class Shell:
    """`more` are further lines of gatepost.toml. The database has a key to encrypt secrets with."""

    def __init__(self, folder: Path, settings: DatabaseSettings, more: str = "") -> None:
        self.folder = folder
        self.settings = settings
        self.config = folder / "gatepost.toml"
        key = folder / "key"
        key.write_text(base64.b64encode(KEY).decode())
        key.chmod(0o600)
        # a hash as cheap as is allowed
        self.config.write_text(
            'hostname = "mx.example.org"\n'
            f"{more}\n"
            f'[accounts.database]\nurl = "{settings.url}"\nkey_file = "{key}"\n'
            "[accounts.passwords]\nmemory = 8192\npasses = 1\n"
        )

    def call(self, *words: str, typed: str | bytes | None = None) -> Result:
        """Run a command, whatever its exit status; a traceback is a failure of the test."""
        result = CliRunner().invoke(
            gatepost, words, input=typed, env={"GATEPOST_CONFIG": str(self.config)}
        )
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def run(self, *words: str, typed: str | bytes | None = None) -> str:
        """Run a command that succeeds; return what it prints."""
        result = self.call(*words, typed=typed)
        assert result.exit_code == 0, result.output
        return result.stdout

    def json(self, *words: str, typed: str | bytes | None = None) -> Any:
        """Run a command with --json and return what it prints."""
        return json.loads(self.run(*words, "--json", typed=typed))

    def error(self, *words: str, typed: str | bytes | None = None) -> str:
        """Run a command that is refused; return its one line."""
        result = self.call(*words, typed=typed)
        assert result.exit_code == 1, result.output
        assert result.stdout == ""
        *before, line = result.stderr.splitlines()
        assert before == []
        assert line.startswith("Error: ")
        assert line.isprintable()
        return line.removeprefix("Error: ")

    def usage(self, *words: str, typed: str | bytes | None = None) -> str:
        """Run a command that is written wrongly; return the last line."""
        result = self.call(*words, typed=typed)
        assert result.exit_code == 2, result.output
        assert result.stdout == ""
        return result.stderr.splitlines()[-1].removeprefix("Error: ")

    def domain(self, name: str = "example.org", *options: str) -> None:
        self.run("domain", "add", name, *options)

    def user(self, address: str = "anna@example.org", *options: str) -> None:
        self.run("user", "add", address, "--no-password", *options)

    def everything(self) -> dict[str, list[Any]]:
        """Return the rows of all tables but the audit log."""
        return {name: rows for name, rows in self.tables().items() if name != "audit"}

    def tables(self) -> dict[str, list[Any]]:
        def rows(connection: Connection) -> dict[str, list[Any]]:
            return {
                table.name: [tuple(row) for row in connection.execute(select(table))]
                for table in schema.metadata.sorted_tables
            }

        desk = Desk(self.settings)
        try:
            return desk.read(rows)
        finally:
            desk.close()

    def audit(self) -> list[tuple[str, str, str, dict[str, Any]]]:
        """Return who did what to which object, the latest last."""
        return [row[2:3] + row[4:] for row in self.tables()["audit"]]
