"""Scenes: each changes a release in one way and then proves that no accepted message is lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.cluster import claims
from tests.cluster.commands import CommandError, kubectl
from tests.cluster.site import Site

FEW = 5
FULL = 40
"""Messages of a full queue."""
LOAD = 200
"""Messages that are sent while pods are replaced, one in half a second."""
PAUSE = 0.5
NEVER_VERIFY = {"mail": {"verifyRecipients": False}}
"""While the next hop is closed, no recipient can be verified."""
SERVICES = {"topology": "services"}
POLICYD_METRICS = 9102


@dataclass(frozen=True)
class Scene:
    """`play` on a site with the values file `values`, and the values in `change` over it."""

    name: str
    values: str
    play: Callable[[Site], None]
    change: Mapping[str, Any]
    about: str


def install(site: Site) -> None:
    """Install, send, uninstall; every claim is where the chart says."""
    site.install()
    site.add_mailbox()
    site.send("first", FEW)
    site.check_mail()
    rendered = site.rendered()
    named = claims.made(rendered) | claims.used(rendered)
    _expect(site, "claims after the installation", named - site.claims())
    site.uninstall()
    kept = claims.kept(rendered)
    _expect(site, "claims that have to stay after uninstall", kept - site.claims())
    gone = claims.made(rendered) - kept
    site.commands.until(
        f"the end of the claims {sorted(gone)}", lambda: not gone & site.claims(), 120
    )


def reinstall(site: Site) -> None:
    """Uninstall with a full queue, and install again: all mail arrives."""
    site.install()
    site.close_sink()
    site.send("queued", FULL)
    site.uninstall()
    site.install()
    site.open_sink()
    site.send("after", FEW)
    site.check_mail()


def topology(site: Site) -> None:
    """Go from one pod to services and back, both times with a full queue."""
    site.install()
    for number, wanted in enumerate(("services", "pod")):
        site.close_sink()
        site.send(f"queued-{number}", FULL)
        site.install({"topology": wanted})
        site.open_sink()
        site.send(f"after-{number}", FEW)
        site.check_mail()


def scale(site: Site) -> None:
    """Scale up, fill the queues, and scale down with mail in the queue of the pod that goes."""
    site.install()
    site.start_sender("up", FEW * 4, PAUSE)
    site.install({"postfix": {"replicas": 2}, "milters": {"replicas": 3}})
    site.finish_sender("up")
    site.close_sink()
    site.send("queued", FULL)
    site.start_sender("down", FEW * 4, PAUSE)
    site.install({"postfix": {"replicas": 1}, "milters": {"replicas": 2}})
    site.open_sink()
    site.finish_sender("down")
    site.check_mail()


def rotate(site: Site) -> None:
    """Change the password of Valkey, the certificate and the DKIM keys; no process restarts."""
    site.install()
    site.send("before", FEW)
    before = site.processes()
    site.start_sender("meanwhile", LOAD, PAUSE)
    site.run("patch", "secret", "mail-valkey", "--patch", '{"stringData": {"password": "second"}}')
    site.apply(site.certificates())
    site.finish_sender("meanwhile")
    site.check_mail()
    up = "gatepost_policyd_store_up"
    site.commands.until(
        "the store to be up in each policy server",
        lambda: set(site.metric("policyd", POLICYD_METRICS, up)) == {1.0},
        120,
    )
    if site.processes() != before:
        raise CommandError(f"pods or containers restarted: {before} became {site.processes()}")


def restart_settings(site: Site) -> None:
    """Change settings: those that are read at the start replace the pods of their daemons alone."""
    site.install()
    before = site.processes()
    site.install({"config": {"policyd": {"greylist": {"delay": "2s"}}}})
    if site.processes() != before:
        raise CommandError("a setting that needs no restart replaced a pod")
    site.install({"milters": {"workers": 2}})
    site.wait_for_rollouts()
    after = site.processes()
    stayed = {name for name in before if after.get(name) == before[name]}
    wrong = [name for name in before if ("-milters-" in name) == (name in stayed)]
    if wrong:
        raise CommandError(f"milters.workers changed: wrong for the pods {wrong}")


def roll(site: Site) -> None:
    """Restart everything under load."""
    site.install()
    site.start_sender("meanwhile", LOAD, PAUSE)
    for workload in site.workloads() or ["deployment/EACH-WORKLOAD"]:
        site.run("rollout", "restart", workload)
    site.wait_for_rollouts()
    site.finish_sender("meanwhile")
    site.check_mail()


def drain(site: Site) -> None:
    """Drain the node of Postfix under load, if there is another one."""
    nodes = site.objects("nodes")
    ready = [one["metadata"]["name"] for one in nodes if not one["spec"].get("unschedulable")]
    if len(ready) < 2 and not site.commands.is_dry:
        site.commands.tell("  there is one node: nothing is drained")
        return
    site.install()
    site.start_sender("meanwhile", LOAD, PAUSE)
    pods = site.objects("pods", "--selector=app.kubernetes.io/component=postfix")
    node = pods[0]["spec"]["nodeName"] if pods else "NODE-OF-POSTFIX"
    words = ("--ignore-daemonsets", "--delete-emptydir-data", "--timeout=300s")
    select = "--pod-selector=app.kubernetes.io/instance=mail"
    config = site.options.kubeconfig
    try:
        site.commands.run(kubectl(config, "", "drain", node, *words, select))
    finally:
        # a volume of this node alone keeps its pod here
        site.commands.run(kubectl(config, "", "uncordon", node))
    site.wait_for_rollouts()
    site.finish_sender("meanwhile")
    site.check_mail()


def _expect(site: Site, what: str, missing: set[str]) -> None:
    if missing and not site.commands.is_dry:
        raise CommandError(f"{what} are missing: {sorted(missing)}")


def scenes(files: Mapping[str, object]) -> list[Scene]:
    """Return all scenes: the installation for each of the values files, and the others once."""
    several = {**NEVER_VERIFY, **SERVICES}
    return [
        *(Scene(f"install-{name}", name, install, {}, _about(install)) for name in files),
        Scene("reinstall-pod", "minimal", reinstall, NEVER_VERIFY, _about(reinstall)),
        Scene("reinstall-services", "services", reinstall, several, _about(reinstall)),
        Scene("topology", "minimal", topology, NEVER_VERIFY, _about(topology)),
        Scene("scale", "services", scale, several, _about(scale)),
        Scene("rotate", "services", rotate, {}, _about(rotate)),
        Scene("settings", "services", restart_settings, {}, _about(restart_settings)),
        Scene("roll-pod", "minimal", roll, {}, _about(roll)),
        Scene("roll-services", "services", roll, {}, _about(roll)),
        Scene("roll-mailboxes", "mailboxes", _roll_mailboxes, {}, _about(roll)),
        Scene("drain", "services", drain, {"postfix": {"replicas": 2}}, _about(drain)),
    ]


def _roll_mailboxes(site: Site) -> None:
    site.install()
    site.add_mailbox()
    roll(site)


def _about(play: Callable[[Site], None]) -> str:
    return (play.__doc__ or "").strip()
