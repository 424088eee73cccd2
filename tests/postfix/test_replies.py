"""Every refusal reaches the client with the codes that the log and the reference have."""

from __future__ import annotations

import re
import socketserver
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from milters.reasons import reasons as milter_reasons
from policyd.action import Action, defer_if_permit, refuse
from policyd.reasons import REASONS, reply
from tests.daemon.policyd_process import PolicyDaemon
from tests.postfix.conftest import StartPostfix
from tests.testbed import swaks
from tests.testbed.dns import DnsServer
from tests.testbed.postfix import default_services
from tests.testbed.smtp import RawClient
from tests.testbed.swaks import Client

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "replies.md"
PATIENT = {"smtpd_soft_error_limit": "1000", "smtpd_hard_error_limit": "1000"}


def reference(section: str = "Policy server") -> dict[str, list[str]]:
    """The codes of each reason id, as a section of the page tells them."""
    page = REFERENCE.read_text().partition(f"## {section},")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([^`]+)` \| ([^|]+) \|", page, re.MULTILINE)
    return {name.removesuffix("NAME"): codes.split(", ") for name, codes in rows}


def actions() -> dict[str, Action]:
    """Every refusal of the policy server, each under the local part that asks for it."""
    found = {}
    for reason, meaning in REASONS.items():
        name = f"{reason}test" if reason.endswith("-") else reason
        for code in meaning.codes:
            told = reply(name, f"About {name}", temporary=code.startswith("4"))
            found[f"{name}.{told.code}"] = refuse(told)
            if told.code == 450:
                found[f"{name}.{told.code}.permit"] = defer_if_permit(told)
    return found


@contextmanager
def policy_server(path: Path, answers: Mapping[str, Action]) -> Iterator[None]:
    """Answers what the local part of the recipient asks for."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            for line in self.rfile:
                name, _, value = line.decode().strip().partition("=")
                if name == "recipient":
                    self.recipient = value
                elif not name:
                    self.wfile.write(answers[self.recipient.partition("@")[0]].wire)

    with socketserver.ThreadingUnixStreamServer(str(path), Handler) as server:
        server.daemon_threads = True
        path.chmod(0o666)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("delayed", ["yes", "no"])
def test_postfix_passes_on_every_code_of_the_policy_server(
    directory: Path, start_postfix: StartPostfix, delayed: str
) -> None:
    told = reference()
    answers = actions()
    with policy_server(directory / "policy.sock", answers):
        asks = f"{{ unix:{directory / 'policy.sock'} }}"
        postfix = start_postfix(
            default_services(policy=asks), {**PATIENT, "smtpd_delay_reject": delayed}
        )
        with RawClient(postfix.port("mx")) as client:
            client.command("EHLO client.example")
            client.command("MAIL FROM:<a@example.net>")
            for name, action in answers.items():
                answer = str(client.command(f"RCPT TO:<{name}@gatepost.test>"))
                code, enhanced = re.findall(r"([45]\d\d)[ -]([45]\.\d+\.\d+)", answer)[0]
                reason = name.partition(".")[0]
                assert f"[{reason}]" in answer
                assert f"{code} {enhanced}" in told[re.sub("limit-test", "limit-", reason)]
                if action.verb == code:
                    assert f"{code} {enhanced}" == " ".join(str(action).split()[:2])
                else:
                    assert (action.verb, code) == ("DEFER_IF_PERMIT", "450")
                    assert action.text.startswith(f"{enhanced} ")


def test_the_log_says_what_the_client_was_told(
    directory: Path, start_postfix: StartPostfix
) -> None:
    rules = ("no_name", "helo_malformed", "sender_unknown", "spf_fail")
    with DnsServer() as dns:
        dns.add("fails.example", "TXT", "v=spf1 -all")
        dns.add("fails.example", "A", "192.0.2.1")
        dns.add("null.example", "MX", "0 .")
        settings = {"greylist": {"enabled": False}, "client": dict.fromkeys(rules, "reject")}
        with PolicyDaemon(directory / "p", settings, dns.address) as policyd:
            postfix = start_postfix(default_services(policy=f"{{ unix:{policyd.socket} }}"))
            known = Client("192.0.2.77", "mail.example.net", "mail.example.net")
            for reason, client, sender in (
                ("sender-unknown", known, "a@nowhere.example"),
                ("sender-null-mx", known, "a@null.example"),
                ("spf-fail", known, "a@fails.example"),
                ("no-name", Client("192.0.2.78"), "a@fails.example"),
                ("helo-malformed", Client("192.0.2.7", "m.example.net", "1.2.3.4"), "a@b.example"),
            ):
                answer = swaks.send(
                    postfix.port("mx"),
                    sender=sender,
                    recipients=("bob@gatepost.test",),
                    client=client,
                    subject=reason,
                    body="Hello.",
                ).reply
                logged = policyd.daemon.wait_for_log(reason=reason)["action"]
                wire = f"{answer.code} {answer.text.split()[0]}"
                assert logged.startswith(f"{wire} "), reason
                assert wire in reference()[reason]


def test_the_reference_has_every_code_of_the_milter() -> None:
    told = reference("Milter")
    for reason, meaning in milter_reasons().items():
        assert told[reason] == list(meaning.codes)
