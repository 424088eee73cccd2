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


@pytest.mark.parametrize(
    ("next_hop", "transport", "program"),
    [
        ("smtp:[192.0.2.9]:25", "askrelay:[192.0.2.9]:25", "smtp"),
        ("lmtp:inet:dovecot:24", "asklmtp:inet:dovecot:24", "lmtp"),
    ],
)
def test_recipients_are_asked_for_by_a_service_of_its_own(
    tmp_path: Path, next_hop: str, transport: str, program: str
) -> None:
    settings = {**GOOD, "POSTFIX_NEXT_HOP": next_hop, "POSTFIX_NEXT_HOP_CONNECTIONS": "7"}
    rendered = render(tmp_path, settings)
    assert rendered.status == 0, rendered.errors
    assert rendered.main["address_verify_relay_transport"] == transport
    name = transport.partition(":")[0]
    assert rendered.main[f"{name}_destination_concurrency_limit"] == "7"
    table = service(rendered.master, name)[f"{program}_delivery_status_filter"]
    assert table == f"regexp:{IMAGE}/recipient_status"
    # an answer that was wrong for a moment is asked for again while the sender still tries
    assert rendered.main["address_verify_negative_refresh_time"] == "1m"
    assert rendered.main["address_verify_negative_expire_time"] == "2m"


@pytest.mark.parametrize(
    ("settings", "override"),
    [
        ({"POSTFIX_VERIFY_RECIPIENTS": "no"}, ""),
        ({}, "relay_transport = slow:[192.0.2.9]"),
        ({}, "gate_verify_restriction ="),
        ({}, "address_verify_relay_transport = other:[192.0.2.9]"),
    ],
)
def test_who_asks_otherwise_needs_no_such_service(
    tmp_path: Path, settings: dict[str, str], override: str
) -> None:
    (tmp_path / "config").mkdir()
    rendered = render(tmp_path, {**GOOD, **settings}, {"config/10-own.cf": override})
    assert rendered.status == 0, rendered.errors
    assert not rendered.main.get("address_verify_relay_transport", "").startswith("ask")
    assert "\nask" not in rendered.master


