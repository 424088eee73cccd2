"""Mail stores as shards: two of them, a proxy in front, accounts and delivery, in one pod.

The stores are at addresses of their own on loopback; the world reaches the proxy and delivery.
"""

from __future__ import annotations

import contextlib
import functools
import imaplib
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.stack.mailboxes import DOVEADM, IMAPS, LMTP, any_certificate, hang_up
from tests.stack.stack import HOSTNAME
from tests.testbed import images
from tests.testbed.certificate import self_signed
from tests.testbed.container import Container
from tests.testbed.mounted import MountedFolder
from tests.testbed.pod import Network
from tests.testbed.podman import inspect, podman
from tests.testbed.smtp import RawClient, Reply

DELIVERY = 10025
"""The port of delivery, since the stores take 10024."""
STORES = {"s0": "127.0.0.2", "s1": "127.0.0.3"}
"""The stores, and where they listen."""
ANNA, BOB = "anna@example.org", "bob@example.org"
PLACES = {ANNA: "s0", BOB: "s1"}
"""Stores of the mailboxes: accounts puts each into the emptiest one."""
PASSWORD = "a horse and a staple"
SETTLE = 20
"""Seconds between a move and the removal of the copy."""

_NAMED = "\n".join(
    f'[accounts.stores.named.{name}]\nhost = "{host}"\n'
    f'doveadm_url = "http://{host}:{DOVEADM}"\ntransfer = "{host}:18081"'
    for name, host in STORES.items()
)
CONFIG = f"""
hostname = "{HOSTNAME}"
[accounts]
listen = "inet:10030@127.0.0.1"
dovecot_listen = "inet:8081@127.0.0.1"
snapshot_listen = "unix:/run/gatepost/snapshots"
[accounts.dovecot]
token_file = "/etc/gatepost/token"
doveadm_url = [{", ".join(f'"http://{host}:{DOVEADM}"' for host in STORES.values())}]
doveadm_key_file = "/etc/gatepost/doveadm-key"
[accounts.stores]
default = "s0"
settle = {SETTLE}
{_NAMED}
[delivery]
listen = "inet:{DELIVERY}"
spool_folder = "/tmp"
[delivery.spam]
engine = "none"
[delivery.accounts]
url = "unix:/run/gatepost/snapshots"
stores = true
folder = "/tmp"
[delivery.stores]
default = "inet:{LMTP}@127.0.0.2"
named = {{ s0 = "inet:{LMTP}@127.0.0.2", s1 = "inet:{LMTP}@127.0.0.3" }}
"""
SECRETS = {
    "token": "0123456789abcdef0123456789abcdef\n",
    "doveadm-key": "fedcba9876543210fedcba9876543210\n",
    "proxy-key": "00112233445566778899aabbccddeeff\n",
}
_COMMON = {
    "DOVECOT_HOSTNAME": HOSTNAME,
    "DOVECOT_ACCOUNTS": "http://127.0.0.1:8081",
    "DOVECOT_ACCOUNTS_TOKEN_FILE": "/secrets/token",
    "DOVECOT_PROXY_KEY_FILE": "/secrets/proxy-key",
}


