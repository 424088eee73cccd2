"""Benchmark of the pod of k8s/mail.yaml: memory of its containers and size of its images.

Memory is PSS, the proportional set size (proc_pid_smaps(5)): a page that several processes share
counts in parts, so the sum over all processes is what the pod holds; files count as far as they are
mapped. Other containers on the machine that run the same base image take a part of its pages.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.testbed import images
from tests.testbed.container import Container
from tests.testbed.manifest import Changes
from tests.testbed.pod import Network, Pod
from tests.testbed.podman import WITHOUT_CONTAINERS, PodmanError, inspect
from tests.testbed.sink import Sink
from tests.testbed.smtp_load import Load
from tests.testbed.waiting import WaitError
from tools.bench.mail import CLIENT, SELECTOR, SignedJourney, domain
from tools.bench.namespace import NAMESERVER
from tools.bench.plan import Bench
from tools.bench.report import Target

WANTED = 200.0
"""Maximum MiB of the idle pod."""

QUIET = 10.0
"""Seconds between the start, or the load, and the measurement of the memory."""
LOOKS = 5
"""Number of measurements for a median, because Postfix starts short-lived programs."""
SESSIONS = 8
"""Number of concurrent SMTP sessions."""
SIZE = 20480
"""Octets of a message, which its domain signs."""
PART = 10
"""The load has the messages of the soak, divided by this number."""

DOMAIN = "rcpt.example"
MIB = 1 << 20
IMAGES = {"milters": "gatepost", "policyd": "gatepost", "postfix": "postfix"}

Memory = Mapping[str, float]
"""MiB by container."""


def prepare() -> None:
    """Build missing images. Their packages come over the network, which the measurements cannot
    reach. Errors are reported now, and again by `run`."""
    if os.environ.get(WITHOUT_CONTAINERS):
        return
    try:
        for name in images.NAMES:
            print(f"image {images.tag(name)}", file=sys.stderr)
            images.build(name)
    except PodmanError as error:
        print(f"the pod cannot be measured: {error}", file=sys.stderr)


def run(bench: Bench) -> None:
    """Play the pod, and measure it idle, under load and afterwards."""
    if os.environ.get(WITHOUT_CONTAINERS):
        bench.report.text(f"The pod is not measured: {WITHOUT_CONTAINERS} is set")
        return
    try:
        _measure(bench)
    except (PodmanError, WaitError, OSError) as error:
        bench.report.fail(
            f"the pod cannot be measured: {error} (it needs podman, as root; without it set "
            f"{WITHOUT_CONTAINERS}=1)"
        )


def _measure(bench: Bench) -> None:
    sizes = {name: inspect("image", images.tag(name))["Size"] / 1e6 for name in images.NAMES}
    with _playing(bench) as (pod, sink):
        containers = [*pod.containers.values(), _pause(pod)]
        with bench.steps.step("pod, idle"):
            idle = _at_rest(containers)
        with bench.steps.step("pod, under load"):
            loaded = _under_load(bench, pod, containers)
        with bench.steps.step("pod, after it"):
            after = _at_rest(containers)
        delivered = len(sink.deliveries)
    tell = bench.report.text
    tell("")
    tell(f"The pod of k8s/mail.yaml: PSS in MiB, {delivered} messages of {SIZE >> 10} KB as load")
    tell(f"  {'':10}{'idle':>8}{'loaded':>8}{'after':>8}{'image MB':>10}")
    for short in idle:
        image = f"{sizes[IMAGES[short]]:10.0f}" if short in IMAGES else ""
        tell(f"  {short:10}{idle[short]:8.1f}{loaded[short]:8.1f}{after[short]:8.1f}{image}")
    tell(f"  {'all':10}{_all(idle):8.1f}{_all(loaded):8.1f}{_all(after):8.1f}")
    tell(f"  (loaded: the largest of each; image of valkey: {sizes['valkey']:.0f} MB)")
    text = "MiB in all: the pod (postfix, milters, policyd) when idle"
    bench.report.aim("The pod", Target(text, WANTED, _all(idle), at_most=True))


@contextmanager
def _playing(bench: Bench) -> Iterator[tuple[Pod, Sink]]:
    with Network() as network, Sink(host=NAMESERVER) as sink:
        changes = Changes(
            images={name: images.tag(name) for name in images.NAMES},
            nameserver=NAMESERVER,
            gatepost={
                "hostname": f"mail.{DOMAIN}",
                "policyd": {"greylist": {"allow_clients": [CLIENT]}},
            },
            postfix={
                "POSTFIX_HOSTNAME": f"mail.{DOMAIN}",
                "POSTFIX_DOMAINS": DOMAIN,
                "POSTFIX_NEXT_HOP": sink.postfix,
            },
            secrets=_secrets(bench),
        )
        pod = Pod(network, changes)
        try:
            pod.start()
            yield pod, sink
        finally:
            pod.remove()


def _secrets(bench: Bench) -> dict[str, Path]:
    """Prepare one signing key and no certificate."""
    folders = {name: bench.folder / name for name in ("mail-dkim", "mail-tls")}
    for folder in folders.values():
        folder.mkdir()
    key = folders["mail-dkim"] / f"{DOMAIN}.{SELECTOR}.pem"
    key.write_bytes(bench.keys.rsa_file.read_bytes())
    key.chmod(0o440)  # its group is 0, as that of the milter
    return folders


def _pause(pod: Pod) -> Container:
    """Return the container that only holds the namespaces of the pod."""
    name = inspect("container", pod.containers["postfix"].name)["Pod"]
    return Container("pause", inspect("pod", name)["InfraContainerID"], [])


def _count(containers: list[Container]) -> Memory:
    return {each.short: each.memory() / MIB for each in containers}


def _at_rest(containers: list[Container]) -> Memory:
    time.sleep(QUIET)
    counts = [_count(containers) for _ in range(LOOKS)]
    return {each.short: statistics.median(c[each.short] for c in counts) for each in containers}


def _under_load(bench: Bench, pod: Pod, containers: list[Container]) -> Memory:
    name = domain(1)
    journey = SignedJourney(
        pod.address,
        CLIENT,
        sender=f"sender@{name}",
        recipient=f"someone@{DOMAIN}",
        name="load",
        helo=f"client.{name}",
        keys=bench.keys,
        size=SIZE,
    )
    wanted = bench.extent.soak // PART
    largest = dict.fromkeys((each.short for each in containers), 0.0)
    with Load(journey, wanted, sessions=SESSIONS) as load:
        end = time.monotonic() + wanted  # a second for each message
        while load.done < wanted:
            if time.monotonic() > end:
                raise WaitError(f"{load.done} of {wanted} messages were taken: {load.told}")
            for short, memory in _count(containers).items():
                largest[short] = max(largest[short], memory)
        if refused := load.told.refused:
            raise WaitError(f"{len(refused)} messages were refused: {next(iter(refused.values()))}")
    return largest


def _all(memory: Memory) -> float:
    return sum(memory.values())
