"""The Postfix image by itself, run as its README says."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.testbed import images
from tests.testbed.container import Container
from tests.testbed.pod import Network
from tests.testbed.podman import podman
from tests.testbed.waiting import wait_until

CAPABILITIES = "CHOWN,DAC_OVERRIDE,FOWNER,KILL,NET_BIND_SERVICE,SETGID,SETUID"
SETTINGS = {
    "POSTFIX_HOSTNAME": "mail.example.org",
    "POSTFIX_DOMAINS": "example.org",
    "POSTFIX_NEXT_HOP": "smtp:[192.0.2.9]:25",
}

Run = Callable[..., Container]


@pytest.fixture
def run(network: Network) -> Iterator[Run]:
    """Runs one with settings in its environment; all are removed at the end of the test."""
    names: list[str] = []

    def start(**settings: str) -> Container:
        names.append(network.new_name())
        podman(
            "run",
            "--detach",
            f"--name={names[-1]}",
            "--network=none",
            "--read-only",
            "--cap-drop=ALL",
            f"--cap-add={CAPABILITIES}",
            "--security-opt=no-new-privileges",
            *(f"--env={name}={value}" for name, value in {**SETTINGS, **settings}.items()),
            images.tag("postfix"),
        )
        return Container("postfix", names[-1], ["probe"])

    try:
        yield start
    finally:
        for name in names:
            network.remove(name)


def test_it_is_well_whoever_may_relay(run: Run) -> None:
    """The probe is no stranger to postscreen when mynetworks is without loopback."""
    container = run(POSTFIX_NETWORKS="10.1.2.0/24")
    container.wait_ready()
    podman("healthcheck", "run", container.name)


def test_it_is_well_while_the_filters_are_away(run: Run) -> None:
    """Who restarts Postfix for that mends nothing, and stops the mail that goes out."""
    container = run(
        POSTFIX_MILTERS="unix:/run/gatepost/milter.sock",
        POSTFIX_POLICY="unix:/run/gatepost/policyd.sock",
    )
    container.wait_ready()


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("POSTFIX_PROXY", "on", "render: POSTFIX_PROXY is 'on': write yes or no"),
        (
            "POSTFIX_DNS_LISTS",
            "zen.example*x",
            "check: postscreen_dnsbl_sites: zen.example*x: write",
        ),
        (
            "POSTFIX_NETWORKS",
            "0.0.0.0/1 128.0.0.0/1",
            "check: mynetworks: this is 100% of the public addresses of IPv4, an open relay",
        ),
        ("POSTFIX_NETWORKS", "[::]/0", "100% of the public addresses of IPv6, an open relay"),
        (
            "POSTFIX_REDIRECT_NETWORKS",
            "0.0.0.0/0",
            "check: POSTFIX_REDIRECT_NETWORKS: this is 100% of the public addresses of IPv4",
        ),
        ("POSTFIX_REDIRECT_NETWORKS", "2001:db8::/32", "write IPv6 addresses in brackets"),
        ("POSTFIX_OUTBOUND_TLS", "no", "render: POSTFIX_OUTBOUND_TLS is 'no': write may, encrypt"),
        ("GATE_WATCH_INTERVAL", "soon", "GATE_WATCH_INTERVAL is 'soon': write seconds, from 1"),
        ("GATE_WATCH_INTERVAL", "0", "run: GATE_WATCH_INTERVAL is '0': write seconds, from 1"),
    ],
)
def test_a_bad_setting_ends_it_with_the_reason(
    run: Run, name: str, value: str, reason: str
) -> None:
    container = run(**{name: value})
    wait_until(lambda: not container.pid, "it to end")
    assert container.state["State"]["ExitCode"] == 1
    assert reason in container.log()


def test_it_stops_in_good_order(run: Run) -> None:
    container = run()
    container.wait_ready()
    podman("stop", container.name)
    assert container.state["State"]["ExitCode"] == 0
    assert "stopping the Postfix mail system" in container.log()


def test_a_domain_is_itself_and_none_below_it(run: Run) -> None:
    container = run(POSTFIX_VERIFY_RECIPIENTS="no", POSTFIX_NETWORKS="10.1.2.0/24")
    container.wait_ready()
    talk = (
        "exec 3<>/dev/tcp/127.0.0.1/25; "
        "for line in 'EHLO a.example.net' 'MAIL FROM:<>' 'RCPT TO:<bob@sub.example.org>'"
        " 'RCPT TO:<bob@example.org>' QUIT; do sleep 0.3; printf '%s\\r\\n' \"$line\" >&3; done;"
        " cat <&3"
    )
    replies = container.execute("bash", "-c", talk)
    assert "554 5.7.1 <bob@sub.example.org>: Relay access denied" in replies
    assert replies.count("250 2.1.5 Ok") == 1
