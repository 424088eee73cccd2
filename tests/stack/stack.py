"""The pod with a world around it: its clients, its DNS, the mail store behind it."""

from __future__ import annotations

import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from milters.keys.generate import new_key
from msgauth.keys import SigningKey
from testbed import images, swaks, toml
from testbed.certificate import self_signed
from testbed.container import Container
from testbed.dns import DnsServer
from testbed.manifest import Changes, overlaid
from testbed.mounted import MountedFolder
from testbed.pod import Network, Pod
from testbed.sink import Sink
from testbed.swaks import Client, Exchange

WORLD = ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "10.20.0.0/24", "10.30.0.0/24")
"""Networks whose addresses this machine has, all of them."""

DNS_HOST = "192.0.2.53"
SINK_HOST = "192.0.2.25"
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
DOMAIN = "example.org"
"""Ours, as in k8s/mail.yaml."""
HOSTNAME = "mail.example.org"
RECIPIENT = f"bob@{DOMAIN}"

DELAY = 3
"""Seconds that the greylist delays."""
GREET_WAIT = 1
"""Seconds that postscreen lets a new client wait for the greeting."""

SMTP, SMTP_PROXY = 25, 12525

GATEPOST: Mapping[str, Any] = {
    "proxy_networks": [BALANCERS],
    "milters": {
        "internal_networks": ["127.0.0.0/8", "::1/128", OFFICE],
        "policy": {"preset": "strict"},
    },
    "policyd": {
        "greylist": {"delay": f"{DELAY}s", "allow_clients": [KNOWN]},
        "dnslists": {"lists": [{"zone": DNS_LIST}]},
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

["{DOMAIN}"]
MX = "10 {HOSTNAME}"
TXT = "v=spf1 mx ~all"
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


class Stack:
    """k8s/mail.yaml, played, with new keys of `DOMAIN` for DKIM, and a certificate."""

    def __init__(
        self,
        network: Network,
        dns: DnsServer,
        sink: Sink,
        *,
        gatepost: Mapping[str, Any] | None = None,
        postfix: Mapping[str, str] | None = None,
    ) -> None:
        self.dns = dns
        self.sink = sink
        self._folder = tempfile.TemporaryDirectory(prefix="gatepost-test-", dir="/tmp")
        certificate, key = self_signed(HOSTNAME)
        self.secrets = {
            "mail-dkim": self._secret("dkim", _keys(dns)),
            "mail-tls": self._secret("tls", {"tls.crt": certificate, "tls.key": key}),
        }
        """The mounted folders of the Secrets: `update()` changes them as the kubelet does."""
        self.pod = Pod(
            network,
            Changes(
                images={name: images.tag(name) for name in images.NAMES},
                nameserver=dns.host,
                gatepost=overlaid(GATEPOST, gatepost or {}),
                postfix={**POSTFIX, **(postfix or {})},
                secrets={name: folder.path for name, folder in self.secrets.items()},
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
        options: Sequence[str] = (),
    ) -> Exchange:
        """Send one message with swaks from that address, and return the session."""
        return swaks.send(
            port,
            host=self.address,
            sender=sender,
            recipients=recipients,
            message=message,
            subject=subject,
            client=Client(interface=client, helo="mail.example.net"),
            options=options,
        )

    def configure(self, name: str, changes: Mapping[str, str | None]) -> None:
        """Change files of a ConfigMap under the running pod, as the kubelet does."""
        self.pod.configure(name, changes)

    def gatepost_toml(self, settings: Mapping[str, Any]) -> str:
        """The present gatepost.toml with these keys laid over it."""
        present = tomllib.loads(self.pod.data("mail-gatepost")["gatepost.toml"])
        return toml.document(overlaid(present, settings))


def _keys(dns: DnsServer) -> dict[str, str]:
    """New keys of `DOMAIN` as files of a Secret; their records are published."""
    files = {}
    for selector, pem in (("r", new_key("rsa")), ("e", new_key("ed25519"))):
        files[f"{DOMAIN}.{selector}.pem"] = pem.decode()
        record = SigningKey.parse(pem).public_record()
        dns.add(f"{selector}._domainkey.{DOMAIN}", "TXT", record)
    return files
