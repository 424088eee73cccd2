"""The pod with a world around it: its clients, its DNS, the mail store behind it."""

from __future__ import annotations

import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gatepost.key_pair import new_key
from msgauth.keys import SigningKey
from tests.testbed import images, swaks, toml
from tests.testbed.certificate import self_signed
from tests.testbed.container import Container
from tests.testbed.dns import DnsServer
from tests.testbed.logins import LoginServer
from tests.testbed.manifest import Changes, overlaid
from tests.testbed.metrics import MetricsPort
from tests.testbed.mounted import MountedFolder
from tests.testbed.pod import Network, Pod
from tests.testbed.sink import Sink
from tests.testbed.smtp import RawClient
from tests.testbed.swaks import Client, Exchange

WORLD = ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "10.20.0.0/24", "10.30.0.0/24")
"""Networks whose addresses this machine has, all of them."""

DNS_HOST = "192.0.2.53"
SINK_HOST = "192.0.2.25"
REMOTE_HOST = "192.0.2.26"
"""The MX of remote.example, to which our users write."""
LOGIN_HOST = "192.0.2.24"
"""Where Postfix asks whether a login is right."""
STRANGER = "198.51.100.7"
"""A client that nobody knows; SPF of example.net passes for its network."""
KNOWN = "198.51.100.128/25"
"""Clients that are never greylisted."""
FRIEND = "198.51.100.200"
"""One of them."""
LISTED = "203.0.113.66"
"""A client that the DNS list has."""
OFFICE = "10.20.0.0/24"
"""Our own users, who may send anywhere."""
COLLEAGUE = "10.20.0.5"
BALANCERS = "10.30.0.0/24"
"""Load balancers: the address of one stands in the place of a client's."""
BALANCER = "10.30.0.1"

DNS_LIST = "list.test"
SEARCH = "mail.svc.cluster.test"
"""Where the pods look for names without a dot, as those of a cluster do."""
DOMAIN = "example.org"
"""Ours, as in k8s/mail.yaml."""
HOSTNAME = "mail.example.org"
RECIPIENT = f"bob@{DOMAIN}"

DELAY = 3
"""Seconds that the greylist delays."""
GREET_WAIT = 1
"""Seconds that postscreen lets a new client wait for the greeting."""

SMTP, SUBMISSION, SUBMISSIONS = 25, 587, 465
SMTP_PROXY, SUBMISSION_PROXY, SUBMISSIONS_PROXY = 12525, 10587, 10465
METRICS = {"milters": 9101, "policyd": 9102}

ALICE = "alice@example.org"
"""One of our users, with her password in `LOGINS`."""
MALLORY = "mallory@example.org"
"""Another one, who may send one message a day."""
LOGINS = {ALICE: "correct horse", MALLORY: "battery staple"}

SIZE_LIMIT = 200_000
"""Octets that a login may send in an hour."""

GATEPOST: Mapping[str, Any] = {
    "proxy_networks": [BALANCERS],
    "milters": {
        "internal_networks": ["127.0.0.0/8", "::1/128", OFFICE],
        "policy": {"preset": "strict"},
    },
    "policyd": {
        "greylist": {"delay": f"{DELAY}s", "allow_clients": [KNOWN]},
        "dnslists": {"lists": [{"zone": DNS_LIST}]},
        "limits": {
            "rules": [
                {
                    "name": "day",
                    "per": "user",
                    "count": "messages",
                    "limit": 1,
                    "period": "1d",
                    "exempt": [ALICE],
                },
                {"name": "size", "per": "user", "count": "bytes", "limit": SIZE_LIMIT},
            ]
        },
    },
}
POSTFIX: Mapping[str, str] = {
    "POSTFIX_NEXT_HOP": f"smtp:[{SINK_HOST}]:25",
    "POSTFIX_NETWORKS": f"127.0.0.0/8 [::1]/128 {OFFICE}",
    "POSTFIX_PROXY": "yes",
    "tests.cf": f"postscreen_greet_wait = {GREET_WAIT}s\n",
}

_ZONE = f"""
["example.net"]
A = "198.51.100.7"
MX = "10 mail.example.net"
TXT = "v=spf1 ip4:198.51.100.0/24 -all"

["_dmarc.example.net"]
TXT = "v=DMARC1; p=reject"

["wary.example"]
A = "203.0.113.9"
["_dmarc.wary.example"]
TXT = "v=DMARC1; p=quarantine"

["plain.example"]
A = "203.0.113.10"

["remote.example"]
MX = "10 mx.remote.example"
["mx.remote.example"]
A = "{REMOTE_HOST}"

["mailstore.{SEARCH}"]
A = "{SINK_HOST}"

["{DOMAIN}"]
MX = "10 {HOSTNAME}"
TXT = "v=spf1 mx ~all"
["_dmarc.{DOMAIN}"]
TXT = "v=DMARC1; p=none"
["{HOSTNAME}"]
A = "192.0.2.1"

["2.0.0.127.{DNS_LIST}"]
A = "127.0.0.2"
["66.113.0.203.{DNS_LIST}"]
A = "127.0.0.2"
"""


