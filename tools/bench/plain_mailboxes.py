"""Postfix and Dovecot of our images in one pod, without Gatepost, as a peer of the whole system.

Passwords, mailboxes and recipients are in files. Nothing checks, signs, limits or delays mail.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from accounts.password_settings import PasswordSettings
from accounts.passwords.fresh import hash_password
from accounts.passwords.secret import Password
from tests.testbed import images
from tests.testbed.certificate import self_signed
from tests.testbed.closing import Closing
from tests.testbed.container import Container
from tests.testbed.pod import Network
from tests.testbed.podman import inspect, podman

POSTFIX_RIGHTS = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID")

_DOVECOT = """
passdb lua {
  driver = passwd-file
  passwd_file_path = /config/passwd
}
userdb lua {
  driver = passwd-file
  passwd_file_path = /config/passwd
}
"""


class PlainMailboxes(Closing):
    """The pod; all `users` have the password `password`."""

    def __init__(
        self,
        network: Network,
        folder: Path,
        hostname: str,
        users: Iterable[str],
        password: str,
        postfix: str,
    ) -> None:
        self._network = network
        self._name = network.new_name()
        self._folder = folder
        self._hostname = hostname
        self._users = list(users)
        self._password = password
        self._postfix = postfix
        self.containers = [
            Container("dovecot", f"{self._name}-dovecot", ["probe", "ready"]),
            Container("postfix", f"{self._name}-postfix", ["probe"]),
        ]

    def start(self) -> None:
        """Start both and wait until they are ready; raises `PodmanError` or `WaitError`."""
        hashed = hash_password(Password(self._password), PasswordSettings())
        certificate, key = self_signed(self._hostname)
        self._write("tls", {"tls.crt": certificate, "tls.key": key})
        self._write(
            "dovecot",
            {
                "DOVECOT_HOSTNAME": self._hostname,
                "DOVECOT_ACCOUNTS": "http://127.0.0.1:1",  # never asked
                "passwd": "".join(f"{user}:{hashed}::::::\n" for user in self._users),
                "plain.conf": _DOVECOT,
            },
        )
        self._write(
            "postfix",
            {
                "POSTFIX_HOSTNAME": self._hostname,
                "POSTFIX_DOMAINS": self._users[0].rpartition("@")[2],
                "POSTFIX_NEXT_HOP": "lmtp:inet:127.0.0.1:10024",
                "relay_recipients": "".join(f"{user} x\n" for user in self._users),
                "plain.cf": self._postfix,
            },
        )
        podman("pod", "create", f"--name={self._name}-pod", f"--network={self._network.name}")
        dovecot, postfix = self.containers
        self._run(dovecot, "10003:0", "--volume", f"{self._name}-mail:/srv/mail")
        rights = [f"--cap-add={right}" for right in POSTFIX_RIGHTS]
        self._run(postfix, "0:0", "--volume", f"{self._name}-queue:/var/spool/postfix", *rights)
        for container in self.containers:
            container.wait_ready()

    def _write(self, name: str, files: dict[str, str]) -> None:
        path = self._folder / name
        path.mkdir(parents=True)
        for file, text in files.items():
            (path / file).write_text(text)
            (path / file).chmod(0o644)

    def _run(self, container: Container, user: str, *options: str) -> None:
        podman(
            "run",
            "--detach",
            f"--name={container.name}",
            f"--pod={self._name}-pod",
            f"--user={user}",
            "--read-only",
            "--tmpfs=/tmp:rw",
            "--tmpfs=/run:rw",
            "--cap-drop=ALL",
            "--security-opt=no-new-privileges",
            f"--volume={self._folder / container.short}:/config:ro",
            f"--volume={self._folder / 'tls'}:/tls:ro",
            *options,
            images.tag(container.short),
        )

    @property
    def address(self) -> str:
        """Where its ports are."""
        infra = inspect("pod", f"{self._name}-pod")["InfraContainerID"]
        networks = inspect("container", infra)["NetworkSettings"]["Networks"]
        return str(networks[self._network.name]["IPAddress"])

    @property
    def mail(self) -> Path:
        """The folder of the mailboxes on this machine."""
        return Path(inspect("volume", f"{self._name}-mail")["Mountpoint"])

    def close(self) -> None:
        """Remove it with its mail."""
        self._network.remove(self._name)
