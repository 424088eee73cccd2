"""Mailboxes: Dovecot with accounts behind it, in one pod, run as the READMEs of the images say."""

from __future__ import annotations

import contextlib
import functools
import imaplib
import json
import poplib
import socket
import ssl
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.stack.stack import BALANCERS, HOSTNAME, SINK_HOST
from tests.testbed import images
from tests.testbed.certificate import self_signed
from tests.testbed.container import Container
from tests.testbed.managesieve import ManageSieve
from tests.testbed.mounted import MountedFolder
from tests.testbed.pod import Network
from tests.testbed.podman import inspect, podman
from tests.testbed.smtp import RawClient, Reply

IMAP, IMAPS, POP3S, SIEVE, LMTP = 10143, 10993, 10995, 14190, 10024
IMAP_PROXY, IMAPS_PROXY, POP3S_PROXY, SIEVE_PROXY = 11143, 11993, 11995, 15190
QUOTA, DOVEADM, METRICS = 12340, 18080, 9104

TOKEN, KEY = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"
WATCH = 1
"""Seconds between two looks of the image at its files."""

ANNA, BOB, DORA = "anna@example.org", "bob@example.org", "dora@example.org"
SMALL, QUOTA_OF_SMALL = "small@example.org", 1024 * 1024
"""A mailbox with a quota, in octets."""
ALIAS_DOMAIN = "example.com"
"""Another name of example.org."""
PASSWORDS = {
    name: f"{name.partition('@')[0]} has a horse and a staple" for name in (ANNA, BOB, DORA, SMALL)
}

CONFIG = f"""
hostname = "{HOSTNAME}"
[accounts]
listen = "inet:10030@127.0.0.1"
dovecot_listen = "inet:8081"
dict_listen = "unix:/run/gatepost/dict"
[accounts.dovecot]
token_file = "/etc/gatepost/token"
doveadm_url = "http://127.0.0.1:{DOVEADM}/doveadm/v1"
doveadm_key_file = "/etc/gatepost/key"
"""

SETTINGS: Mapping[str, str] = {
    "DOVECOT_HOSTNAME": HOSTNAME,
    "DOVECOT_ACCOUNTS": "http://127.0.0.1:8081",
    "DOVECOT_ACCOUNTS_TOKEN_FILE": "/secrets/token",
    "DOVECOT_DOVEADM_KEY_FILE": "/secrets/key",
    "DOVECOT_RULES": "/run/gatepost/dict",
    "DOVECOT_PROXY_NETWORKS": BALANCERS,
    "DOVECOT_SUBMISSION": f"{SINK_HOST}:25",
}


