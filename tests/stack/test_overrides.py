"""What `check` of the Postfix image says of overrides, in the container that would use them."""

from __future__ import annotations

import subprocess

import pytest

from tests.stack.stack import Stack
from tests.testbed.podman import attempt

_FOLDER = "/tmp/try"  # noqa: S108 (of the container)
_TRY = f"""
set -e
rm -rf {_FOLDER} && mkdir -p {_FOLDER}/config {_FOLDER}/out
cp -L /config/* {_FOLDER}/config/
cat > {_FOLDER}/config/zz.cf
echo 'not.an.address REJECT' > {_FOLDER}/config/networks
echo 'bob@example.org OK' > {_FOLDER}/config/people
echo '/^X-Spam: yes/ REJECT' > {_FOLDER}/config/patterns
export GATE_CONFIG={_FOLDER}/config
render {_FOLDER}/out
check {_FOLDER}/out
"""


def check(stack: Stack, lines: str) -> subprocess.CompletedProcess[str]:
    name = stack.container("postfix").name
    text = lines.replace("/config/", f"{_FOLDER}/config/")
    return attempt("exec", "--interactive", name, "bash", "-c", _TRY, stdin=f"{text}\n")


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ("smtpd_fooo = 1", "unused parameter: smtpd_fooo=1"),
        ("smtpd_hard_error_limit 3", "missing '=' after attribute name"),
        ("smtpd_hard_error_limit = abc", "smtpd_hard_error_limit = abc: write a whole number"),
        ("qmgr_message_active_limit = ten", "= ten: write a whole number"),
        ("maximal_queue_lifetime = 5x", "= 5x: write a time, such as 30s or 5d"),
        ("queue_run_delay =", "queue_run_delay = : write a time"),
        ("reset_owner_alias = on", "reset_owner_alias = on: write yes or no"),
        ("transport_maps = texthash:/config/nowhere", "nowhere: No such file or directory"),
        ("transport_maps = lmdb:/config/people", "unsupported dictionary type: lmdb"),
        ("header_checks = pcre:/config/people", "pcre map"),
        ("postscreen_access_list = cidr:/config/networks", 'bad address pattern: "not.an.address"'),
        ("smtpd_client_restrictions = reject_everybody", "there is no restriction reject_every"),
        ("smtpd_recipient_restrictions = permit", "unused parameter: gate_policy_restriction"),
        ("mynetworks = 127.0.0.0/8 2001:db8::/32", "/32; write IPv6 addresses in brackets"),
        ("mynetworks = 0.0.0.0/1, 128.0.0.0/1", "mynetworks: this is 100% of the public addresses"),
        ("mynetworks = cidr:{{10.0.0.0/8 yes}, {0.0.0.0/2 yes}}", "28% of the public addresses"),
        ("smtpd_milters = milters:8891", "smtpd_milters: milters:8891: begin with inet: or unix:"),
        ("postscreen_dnsbl_sites = a.example*2 zen.example*x", "zen.example*x: write it as"),
        ("queue_directory = /nowhere", "chdir(/nowhere): No such file or directory"),
    ],
)
def test_what_would_stop_mail_is_refused(stack: Stack, lines: str, reason: str) -> None:
    done = check(stack, lines)
    assert done.returncode != 0
    assert reason in done.stderr
    assert "check: " in done.stderr


@pytest.mark.parametrize(
    "lines",
    [
        "",
        "compatibility_level = 3.6\nlmtp_tcp_port = lmtp",
        "default_destination_concurrency_positive_feedback = 1/8",
        "postscreen_dnsbl_allowlist_threshold = -2",
        "mynetworks = !10.1.2.3, [2001:db8::]/32, cidr:{{10.0.0.0/8 yes}}\n"
        "relay_domains = texthash:/config/people, example.com",
        "smtpd_milters = inet:[2001:db8::1]:8891, { unix:/run/a.sock, connect_timeout=5s }",
        "postscreen_dnsbl_sites = zen.example=127.0.0.[2..11;20]*3, white.example*-2 bl.example",
        "maximal_queue_lifetime = 1d\nbounce_queue_lifetime = 0",
        "smtpd_sender_restrictions = check_sender_access texthash:/config/people,\n"
        "    reject_rbl_client zen.example.org=127.0.0.[2..3], sleep 1, permit",
        "header_checks = pcre:/config/patterns, regexp:/config/patterns",
        "smtpd_restriction_classes = ours\nours = reject_unauth_pipelining\n"
        "smtpd_client_restrictions = ours, check_client_access inline:{ { foo_bar = ours } }",
        "smtpd_recipient_restrictions = reject_unauth_destination,\n"
        "    check_recipient_access { texthash:/config/people },\n"
        "    $gate_policy_restriction $gate_verify_restriction",
    ],
)
def test_what_postfix_takes_is_taken(stack: Stack, lines: str) -> None:
    done = check(stack, lines)
    assert done.returncode == 0, done.stderr
