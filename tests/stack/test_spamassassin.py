"""The SpamAssassin image: rules from a channel, Pyzor, the data of users, and a bad change."""

from __future__ import annotations

import base64
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack.alone import ANY_USER, Alone, configuration
from tests.stack.stack import DNS_HOST, World
from tests.testbed.container import Container, process_status
from tests.testbed.pod import Network
from tests.testbed.podman import podman
from tests.testbed.pyzor import PyzorServer
from tests.testbed.waiting import wait_until
from tests.testbed.web_folder import WebFolder

DATA = "/var/lib/spamassassin"
CHANNEL, MIRROR, PYZOR = "rules.test", "192.0.2.91", "192.0.2.92"
ANN, BOB = "ann@example.org", "bob@example.org"
RECEIVED = (
    "Received: from x.example.net (x.example.net [198.51.100.7])\r\n"
    "\tby mx.example.org (Postfix) with ESMTP id 4Qabc; Fri, 27 Nov 2026 01:00:00 +0000\r\n"
)
HEAD = (
    "From: Carl <carl@example.net>\r\nTo: ann@example.org\r\nSubject: lunch\r\n"
    "Date: Fri, 27 Nov 2026 01:00:00 +0000\r\nMessage-ID: <lunch.1@example.net>\r\n"
)
GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*" + "GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"


def message(
    text: str = "Shall we meet for lunch at noon?", above: str = "", below: str = ""
) -> str:
    return f"{above}{RECEIVED}{below}{HEAD}\r\n{text}\r\n"


class Spamd:
    """SpamAssassin in its container, which the test reaches by its address."""

    def __init__(self, container: Container, network: Network) -> None:
        self.container = container
        networks = container.state["NetworkSettings"]["Networks"]
        self.address = str(networks[network.name]["IPAddress"])

    def ask(self, verb: str, text: str, user: str = ANN, *fields: str) -> str:
        octets = text.encode()
        head = [f"{verb} SPAMC/1.5", f"User: {user}", *fields, f"Content-length: {len(octets)}"]
        with socket.create_connection((self.address, 7830), timeout=90) as link:
            link.sendall("\r\n".join([*head, "", ""]).encode() + octets)
            link.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: link.recv(65536), b"")).decode()

    def symbols(self, text: str, user: str = ANN) -> set[str]:
        head, _, body = self.ask("SYMBOLS", text, user).partition("\r\n\r\n")
        if not head:
            raise ConnectionResetError("spamd ended the connection without an answer")
        assert " 0 EX_OK" in head
        return set(body.strip().split(","))

    def knows(self, rule: str) -> bool:
        """Return whether a rule hits; spamd answers nobody while it loads rules."""
        try:
            return rule in self.symbols(message())
        except OSError:
            return False

    def learn(self, text: str, kind: str, user: str = ANN) -> None:
        answer = self.ask("TELL", text, user, f"Message-class: {kind}", "Set: local")
        assert "DidSet: local" in answer, answer

    def update(self) -> tuple[int, str]:
        done = self.container.attempt("update-rules")
        return done.returncode, done.stdout + done.stderr

    def rules(self) -> str:
        return self.container.execute("readlink", f"{DATA}/rules/current").strip()


class Channel:
    """A channel of rules with a key of its own; the signer works in the container."""

    def __init__(self, spamd: Container, web: WebFolder, world: World, settings: Path) -> None:
        self._container = spamd
        self._web = web
        self._dns = world.dns
        self._sign(
            "mkdir -m 0700 /tmp/signer && " + self._gpg("--quick-gen-key rules@test ed25519")
        )
        (settings / "keys").mkdir()
        (settings / "keys" / "rules.asc").write_text(self._sign(self._gpg("--armor --export")))
        (web.folder / "MIRRORED.BY").write_text(f"{web.url}/\n")
        self._dns.add(f"mirrors.{CHANNEL}", "TXT", f"{web.url}/MIRRORED.BY")

    @staticmethod
    def _gpg(command: str) -> str:
        return f"gpg -q --homedir /tmp/signer --batch --passphrase '' {command}"

    def _sign(self, script: str) -> str:
        return self._container.execute("sh", "-c", script)

    def publish(self, version: int, rules: str, *, signed: bool = True) -> None:
        """Publish a version of the rules; without `signed`, the file is changed after it was."""
        name = f"{version}.tar.gz"
        pack = f"cd /tmp && rm -rf set {name}* && mkdir set && cat > set/local.cf"
        self._container.execute("sh", "-c", pack, stdin=rules)
        self._sign(f"cd /tmp/set && tar -czf ../{name} local.cf")
        self._sign(self._gpg(f"--armor --detach-sign /tmp/{name}"))
        if not signed:
            self._sign(f"cd /tmp/set && echo '# more' >> local.cf && tar -czf ../{name} local.cf")
        self._sign(f"cd /tmp && sha512sum {name} > {name}.sha512")
        for file in (name, f"{name}.asc", f"{name}.sha512"):
            octets = self._sign(f"base64 /tmp/{file}")
            (self._web.folder / file).write_bytes(base64.b64decode(octets))
        self._dns.add(f"1.0.4.{CHANNEL}", "TXT", str(version), ttl=0)


