"""Benchmark of the whole mail system of k8s/mailboxes.yaml, from SMTP to the mailbox.

Next to it the same Postfix and Dovecot run without Gatepost. Each gets the same signed messages
from one client, over the same number of sessions. Processor time is that of all processes in all
containers of a pod, from the first connection until the last message is in its mailbox. Memory is
PSS, as in `tools.bench.stack`, before the second pod starts, which would share pages.
"""

from __future__ import annotations

import contextlib
import imaplib
import os
import ssl
import statistics
import tempfile
import threading
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from tests.testbed import images, toml
from tests.testbed.container import Container
from tests.testbed.manifest import overlaid
from tests.testbed.mounted import MountedFolder
from tests.testbed.pod import Network
from tests.testbed.podman import WITHOUT_CONTAINERS, PodmanError, inspect
from tests.testbed.retries import QUICK_RETRIES_CF
from tests.testbed.smtp_load import Load
from tests.testbed.waiting import WaitError
from tools.bench.mail import CLIENT, SignedJourney, domain
from tools.bench.namespace import NAMESERVER
from tools.bench.plain_mailboxes import PlainMailboxes
from tools.bench.plan import Bench
from tools.bench.report import Target
from tools.bench.usage import processor_seconds
from tools.steps import Steps
from tools.up.lifecycle import UpError, start
from tools.up.place import DOMAIN, HOSTNAME, Place
from tools.up.system import System

WITHOUT_WEBMAIL, WITH_WEBMAIL = 260.0, 300.0
"""Maximum MiB of the idle pod."""
USERS = 4
"""Mailboxes that get mail, each from `SESSIONS` SMTP sessions."""
SESSIONS = 2
SIZE = 20480
"""Octets of a message, which its domain signs."""
PART = 20
"""A round has the messages of the soak, divided by this number."""
CLIENTS = 8
"""Concurrent IMAP clients that log in and out."""
QUIET = 10.0
"""Seconds between the start, or the load, and the measurement of the memory."""
LOOKS = 5
DELIVERED = 300.0
"""Seconds until what was accepted is in the mailboxes."""
IMAPS = 10993
PASSWORD = "a horse and a staple for all"
POSTFIX = f"postscreen_greet_wait = 1s\n{QUICK_RETRIES_CF}"
"""A new client waits less, and what is deferred is tried again within seconds."""
MIB = 1 << 20
_ANY = ssl.create_default_context()
_ANY.check_hostname, _ANY.verify_mode = False, ssl.CERT_NONE


@dataclass(frozen=True)
class _Pod:
    name: str
    address: str
    containers: list[Container]
    mail: Path


@dataclass(frozen=True)
class _Figures:
    """Figures of one round: messages and log-ins a second, and the ms of CPU that one of them costs
    in each container.
    """

    rate: float
    cpu: Mapping[str, float]
    log_ins: float
    log_in_cpu: Mapping[str, float]


def users() -> list[str]:
    """Return the addresses of the mailboxes."""
    return [f"user{number}@{DOMAIN}" for number in range(USERS)]


def run(bench: Bench) -> None:
    """Measure the system idle, then both in turns."""
    if os.environ.get(WITHOUT_CONTAINERS):
        bench.report.text(f"The mail system is not measured: {WITHOUT_CONTAINERS} is set")
        return
    try:
        with Network() as network:
            _measure(bench, network)
    except (PodmanError, UpError, WaitError, OSError, imaplib.IMAP4.error) as error:
        bench.report.fail(f"the mail system cannot be measured: {error}")


def _measure(bench: Bench, network: Network) -> None:
    sizes = {name: inspect("image", images.tag(name))["Size"] / 1e6 for name in images.NAMES}
    with contextlib.ExitStack() as running:
        with bench.steps.step("mail system, start"):
            ours = running.enter_context(_system(network))
        with bench.steps.step("mail system, idle"):
            idle = _at_rest(ours)
        with bench.steps.step("mail system, under load"):
            loaded = _largest_under_load(bench, ours)
        with bench.steps.step("mail system, after it"):
            after = _at_rest(ours)
        _tell_memory(bench, idle, loaded, after)
        tell = bench.report.text
        tell("  images, MB: " + ", ".join(f"{name} {size:.0f}" for name, size in sizes.items()))
        with bench.steps.step("plain Postfix and Dovecot, start"):
            plain = running.enter_context(_plain(bench, network))
        pods = (ours, plain)
        rounds: dict[str, list[_Figures]] = {pod.name: [] for pod in pods}
        with bench.steps.step("mail system and plain") as step:
            for number in range(-1, bench.extent.rounds):
                for pod in pods:
                    figures = _round(bench, pod, number)
                    if number >= 0:  # the first one warms up
                        rounds[pod.name].append(figures)
                step.progress((number + 2) / (bench.extent.rounds + 1))
    _tell_rounds(bench, rounds)


