"""Contents of main.cf and master.cf of a private Postfix, without I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.testbed.ports import LOOPBACK
from tests.testbed.retries import QUICK_RETRIES

HOSTNAME = "mx.gatepost.test"
"""myhostname. The top-level domain is reserved for tests (RFC 6761 section 6.2)."""

LOG_NAME = "mail.log"
"""The mail log, below the directory of the instance."""

RELAY_DOMAINS = ("gatepost.test",)
"""Domains for which the service "mx" accepts mail from any client."""

INTERNAL_NETWORKS = ("10.0.0.0/8", "[fd00::]/8")
"""mynetworks, the networks of internal clients. Loopback is not one of them, so a client without
XCLIENT is a stranger."""

LOGINS = {"alice@gatepost.test": "alice-secret", "bob@gatepost.test": "bob-secret"}
"""Names and passwords of the clients that can log in."""

MX_RESTRICTIONS = {
    "smtpd_relay_restrictions": "permit_mynetworks, reject_unauth_destination",
    "smtpd_recipient_restrictions": "permit_mynetworks",
}
SUBMISSION_RESTRICTIONS = {
    "smtpd_relay_restrictions": "permit_sasl_authenticated, permit_mynetworks, reject",
    "smtpd_recipient_restrictions": "",
}


@dataclass(frozen=True, slots=True)
class Service:
    """One smtpd of master.cf with its own parameters; `port` is set at the start.

    `host` is the address that it listens on. If a client on this machine connects to an address of
    the machine other than loopback, it has that address itself.
    """

    name: str
    settings: Mapping[str, str] = field(default_factory=dict)
    port: int = 0
    host: str = LOOPBACK


def default_services(policy: str = "", milters: str = "") -> tuple[Service, ...]:
    """Return the two services that most tests use, as on a real server.

    "mx" accepts mail from outside for our domains and asks the policy server at `policy` about each
    recipient; "submission" accepts mail from logged-in and internal clients. Both use `milters`.
    Addresses have the form of main.cf; an empty one omits the part.
    """
    milter = {"smtpd_milters": milters} if milters else {}
    check = f"check_policy_service {policy}" if policy else ""
    mx = {**MX_RESTRICTIONS, **milter}
    if check:
        mx["smtpd_recipient_restrictions"] += f", {check}"
    return (Service("mx", mx), Service("submission", {**SUBMISSION_RESTRICTIONS, **milter}))


def main_cf(
    directory: Path, next_hop: str, relay_domains: Sequence[str], logins: str
) -> dict[str, str]:
    """Return the parameters of main.cf for an instance below `directory`.

    `next_hop` is a transport for all mail, `logins` the address of a
    `tests.testbed.logins.LoginServer`.
    """
    return {
        "compatibility_level": "3.6",
        "queue_directory": str(directory / "queue"),
        "data_directory": str(directory / "data"),
        "maillog_file": str(directory / LOG_NAME),
        "maillog_file_prefixes": str(directory),
        "myhostname": HOSTNAME,
        "inet_interfaces": LOOPBACK,
        "inet_protocols": "all",
        "mydestination": "",
        "mynetworks": ", ".join(INTERNAL_NETWORKS),
        "relay_domains": ", ".join(relay_domains),
        "relay_transport": next_hop,
        "default_transport": next_hop,
        "local_transport": next_hop,
        "alias_maps": "",
        "local_recipient_maps": "",
        "notify_classes": "",
        # no DNS query leaves this machine
        "smtpd_peername_lookup": "no",
        "smtp_host_lookup": "native",
        "smtp_dns_support_level": "disabled",
        # XCLIENT: a client on loopback may claim any identity
        "smtpd_authorized_xclient_hosts": "127.0.0.0/8, [::1]/128",
        "smtpd_sasl_auth_enable": "yes",
        "smtpd_sasl_type": "dovecot",
        "smtpd_sasl_path": logins,
        # Pass header fields to the milter unchanged: Postfix rewrites addresses for clients on
        # this machine, even after XCLIENT.
        "local_header_rewrite_clients": "",
        # for tests that retry at once
        **QUICK_RETRIES,
        "transport_retry_time": "1s",
        "smtpd_error_sleep_time": "0",
        "smtpd_client_connection_count_limit": "0",
        "smtpd_hard_error_limit": "1000",
        "message_size_limit": "104857600",
        "mailbox_size_limit": "0",
        "smtputf8_enable": "yes",
        "milter_protocol": "6",
        "milter_default_action": "tempfail",
        "smtpd_forbid_bare_newline": "normalize",
        "smtpd_data_restrictions": "reject_unauth_pipelining",
    }


def as_main_cf(settings: Mapping[str, str]) -> str:
    """Return the text of main.cf."""
    return "".join(f"{key} = {value}\n" for key, value in settings.items())


def as_master_cf(services: Sequence[Service]) -> str:
    """Return the text of master.cf: our smtpd services and the standard services of Postfix."""
    return "".join(_service_lines(one) for one in services) + _MASTER_CF


def _service_lines(service: Service) -> str:
    lines = [f"{service.host}:{service.port} inet n - n - - smtpd\n"]
    settings = {"syslog_name": f"postfix/{service.name}", **service.settings}
    lines += [f"    -o {{ {key} = {value} }}\n" for key, value in settings.items()]
    return "".join(lines)


# service type, private, unprivileged, chroot, wakeup, maxproc, command: as Postfix ships it, but
# without chroot; the only local delivery agent is local(8), for tests that need it
_MASTER_CF = """\
pickup    unix  n  -  n  60  1  pickup
cleanup   unix  n  -  n  -   0  cleanup
qmgr      unix  n  -  n  1   1  qmgr
tlsmgr    unix  -  -  n  -   1  tlsmgr
rewrite   unix  -  -  n  -   -  trivial-rewrite
bounce    unix  -  -  n  -   0  bounce
defer     unix  -  -  n  -   0  bounce
trace     unix  -  -  n  -   0  bounce
verify    unix  -  -  n  -   1  verify
flush     unix  n  -  n  -   0  flush
proxymap  unix  -  -  n  -   -  proxymap
smtp      unix  -  -  n  -   -  smtp
relay     unix  -  -  n  -   -  smtp
showq     unix  n  -  n  -   -  showq
error     unix  -  -  n  -   -  error
retry     unix  -  -  n  -   -  error
discard   unix  -  -  n  -   -  discard
lmtp      unix  -  -  n  -   -  lmtp
local     unix  -  n  n  -   -  local
anvil     unix  -  -  n  -   1  anvil
scache    unix  -  -  n  -   1  scache
postlog   unix-dgram n - n - 1  postlogd
"""