def test_an_override_of_the_next_hop_is_asked(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    own = {"config/10-own.cf": "relay_transport = lmtp:inet:192.0.2.7:24"}
    rendered = render(tmp_path, GOOD, own)
    assert rendered.main["address_verify_relay_transport"] == "asklmtp:inet:192.0.2.7:24"


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


WITH_ACCOUNTS = {
    "POSTFIX_HOSTNAME": "mail.example.org",
    "POSTFIX_ACCOUNTS": "inet:accounts:10030",
    "POSTFIX_SASL": "inet:accounts:12345",
    "POSTFIX_NEXT_HOP": "lmtp:inet:dovecot:24",
}


def service(master: str, name: str) -> dict[str, str]:
    """The parameters that a service of master.cf sets; the error says when there is none."""
    (block,) = re.findall(
        rf"^{re.escape(name)}[ \t].*\n((?:[ \t]+-o .*\n?)*)", master, re.MULTILINE
    )
    found = {}
    for line in block.splitlines():
        setting = line.strip().removeprefix("-o ").removeprefix("{ ").removesuffix(" }")
        key, _, value = setting.partition("=")
        found[key.strip()] = value.strip()
    return found


def test_accounts_answers_for_everything(tmp_path: Path) -> None:
    rendered = render(tmp_path, {**WITH_ACCOUNTS, "POSTFIX_VERIFY_RECIPIENTS": "yes"})
    assert rendered.status == 0, rendered.errors
    maps = "socketmap:inet:accounts:10030"
    expected = {
        "virtual_mailbox_domains": f"{maps}:domains",
        "virtual_mailbox_maps": f"{maps}:mailboxes",
        "virtual_alias_maps": f"{maps}:aliases",
        "virtual_alias_domains": "",
        "virtual_transport": "lmtp:inet:dovecot:24",
        "relay_domains": f"{maps}:relay",
        "relay_recipient_maps": f"{maps}:relay",
        "transport_maps": f"{maps}:transport",
        "smtpd_sender_login_maps": f"{maps}:senders",
        "smtpd_sasl_path": "inet:accounts:12345",
        # an outage of the next hop makes nobody unknown
        "gate_verify_restriction": "",
    }
    assert {name: rendered.main.get(name) for name in expected} == expected
    assert "relay_transport" not in rendered.main


@pytest.mark.parametrize(("connections", "processes"), [("", "20"), ("4", "4")])
def test_a_mailbox_gets_one_message_at_a_time(
    tmp_path: Path, connections: str, processes: str
) -> None:
    settings = {**WITH_ACCOUNTS, "POSTFIX_NEXT_HOP_CONNECTIONS": connections}
    rendered = render(tmp_path, settings)
    # with more than one recipient in a delivery, the other limit would be one for all mailboxes
    assert rendered.main["lmtp_destination_recipient_limit"] == "1"
    assert rendered.main["lmtp_destination_concurrency_limit"] == "1"
    assert maximum_of(rendered.master, "lmtp") == processes


@pytest.mark.parametrize(
    "settings",
    [
        {**WITH_ACCOUNTS, "POSTFIX_NEXT_HOP": "smtp:[store.example.org]:25"},
        {"POSTFIX_HOSTNAME": "mail.example.org"},
    ],
)
def test_other_next_hops_get_many(tmp_path: Path, settings: dict[str, str]) -> None:
    rendered = render(tmp_path, settings)
    assert not [name for name in rendered.main if name.startswith("lmtp_destination")]
    assert maximum_of(rendered.master, "lmtp") == "-"


def maximum_of(master: str, name: str) -> str:
    """Return the number of processes that a service of master.cf may have."""
    (line,) = re.findall(rf"^{name}[ \t].*", master, re.MULTILINE)
    return str(line.split()[6])


def test_without_accounts_nothing_of_it_is_there(tmp_path: Path) -> None:
    (tmp_path / "tls").mkdir()
    settings = {**GOOD, "POSTFIX_SASL": "inet:dovecot:12345"}
    rendered = render(tmp_path, settings, {"tls/tls.key": "-", "tls/tls.crt": "-"})
    for word in ("socketmap", "pipemap", "forward", "10025", "10026"):
        assert word not in rendered.master
        assert not any(word in value for value in rendered.main.values())
    for name in ("465", "587"):
        parameters = service(rendered.master, name)
        assert parameters["smtpd_sender_restrictions"] == ""
        assert "cleanup_service_name" not in parameters
        assert "smtpd_hide_client_session" not in parameters
    assert rendered.main["smtp_tls_security_level"] == "may"


def test_submission_with_accounts(tmp_path: Path) -> None:
    (tmp_path / "tls").mkdir()
    (tmp_path / "config").mkdir()
    files = {
        "tls/tls.key": "-",
        "tls/tls.crt": "-",
        "config/checks.cf": "header_checks = pcre:/config/a,\n  pcre:/config/b\n",
    }
    rendered = render(tmp_path, WITH_ACCOUNTS, files)
    for name in ("465", "587"):
        parameters = service(rendered.master, name)
        assert (
            parameters["smtpd_sender_restrictions"] == "reject_authenticated_sender_login_mismatch"
        )
        assert parameters["cleanup_service_name"] == "submission-cleanup"
        assert parameters["smtpd_hide_client_session"] == "yes"
    cleanup = service(rendered.master, "submission-cleanup")
    # the administrator's own checks apply to our users' mail as to all other
    theirs = "pcre:/config/a, pcre:/config/b"
    assert cleanup == {
        "syslog_name": "postfix/submission",
        "header_checks": f"regexp:{IMAGE}/submission_headers, {theirs}",
        "mime_header_checks": theirs,
        "nested_header_checks": theirs,
    }
    kept = render(tmp_path, {**WITH_ACCOUNTS, "POSTFIX_CLEAN_HEADERS": "no"})
    assert "submission-cleanup" not in kept.master
    assert "smtpd_hide_client_session" not in kept.master


def test_only_the_cleanup_of_forwarded_mail_rewrites_senders(tmp_path: Path) -> None:
    rendered = render(tmp_path, WITH_ACCOUNTS)
    assert rendered.main["sender_dependent_default_transport_maps"] == (
        "pipemap:{socketmap:inet:accounts:10030:srs, static:{forward:[127.0.0.1]:10026}}"
    )
    assert "sender_canonical_maps" not in rendered.main
    cleanup = service(rendered.master, "forward-cleanup")
    assert cleanup["sender_canonical_maps"] == "socketmap:inet:accounts:10030:srs"
    assert cleanup["sender_canonical_classes"] == "envelope_sender"
    again = service(rendered.master, "127.0.0.1:10026")
    assert again["cleanup_service_name"] == "forward-cleanup"
    assert "no_milters" in again["receive_override_options"]
    assert again["smtpd_relay_restrictions"] == "permit_mynetworks,reject"


def test_bounce_addresses_are_for_bounces(tmp_path: Path) -> None:
    for more, classes in (({}, ""), ({"POSTFIX_QUOTA": "inet:dovecot:12340"}, " gate_quota")):
        main = render(tmp_path, {**WITH_ACCOUNTS, **more}).main
        assert main["smtpd_restriction_classes"] == f"gate_bounces_only{classes}"
        first = main["smtpd_recipient_restrictions"].index("$gate_bounce_restriction")
        assert first < main["smtpd_recipient_restrictions"].index("$gate_policy_restriction")
        (tmp_path / "main.cf").write_text("compatibility_level = 3.6\nmyhostname = x.example\n")
        table = main["gate_bounces_only"].removeprefix("check_sender_access ")
        answers = {
            sender: subprocess.run(
                ["postmap", "-c", str(tmp_path), "-q", sender, table],
                capture_output=True,
                text=True,
            ).stdout.strip()
            for sender in (*BOUNCES, *OTHERS)
        }
        assert {sender for sender, said in answers.items() if not said} == BOUNCES
        assert all(answers[sender].startswith("550 5.7.1 ") for sender in OTHERS)
    assert "gate_bounces_only" not in render(tmp_path, GOOD).main
    assert render(tmp_path, GOOD).main["gate_bounce_restriction"] == ""


BOUNCES = {"<>", "MAILER-DAEMON@old.example", "postmaster@x.example", "double-bounce@x.example"}
OTHERS = {"eve@x.example", "x@<>", "not-postmaster@x.example", "x.mailer-daemon@x.example"}


def test_a_quota_is_asked_for_mailboxes_and_before_the_policy_server(tmp_path: Path) -> None:
    settings = {
        **WITH_ACCOUNTS,
        "POSTFIX_QUOTA": "inet:dovecot:12340",
        "POSTFIX_POLICY": "inet:policyd:10023",
    }
    main = render(tmp_path, settings).main
    mailboxes = "pipemap:{socketmap:inet:accounts:10030:mailboxes, static:gate_quota}"
    assert main["gate_policy_restriction"] == (
        f"check_recipient_access {mailboxes}, "
        "check_policy_service { inet:policyd:10023, timeout=15s },"
    )
    assert main["smtpd_restriction_classes"] == "gate_bounces_only gate_quota"
    # mail is not refused because Dovecot is away
    assert main["gate_quota"] == (
        "check_policy_service { inet:dovecot:12340, timeout=10s, default_action=DUNNO }"
    )


def test_redirects_come_from_the_mail_store_alone(tmp_path: Path) -> None:
    settings = {**WITH_ACCOUNTS, "POSTFIX_REDIRECT_NETWORKS": "10.89.0.7/32"}
    rendered = render(tmp_path, settings)
    assert rendered.main["gate_redirect_networks"] == "10.89.0.7/32"
    assert rendered.main["mynetworks"] == "127.0.0.0/8 [::1]/128"
    redirects = service(rendered.master, "10025")
    assert redirects["mynetworks"] == "$gate_redirect_networks"
    assert redirects["smtpd_client_restrictions"] == "permit_mynetworks,reject"
    assert redirects["smtpd_relay_restrictions"] == "permit_mynetworks,reject"
    assert redirects["milter_macro_daemon_name"] == "ORIGINATING"


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, {"smtp_tls_security_level": "may"}),
        (
            {"POSTFIX_OUTBOUND_TLS": "dane"},
            {"smtp_tls_security_level": "dane", "smtp_dns_support_level": "dnssec"},
        ),
        ({"POSTFIX_OUTBOUND_TLS": "encrypt"}, {"smtp_tls_security_level": "encrypt"}),
        (
            {"POSTFIX_MTA_STS": "inet:mta-sts:8461"},
            {"smtp_tls_policy_maps": "socketmap:inet:mta-sts:8461:postfix"},
        ),
        (
            {"POSTFIX_LOG_FILE": "/var/log/postfix/mail.log"},
            {"maillog_file": "/var/log/postfix/mail.log", "maillog_file_permissions": "0644"},
        ),
        (
            {"POSTFIX_NEXT_HOP_CONNECTIONS": "4"},
            {"lmtp_destination_concurrency_limit": "4", "relay_destination_concurrency_limit": "4"},
        ),
    ],
)
def test_other_settings(tmp_path: Path, settings: dict[str, str], expected: dict[str, str]) -> None:
    main = render(tmp_path, {**GOOD, **settings}).main
    names = {
        "smtp_tls_security_level",
        "smtp_dns_support_level",
        "smtp_tls_policy_maps",
        "lmtp_destination_concurrency_limit",
        "relay_destination_concurrency_limit",
        "maillog_file",
        "maillog_file_permissions",
    }
    found = {name: main[name] for name in names & main.keys()}
    usual = {"smtp_tls_security_level": "may", "maillog_file": "/dev/stdout"}
    assert found == {**usual, **expected}
    for name in ("smtpd_tls", "smtp_tls", "lmtp_tls"):
        assert main[f"{name}_protocols"] == main[f"{name}_mandatory_protocols"] == ">=TLSv1.2"


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
        (
            {"POSTFIX_ACCOUNTS": "accounts:10030"},
            "POSTFIX_ACCOUNTS is 'accounts:10030': write inet:",
        ),
        ({"POSTFIX_ACCOUNTS": "inet:accounts"}, "POSTFIX_ACCOUNTS is 'inet:accounts': write inet:"),
        ({"POSTFIX_ACCOUNTS": "inet:accounts:10030"}, "accounts knows the domains"),
        (
            {"POSTFIX_ACCOUNTS": "unix:/a", "POSTFIX_DOMAINS": "", "POSTFIX_NEXT_HOP": ""},
            "POSTFIX_NEXT_HOP is not set: write where the mailboxes are",
        ),
        ({"POSTFIX_QUOTA": "inet:dovecot:12340"}, "POSTFIX_QUOTA needs POSTFIX_ACCOUNTS"),
        ({"POSTFIX_CLEAN_HEADERS": "on"}, "POSTFIX_CLEAN_HEADERS is 'on': write yes or no"),
        (
            {"POSTFIX_OUTBOUND_TLS": "secure"},
            "POSTFIX_OUTBOUND_TLS is 'secure': write may, encrypt",
        ),
        (
            {"POSTFIX_OUTBOUND_TLS": "dane", "POSTFIX_MTA_STS": "inet:mta-sts:8461"},
            "POSTFIX_MTA_STS and POSTFIX_OUTBOUND_TLS=dane exclude each other",
        ),
        ({"POSTFIX_LOG_FILE": "/etc/x"}, "POSTFIX_LOG_FILE is '/etc/x': write a file below"),
        ({"POSTFIX_LOG_FILE": "/var/log/postfix/../x"}, "write a file below /var/log/postfix"),
        ({"POSTFIX_NEXT_HOP_CONNECTIONS": "many"}, "is 'many': write a whole number from 1"),
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