class Mailboxes:
    """A pod with accounts, which knows `PASSWORDS`, and Dovecot."""

    def __init__(
        self,
        network: Network,
        settings: Mapping[str, str] | None = None,
        user: int = 10003,
    ) -> None:
        self._network = network
        self._name = network.new_name()
        self.pod = f"{self._name}-pod"
        self._user = user
        self._clients = contextlib.ExitStack()
        self._folder = tempfile.TemporaryDirectory(prefix="gatepost-test-", dir="/tmp")
        Path(self._folder.name).chmod(0o755)
        certificate, key = self_signed(HOSTNAME)
        secrets = {"token": f"{TOKEN}\n", "key": f"{KEY}\n"}
        self.gatepost = self._mounted("gatepost", {"gatepost.toml": CONFIG, **secrets})
        self.config = self._mounted("config", {**SETTINGS, **(settings or {})}, mode=0o755)
        """Settings and overrides of Dovecot."""
        self.tls = self._mounted("tls", {"tls.crt": certificate, "tls.key": key})
        self.secrets = self._mounted("secrets", secrets)
        self.certificates = self._mounted("certificates", {})
        self.accounts = Container(
            "accounts",
            f"{self._name}-accounts",
            ["gatepost", "probe", "socketmap", "inet:10030@127.0.0.1"],
        )
        self.dovecot = Container("dovecot", f"{self._name}-dovecot", ["probe", "ready"])

    def _mounted(self, name: str, files: Mapping[str, str], mode: int = 0o640) -> MountedFolder:
        path = Path(self._folder.name) / name
        path.mkdir(mode=0o755)
        folder = MountedFolder(path, mode)
        folder.replace(files)
        return folder

    def start(self) -> None:
        """Start accounts, make the mailboxes, and start Dovecot until it is ready."""
        podman("pod", "create", f"--name={self.pod}", f"--network={self._network.name}")
        self._run_accounts(["--rm"], "accounts", "migrate")
        self._run_accounts(["--detach", f"--name={self.accounts.name}"], "accounts")
        self.accounts.wait_ready()
        self.command("domain", "add", "example.org")
        for address, password in PASSWORDS.items():
            quota = ("--quota", "1M") if address == SMALL else ()
            self.command("user", "add", address, *quota, stdin=password)
        self.command("domain", "add", ALIAS_DOMAIN, "--alias-of", "example.org")
        podman(
            "run",
            "--detach",
            f"--name={self.dovecot.name}",
            f"--user={self._user}:0",
            # in a pod, podman 4.3 mounts them read-only now and then unless this is said
            "--tmpfs=/tmp:rw",
            "--tmpfs=/run:rw",
            f"--env=GATE_WATCH_INTERVAL={WATCH}",
            f"--volume={self.config.path}:/config:ro",
            f"--volume={self.tls.path}:/tls:ro",
            f"--volume={self.certificates.path}:/certificates:ro",
            f"--volume={self.secrets.path}:/secrets:ro",
            f"--volume={self._name}-mail:/srv/mail",
            *self._common,
            images.tag("dovecot"),
        )
        self.dovecot.wait_ready()

    @property
    def _common(self) -> Sequence[str]:
        return (
            f"--pod={self.pod}",
            "--read-only",
            "--cap-drop=ALL",
            "--security-opt=no-new-privileges",
            f"--volume={self._name}-sockets:/run/gatepost",
        )

    def _run_accounts(self, options: Sequence[str], *command: str) -> None:
        podman(
            "run",
            *options,
            f"--volume={self.gatepost.path}:/etc/gatepost:ro",
            f"--volume={self._name}-accounts:/var/lib/gatepost/accounts",
            *self._common,
            images.tag("accounts"),
            *command,
        )

    def remove(self) -> None:
        """Remove the pod, its volumes and its folders."""
        self._clients.close()
        self._network.remove(self._name)
        self._folder.cleanup()

    def command(self, *words: str, stdin: str = "") -> str:
        """Run a command of gatepost in the container of accounts and return its output."""
        return self.accounts.execute("gatepost", *words, stdin=stdin)

    def home(self, user: str) -> str:
        """Return the folder of a mailbox in the container of Dovecot."""
        shown = json.loads(self.command("user", "show", user, "--json"))
        return f"/srv/mail/{shown['home']}"

    @functools.cached_property
    def address(self) -> str:
        """Where the world reaches the pod."""
        infra = inspect("pod", self.pod)["InfraContainerID"]
        networks = inspect("container", infra)["NetworkSettings"]["Networks"]
        return str(networks[self._network.name]["IPAddress"])

    def imap(self, user: str = ANNA, password: str = "", *, login: bool = True) -> imaplib.IMAP4:
        """Open a session with TLS; the password is the right one if none is given. Raises
        `imaplib.IMAP4.error`."""
        client = imaplib.IMAP4_SSL(self.address, IMAPS, ssl_context=any_certificate(), timeout=60)
        self._clients.callback(hang_up, client)
        if login:
            client.login(user, password or PASSWORDS[user])
        return client

    def end_sessions(self) -> None:
        """End all sessions that tests have left open."""
        self._clients.close()

    def refusal(self, user: str, password: str = "") -> str:
        """Return what IMAP answers to a login that fails."""
        try:
            self.imap(user, password or PASSWORDS.get(user, "some password"))
        except imaplib.IMAP4.error as error:
            return str(error)
        raise AssertionError(f"{user} is let in")

    def pop3(self, user: str, password: str = "") -> poplib.POP3:
        """Open a session with TLS; raises `poplib.error_proto`."""
        client = poplib.POP3_SSL(self.address, POP3S, context=any_certificate(), timeout=60)
        self._clients.callback(client.close)
        client.user(user)
        client.pass_(password or PASSWORDS[user])
        return client

    def sieve(self, user: str, script: str) -> None:
        """Store a script of this user with ManageSieve, and make it the active one."""
        client = ManageSieve(self.address, SIEVE)
        try:
            client.login(user, PASSWORDS[user])
            client.put("mine", script)
        finally:
            client.close()

    def deliver(self, recipient: str, subject: str, *, fields: str = "", text: str = "") -> Reply:
        """Deliver a message by LMTP; return the reply to its end, or that to the recipient if it
        was refused."""
        message = (
            f"From: Carol <carol@remote.example>\r\nTo: <{recipient}>\r\nSubject: {subject}\r\n"
            f"Message-ID: <{abs(hash((recipient, subject)))}@remote.example>\r\n"
            f"Date: Thu, 26 Nov 2026 12:00:00 +0000\r\n{fields}\r\n{text or 'Hello.'}\r\n"
        )
        with RawClient(LMTP, host=self.address) as client:
            client.command("LHLO mx.example.org")
            client.command("MAIL FROM:<carol@remote.example>")
            reply = client.command(f"RCPT TO:<{recipient}>")
            if reply.code != 250:
                return reply
            client.command("DATA")
            client.send(message.encode() + b".\r\n")
            return client.read_reply()

    def may_come(self, recipient: str, size: int) -> str:
        """Return what Dovecot tells Postfix about a message of that size."""
        attributes = {
            "request": "smtpd_access_policy",
            "protocol_state": "RCPT",
            "protocol_name": "ESMTP",
            "sender": "carol@remote.example",
            "recipient": recipient,
            "size": str(size),
        }
        with socket.create_connection((self.address, QUOTA), timeout=60) as client:
            client.sendall("".join(f"{k}={v}\n" for k, v in attributes.items()).encode() + b"\n")
            answer = client.makefile("rb").readline().decode()
        return answer.removeprefix("action=").strip()

    def subjects(self, user: str, folder: str = "INBOX") -> list[str]:
        """Return the subjects of the messages in a folder; none if it is not there."""
        client = self.imap(user)
        status, count = client.select(f'"{folder}"', readonly=True)
        if status != "OK" or count == [b"0"]:
            client.logout()
            return []
        _, found = client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        client.logout()
        fields: list[bytes] = [one[1] for one in found if isinstance(one, tuple)]
        return [one.decode().removeprefix("Subject: ").strip() for one in fields]


def hang_up(client: imaplib.IMAP4) -> None:
    """Close the connection of a session, which may be over already."""
    with contextlib.suppress(OSError):
        client.shutdown()


def any_certificate() -> ssl.SSLContext:
    """Return a TLS context that accepts self-signed certificates."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@contextlib.contextmanager
def running(
    network: Network, settings: Mapping[str, str] | None = None, user: int = 10003
) -> Iterator[Mailboxes]:
    """Run a pod of mailboxes, and remove it at the end."""
    mailboxes = Mailboxes(network, settings, user)
    try:
        mailboxes.start()
        yield mailboxes
    finally:
        mailboxes.remove()
