"""`render` of the Postfix image: main.cf and master.cf from settings, or one sentence why not."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

IMAGE = Path(__file__).resolve().parents[3] / "images" / "postfix"
GOOD = {
    "POSTFIX_HOSTNAME": "mail.example.org",
    "POSTFIX_DOMAINS": "example.org",
    "POSTFIX_NEXT_HOP": "smtp:[192.0.2.9]:25",
}


class Rendered:
    def __init__(self, folder: Path, status: int, errors: str) -> None:
        self.status, self.errors = status, errors
        self.master = _read(folder / "master.cf")
        self.main: dict[str, str] = {}
        for line in _read(folder / "main.cf").replace("\n ", " ").splitlines():
            name, _, value = line.partition("=")
            assert name.strip() not in self.main, f"{name} is there twice"
            self.main[name.strip()] = " ".join(value.split())


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def render(
    tmp_path: Path, settings: Mapping[str, str], files: Mapping[str, str] | None = None
) -> Rendered:
    config, tls, out = tmp_path / "config", tmp_path / "tls", tmp_path / "out"
    for folder in (config, tls, out):
        folder.mkdir(exist_ok=True)
    for name, text in (files or {}).items():
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        ["bash", IMAGE / "bin" / "render", out],
        env={
            "PATH": os.environ["PATH"],
            "GATE_CONFIG": str(config),
            "GATE_TLS": str(tls),
            "GATE_IMAGE": str(IMAGE),
            **settings,
        },
        capture_output=True,
        text=True,
    )
    return Rendered(out, done.returncode, done.stderr)


def test_the_settings_are_in_main_cf(tmp_path: Path) -> None:
    rendered = render(
        tmp_path,
        {
            **GOOD,
            "POSTFIX_MILTERS": "unix:/run/gatepost/milter.sock",
            "POSTFIX_POLICY": "unix:/run/gatepost/policyd.sock",
            "POSTFIX_DNS_LISTS": "zen.example*3 bl.example*1",
        },
    )
    assert rendered.status == 0, rendered.errors
    main = rendered.main
    assert main["myhostname"] == "mail.example.org"
    assert main["relay_domains"] == "example.org"
    assert main["relay_transport"] == "relay:[192.0.2.9]:25"
    assert main["smtpd_milters"] == main["non_smtpd_milters"] == "unix:/run/gatepost/milter.sock"
    assert main["milter_default_action"] == "tempfail"
    assert main["postscreen_dnsbl_sites"] == "zen.example*3 bl.example*1"
    assert main["postscreen_dnsbl_threshold"] == "3"
    assert main["gate_policy_restriction"] == (
        "check_policy_service { unix:/run/gatepost/policyd.sock, timeout=15s },"
    )
    assert main["gate_verify_restriction"] == "reject_unverified_recipient"


def test_what_is_not_set_is_not_there(tmp_path: Path) -> None:
    rendered = render(tmp_path, GOOD)
    assert rendered.status == 0, rendered.errors
    for name in ("smtpd_milters", "postscreen_dnsbl_sites", "smtpd_tls_chain_files"):
        assert name not in rendered.main
    assert rendered.main["gate_policy_restriction"] == ""
    assert "haproxy" not in rendered.master
    assert "587 " not in rendered.master


def test_a_file_of_the_folder_wins_over_the_environment(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    rendered = render(tmp_path, GOOD, {"config/POSTFIX_HOSTNAME": "other.example.org\n"})
    assert rendered.main["myhostname"] == "other.example.org"


def test_overrides_count_last_and_once(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    rendered = render(
        tmp_path,
        GOOD,
        {
            "config/10-size.cf": "# why\nmessage_size_limit = 1\n",
            "config/20-size.cf": "message_size_limit = 2\nsmtpd_helo_restrictions =\n  reject",
        },
    )
    assert rendered.main["message_size_limit"] == "2"
    assert rendered.main["smtpd_helo_restrictions"] == "reject"


def test_known_recipients_need_no_verification(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    rendered = render(tmp_path, GOOD, {"config/relay_recipients": "a@example.org ok\n"})
    assert rendered.main["relay_recipient_maps"].startswith("texthash:")
    assert rendered.main["gate_verify_restriction"] == ""


def test_submission_opens_with_logins_and_a_certificate_only(tmp_path: Path) -> None:
    settings = {**GOOD, "POSTFIX_SASL": "inet:dovecot:12345", "POSTFIX_PROXY": "yes"}
    closed = render(tmp_path, settings)
    assert closed.status == 0
    assert "\n587 " not in closed.master
    assert "submission stays closed" in closed.errors
    opened = render(tmp_path, settings, {"tls/tls.key": "-", "tls/tls.crt": "-"})
    for port in ("465", "587", "10465", "10587", "12525"):
        assert f"\n{port} " in opened.master
    assert opened.master.count("smtpd_tls_security_level=encrypt") == 4
    assert opened.master.count("upstream_proxy_protocol=haproxy") == 3


def test_who_logs_in_is_asked_about_too(tmp_path: Path) -> None:
    """Limits of logins, ownership and bytes are the policy server's, and it must be asked."""
    settings = {
        **GOOD,
        "POSTFIX_SASL": "inet:dovecot:12345",
        "POSTFIX_POLICY": "inet:policyd:10023",
    }
    certificate = {"tls/tls.key": "-", "tls/tls.crt": "-"}
    (tmp_path / "tls").mkdir()
    rendered = render(tmp_path, settings, certificate)
    asked = "check_policy_service { inet:policyd:10023, timeout=15s }"
    for service in rendered.master.split("\n465 ")[1].split("\n587 "):
        (recipient,) = re.findall(r"smtpd_recipient_restrictions = (.*) }$", service, re.MULTILINE)
        assert recipient.endswith(f", {asked}")
        (end,) = re.findall(r"smtpd_end_of_data_restrictions = (.*) }$", service, re.MULTILINE)
        assert end == asked
    without = render(tmp_path, {**settings, "POSTFIX_POLICY": ""}, certificate)
    assert "check_policy_service" not in without.master
    assert "end_of_data" not in without.master


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"POSTFIX_HOSTNAME": ""}, "POSTFIX_HOSTNAME is not set"),
        ({"POSTFIX_HOSTNAME": "mail"}, "POSTFIX_HOSTNAME is 'mail': write a fully qualified name"),
        ({"POSTFIX_HOSTNAME": "a.b\nmynetworks = 0.0.0.0/0"}, "POSTFIX_HOSTNAME has more than one"),
        (
            {"POSTFIX_NEXT_HOP": ""},
            "POSTFIX_NEXT_HOP is not set: write where mail for example.org goes",
        ),
        ({"POSTFIX_NEXT_HOP": "mailstore"}, "POSTFIX_NEXT_HOP is 'mailstore': begin with smtp:"),
        ({"POSTFIX_PROXY": "true"}, "POSTFIX_PROXY is 'true': write yes or no"),
        ({"POSTFIX_DNS_LISTS_THRESHOLD": "0"}, "POSTFIX_DNS_LISTS_THRESHOLD is '0': write a whole"),
    ],
)
def test_what_cannot_be_is_told_in_a_sentence(
    tmp_path: Path, settings: dict[str, str], sentence: str
) -> None:
    rendered = render(tmp_path, {**GOOD, **settings})
    assert rendered.status == 1
    assert sentence in rendered.errors
    assert rendered.errors.count("\n") == 1