class Shards:
    """The pod. `stores` are the containers of the mail stores by name, `configs` their settings."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._name = network.new_name()
        self._pod = f"{self._name}-pod"
        self._clients = contextlib.ExitStack()
        self._folder = tempfile.TemporaryDirectory(prefix="gatepost-test-", dir="/tmp")
        Path(self._folder.name).chmod(0o755)
        certificate, key = self_signed(HOSTNAME)
        self._gatepost = self._mounted("gatepost", {"gatepost.toml": CONFIG, **SECRETS})
        self._tls = self._mounted("tls", {"tls.crt": certificate, "tls.key": key})
        self._secrets = self._mounted("secrets", SECRETS)
        self.configs: dict[str, MountedFolder] = {}
        self.accounts = self._container(
            "accounts", ["gatepost", "probe", "socketmap", "inet:10030@127.0.0.1"]
        )
        self.delivery = self._container(
            "delivery", ["gatepost", "probe", "lmtp", f"inet:{DELIVERY}@127.0.0.1"]
        )
        self.stores = {name: self._dovecot(name, host) for name, host in STORES.items()}
        self.proxy: Container

    def start(self) -> None:
        """Start everything and make the mailboxes."""
        podman("pod", "create", f"--name={self._pod}", f"--network={self._network.name}")
        self._run_gatepost("accounts", ["--rm"], "accounts", "migrate")
        detached = ["--detach", f"--name={self.accounts.name}"]
        self._run_gatepost("accounts", detached, "accounts")
        self.accounts.wait_ready()
        self.command("domain", "add", "example.org")
        for address in PLACES:
            self.command("user", "add", address, stdin=PASSWORD)
        for name, host in STORES.items():
            settings = {"DOVECOT_STORE": name, "DOVECOT_STORE_PROXIES": "127.0.0.1/32"}
            self._run_dovecot(self.stores[name], host, settings)
        self.proxy = self._dovecot("proxy", self.address)
        self._run_dovecot(self.proxy, self.address, {"DOVECOT_ROLE": "proxy"})
        detached = ["--detach", f"--name={self.delivery.name}"]
        self._run_gatepost("gatepost", detached, "delivery")
        for container in (*self.stores.values(), self.proxy, self.delivery):
            container.wait_ready()

    def remove(self) -> None:
        """Remove the pod, its volumes and its folders."""
        self._clients.close()
        self._network.remove(self._name)
        self._folder.cleanup()

    @functools.cached_property
    def address(self) -> str:
        """Return the address at which the world reaches the pod."""
        infra = inspect("pod", self._pod)["InfraContainerID"]
        networks = inspect("container", infra)["NetworkSettings"]["Networks"]
        return str(networks[self._network.name]["IPAddress"])

    def command(self, *words: str, stdin: str = "") -> str:
        """Run a command of gatepost in the container of accounts and return its output."""
        return self.accounts.execute("gatepost", *words, stdin=stdin)

    def user(self, address: str) -> dict[str, str]:
        """Return what accounts says about a mailbox."""
        shown: dict[str, str] = json.loads(self.command("user", "show", address, "--json"))
        return shown

    def imap(self, user: str, password: str = PASSWORD) -> imaplib.IMAP4:
        """Open a session by way of the proxy; raises `imaplib.IMAP4.error`."""
        client = imaplib.IMAP4_SSL(self.address, IMAPS, ssl_context=any_certificate(), timeout=60)
        self._clients.callback(hang_up, client)
        client.login(user, password)
        return client

    def subjects(self, user: str) -> list[str]:
        """Return the subjects of the messages in INBOX."""
        client = self.imap(user)
        _, count = client.select("INBOX", readonly=True)
        if count == [b"0"]:
            return []
        _, found = client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        client.logout()
        fields: list[bytes] = [one[1] for one in found if isinstance(one, tuple)]
        return [one.decode().removeprefix("Subject: ").strip() for one in fields]

    def deliver(self, subject: str, *recipients: str) -> list[Reply]:
        """Deliver a message by way of delivery; return the reply about each recipient."""
        with RawClient(DELIVERY, host=self.address) as client:
            client.command("LHLO mx.example.org")
            client.command("MAIL FROM:<carol@remote.example>")
            for recipient in recipients:
                assert client.command(f"RCPT TO:<{recipient}>").code == 250
            client.command("DATA")
            text = f"From: <carol@remote.example>\r\nSubject: {subject}\r\n\r\nHello.\r\n.\r\n"
            client.send(text.encode())
            return [client.read_reply() for _ in recipients]

    def copies(self, store: str, user: str) -> str:
        """Return the names of the files of a mailbox in a store; empty if it has none there."""
        return self.stores[store].attempt("ls", f"/srv/mail/{self.user(user)['home']}/mail").stdout

    def _container(self, short: str, probe: list[str]) -> Container:
        return Container(short, f"{self._name}-{short}", probe)

    def _dovecot(self, short: str, host: str) -> Container:
        ready = f"[ -e /run/dovecot-config/warm ] && exec 3<>/dev/tcp/{host}/10143"
        return self._container(short, ["bash", "-c", ready])

    def _mounted(self, name: str, files: Mapping[str, str], mode: int = 0o640) -> MountedFolder:
        path = Path(self._folder.name) / name
        path.mkdir(mode=0o755)
        folder = MountedFolder(path, mode)
        folder.replace(files)
        return folder

    @property
    def _locked(self) -> Sequence[str]:
        return (
            f"--pod={self._pod}",
            "--read-only",
            "--tmpfs=/tmp:rw",
            "--cap-drop=ALL",
            "--security-opt=no-new-privileges",
            f"--volume={self._name}-sockets:/run/gatepost",
        )

    def _run_gatepost(self, image: str, options: Sequence[str], *command: str) -> None:
        podman(
            "run",
            *options,
            *self._locked,
            f"--volume={self._gatepost.path}:/etc/gatepost:ro",
            f"--volume={self._name}-{image}:/var/lib/gatepost/{image}",
            images.tag(image),
            *command,
        )

    def _run_dovecot(self, container: Container, host: str, settings: Mapping[str, str]) -> None:
        files = {**_COMMON, "listen.conf": f"listen = {host}\n", **settings}
        if "DOVECOT_STORE" in settings:
            files["DOVECOT_DOVEADM_KEY_FILE"] = "/secrets/doveadm-key"
        config = self._mounted(container.short, files, mode=0o755)
        self.configs[container.short] = config
        podman(
            "run",
            "--detach",
            f"--name={container.name}",
            *self._locked,
            "--tmpfs=/run:rw",
            "--env=GATE_WATCH_INTERVAL=1",
            f"--volume={config.path}:/config:ro",
            f"--volume={self._tls.path}:/tls:ro",
            f"--volume={self._secrets.path}:/secrets:ro",
            f"--volume={container.name}-mail:/srv/mail",
            images.tag("dovecot"),
        )


@contextlib.contextmanager
def running(network: Network) -> Iterator[Shards]:
    """Run the pod, and remove it at the end."""
    shards = Shards(network)
    try:
        shards.start()
        yield shards
    finally:
        shards.remove()