@pytest.fixture(scope="module")
def settings() -> Iterator[Path]:
    with configuration() as folder:
        yield folder


@pytest.fixture(scope="module")
def pyzor(network: Network) -> Iterator[PyzorServer]:
    with PyzorServer(PYZOR) as server:
        yield server


@pytest.fixture(scope="module")
def spamd(network: Network, world: World, settings: Path, pyzor: PyzorServer) -> Iterator[Spamd]:
    alone = Alone(network, "spamassassin", settings, DATA)
    values = {
        "SPAM_AUTHSERV_ID": "mx.example.org",
        "SPAM_LISTEN": "*",
        "SPAM_CLIENTS": f"127.0.0.1 {network.subnet}",
        "SPAM_MIN_LEARNED": "1",
        "SPAM_CHANNELS": CHANNEL,
        "SPAM_PYZOR": "yes",
        "SPAM_PYZOR_SERVER": pyzor.address,
        "GATE_WATCH_INTERVAL": "1",
    }
    try:
        container = alone.start(
            f"--network={network.name}",
            f"--dns={DNS_HOST}",
            *(f"--env={name}={value}" for name, value in values.items()),
            # a small volume, for the test of a full one
            data=[f"--tmpfs={DATA}:rw,mode=0770,size=40m"],
        )
        container.wait_ready()
        yield Spamd(container, network)
    finally:
        alone.remove()


@pytest.fixture(scope="module")
def channel(network: Network, world: World, spamd: Spamd, settings: Path) -> Iterator[Channel]:
    with configuration() as folder, WebFolder(MIRROR, folder) as web:
        yield Channel(spamd.container, web, world, settings)


def test_it_judges_and_runs_as_anybody(spamd: Spamd) -> None:
    podman("healthcheck", "run", spamd.container.name)
    assert process_status(spamd.container, "Uid") == [str(ANY_USER)] * 4
    assert "GTUBE" in spamd.symbols(message(GTUBE))
    assert "GTUBE" not in spamd.symbols(message())
    log = spamd.container.log()
    assert "warn:" not in log
    assert "prefork" not in log


def test_it_believes_our_milter_and_nobody_else(spamd: Spamd) -> None:
    name = "Authentication-Results"
    results = "mx.example.org;\r\n dmarc=pass header.from=example.net;\r\n spf=pass\r\n"
    found = spamd.symbols(message(above=f"{name}: {results}"))
    assert {"GP_DMARC_PASS", "GP_SPF_PASS", "SPF_PASS"} <= found
    for field in (name, f"ARC-{name}: i=1; mx.example.org", "ARC-" + name):
        forged = spamd.symbols(message(below=f"{field}: {results}"))
        assert "GP_NO_RESULTS" in forged
        assert not {"GP_DMARC_PASS", "SPF_PASS"} & forged
    other = spamd.symbols(message(above=f"{name}: other{results}"))
    assert "GP_NO_RESULTS" in other


def test_the_training_of_one_user_is_not_that_of_another(spamd: Spamd) -> None:
    spam, ham = (
        message("cheap watches and pills " * 20),
        message("the minutes of our meeting " * 20),
    )
    spamd.learn(spam, "spam")
    spamd.learn(ham, "ham")
    bayes = re.compile("BAYES_[0-9]+")
    assert [one for one in spamd.symbols(spam) if bayes.match(one)] != []
    assert [one for one in spamd.symbols(spam, BOB) if bayes.match(one)] == []
    listed = spamd.container.execute(
        "stat",
        "-c",
        "%a %n",
        *(
            f"{DATA}/users/{name}"
            for name in ("", "example.org", "example.org/ann", "example.org/ann/bayes_toks")
        ),
    )
    # delivery, which is another user of the same group, works there
    assert [line.split()[0] for line in listed.splitlines()] == ["2770", "2770", "2770", "660"]