@contextlib.contextmanager
def _system(network: Network) -> Iterator[_Pod]:
    with tempfile.TemporaryDirectory(prefix="gatepost-bench-") as folder:
        Path(folder).chmod(0o755)
        name = network.new_name()
        place = Place(
            name=name, state=Path(folder) / "state", network=network.name, nameserver=NAMESERVER
        )
        system = System(place)
        try:
            start(system, Steps(StringIO()))
            containers = system.containers()
            accounts = next(one for one in containers if one.short == "accounts")
            for user in users():
                accounts.execute("gatepost", "user", "add", user, stdin=PASSWORD + "\n")
            _open_to_the_client(name, containers)
            infra = inspect("container", containers[0].name)
            pause = Container("pause", inspect("pod", infra["Pod"])["InfraContainerID"], [])
            networks = inspect("container", pause.name)["NetworkSettings"]["Networks"]
            address = str(networks[network.name]["IPAddress"])
            yield _Pod("gatepost", address, [*containers, pause], _mountpoint(f"{name}-mail"))
        finally:
            network.remove(name)


def _open_to_the_client(name: str, containers: list[Container]) -> None:
    """Let the client of the load past greylisting and the greeting at once."""
    by_name = {one.short: one for one in containers}
    folder = MountedFolder(_mountpoint(f"{name}-gatepost"))
    present = tomllib.loads(folder.files()["gatepost.toml"])
    known = {"policyd": {"greylist": {"allow_clients": [CLIENT]}}}
    folder.update({"gatepost.toml": toml.document(overlaid(present, known))})
    MountedFolder(_mountpoint(f"{name}-postfix")).update({"bench.cf": POSTFIX})
    by_name["policyd"].wait_for_log("reloaded")
    by_name["postfix"].wait_for_log("run: configuration reloaded")


def _mountpoint(volume: str) -> Path:
    return Path(inspect("volume", volume)["Mountpoint"])


@contextlib.contextmanager
def _plain(bench: Bench, network: Network) -> Iterator[_Pod]:
    folder = bench.folder / "plain"
    with PlainMailboxes(network, folder, HOSTNAME, users(), PASSWORD, POSTFIX) as plain:
        plain.start()
        yield _Pod("without Gatepost", plain.address, plain.containers, plain.mail)


def _memory(pod: _Pod) -> Mapping[str, float]:
    return {one.short: one.memory() / MIB for one in pod.containers}


def _at_rest(pod: _Pod) -> Mapping[str, float]:
    time.sleep(QUIET)
    looks = [_memory(pod) for _ in range(LOOKS)]
    return {short: statistics.median(look[short] for look in looks) for short in looks[0]}


def _largest_under_load(bench: Bench, pod: _Pod) -> Mapping[str, float]:
    largest: dict[str, float] = {}
    ended = threading.Event()

    def watch() -> None:
        while not ended.is_set():
            for short, size in _memory(pod).items():
                largest[short] = max(largest.get(short, 0.0), size)

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        _deliver(bench, pod, "memory")
        _log_in(pod, bench.extent.seconds)
    finally:
        ended.set()
        watching.join()
    return largest


def _round(bench: Bench, pod: _Pod, number: int) -> _Figures:
    before = _cpu(pod)
    count, seconds = _deliver(bench, pod, f"round {number}")
    between = _cpu(pod)
    start_time = time.monotonic()
    log_ins = _log_in(pod, bench.extent.seconds_of(number))
    log_in_seconds = time.monotonic() - start_time
    return _Figures(
        rate=count / seconds,
        cpu=_cost(before, between, count),
        log_ins=log_ins / log_in_seconds,
        log_in_cpu=_cost(between, _cpu(pod), log_ins),
    )


def _cpu(pod: _Pod) -> Mapping[str, float]:
    return {one.short: sum(map(processor_seconds, one.processes())) for one in pod.containers}


def _cost(before: Mapping[str, float], after: Mapping[str, float], count: int) -> dict[str, float]:
    return {short: (after[short] - seconds) / count * 1000 for short, seconds in before.items()}


def _stored(pod: _Pod) -> int:
    """Return the number of messages in all folders of all mailboxes."""
    return sum(
        len(files) for folder, _, files in os.walk(pod.mail) if Path(folder).name in ("new", "cur")
    )


