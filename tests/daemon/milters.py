"""`gatepost milters` as a process with keys and DNS, for the tests that play the MTA."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from gatepost.key_pair import new_key
from gatepost.listen import Inet, Unix
from msgauth.keys import SigningKey
from tests.testbed.daemon import Daemon
from tests.testbed.dns import Behaviour, DnsServer
from tests.testbed.miltermta import MilterClient
from tests.testbed.ports import free_ports

DOMAIN = "signer.example"
HOSTNAME = "mx.receiver.example"
INSIDE = "127.0.0.1"
OUTSIDE = "192.0.2.1"

SIMPLE = b"From: user@signer.example\r\nSubject: a test\r\n\r\nHello\r\n"


class Milters(Daemon):
    """The daemon in `directory`, with an RSA and an Ed25519 key of `DOMAIN` published in `dns`."""

    def __init__(
        self,
        directory: Path,
        dns: DnsServer,
        *,
        tcp: bool = False,
        env: Mapping[str, str] | None = None,
        within: Sequence[str | Path] = (),
    ) -> None:
        self.directory = directory
        self.dns = dns
        port, metrics_port = free_ports(2)
        self.address = Inet("127.0.0.1", port) if tcp else Unix(directory / "milter")
        self.metrics_port = metrics_port
        keys = directory / "keys" / DOMAIN
        keys.mkdir(parents=True)
        for selector, pem in (("r", new_key("rsa")), ("e", new_key("ed25519"))):
            (keys / f"{selector}.pem").write_bytes(pem)
            (keys / f"{selector}.pem").chmod(0o600)
            record = SigningKey.parse(pem).public_record()
            dns.add(f"{selector}._domainkey.{DOMAIN}", "TXT", record)
        config = directory / "gatepost.toml"
        super().__init__("milters", config, directory, env=env, within=within)
        self.configure()

    def configure(self, milters: str = "", **ground: str) -> None:
        """Write the configuration: `milters` is TOML for `[milters]` and what follows it."""
        ground = {"hostname": HOSTNAME, **ground}
        lines = [f'{key} = "{value}"' for key, value in ground.items()]
        lines += [
            "[dns]",
            f'nameservers = ["{self.dns.address}"]',
            "timeout = 1",
            "[milters]",
            f'listen = "{self.address}"',
            f'metrics_listen = "inet:{self.metrics_port}@127.0.0.1"',
            'keys = "keys"',
            milters,
        ]
        self.config.write_text("\n".join(lines) + "\n")

    def client(self, client: str | None = OUTSIDE, **options: int) -> MilterClient:
        """A milter connection on which an SMTP client with that address has said HELO."""
        connection = MilterClient(self.address, **options)
        try:
            connection.connect("localhost" if client is None else "unknown", client)
            connection.helo("client.example")
        except BaseException:
            connection.close()
            raise
        return connection

    def workers(self) -> list[int]:
        """The process ids of the workers."""
        return children(self.process.pid)


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def memory(pid: int) -> int:
    """The proportional set size of a process in octets (proc(5), smaps_rollup)."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no Pss")


def exists(pid: int) -> bool:
    """Whether a process runs; one that has ended and is not reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def with_headers(*fields: bytes, body: bytes = b"Hello\r\n") -> bytes:
    """A message with these fields above From."""
    return (
        b"".join(field + b"\r\n" for field in fields)
        + SIMPLE.partition(b"\r\n\r\n")[0]
        + (b"\r\n\r\n" + body)
    )


def waiting(dns: DnsServer, selectors: Sequence[str]) -> bytes:
    """Return a message that waits a second for each selector: `dns` is silent about its key."""
    fields = []
    for selector in selectors:
        dns.misbehave(f"{selector}._domainkey.{DOMAIN}", Behaviour.TIMEOUT)
        fields.append(
            (
                f"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d={DOMAIN}; s={selector}; "
                "h=from; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=YWFh"
            ).encode()
        )
    return with_headers(*fields, body=b"")