def test_a_list_of_a_user_counts_with_a_pass_of_dmarc_alone(spamd: Spamd) -> None:
    prefs = f"{DATA}/users/example.org/ann/user_prefs"
    spamd.container.execute(
        "sh", "-c", f"cat > {prefs}", stdin="welcomelist_from carl@example.net\n"
    )
    passed = "Authentication-Results: mx.example.org; dmarc=pass header.from=example.net\r\n"
    assert "GP_WELCOME" in spamd.symbols(message(GTUBE, above=passed))
    assert "GP_WELCOME" not in spamd.symbols(message(GTUBE))
    assert "GP_WELCOME" not in spamd.symbols(message(GTUBE, above=passed), BOB)
    assert "Spam: True" in spamd.ask("SYMBOLS", message(GTUBE))


def test_pyzor_counts_and_costs_little_while_it_is_away(spamd: Spamd, pyzor: PyzorServer) -> None:
    text = "A message that many others got as well, with enough words to have a digest.\r\n" * 5
    asked = pyzor.questions
    assert "PYZOR_CHECK" not in spamd.symbols(message(text))
    assert pyzor.questions > asked
    pyzor.count = 1000
    assert "PYZOR_CHECK" in spamd.symbols(message(text))
    pyzor.count = None
    start = time.monotonic()
    assert "PYZOR_CHECK" not in spamd.symbols(message(text))
    pyzor.count = 0
    # its own limit would be 5 s; the machine may be busy with other tests
    assert time.monotonic() - start < 4.5


def test_new_rules_are_used_and_bad_ones_are_not(spamd: Spamd, channel: Channel) -> None:
    def use(name: str) -> None:
        wait_until(lambda: spamd.knows(name), f"{name} to be used", pause=0.3)

    channel.publish(1000, "body FIRST_RULE /lunch/\nscore FIRST_RULE 1.5\n")
    status, said = spamd.update()
    assert status == 0, said
    use("FIRST_RULE")
    # the rules of the package go on
    assert "GTUBE" in spamd.symbols(message(GTUBE))
    good = spamd.rules()
    status, said = spamd.update()
    assert (status, spamd.rules()) == (0, good)
    assert "there are no newer rules" in said

    channel.publish(1001, "body FORGED_RULE /lunch/\n", signed=False)
    status, said = spamd.update()
    assert (status, spamd.rules()) == (1, good)
    assert "GPG validation failed" in said
    assert "the rules in use stay" in said

    channel.publish(1002, "body BROKEN_RULE /lunch(/\n")
    status, said = spamd.update()
    assert (status, spamd.rules()) == (1, good)
    assert "lint check of update failed" in said

    channel.publish(1003, "body SECOND_RULE /lunch/\n# " + "x" * 3_000_000 + "\n")
    free = "head -c $(( ($(stat -fc %a .) - 400) * $(stat -fc %S .) )) /dev/zero > full"
    spamd.container.execute("sh", "-c", f"cd {DATA} && {free}")
    status, said = spamd.update()
    assert (status, spamd.rules()) == (1, good)
    assert "the rules in use stay" in said
    assert "FIRST_RULE" in spamd.symbols(message())
    left = spamd.container.execute("ls", f"{DATA}/rules").split()
    assert sorted(left) == sorted([good, "current", "lock"])
    spamd.container.execute("rm", f"{DATA}/full")
    status, said = spamd.update()
    assert status == 0, said
    use("SECOND_RULE")
    assert "FIRST_RULE" not in spamd.symbols(message())


def test_a_bad_override_leaves_it_as_it_is(spamd: Spamd, settings: Path) -> None:
    (settings / "site.cf").write_text("no_such_setting 1\n")
    spamd.container.wait_for_log("the old one stays in use")
    assert "no_such_setting" in spamd.container.log()
    assert "GTUBE" in spamd.symbols(message(GTUBE))
    (settings / "site.cf").write_text("header SITE_RULE Subject =~ /lunch/\n")
    wait_until(lambda: spamd.knows("SITE_RULE"), "the override", pause=0.3)
    podman("stop", "--time=30", spamd.container.name)
    assert spamd.container.state["State"]["ExitCode"] == 0