def _deliver(bench: Bench, pod: _Pod, name: str) -> tuple[int, float]:
    """Return how many messages came into the mailboxes, and in how many seconds."""
    each = max(bench.extent.soak // PART // USERS, 1)
    before = _stored(pod)
    begun = time.monotonic()
    with contextlib.ExitStack() as loads:
        running = [
            loads.enter_context(
                Load(
                    SignedJourney(
                        pod.address,
                        CLIENT,
                        sender=f"sender@{domain(1)}",
                        recipient=user,
                        name=name,
                        helo=f"client.{domain(1)}",
                        keys=bench.keys,
                        size=SIZE,
                    ),
                    each,
                    sessions=SESSIONS,
                )
            )
            for user in users()
        ]
        for load in running:
            told = load.finish(deadline=each)
            if told.refused:
                raise WaitError(f"messages are refused: {next(iter(told.refused.values()))}")
    wanted = before + each * USERS
    end = time.monotonic() + DELIVERED
    while (stored := _stored(pod)) < wanted:
        if time.monotonic() > end:
            raise WaitError(f"{pod.name}: {wanted - stored} of {each * USERS} messages are missing")
        time.sleep(0.05)
    return each * USERS, time.monotonic() - begun


def _log_in(pod: _Pod, seconds: float) -> int:
    """Return how many times clients logged in and out in that time."""
    end = time.monotonic() + seconds
    counts: list[int] = []

    def client(user: str) -> None:
        count = 0
        while time.monotonic() < end:
            session = imaplib.IMAP4_SSL(pod.address, IMAPS, ssl_context=_ANY, timeout=30)
            session.login(user, PASSWORD)
            session.logout()
            count += 1
        counts.append(count)

    clients = [threading.Thread(target=client, args=(users()[n % USERS],)) for n in range(CLIENTS)]
    for one in clients:
        one.start()
    for one in clients:
        one.join()
    if len(counts) < CLIENTS:
        raise WaitError(f"{CLIENTS - len(counts)} of {CLIENTS} IMAP clients cannot log in")
    return sum(counts)


def _all(memory: Mapping[str, float], without: str = "") -> float:
    return sum(size for short, size in memory.items() if short != without)


def _tell_memory(
    bench: Bench,
    idle: Mapping[str, float],
    loaded: Mapping[str, float],
    after: Mapping[str, float],
) -> None:
    tell = bench.report.text
    tell("")
    tell("The mail system of k8s/mailboxes.yaml: PSS in MiB (loaded: the largest of each)")
    tell(f"  {'':16}{'idle':>8}{'loaded':>8}{'after':>8}")
    for short in idle:
        tell(f"  {short:16}{idle[short]:8.1f}{loaded[short]:8.1f}{after[short]:8.1f}")
    for text, without in (("without webmail", "webmail"), ("all", "")):
        sums = "".join(f"{_all(each, without):8.1f}" for each in (idle, loaded, after))
        tell(f"  {text:16}{sums}")
    bench.report.aim(
        "The mail system",
        Target(
            "MiB of the idle pod without webmail",
            WITHOUT_WEBMAIL,
            _all(idle, "webmail"),
            at_most=True,
        ),
        Target("MiB of the idle pod with webmail", WITH_WEBMAIL, _all(idle), at_most=True),
    )


def _tell_rounds(bench: Bench, rounds: Mapping[str, list[_Figures]]) -> None:
    tell = bench.report.text
    columns: dict[str, Callable[[_Figures], float]] = {
        "messages/s": lambda one: one.rate,
        "CPU ms": lambda one: _all(one.cpu),
        "log-ins/s": lambda one: one.log_ins,
        "CPU ms ": lambda one: _all(one.log_in_cpu),
    }
    tell("")
    tell(f"From SMTP to the mailbox, {SIZE >> 10} KB, {USERS * SESSIONS} sessions; IMAP log-ins")
    tell(f"  {'':18}" + "".join(f"{text:>12}" for text in columns))
    for name, figures in rounds.items():
        values = [statistics.median(map(read, figures)) for read in columns.values()]
        tell(f"  {name:18}" + "".join(f"{value:12.1f}" for value in values))
    tell("")
    tell(f"  {'CPU ms in':18}{'a message':>12}{'a log-in':>12}")
    for name, figures in rounds.items():
        tell(f"  {name}:")
        for short in figures[0].cpu:
            message, log_in = (
                statistics.median(costs[short] for costs in each)
                for each in ([one.cpu for one in figures], [one.log_in_cpu for one in figures])
            )
            tell(f"    {short:16}{message:12.2f}{log_in:12.2f}")
