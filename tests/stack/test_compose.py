"""compose.yaml, started by podman-compose as docs/up.md says, with the images of this tree."""

from __future__ import annotations

import imaplib
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.stack.mailboxes import any_certificate
from tests.testbed import images
from tests.testbed.pod import Network
from tests.testbed.podman import attempt, inspect, podman
from tests.testbed.waiting import wait_until
from tools.up.compose import rendered, write_secrets
from tools.up.first_mail import send_first_mail
from tools.up.people import ADMINISTRATOR, ANNA, BERT, People
from tools.up.place import HOST, PORTS, Place

pytestmark = pytest.mark.timeout(900)
"""Seconds for a machine under load: it starts twice."""


def ours(image: str) -> str:
    """The image of this tree for one of a release."""
    found = re.fullmatch(r"ghcr\.io/gatepost/gatepost(?:-([a-z]+))?:.*", image)
    assert found is not None, image
    return images.tag(found[1] or "gatepost")


class Compose:
    """The project in a folder of its own."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.file = folder / "compose.yaml"
        self.file.write_text(rendered(ours))
        self.services = yaml.safe_load(self.file.read_text())["services"]
        self.place = Place(name=name, state=folder / ".compose")
        write_secrets(self.place)

    @property
    def words(self) -> list[str]:
        program = Path(sys.executable).with_name("podman-compose")
        return [str(program), "-p", self.name, "-f", str(self.file)]

    def run(self, *words: str) -> str:
        done = subprocess.run(
            [*self.words, *words], capture_output=True, text=True, timeout=500, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def container(self, service: str) -> str:
        return f"{self.name}_{service}_1"

    def up(self) -> None:
        self.run("up", "-d")
        for service, content in self.services.items():
            if "healthcheck" in content:
                probe = content["healthcheck"]["test"][1]
                wait_until(
                    lambda service=service, probe=probe: (  # type: ignore[misc]
                        attempt("exec", self.container(service), "sh", "-c", probe).returncode == 0
                    ),
                    f"{service} to be ready",
                    deadline=120,  # with another system on the same machine
                    pause=0.5,
                )

    def remove(self) -> None:
        attempt("pod", "rm", "--force", "--time=1", f"pod_{self.name}")
        for service in ("webmail", "postfix", "policyd", "milters", "dovecot", "accounts", "pod"):
            attempt("rm", "--force", "--volumes", "--time=1", self.container(service))
        label = f"label=io.podman.compose.project={self.name}"
        for volume in podman("volume", "ls", "--filter", label, "--format={{.Name}}").split():
            attempt("volume", "rm", volume)
        attempt("network", "rm", f"{self.name}_default")

    def subjects(self, login: str, password: str) -> bytes:
        client = imaplib.IMAP4_SSL(HOST, PORTS["imaps"], ssl_context=any_certificate(), timeout=30)
        try:
            client.login(login, password)
            client.select()
            return repr(client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")).encode()
        finally:
            client.logout()


@pytest.fixture(scope="module")
def compose(network: Network) -> Iterator[Compose]:
    with tempfile.TemporaryDirectory(prefix="gatepost-test-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        project = Compose(network.new_name(), Path(folder))
        try:
            yield project
        finally:
            project.remove()


def test_it_starts_delivers_and_keeps_its_data(compose: Compose) -> None:
    compose.up()
    told = compose.run("exec", "-T", "accounts", "gatepost", "accounts", "demo")
    passwords = dict(re.findall(r"^  (\S+) +(\S{12,})$", told, re.MULTILINE))
    assert set(passwords) == {ANNA, BERT, ADMINISTRATOR}, told
    send_first_mail(compose.place, People(passwords))
    assert b"The first mail" in compose.subjects(BERT, passwords[BERT])

    # secrets are in files, and passwords nowhere
    kept = {path: path.read_text().strip() for path in compose.folder.rglob("*") if path.is_file()}
    secrets = [text for path, text in kept.items() if path.parent.name in ("mailboxes", "tls")]
    assert len(secrets) == 6
    assert not [text for text in kept.values() for one in passwords.values() if one in text]
    for service in compose.services:
        environment = "\n".join(inspect("container", compose.container(service))["Config"]["Env"])
        assert not [one for one in (*secrets, *passwords.values()) if one in environment], service

    compose.run("down")
    assert attempt("container", "exists", compose.container("accounts")).returncode != 0
    compose.up()
    assert b"The first mail" in compose.subjects(BERT, passwords[BERT])


def test_the_words_of_the_page_run() -> None:
    command = [sys.executable, "-m", "tools.up.compose"]
    for words in (["render"], ["secrets", "--help"]):
        assert subprocess.run([*command, *words], capture_output=True, check=False).returncode == 0
