"""A mail system for tests: a real Postfix with the milter, its DNS, and a sink."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.daemon.milters import DOMAIN, Milters
from tests.testbed.dns import DnsServer
from tests.testbed.postfix import HOSTNAME, RELAY_DOMAINS, PrivatePostfix, default_services
from tests.testbed.sink import Delivery, Sink
from tests.testbed.smtp import RawClient, Reply

INSIDE = "10.1.2.3"
OUTSIDE = "192.0.2.77"
MILTERS = (
    f'internal_networks = ["10.0.0.0/8"]\nsocket_group = "postfix"\nauthserv_id = "{HOSTNAME}"'
)
"""The section of the milter."""


@contextlib.contextmanager
def open_directory() -> Iterator[Path]:
    """Make an empty directory that the user postfix can reach, which pytest's tmp_path is not."""
    with tempfile.TemporaryDirectory(prefix="gatepost-test-", dir="/tmp") as name:
        path = Path(name)
        path.chmod(0o711)
        yield path


@dataclass
class Site:
    """A mail system: Postfix with the milter, its DNS, and where its mail arrives."""

    postfix: PrivatePostfix
    milters: Milters
    dns: DnsServer
    sink: Sink

    def send(
        self,
        message: bytes,
        *,
        client: str = OUTSIDE,
        sender: str = "user@signer.example",
        recipients: tuple[str, ...] = ("rcpt@gatepost.test",),
        parameters: str = "",
        service: str = "mx",
    ) -> Reply:
        """The reply to the message, sent by a client with that address."""
        with RawClient(self.postfix.port(service)) as smtp:
            smtp.hello(address=client)
            begun = smtp.begin(sender, *recipients, parameters=parameters)
            if begun.code >= 400:
                return begun
            smtp.send(message.replace(b"\r\n.", b"\r\n.."))
            return smtp.end()

    def arrives(self, message: bytes, **how: object) -> Delivery:
        """The message as it arrived."""
        self.sink.clear()
        reply = self.send(message, **how)  # type: ignore[arg-type]
        assert reply.code == 250, reply
        (delivery,) = self.sink.wait_for(lambda _: True)
        return delivery


@contextlib.contextmanager
def running_site(
    folder: Path,
    *,
    tcp: bool = False,
    milters: str = MILTERS,
    relay_domains: Sequence[str] = RELAY_DOMAINS,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Site]:
    """Run a site below `folder`; `DOMAIN` has SPF for `OUTSIDE` and p=reject.

    `milters` is TOML for `[milters]`, `settings` are lines of main.cf.
    """
    (folder / "milters").mkdir()
    with DnsServer() as dns, Sink() as sink:
        daemon = Milters(folder / "milters", dns, tcp=tcp)
        daemon.configure(milters)
        dns.add(DOMAIN, "TXT", f"v=spf1 ip4:{OUTSIDE} -all")
        dns.add(f"_dmarc.{DOMAIN}", "TXT", "v=DMARC1; p=reject")
        postfix = PrivatePostfix(
            folder / "postfix",
            sink.postfix,
            services=default_services(milters=daemon.postfix),
            relay_domains=relay_domains,
            settings={"non_smtpd_milters": daemon.postfix, **(settings or {})},
        )
        with daemon:
            postfix.start()
            try:
                yield Site(postfix, daemon, dns, sink)
            finally:
                postfix.stop()


def mail(*fields: bytes, author: bytes = b"user@signer.example", body: bytes = b"Hi\r\n") -> bytes:
    lines = [
        *fields,
        b"From: User <%b>" % author,
        b"Subject: a test",
        b"Date: Sat, 21 Nov 2026 06:56:50 +0000",
        b"Message-ID: <1@signer.example>",
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body