def zone() -> str:
    """What the DNS of the world has from the start."""
    return _ZONE


@dataclass(frozen=True)
class World:
    """What is around the pod, for all pods of a run."""

    dns: DnsServer
    sink: Sink
    """The mail store, the next hop of our domain."""
    remote: Sink
    """The MX of remote.example."""
    logins: LoginServer
    keys: Mapping[str, str]
    """Files of the Secret with DKIM keys of `DOMAIN`, whose records are published."""


class Stack:
    """k8s/mail.yaml, played, with new keys of `DOMAIN` for DKIM, and a certificate."""

    def __init__(
        self,
        network: Network,
        world: World,
        *,
        gatepost: Mapping[str, Any] | None = None,
        postfix: Mapping[str, str] | None = None,
        user: int | None = None,
    ) -> None:
        self.dns = world.dns
        self.sink = world.sink
        self.remote = world.remote
        self._folder = tempfile.TemporaryDirectory(prefix="gatepost-test-", dir="/tmp")
        certificate, key = self_signed(HOSTNAME)
        self.secrets = {
            "mail-dkim": self._secret("dkim", world.keys),
            "mail-tls": self._secret("tls", {"tls.crt": certificate, "tls.key": key}),
        }
        """The mounted folders of the Secrets: `update()` changes them as the kubelet does."""
        self.pod = Pod(
            network,
            Changes(
                images={name: images.tag(name) for name in images.NAMES},
                nameserver=world.dns.host,
                searches=(SEARCH,),
                gatepost=overlaid(GATEPOST, gatepost or {}),
                postfix={
                    **POSTFIX,
                    "POSTFIX_SASL": world.logins.postfix,
                    **(postfix or {}),
                },
                secrets={name: folder.path for name, folder in self.secrets.items()},
                user=user,
            ),
        )

    def _secret(self, name: str, files: Mapping[str, str]) -> MountedFolder:
        path = Path(self._folder.name) / name
        path.mkdir(mode=0o755)
        folder = MountedFolder(path, mode=0o440)
        folder.replace(files)
        return folder

    def start(self) -> None:
        """Play the manifest and wait until the probes of all containers pass."""
        self.pod.start()

    def stop(self) -> None:
        """Stop and remove the pod; the volumes of its claims stay."""
        self.pod.stop()

    def remove(self) -> None:
        """Remove the pod and everything of it."""
        self.pod.remove()
        self._folder.cleanup()

    @property
    def address(self) -> str:
        """Where the world reaches the pod."""
        return self.pod.address

    def container(self, short: str) -> Container:
        """`milters`, `policyd` or `postfix`."""
        return self.pod.containers[short]

    def send(
        self,
        subject: str,
        *,
        client: str = FRIEND,
        sender: str = "alice@example.net",
        recipients: Sequence[str] = (RECIPIENT,),
        message: bytes | None = None,
        port: int = SMTP,
        login: str = "",
        options: Sequence[str] = (),
    ) -> Exchange:
        """Send one message with swaks from that address, and return the session.

        `login` is a user of `LOGINS`. Without a `message` there is one of the subject, with
        `sender` in From.
        """
        return swaks.send(
            port,
            host=self.address,
            sender=sender,
            recipients=recipients,
            message=message,
            subject=subject,
            client=Client(
                interface=client,
                helo="mail.example.net",
                login=login,
                password=LOGINS[login] if login else "",
            ),
            options=options,
        )

    def metric(self, short: str, name: str, **labels: str) -> float:
        """The sum of the samples that `milters` or `policyd` has of a metric."""
        return MetricsPort(self.address, METRICS[short]).metric(name, **labels)

    def client(self, interface: str, port: int = SMTP, early: bytes = b"") -> RawClient:
        """An SMTP client from that address whose every step is the caller's."""
        return RawClient(port, host=self.address, interface=interface, early=early)

    def configure(self, name: str, changes: Mapping[str, str | None]) -> None:
        """Change files of a ConfigMap under the running pod, as the kubelet does."""
        self.pod.configure(name, changes)

    def gatepost_toml(self, settings: Mapping[str, Any]) -> str:
        """The present gatepost.toml with these keys laid over it."""
        present = tomllib.loads(self.pod.data("mail-gatepost")["gatepost.toml"])
        return toml.document(overlaid(present, settings))


def published_keys(dns: DnsServer) -> dict[str, str]:
    """New keys of `DOMAIN` as files of a Secret; their records are published."""
    files = {}
    for selector, pem in (("r", new_key("rsa")), ("e", new_key("ed25519"))):
        files[f"{DOMAIN}.{selector}.pem"] = pem.decode()
        record = SigningKey.parse(pem).public_record()
        dns.add(f"{selector}._domainkey.{DOMAIN}", "TXT", record)
    return files
