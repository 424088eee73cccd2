"""Reader of a Postfix's settings through postconf(1), without changing anything."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gatepost.cli.postfix.lists import split
from gatepost.cli.postfix.settings import Installation, MasterService
from gatepost.errors import StartError

PARAMETERS = (
    "compatibility_level",
    "disable_mime_output_conversion",
    "message_size_limit",
    "milter_content_timeout",
    "milter_default_action",
    "milter_macro_daemon_name",
    "milter_macro_defaults",
    "milter_protocol",
    "non_smtpd_milters",
    "queue_directory",
    "receive_override_options",
    "smtp_line_length_limit",
    "smtpd_client_restrictions",
    "smtpd_data_restrictions",
    "smtpd_end_of_data_restrictions",
    "smtpd_etrn_restrictions",
    "smtpd_forbid_bare_newline",
    "smtpd_forbid_bare_newline_reject_code",
    "smtpd_forbid_unauth_pipelining",
    "smtpd_helo_restrictions",
    "smtpd_milter_maps",
    "smtpd_milters",
    "smtpd_policy_service_default_action",
    "smtpd_policy_service_timeout",
    "smtpd_recipient_restrictions",
    "smtpd_relay_before_recipient_restrictions",
    "smtpd_relay_restrictions",
    "smtpd_restriction_classes",
    "smtpd_sender_restrictions",
)
"""The parameters that the checks read."""

_COMMANDS = frozenset({"smtpd", "cleanup", "pickup", "smtp", "lmtp"})
"""The programs whose settings concern us."""

_TIMEOUT = 60.0
"""Time limit in seconds for postconf: it only reads files, but the machine may be slow."""

_PLACES = ("/usr/sbin", "/usr/local/sbin", "/sbin", "/opt/postfix/sbin")
"""Folders of postconf that may be missing in a user's PATH."""


@dataclass(frozen=True, slots=True)
class Postconf:
    """The program, and the folder of main.cf and master.cf; None for its default."""

    program: str = "postconf"
    folder: Path | None = None

    def read(self) -> Installation:
        """Read main.cf and master.cf; raises `StartError` with postconf's message."""
        main = self._values({})
        overrides = parse_overrides(self._run("-P"))
        services = []
        for service in parse_services(self._run("-M"), main):
            if service.command not in _COMMANDS:
                continue
            own = overrides.get((service.name, service.type), {})
            values = self._values(own) if own else main
            services.append(
                MasterService(
                    service.name, service.type, service.command, service.is_chrooted, values
                )
            )
        return Installation(main, tuple(services), main.get("queue_directory", ""))

    def _values(self, overrides: Mapping[str, str]) -> Mapping[str, str]:
        """Return the values for a program with these overrides, ``$name`` expanded."""
        changed = [word for pair in overrides.items() for word in ("-o", "{}={}".format(*pair))]
        values = parse_values(self._run("-x", *changed, *PARAMETERS))
        if classes := split(values.get("smtpd_restriction_classes", "")):
            values |= parse_values(self._run("-x", *changed, *classes))
        return values

    def _run(self, *arguments: str) -> str:
        where = [] if self.folder is None else ["-c", str(self.folder)]
        path = os.pathsep.join([os.environ.get("PATH", os.defpath), *_PLACES])
        try:
            done = subprocess.run(
                [self.program, *where, *arguments],
                env={**os.environ, "PATH": path, "LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_TIMEOUT,
                check=False,
            )
        except FileNotFoundError:
            raise StartError(
                f"cannot find {self.program}: use --postconf PATH, or install Postfix"
            ) from None
        except subprocess.TimeoutExpired:
            raise StartError(f"{self.program} did not answer within {_TIMEOUT:.0f} s") from None
        except (OSError, ValueError) as error:
            raise StartError(f"cannot run {self.program}: {error}") from None
        if done.returncode != 0:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines() or [
                "no reason given"
            ]
            raise StartError(f"postconf cannot read the configuration of Postfix: {said[-1]}")
        return done.stdout.decode("utf-8", "replace")


def parse_values(text: str) -> dict[str, str]:
    """Parse the lines ``name = value`` that postconf prints."""
    values: dict[str, str] = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals:
            values[name.strip()] = value.strip()
    return values


def parse_overrides(text: str) -> dict[tuple[str, str], dict[str, str]]:
    """Parse the lines ``service/type/name = value`` of ``postconf -P``, by service and type."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for line in text.splitlines():
        left, equals, value = line.partition("=")
        # a service may itself be a path
        words = left.strip().rsplit("/", 2)
        if equals and len(words) == 3:
            name, kind, parameter = words
            found.setdefault((name, kind), {})[parameter] = value.strip()
    return found


def parse_services(text: str, main: Mapping[str, str]) -> Iterable[MasterService]:
    """Parse the lines of ``postconf -M``; all have the values of main.cf."""
    # COMPATIBILITY_README: since level 1 the default is no chroot
    is_default_chroot = main.get("compatibility_level", "0").startswith("0")
    for line in text.splitlines():
        words: Sequence[str] = line.split()
        if len(words) >= 8:
            chroot = is_default_chroot if words[4] == "-" else words[4] == "y"
            yield MasterService(words[0], words[1], words[7], chroot, main)
