"""The command of `make up` and `make down`."""

from __future__ import annotations

import argparse
import imaplib
import smtplib
import ssl
import sys
import time
from collections.abc import Callable
from email.message import EmailMessage

from tests.testbed import images
from tests.testbed.podman import PodmanError
from tools.steps import Steps
from tools.up.people import ADMINISTRATOR, ANNA, BERT, People
from tools.up.system import HOST, HOSTNAME, PORTS, STATE, System

READY = 120.0
"""Seconds for a part to become ready, the first one included."""
DELIVERY = 30.0
"""Seconds for the first message."""


class UpError(Exception):
    """The system does not do its work; the message says what."""


def _up(steps: Steps) -> None:
    system = System()
    if system.is_up:
        raise UpError("it is up already; `make down` ends it, `make down KEEP=1` keeps its data")
    for name in (images.BASE, *images.NAMES):
        with steps.step(f"image {name}") as step:
            step.outcome = "built" if images.build(name) else "already built"
    is_new = system.is_new
    with steps.step("start") as step:
        system.write_secrets()
        system.play()
        step.outcome = "new keys and certificate" if is_new else "with the data of the last time"
    containers = {container.short: container for container in system.containers()}
    for name, container in containers.items():
        with steps.step(name) as step:
            _wait_ready(container.is_ready, name)
            step.outcome = "ready"
    if not is_new:
        steps.say("The users and passwords are those of the last time.")
        return
    people = People()
    with steps.step("users") as step:
        people.create(containers["accounts"])
        step.outcome = "two users, an administrator, an alias"
    with steps.step("first mail") as step:
        _send(people.passwords[ANNA])
        seconds = _receive(people.passwords[BERT])
        step.outcome = f"delivered after {seconds:.1f} s"
    sys.stdout.write(_told(people) + "\n")


def _wait_ready(is_ready: Callable[[], bool], name: str) -> None:
    end = time.monotonic() + READY
    while not is_ready():
        if time.monotonic() > end:
            raise UpError(f"{name} is not ready after {READY:.0f} s: see its log with podman logs")
        time.sleep(0.3)


def _trust() -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=STATE / "tls" / "ca.crt")
    context.check_hostname = False  # the name is not in DNS
    return context


def _send(password: str) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = ANNA, BERT, "The first mail"
    message.set_content("It works.\n")
    with smtplib.SMTP(HOST, PORTS["submission"][0], timeout=30) as client:
        client.starttls(context=_trust())
        client.login(ANNA, password)
        client.send_message(message)


def _receive(password: str) -> float:
    start = time.monotonic()
    with imaplib.IMAP4_SSL(HOST, PORTS["imaps"][0], ssl_context=_trust(), timeout=30) as client:
        client.login(BERT, password)
        while time.monotonic() < start + DELIVERY:
            client.select("INBOX")
            _, found = client.search(None, "SUBJECT", '"The first mail"')
            if found[0]:
                return time.monotonic() - start
            time.sleep(0.3)
    raise UpError(f"the first mail was not delivered within {DELIVERY:.0f} s")


def _told(people: People) -> str:
    lines = [
        "",
        f"  {HOSTNAME} is up. These passwords are shown once:",
        "",
        *(f"    {login:<20} {password}" for login, password in people.passwords.items()),
        "",
        f"  webmail    http://{HOST}:{PORTS['webmail'][0]}/",
        f"  API        http://{HOST}:{PORTS['api'][0]}/api/v1    as {ADMINISTRATOR}",
        "",
        "  Try, each asks for the password:",
        f"    swaks --server {HOST}:{PORTS['submission'][0]} --tls --auth-user {ANNA} \\",
        f"      --from {ANNA} --to {BERT}",
        f"    curl --insecure --user {BERT} imaps://{HOST}:{PORTS['imaps'][0]}/INBOX?ALL",
        f"    curl --user {ADMINISTRATOR} http://{HOST}:{PORTS['api'][0]}/api/v1/domains",
        "",
        "  `make down` ends it, `make down KEEP=1` keeps its data.",
    ]
    return "\n".join(lines)


def _down(steps: Steps, *, keep: bool) -> None:
    with steps.step("down") as step:
        System().remove(keep=keep)
        step.outcome = "removed; the data are kept" if keep else "removed, with its data"


def main() -> int:
    """Start or end the system. Returns 1 with an error message if that fails."""
    parser = argparse.ArgumentParser(prog="make up")
    parser.add_argument("--down", action="store_true", help="end it")
    parser.add_argument("--keep", action="store_true", help="keep its data")
    chosen = parser.parse_args()
    steps = Steps(sys.stdout)
    try:
        if chosen.down:
            _down(steps, keep=chosen.keep)
        else:
            _up(steps)
    except (UpError, PodmanError, OSError, smtplib.SMTPException, imaplib.IMAP4.error) as error:
        word = "down" if chosen.down else "up"
        sys.stderr.write(f"make {word}: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
