"""Commands of doveadm(1) that copy mail, by its HTTP API or by the program on this machine."""

from __future__ import annotations

import http.client
import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from accounts.dovecot.doveadm import NOBODY
from gatepost.config import SecretFile
from gatepost.doveadm import ask_doveadm, is_pattern
from gatepost.errors import StartError

TIMEOUT: Final = 6 * 3600.0
"""Seconds for one command, such as the first copy of a large mailbox."""
MAX_ANSWER: Final = 64 << 20
"""Octets of an answer."""
AT_ONCE: Final = 10_000
"""UIDs that are asked for at once."""
NO_USER: Final = 67
FAILED: Final = 75
CHANGED: Final = 2
"""The mailbox changed meanwhile, and the copy may lack that (doveadm-sync(1))."""
_CODES: Final = {
    NO_USER: "there is no such mailbox",
    68: "there is no such folder",
    73: "a file cannot be made",
    FAILED: "it failed for now",
    77: "permission denied",
}
_SYNTAX: Final = {
    "backup": ["backup"],
    "sync": ["sync", "-1", "-R"],
    "mailboxStatus": ["mailbox", "status"],
    "fetch": ["fetch"],
}


class DoveadmRefusalError(StartError):
    """doveadm ended with an error. `code` is its exit status (doveadm(1))."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class DoveadmRunner(Protocol):
    """Runs one command of doveadm for a user, and returns what it prints."""

    def run(self, command: str, user: str, parameters: Mapping[str, Any]) -> list[Any]:
        """Run it; raises `StartError`."""
        ...


class HttpRunner:
    """doveadm's HTTP API at `url`."""

    def __init__(self, url: str, key: SecretFile) -> None:
        self._url = url
        self._key = key

    def run(self, command: str, user: str, parameters: Mapping[str, Any]) -> list[Any]:
        """See `DoveadmRunner`."""
        try:
            key = self._key.read()
        except (OSError, ValueError) as error:
            raise StartError(f"cannot read the key of doveadm: {error}") from None
        body = json.dumps([[command, {"user": user, **parameters}, "1"]]).encode()
        try:
            read = ask_doveadm(self._url, key, body, timeout=TIMEOUT, max_answer=MAX_ANSWER)
            ((kind, payload, _),) = json.loads(read)
        except (ValueError, TypeError, RecursionError):
            raise StartError(f"doveadm {command}: cannot parse the answer") from None
        except (OSError, http.client.HTTPException) as error:
            where = urlsplit(self._url).netloc
            raise StartError(f"doveadm at {where} does not answer: {error}") from None
        if kind == "doveadmResponse" and isinstance(payload, list):
            return payload
        code = payload.get("exitCode", 0) if isinstance(payload, dict) else 0
        raise _refusal(command, user, code, "the log of Dovecot has the reason")


class ProgramRunner:
    """The program `doveadm` on this machine."""

    def run(self, command: str, user: str, parameters: Mapping[str, Any]) -> list[Any]:
        """See `DoveadmRunner`."""
        program = shutil.which("doveadm")
        if program is None:
            raise StartError(
                "there is no doveadm here: set doveadm_url in [accounts.dovecot], or leave the "
                "mail out (--without mail)"
            )
        arguments: list[str] = []
        if "field" in parameters:
            arguments.append(" ".join(parameters["field"]))
        for key in ("mailboxMask", "query", "destination"):
            arguments += parameters.get(key, ())
        options = ["-f", "json", *_SYNTAX[command], "-u", user]
        try:
            done = subprocess.run(
                [program, *options, *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise StartError(f"doveadm {command} of {user} does not end") from None
        if done.returncode:
            lines = done.stderr.decode(errors="replace").strip().splitlines()
            raise _refusal(command, user, done.returncode, lines[-1] if lines else "")
        try:
            found = json.loads(done.stdout or b"[]")
        except (ValueError, RecursionError):
            raise StartError(f"doveadm {command}: cannot parse the answer") from None
        return found if isinstance(found, list) else []


@dataclass(frozen=True, slots=True)
class LiveFolder:
    """A folder of a mailbox as Dovecot has it now."""

    name: str
    guid: str
    messages: int
    uidnext: int


class MailStore:
    """The mail of Dovecot. Every method raises `StartError`."""

    def __init__(self, runner: DoveadmRunner) -> None:
        self._runner = runner

    def _run(self, command: str, user: str, parameters: Mapping[str, Any]) -> list[Any]:
        if is_pattern(user):
            # the mail of one user would go to the others
            raise StartError(f"doveadm takes {user} for the names of several users: rename it")
        return self._runner.run(command, user, parameters)

    def copy_out(self, user: str, home: Path, index: Path) -> None:
        """Make the mail and the scripts in `home` equal to those of the user: only changes are
        copied. `index` is a folder for Dovecot's temporary index."""
        self._copy("backup", user, {"destination": _server(user, home, index)})

    def copy_in(self, user: str, home: Path, index: Path) -> None:
        """Give the user the mail and the scripts in `home` that are missing. Other mail stays."""
        one_way = {"onewaySync": True, "reverseSync": True}
        self._copy("sync", user, {**one_way, "destination": _server(user, home, index)})

    def _copy(self, command: str, user: str, parameters: Mapping[str, Any]) -> None:
        for last in (False, False, True):
            try:
                self._run(command, user, parameters)
            except DoveadmRefusalError as error:
                # the caller looks whether everything is there
                if error.code != CHANGED:
                    raise
                if last:
                    return
            else:
                return

    def folders(self, user: str) -> list[LiveFolder]:
        """Return all folders of the user."""
        fields = ["messages", "guid", "uidnext"]
        found = self._run("mailboxStatus", user, {"field": fields, "mailboxMask": ["*"]})
        try:
            return [
                LiveFolder(
                    str(one["mailbox"]), str(one["guid"]), int(one["messages"]), int(one["uidnext"])
                )
                for one in found
            ]
        except (KeyError, TypeError, ValueError):
            raise StartError(f"cannot parse what doveadm says of {user}") from None

    def guids(self, user: str, folder: LiveFolder) -> Iterator[str]:
        """Yield the GUIDs of the messages in a folder."""
        step = max(AT_ONCE, folder.uidnext // 100)
        for first in range(1, folder.uidnext, step):
            query = ["mailbox-guid", folder.guid, "uid", f"{first}:{first + step - 1}"]
            for one in self._run("fetch", user, {"field": ["guid"], "query": query}):
                yield str(one["guid"])


def _server(user: str, home: Path, index: Path) -> Sequence[str]:
    """Return the other end of a copy: a Dovecot whose home of the user is in the backup. It asks
    nobody about the user, so quotas and accounts have no part in it."""
    settings = {
        "mail_home": home,
        "mail_driver": "maildir",
        "mail_path": home / "mail",
        "mail_index_path": index,
        "mailbox_list_layout": "fs",
        "fts_autoindex": "no",
    }
    options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    # a program, its options and a user: no shell reads them
    environment = ("env", f"USER={user}", f"HOME={home}")
    return [*environment, "doveadm", *options, "dsync-server", "--no-userdb-lookup"]


def _refusal(command: str, user: str, code: int, more: str) -> DoveadmRefusalError:
    reason = _CODES.get(NO_USER if code in NOBODY else code, f"exit status {code}")
    text = f"doveadm {command} of {user}: {reason}"
    return DoveadmRefusalError(f"{text}; {more}" if more else text, code)
