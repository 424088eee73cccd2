"""Certificates of the Postfix image by the name that a client asks for."""

from __future__ import annotations

import smtplib
import ssl
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack.stack import DNS_HOST, FRIEND, SMTP, SUBMISSION, SUBMISSIONS, World
from tests.stack.test_postfix_image import CAPABILITIES, SETTINGS
from tests.testbed import images
from tests.testbed.certificate import self_signed
from tests.testbed.container import Container
from tests.testbed.mounted import MountedFolder
from tests.testbed.pod import Network
from tests.testbed.podman import podman

RELOADED = "run: configuration reloaded"
NOT_USED = "run: error: the new configuration is not used"


class Served:
    """A Postfix with a certificate in /tls and one for each folder in /certificates."""

    def __init__(self, network: Network, world: World, folder: Path) -> None:
        self.folder = folder
        self.default = self._pair("tls", *self_signed("mail.example.org"))
        self.first = self.put("first", "mail.first.example", "imap.first.example")
        self.second = self.put("second", "*.second.example")
        self.name = network.new_name()
        podman(
            "run",
            "--detach",
            f"--name={self.name}",
            f"--network={network.name}",
            f"--dns={DNS_HOST}",
            "--read-only",
            "--cap-drop=ALL",
            f"--cap-add={CAPABILITIES}",
            "--security-opt=no-new-privileges",
            f"--volume={folder / 'tls'}:/tls:ro",
            f"--volume={folder / 'certificates'}:/certificates:ro",
            "--env=GATE_WATCH_INTERVAL=1",
            "--env=POSTFIX_SASL=" + world.logins.postfix,
            *(f"--env={name}={value}" for name, value in SETTINGS.items()),
            images.tag("postfix"),
        )
        self.container = Container("postfix", self.name, ["probe"])
        networks = self.container.state["NetworkSettings"]["Networks"]
        self.address = str(networks[network.name]["IPAddress"])

    def put(self, folder: str, *names: str) -> str:
        """Write a new certificate for these names, and return it."""
        return self._pair(f"certificates/{folder}", *self_signed(*names))

    def _pair(self, folder: str, certificate: str, key: str) -> str:
        path = self.folder / folder
        path.mkdir(parents=True, exist_ok=True)
        # as Kubernetes mounts a Secret: a file through two links
        MountedFolder(path, mode=0o400).replace({"tls.crt": certificate, "tls.key": key})
        return certificate

    def to(self, name: str, port: int) -> str:
        """Return the certificate that a client gets who asks for a name, as PEM."""
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        source = (FRIEND, 0)
        if port == SUBMISSIONS:
            smtp: smtplib.SMTP = smtplib.SMTP_SSL(
                context=context, source_address=source, local_hostname="mail.example.net"
            )
            smtp._host = name  # type: ignore[attr-defined]  # the name that it asks for
            smtp.connect(self.address, port)
        else:
            smtp = smtplib.SMTP(
                self.address, port, "mail.example.net", source_address=source, timeout=30
            )
            smtp._host = name  # type: ignore[attr-defined]
            smtp.starttls(context=context)
        with smtp:
            assert isinstance(smtp.sock, ssl.SSLSocket)
            octets = smtp.sock.getpeercert(binary_form=True)
        assert octets is not None
        return ssl.DER_cert_to_PEM_cert(octets)


@pytest.fixture(scope="module")
def served(network: Network, world: World) -> Iterator[Served]:
    with tempfile.TemporaryDirectory(prefix="gatepost-test-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        running = Served(network, world, Path(folder))
        try:
            running.container.wait_ready()
            yield running
        finally:
            network.remove(running.name)


@pytest.mark.parametrize("port", [SMTP, SUBMISSION, SUBMISSIONS])
def test_each_name_has_its_certificate(served: Served, port: int) -> None:
    expected = {
        "mail.first.example": served.first,
        "imap.first.example": served.first,
        "mail.second.example": served.second,
        "Anything.Second.Example": served.second,
        "second.example": served.default,
        "mail.example.org": served.default,
        "third.example": served.default,
    }
    assert {name: served.to(name, port) for name in expected} == expected


def test_a_new_certificate_is_used_without_a_restart(served: Served) -> None:
    pid, reloads = served.container.pid, served.container.log().count(RELOADED)
    served.first = served.put("first", "mail.first.example", "imap.first.example")
    third = served.put("third", "third.example")
    served.container.wait_for_log(RELOADED, count=reloads + 1)
    assert served.to("mail.first.example", SUBMISSIONS) == served.first
    assert served.to("third.example", SUBMISSIONS) == third
    assert served.to("mail.second.example", SUBMISSIONS) == served.second
    MountedFolder(served.folder / "certificates/third", mode=0o400).replace({})
    served.container.wait_for_log(RELOADED, count=reloads + 2)
    assert served.to("third.example", SUBMISSIONS) == served.default
    assert served.container.pid == pid


def test_a_key_of_another_certificate_changes_nothing(served: Served) -> None:
    refused = served.container.log().count(NOT_USED)
    reloads = served.container.log().count(RELOADED)
    folder = MountedFolder(served.folder / "certificates/first", mode=0o400)
    good = folder.files()
    folder.update({"tls.key": self_signed("mail.first.example")[1]})
    log = served.container.wait_for_log(NOT_USED, count=refused + 1)
    assert "/certificates/first/tls.crt is not the certificate of /certificates/first/" in log
    # also in a process that starts now
    served.container.execute("postfix", "reload")
    assert served.to("mail.first.example", SUBMISSIONS) == served.first
    folder.update(good)
    served.container.wait_for_log(RELOADED, count=reloads + 1)


def test_no_key_lies_open(served: Served) -> None:
    found = served.container.execute("find", "/run", "-name", "*sni*", "-printf", "%m %u %f\n")
    assert found == "600 root sni.db\n"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_tls_before_1_2_is_refused(served: Served) -> None:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    smtp = smtplib.SMTP_SSL(
        context=context, source_address=(FRIEND, 0), local_hostname="mail.example.net"
    )
    smtp._host = "mail.example.org"  # type: ignore[attr-defined]
    with pytest.raises(ssl.SSLError, match="alert protocol version"):
        smtp.connect(served.address, SUBMISSIONS)
