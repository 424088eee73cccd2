"""A Postfix as postconf shows it: Debian's with the README's lines, and changes to it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from gatepost.cli.postfix.check import findings
from gatepost.cli.postfix.finding import PostfixFinding
from gatepost.cli.postfix.ours import Gatepost
from gatepost.cli.postfix.settings import Installation, MasterService
from gatepost.listen import Inet
from tests.testbed.documented import at, main_cf_block

ROOT = Path(__file__).parents[4]
QUEUE = "/var/spool/postfix"
DEFAULTS = {
    "compatibility_level": "3.6",
    "disable_mime_output_conversion": "no",
    "message_size_limit": "10240000",
    "milter_content_timeout": "300s",
    "milter_default_action": "tempfail",
    "milter_macro_daemon_name": "mail.example.org",
    "milter_macro_defaults": "",
    "milter_protocol": "6",
    "non_smtpd_milters": "",
    "queue_directory": QUEUE,
    "receive_override_options": "",
    "smtp_line_length_limit": "998",
    "smtpd_client_restrictions": "",
    "smtpd_data_restrictions": "",
    "smtpd_end_of_data_restrictions": "",
    "smtpd_forbid_bare_newline": "no",
    "smtpd_forbid_bare_newline_reject_code": "550",
    "smtpd_forbid_unauth_pipelining": "no",
    "smtpd_helo_restrictions": "",
    "smtpd_milter_maps": "",
    "smtpd_milters": "",
    "smtpd_policy_service_default_action": "451 4.3.5 Server configuration problem",
    "smtpd_policy_service_timeout": "100s",
    "smtpd_recipient_restrictions": "",
    "smtpd_relay_before_recipient_restrictions": "yes",
    "smtpd_relay_restrictions": "permit_mynetworks, permit_sasl_authenticated, "
    "defer_unauth_destination",
    "smtpd_restriction_classes": "",
    "smtpd_sender_restrictions": "",
}
GATEPOST = Gatepost(
    milters=(Inet("127.0.0.1", 8891),),
    submission=(),
    policyd=(Inet("127.0.0.1", 10023),),
    has_milters=True,
    has_policyd=True,
    milters_budget=20.0,
    policyd_budget=8.0,
)
SMTP = ("smtp", "inet", "smtpd")
SUBMISSION = ("submission", "inet", "smtpd")
REINJECTION = ("127.0.0.1:10025", "inet", "smtpd")
Line = tuple[str, str, str]
REST: tuple[Line, ...] = (
    ("pickup", "unix", "pickup"),
    ("cleanup", "unix", "cleanup"),
    ("smtp", "unix", "smtp"),
    ("relay", "unix", "smtp"),
)


def good() -> dict[str, str]:
    """Return the main.cf of the README, with the daemons at their default addresses."""
    block = main_cf_block(ROOT / "README.md")
    return at(block, milters="inet:127.0.0.1:8891", policyd="inet:127.0.0.1:10023")


def installation(
    main: Mapping[str, str] | None = None,
    *,
    services: Sequence[Line] = (SMTP, *REST),
    overrides: Mapping[str, Mapping[str, str]] | None = None,
    chroot: bool = True,
    without: Sequence[str] = (),
) -> Installation:
    """The README's Postfix with changes: `overrides` by name of service, `without` parameters."""
    values = {**DEFAULTS, **good(), **(main or {})}
    values = {name: value for name, value in values.items() if name not in without}
    own = overrides or {}
    return Installation(
        values,
        tuple(
            MasterService(name, kind, command, chroot, {**values, **own.get(name, {})})
            if command == "smtpd" or name in own
            else MasterService(name, kind, command, chroot, values)
            for name, kind, command in services
        ),
        QUEUE,
    )


def found(postfix: Installation, **gatepost: object) -> list[PostfixFinding]:
    return list(findings(postfix, dataclasses.replace(GATEPOST, **gatepost)))  # type: ignore[arg-type]


def brief(postfix: Installation, **gatepost: object) -> list[tuple[str, str, str]]:
    """Level, place and parameter of each finding."""
    return [(one.level, one.where, one.parameter) for one in found(postfix, **gatepost)]
