"""Programs of the demonstration: DNS, the daemons, Postfix and the sink, private to one run."""

from __future__ import annotations

import contextlib
import json
import shlex
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from tests.testbed import swaks
from tests.testbed.daemon import Daemon, gatepost_command
from tests.testbed.dns import DnsServer
from tests.testbed.ports import LOOPBACK, free_ports
from tests.testbed.postfix import PrivatePostfix
from tests.testbed.sink import Sink
from tests.testbed.swaks import Client, Exchange
from tests.testbed.waiting import wait_until
from tools.demo import mail, site
from tools.demo.mail import DOMAIN, LIST_ZONE, PARTNER_DOMAIN, SELECTOR, PartnerKey
from tools.demo.record import Record
from tools.steps import Step, Steps

GREYLIST_DELAY = 2
"""Greylisting delay in seconds: short, to keep the demonstration short."""

Sabotage = Literal["key", "policy", "milter", "accounts"]
"""Faults to inject: DNS has the record of another key; Postfix does not use the policy server;
Postfix does not use the milter; Postfix has the domain and the logins from elsewhere, and does not
ask accounts."""

_CONFIGURATION = """\
hostname = "{hostname}"

[dns]
nameservers = ["{dns}"]

[log]
format = "json"

[milters]
listen = "inet:{listen_milter}@127.0.0.1"
metrics_listen = "inet:{metrics_milter}@127.0.0.1"
keys = "{keys}"
internal_networks = ["{internal}"]

[policyd]
listen = "inet:{listen_policy}@127.0.0.1"
metrics_listen = "inet:{metrics_policy}@127.0.0.1"

[accounts]
listen = "inet:{listen_accounts}@127.0.0.1"
sasl_listen = "inet:{listen_logins}@127.0.0.1"
metrics_listen = "inet:{metrics_accounts}@127.0.0.1"
domains_listen = []
mailboxes_listen = []
aliases_listen = []

[accounts.database]
url = "sqlite:///{database}"

[policyd.store]
path = "{store}"

[policyd.dnslists]
lists = [{{ zone = "{list_zone}" }}]

[policyd.greylist]
delay = {delay}
allow_clients = ["{partner_network}"]
"""

_ZONE = f"""\
["{DOMAIN}"]
MX = "10 mx.{DOMAIN}"
TXT = "v=spf1 ip4:192.0.2.1 -all"

["_dmarc.{DOMAIN}"]
TXT = "v=DMARC1; p=reject"

["{PARTNER_DOMAIN}"]
TXT = "v=spf1 ip4:{mail.PARTNER_NETWORK} -all"

["_dmarc.{PARTNER_DOMAIN}"]
TXT = "v=DMARC1; p=quarantine"

["mail.{PARTNER_DOMAIN}"]
A = "{mail.PARTNER_CLIENT.address}"
TXT = "v=spf1 a -all"

["25.100.51.198.in-addr.arpa"]
PTR = "mail.{PARTNER_DOMAIN}"

# RFC 5782 section 5: 127.0.0.2 is always listed, 127.0.0.1 never
["2.0.0.127.{LIST_ZONE}"]
A = "127.0.0.2"

["66.2.0.192.{LIST_ZONE}"]
A = "127.0.0.2"
TXT = "seen sending spam"
"""


