"""The steps of `make up` and `make down`, and the text at their end."""

from __future__ import annotations

import os
import time

from tests.testbed import images
from tests.testbed.container import Container
from tests.testbed.podman import PodmanError, podman
from tools.steps import Steps
from tools.up.first_mail import FirstMailError, send_first_mail
from tools.up.people import ADMINISTRATOR, ANNA, BERT, SELECTOR, People
from tools.up.place import DOMAIN, HOST, SETTINGS, PlaceError
from tools.up.system import System

READY = 120.0
"""Seconds for a part to become ready, the first one included."""
LOG_LINES = 8
"""The last lines of the log of a part that does not become ready."""


class UpError(Exception):
    """The system cannot be started or does not do its work; the message says why, and what to do
    about it."""


def check(system: System) -> None:
    """Raise `UpError` if this machine or what is left of an earlier run is in the way."""
    if os.geteuid() != 0:
        raise UpError("run it as root: the containers have users of their own")
    try:
        podman("--version")
    except PodmanError as error:
        raise UpError(f"{error}: `apt-get install podman` installs it") from error
    if system.is_up and system.is_complete:
        raise UpError("it is up already; `make down` ends it, `make down KEEP=1` keeps its data")
    if system.is_up or (not system.is_new and not system.is_complete):
        raise UpError(
            "an earlier start did not come to its end, or its keys in .up are gone; "
            + system.place.how_to_remove("what is left, with all mail in it")
        )
    try:
        system.check_ports()
    except PlaceError as error:
        raise UpError(str(error)) from error


def start(system: System, steps: Steps) -> People | None:
    """Start the system and wait until it works; return the new users, or None if it has those of an
    earlier run. Raises `UpError` and `PodmanError`; what runs then can be looked at. Ctrl-C removes
    what was started, and no older data."""
    check(system)
    is_new = system.is_new
    build_images(system, steps)
    try:
        return _start(system, steps, is_new=is_new)
    except KeyboardInterrupt:
        end(system, steps, keep=not is_new)
        raise


def _start(system: System, steps: Steps, *, is_new: bool) -> People | None:
    with steps.step("start") as step:
        system.write_secrets()
        system.play()
        step.outcome = "new secrets and certificate" if is_new else "with the data of the last time"
    containers = wait_ready(system, steps)
    if not is_new:
        return None
    with steps.step("users") as step:
        people = People.create(containers["accounts"])
        step.outcome = "two users, an administrator, a DKIM key"
    with steps.step("first mail") as step:
        try:
            seconds = send_first_mail(system.place, people)
        except FirstMailError as error:
            postfix = containers["postfix"].name
            raise UpError(f"{error}\n`podman logs {postfix}` shows its way") from error
        step.outcome = f"delivered after {seconds:.1f} s"
    system.complete()
    return people


def wait_ready(system: System, steps: Steps) -> dict[str, Container]:
    """Wait until every container is ready, and return them by name; raises `UpError`."""
    containers = {container.short: container for container in system.containers()}
    for name, container in containers.items():
        with steps.step(name) as step:
            _wait_ready(container)
            step.outcome = "ready"
    return containers


def build_images(system: System, steps: Steps) -> None:
    """Build those images of the system that are missing; raises `PodmanError`."""
    for name in system.images:
        with steps.step(f"image {name}") as step:
            step.outcome = "built" if images.build(name) else "already built"


def end(system: System, steps: Steps, *, keep: bool) -> None:
    """Remove the system, and its data unless they are kept; those of a place that is somebody's own
    always are. Raises `PodmanError`."""
    if system.place.is_own and not keep:
        keep = True
        steps.say(f"The data are kept, because {system.place.state / SETTINGS} is there.")
    with steps.step("down") as step:
        was_there = system.is_up or not system.is_new
        system.remove(keep=keep)
        if not was_there:
            step.outcome = "nothing was there"
        else:
            step.outcome = "removed; the data are kept" if keep else "removed, with its data"


def _wait_ready(container: Container) -> None:
    deadline = time.monotonic() + READY
    while not container.is_ready():
        if time.monotonic() > deadline:
            log = "\n".join(f"  {line}" for line in container.log().splitlines()[-LOG_LINES:])
            raise UpError(
                f"{container.short} is not ready after {READY:.0f} s. The end of its log:\n{log}\n"
                f"`podman logs {container.name}` shows all of it, `make down` ends the others"
            )
        time.sleep(0.3)


def told(system: System, people: People) -> str:
    """Return addresses, passwords and commands to try, in at most 80 columns."""
    ports = system.place.ports
    lines = [
        "",
        f"  {system.place.hostname} is up. These passwords are shown once:",
        "",
        *(f"    {login:<20} {password}" for login, password in people.passwords.items()),
        "",
        f"  webmail    http://{HOST}:{ports['webmail']}/",
        f"  pages      http://{HOST}:{ports['api']}/    as {ADMINISTRATOR} or a user",
        f"  API        http://{HOST}:{ports['api']}/api/v1    as {ADMINISTRATOR}",
        "",
        "  Try, each asks for the password:",
        f"    swaks --server {HOST}:{ports['submission']} --tls --auth-user {ANNA} \\",
        f"      --from {ANNA} --to {BERT}",
        f"    curl --insecure --user {BERT} 'imaps://{HOST}:{ports['imaps']}/INBOX?ALL'",
        f"    curl --user {ADMINISTRATOR} http://{HOST}:{ports['api']}/api/v1/domains",
        "",
        "  Users and domains, and the DKIM record that mail to others needs:",
        f"    podman exec {accounts_of(system)} gatepost user list",
        f"    podman exec {accounts_of(system)} gatepost dkim record {DOMAIN} {SELECTOR}",
        "",
        "  `make down` ends it, `make down KEEP=1` keeps its data.",
    ]
    return "\n".join(lines)


def accounts_of(system: System) -> str:
    """Return the name of the container of accounts; raises `UpError` if it never started."""
    for each in system.containers():
        if each.short == "accounts":
            return each.name
    raise UpError("its containers did not start: `make down`, then `make up`")
