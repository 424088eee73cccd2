"""The ClamAV image: with a database of two signatures, and freshclam with a mirror of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack.alone import ANY_USER, Alone, configuration
from tests.testbed.container import Container, process_status
from tests.testbed.pod import Network
from tests.testbed.podman import inspect, podman
from tests.testbed.waiting import wait_until
from tests.testbed.web_folder import WebFolder

DATA = "/var/lib/clamav"
MIRROR = "192.0.2.90"
EICAR = b"".join(
    # put together here: the file of a test is not to be found by a scanner
    (b"X5O!P%@AP[4\\PZX54(P^)7CC)7}", b"$EICAR-STANDARD-", b"ANTIVIRUS-TEST-FILE!$H+H*")
)
MARK = b"gatepost-test-mark-0123456789abcdef"
DIGEST = f"{hashlib.md5(EICAR, usedforsecurity=False).hexdigest()}:{len(EICAR)}:Test.Digest\n"
BODY = f"Test.Body:0:*:{MARK.hex()}\n"

SCAN = r"""
exec 3<>/dev/tcp/127.0.0.1/3310
octets=$1
printf 'zINSTREAM\0' >&3
size=$(printf %08x $((${#octets} / 2)))
printf "$(sed 's/../\\x&/g' <<< "$size$octets")" >&3
printf '\0\0\0\0' >&3
timeout 30 tr -d '\0' <&3
"""
"""Program of bash that sends the octets in hexadecimal digits to clamd and prints its answer."""


@pytest.fixture(scope="module")
def settings() -> Iterator[Path]:
    with configuration() as folder:
        yield folder


@pytest.fixture(scope="module")
def alone(network: Network, settings: Path) -> Iterator[Alone]:
    made = Alone(network, "clamav", settings, DATA)
    try:
        yield made
    finally:
        made.remove()


@pytest.fixture(scope="module")
def signatures(alone: Alone) -> Path:
    """The folder of the volume, with one signature."""
    podman("volume", "create", alone.volume)
    folder = Path(str(inspect("volume", alone.volume)["Mountpoint"]))
    folder.chmod(0o777)
    put(folder / "digest.hdb", DIGEST)
    return folder


@pytest.fixture(scope="module")
def clamd(alone: Alone, signatures: Path, settings: Path) -> Container:
    (settings / "clamd.conf").write_text("SelfCheck 1\n")
    container = alone.start("--env=GATE_WATCH_INTERVAL=1")
    container.wait_ready()
    return container


def put(file: Path, text: str) -> None:
    """Write a file as a whole, as freshclam does."""
    new = file.with_name("new.tmp")
    new.write_text(text)
    new.chmod(0o644)
    new.rename(file)


def scan(container: Container, octets: bytes) -> str:
    return container.execute("bash", "-c", SCAN, "scan", octets.hex()).strip()


def test_it_finds_what_its_signatures_describe(clamd: Container) -> None:
    podman("healthcheck", "run", clamd.name)
    assert process_status(clamd, "Uid") == [str(ANY_USER)] * 4
    assert scan(clamd, EICAR) == "stream: Test.Digest.UNOFFICIAL FOUND"
    assert scan(clamd, b"a letter to a friend") == "stream: OK"
    assert clamd.memory() < 40 << 20


def test_it_takes_new_signatures_while_it_runs(clamd: Container, signatures: Path) -> None:
    assert scan(clamd, MARK) == "stream: OK"
    put(signatures / "body.ndb", BODY)
    wait_until(
        lambda: scan(clamd, MARK) == "stream: Test.Body.UNOFFICIAL FOUND", "the new signature"
    )
    assert scan(clamd, EICAR) == "stream: Test.Digest.UNOFFICIAL FOUND"


def test_a_bad_change_of_its_settings_leaves_it_as_it_is(clamd: Container, settings: Path) -> None:
    (settings / "clamd.conf").write_text("SelfCheck 1\nNoSuchOption yes\n")
    clamd.wait_for_log("the old one stays in use")
    assert "check: ERROR: Parse error" in clamd.log()
    assert scan(clamd, EICAR) == "stream: Test.Digest.UNOFFICIAL FOUND"
    (settings / "clamd.conf").write_text("SelfCheck 1\nStreamMaxLength 1K\n")
    clamd.wait_for_log("clamd started again with the new configuration")
    clamd.wait_ready()
    assert scan(clamd, b"x" * 3000) == "INSTREAM size limit exceeded. ERROR"


def test_without_signatures_it_says_what_to_do(network: Network, settings: Path) -> None:
    empty = Alone(network, "clamav", settings, DATA)
    try:
        status, said = empty.run()
    finally:
        empty.remove()
    assert status == 1
    assert f"run: there are no signatures in {DATA}" in said
    assert "run freshclam first" in said


@pytest.fixture
def mirror(network: Network) -> Iterator[Path]:
    """The folder of a web server that containers reach."""
    with configuration() as folder, WebFolder(MIRROR, folder):
        yield folder


def test_freshclam_fetches_before_clamd_starts_and_checks_what_it_fetches(
    network: Network, mirror: Path
) -> None:
    """Offline, with signatures of the site: the official ones need a key that ClamAV alone has."""
    with configuration() as folder:
        fresh = Alone(network, "clamav", folder, DATA)
        options = [
            f"--network={network.name}",
            "--env=CLAMAV_OFFICIAL=no",
            f"--env=CLAMAV_URLS=http://{MIRROR}/site.hdb",
        ]
        try:
            # away: the pod waits for its first signatures
            status, said = fresh.run("freshclam", "--first", options=options)
            assert status != 0, said
            (mirror / "site.hdb").write_text(DIGEST)
            status, said = fresh.run("freshclam", "--first", options=options)
            assert status == 0, said
            # a broken file is not put in place
            (mirror / "site.hdb").write_text("not a signature\n")
            status, said = fresh.run("freshclam", options=options)
            held = fresh.run("cat", f"{DATA}/site.hdb")[1]
            assert DIGEST.strip() in held, said
            # away again: a pod that has signatures starts with them
            (mirror / "site.hdb").unlink()
            status, said = fresh.run("freshclam", "--first", options=options)
            assert status == 0, said
            container = fresh.start()
            container.wait_ready()
            assert scan(container, EICAR) == "stream: Test.Digest.UNOFFICIAL FOUND"
        finally:
            fresh.remove()