class Ground:
    """All programs that the scenes need, from `start()` to `stop()`."""

    def __init__(self, steps: Steps, sabotage: Sabotage | None = None) -> None:
        self._steps = steps
        self._sabotage = sabotage
        self._exit = contextlib.ExitStack()
        # below /tmp and not in the checkout, because the user postfix needs access
        self.directory = Path(tempfile.mkdtemp(prefix="gatepost-demo-", dir="/tmp"))
        self.directory.chmod(0o711)
        self.configuration = self.directory / "gatepost.toml"
        self.database = self.directory / "accounts.db"
        self.partner = PartnerKey()
        self._messages = 0

    def start(self) -> None:
        """Start every program and print a line for each; `stop()` ends those that were started."""
        ports = free_ports(7)
        arrived = self.directory / "arrived"
        arrived.mkdir()
        with self._steps.step("DNS server and mail sink") as step:
            self.dns = self._exit.enter_context(DnsServer(_ZONE))
            self.sink = self._exit.enter_context(Sink(folder=arrived))
            step.outcome = f"{self.dns.address}, {LOOPBACK}:{self.sink.port}"
        self._write_configuration(ports)
        with self._steps.step("gatepost keys new") as step:
            self._make_keys(step)
        self.milters = self._start_daemon("milters")
        self.policyd = self._start_daemon("policyd")
        with self._steps.step("accounts migrate") as step:
            step.outcome = f"revision {self.command('accounts', 'migrate').split()[-1]}"
        self.accounts = self._start_daemon("accounts")
        self.maps = site.Maps(self.accounts.postfix, f"inet:{LOOPBACK}:{ports[5]}")
        with self._steps.step("private Postfix") as step:
            self.postfix = PrivatePostfix(
                self.directory / "postfix",
                self.sink.postfix,
                services=site.services(
                    policy="" if self._sabotage == "policy" else self._policy_service(),
                    milters="" if self._sabotage == "milter" else self.milters.postfix,
                ),
                settings=site.settings(
                    None if self._sabotage == "accounts" else self.maps, self.sink.postfix
                ),
                relay_domains=[DOMAIN] if self._sabotage == "accounts" else [],
            )
            self._exit.enter_context(self.postfix)
            submission = self.postfix.port("submission")
            step.outcome = f"{self.postfix.address()}, submission port {submission}"

    def stop(self) -> None:
        """Stop every program in reverse order."""
        self._exit.close()

    def send(
        self, record: Record, client: Client, sender: str, recipient: str, message: bytes
    ) -> Exchange:
        """Send a message with swaks and add the exchange to the record.

        A client that logs in or is internal uses the submission service, any other client the MX.
        """
        self._messages += 1
        folder = self.directory / "sent"
        folder.mkdir(exist_ok=True)
        ours = bool(client.login) or client is mail.INTERNAL_CLIENT
        exchange = swaks.send(
            self.postfix.port("submission" if ours else "mx"),
            sender=sender,
            recipients=[recipient],
            message=message,
            client=client,
            save_as=folder / f"{self._messages:03d}.eml",
        )
        record.note(exchange)
        return exchange

    def command(self, *words: str, record: Record | None = None, text: str = "") -> str:
        """Run a command of `gatepost` with the configuration and return its standard output.

        The command line is added to the record, if there is one. `text` is standard input. Raises
        `GroundError` if the command fails.
        """
        command = [str(gatepost_command()), *words, "--config", str(self.configuration)]
        if record is not None:
            record.commands.append(shlex.join(command))
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise GroundError(f"gatepost {shlex.join(words)}: {done.stderr.strip()}")
        return done.stdout

    @contextlib.contextmanager
    def without_database(self) -> Iterator[None]:
        """Take the database of accounts away, until the end of the context."""
        away = self.database.with_suffix(".away")
        self.database.rename(away)
        try:
            self._wait_for_database(up=False)
            yield
        finally:
            away.rename(self.database)
        self._wait_for_database(up=True)

    def _wait_for_database(self, *, up: bool) -> None:
        wait_until(
            lambda: self.accounts.metric("gatepost_accounts_database_up") == int(up),
            f"accounts to notice that the database is {'back' if up else 'away'}",
        )

    def _policy_service(self) -> str:
        # scene 12: Postfix accepts mail if the policy server does not answer
        return f"{{ {self.policyd.postfix}, timeout=10s, default_action=DUNNO }}"

    def _write_configuration(self, ports: list[int]) -> None:
        text = _CONFIGURATION.format(
            hostname=mail.AUTHSERV_ID,
            dns=self.dns.address,
            listen_milter=ports[0],
            metrics_milter=ports[1],
            listen_policy=ports[2],
            metrics_policy=ports[3],
            listen_accounts=ports[4],
            listen_logins=ports[5],
            metrics_accounts=ports[6],
            database=self.database,
            keys=self.directory / "keys",
            internal=mail.INTERNAL_NETWORK,
            store=self.directory / "policyd.sqlite",
            list_zone=LIST_ZONE,
            delay=GREYLIST_DELAY,
            partner_network=mail.PARTNER_NETWORK,
        )
        self.configuration.write_text(text)

    def _make_keys(self, step: Step) -> None:
        keys = self.directory / "keys"
        keys.mkdir(mode=0o750)
        made = json.loads(self.command("keys", "new", DOMAIN, "--active", "--json"))["keys"]
        for key in made:
            swap = self._sabotage == "key" and key["algorithm"] == "rsa-sha256"
            self.dns.add(key["name"], "TXT", self.partner.record if swap else key["record"])
        self.dns.add(f"{SELECTOR}._domainkey.{PARTNER_DOMAIN}", "TXT", self.partner.record)
        step.outcome = ", ".join(key["algorithm"] for key in made)

    def _start_daemon(self, word: str) -> Daemon:
        with self._steps.step(f"gatepost {word}") as step:
            daemon = Daemon(word, self.configuration, self.directory)
            self._exit.callback(daemon.stop)
            daemon.start()
            step.outcome = f"{daemon.postfix}, process {daemon.process.pid}"
        return daemon


class GroundError(Exception):
    """A program could not be set up; the message says which one."""
