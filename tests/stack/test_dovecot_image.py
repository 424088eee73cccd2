"""The Dovecot image by itself, run as its README says."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.testbed import images
from tests.testbed.container import Container
from tests.testbed.pod import Network
from tests.testbed.podman import podman
from tests.testbed.waiting import wait_until

SETTINGS = {
    "DOVECOT_HOSTNAME": "mail.example.org",
    "DOVECOT_ACCOUNTS": "http://127.0.0.1:8081",
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
            "--tmpfs=/run",
            "--tmpfs=/tmp",
            "--cap-drop=ALL",
            "--security-opt=no-new-privileges",
            *(f"--env={name}={value}" for name, value in {**SETTINGS, **settings}.items()),
            images.tag("dovecot"),
        )
        return Container("dovecot", names[-1], ["probe"])

    try:
        yield start
    finally:
        for name in names:
            network.remove(name)


def test_it_lives_without_accounts_but_is_not_ready(run: Run) -> None:
    container = run()
    container.wait_ready()
    done = container.attempt("probe", "ready")
    assert done.returncode == 1
    assert "accounts has not answered yet" in done.stderr


def test_without_a_certificate_nobody_sends_a_password(run: Run) -> None:
    container = run(DOVECOT_PROXY_NETWORKS="127.0.0.0/8")
    container.wait_ready()
    assert "only DOVECOT_TRUSTED_NETWORKS can log in" in container.log()
    for port in (10993, 10995, 11143, 15190):
        assert container.attempt("bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{port}").returncode


def test_a_proxy_serves_programs_and_takes_no_mail(run: Run) -> None:
    # any file with a line will do
    container = run(DOVECOT_ROLE="proxy", DOVECOT_PROXY_KEY_FILE="/etc/hostname")
    container.wait_ready()
    for port in (10024, 12340, 18080, 18081):
        assert container.attempt("bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{port}").returncode


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("DOVECOT_HOSTNAME", "mail", "DOVECOT_HOSTNAME is 'mail': write a fully qualified name"),
        ("DOVECOT_ACCOUNTS", "accounts:8081", "write the address of accounts, such as http://"),
        ("DOVECOT_ACCOUNTS_TOKEN_FILE", "/no/file", "/no/file cannot be read"),
        ("DOVECOT_DOVEADM_KEY_FILE", "/dev/null", "/dev/null is empty"),
        ("DOVECOT_SUBMISSION", "postfix", "write host and port, such as postfix:10025"),
        ("DOVECOT_PROXY_NETWORKS", "10.0.0.0/8 ::/0", "::/0 is the whole Internet"),
        ("DOVECOT_TRUSTED_NETWORKS", "webmail", "'webmail' is no network"),
        ("DOVECOT_RECIPIENT_DELIMITER", "x", "write the characters that begin an extension"),
        ("DOVECOT_SESSIONS", "0", "DOVECOT_SESSIONS is '0': write a whole number from 1"),
        ("DOVECOT_SPAM_FLAG", "maybe", "DOVECOT_SPAM_FLAG is 'maybe': write yes or no"),
        ("DOVECOT_LEARN", "/config/nothing", "is not a program that can be run"),
        ("DOVECOT_ROLE", "both", "DOVECOT_ROLE is 'both': write store or proxy"),
        ("DOVECOT_ROLE", "proxy", "DOVECOT_PROXY_KEY_FILE is not set"),
        ("DOVECOT_STORE", "S 0", "DOVECOT_STORE is 'S 0': write its name in accounts"),
        ("DOVECOT_STORE_PROXIES", "0.0.0.0/0", "0.0.0.0/0 is the whole Internet"),
        ("DOVECOT_STORE_PROXIES", "10.0.0.0/8", "DOVECOT_STORE_PROXIES needs DOVECOT_PROXY_KEY"),
        ("DOVECOT_STORE_TLS", "maybe", "DOVECOT_STORE_TLS is 'maybe': write any, verify or no"),
        ("GATE_WATCH_INTERVAL", "soon", "GATE_WATCH_INTERVAL is 'soon': write seconds, from 1"),
    ],
)
def test_a_bad_setting_ends_it_with_the_reason(
    run: Run, name: str, value: str, reason: str
) -> None:
    container = run(**{name: value})
    wait_until(lambda: not container.pid, "it to end")
    assert container.state["State"]["ExitCode"] == 1
    assert reason in container.log()
