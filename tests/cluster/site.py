"""A release in a namespace of its own, with the sink, senders and the books of their messages."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from tests.cluster import world
from tests.cluster.commands import CHART, CommandError, Commands, helm, kubectl
from tests.cluster.ledger import Ledger
from tests.cluster.options import Options
from tests.cluster.values import (
    adapted,
    expected_claims,
    expected_secrets,
    has_mailboxes,
    has_scanner,
    merged,
)
from tests.testbed.certificate import self_signed

RELEASE = "mail"
RECIPIENT = "anna@example.org"
FRONT = f"{RELEASE}-smtp"
"""The Service of port 25."""
METRICS = (
    "exec 3<>/dev/tcp/127.0.0.1/{port}; "
    r'printf "GET /metrics HTTP/1.0\r\n\r\n" >&3; cat <&3'
)
"""The shell's way to read metrics: the images have no curl."""


class Site:
    """The namespace of a scene; `values` are those of the release, adapted to the cluster."""

    def __init__(
        self, commands: Commands, options: Options, name: str, values: Mapping[str, Any]
    ) -> None:
        self.commands = commands
        self.options = options
        self.namespace = f"{options.prefix}-{name}"
        self.books = Ledger()
        self._is_open = False
        self._kinds = self._custom_kinds()
        self.values = self._adapt(values)

    def open(self) -> None:
        """Create the namespace with all that the release expects.

        Raises `CommandError` if there is one of that name: it may be somebody's.
        """
        self.commands.run(
            kubectl(self.options.kubeconfig, "", "create", "-f", "-"),
            yaml.safe_dump(world.namespace(self.namespace)),
        )
        self._is_open = True
        objects = [world.programs(), *world.sink(self.options)]
        secrets = expected_secrets(self.values)
        objects += [world.secret(name, data) for name, data in secrets.items()]
        claims = expected_claims(self.values)
        objects += [world.claim(name, size) for name, size in claims.items()]
        objects += self.certificates()
        store = self.values.get("store", {})
        if store.get("url"):
            key = store.get("passwordKey", "password")
            objects += world.user_valkey(self.options, store["passwordSecret"], key)
        self.apply(objects)
        self._wait_for("deployment/sink")
        if has_scanner(self.values):
            self.apply([world.signatures(self.options)])
            self._wait_for_end("signatures")

    def close(self) -> None:
        """Remove the release and the namespace, if `open` made it."""
        if not self._is_open:
            return
        self.commands.attempt(self._helm("uninstall", RELEASE, "--wait", "--ignore-not-found"))
        self.commands.attempt(
            kubectl(
                self.options.kubeconfig,
                "",
                *("delete", "namespace", self.namespace, "--ignore-not-found", "--timeout=300s"),
            )
        )

    def install(self, change: Mapping[str, Any] | None = None) -> None:
        """Install the release, or upgrade it with a change of its values, and wait for its pods."""
        if change:
            self.values = self._adapt(merged(self.values, change))
        self.commands.run(
            self._helm(
                *("upgrade", "--install", RELEASE, str(CHART), "--values", "-"),
                *("--wait", f"--timeout={self.options.patience}s"),
            ),
            yaml.safe_dump(self.values),
        )

    def uninstall(self) -> None:
        """Remove the release and wait for the end of its pods."""
        self.commands.run(self._helm("uninstall", RELEASE, "--wait"))

    def add_mailbox(self) -> None:
        """Add the recipient, where mail ends in Dovecot."""
        if has_mailboxes(self.values):
            gatepost = ("exec", "-i", "deploy/mail", "-c", "accounts", "--", "gatepost")
            self.run(*gatepost, "domain", "add", "example.org")
            self.run(*gatepost, "user", "add", RECIPIENT, stdin="a-password-of-the-tests\n")

    def start_sender(self, name: str, count: int, pause: float = 0.0) -> None:
        """Start a pod that sends `count` messages to port 25 of the release."""
        pod = world.sender(self.options, name, FRONT, RECIPIENT, count, pause=pause)
        self.apply([pod])

    def finish_sender(self, name: str) -> None:
        """Wait until a sender has ended, and enter the accepted messages into the books."""
        self._wait_for_end(name)
        output = self.run("logs", name)
        if not self.commands.is_dry:
            self.books.add_output(output)

    def send(self, name: str, count: int) -> None:
        """Send messages and wait until all are accepted."""
        self.start_sender(name, count)
        self.finish_sender(name)

    def arrived(self) -> list[str]:
        """Return the subjects at the end of the way of mail."""
        if has_mailboxes(self.values):
            doveadm = ("doveadm", "-f", "flow", "fetch", "-u", RECIPIENT, "hdr.subject", "ALL")
            text = self.run("exec", "deploy/mail", "-c", "dovecot", "--", *doveadm)
            return [line.partition("=")[2].strip() for line in text.splitlines() if "=" in line]
        # the file is not there before the first message
        return self.run("exec", "deploy/sink", "--", "cat", world.ARRIVED).splitlines()

    def check_mail(self) -> None:
        """Wait until everything that was accepted has arrived; raises `CommandError` if not."""
        what = "everything that got 250 to arrive"
        try:
            self.commands.until(what, lambda: not self._missing(), self.options.patience)
        except CommandError as error:
            raise CommandError(f"{error}; lost: {', '.join(self._missing())}") from None
        if not self.commands.is_dry:
            doubled = self.books.doubled(self.arrived())
            count = len(self.books.accepted)
            self.commands.tell(f"  {count} accepted, 0 lost, {len(doubled)} twice")

    def close_sink(self) -> None:
        """Let the next hop refuse connections, so that mail stays in the queue."""
        self._select_sink(world.NOBODY)

    def open_sink(self) -> None:
        """Let the next hop take mail again; Postfix tries again soon, see `values.adapted`."""
        self._select_sink(world.SINK)

    def pods(self, container: str) -> list[str]:
        """Return the running pods that have this container, as ``pod/NAME``."""
        if self.commands.is_dry:
            return [f"pod/POD-WITH-{container}"]
        return [
            f"pod/{each['metadata']['name']}"
            for each in self.objects("pods")
            if any(one["name"] == container for one in each["spec"]["containers"])
            and each["metadata"].get("labels", {}).get("app.kubernetes.io/instance") == RELEASE
            and "deletionTimestamp" not in each["metadata"]
        ]

    def processes(self) -> dict[str, tuple[str, int]]:
        """Return the identity of each pod of the release, and the restarts of its containers."""
        return {
            each["metadata"]["name"]: (
                each["metadata"]["uid"],
                sum(one["restartCount"] for one in each["status"].get("containerStatuses", ())),
            )
            for each in self.objects("pods", f"--selector=app.kubernetes.io/instance={RELEASE}")
        }

    def metric(self, container: str, port: int, name: str) -> list[float]:
        """Return the samples of a metric in all pods with this container."""
        found = []
        for pod in self.pods(container):
            command = METRICS.format(port=port)
            text = self.run("exec", pod, "-c", container, "--", "bash", "-c", command)
            found += [
                float(line.rpartition(" ")[2])
                for line in text.splitlines()
                if line.startswith((f"{name} ", f"{name}{{"))
            ]
        return found

    def claims(self) -> set[str]:
        """Return the names of the claims in the namespace that are not being deleted."""
        return {
            each["metadata"]["name"]
            for each in self.objects("persistentvolumeclaims")
            if "deletionTimestamp" not in each["metadata"]
        }

    def rendered(self) -> list[dict[str, Any]]:
        """Return the objects of the chart with the values of the release."""
        text = self.commands.run(
            self._helm("template", RELEASE, str(CHART), "--values", "-"),
            yaml.safe_dump(self.values),
        )
        return [each for each in yaml.safe_load_all(text) if each]

    def objects(self, kind: str, *words: str) -> list[dict[str, Any]]:
        """Return the objects of a kind in the namespace."""
        text = self.run("get", kind, "-o", "json", *words)
        return list(json.loads(text)["items"]) if text else []

    def workloads(self) -> list[str]:
        """Return the Deployments and StatefulSets of the release, as ``kind/NAME``."""
        select = f"--selector=app.kubernetes.io/instance={RELEASE}"
        return self.run("get", "deployments,statefulsets", "-o", "name", select).split()

    def wait_for_rollouts(self) -> None:
        """Wait until all workloads of the release are as they should be."""
        for one in self.workloads():
            self._wait_for(one)

    def run(self, *words: str, stdin: str = "") -> str:
        """Run kubectl in the namespace."""
        return self.commands.run(kubectl(self.options.kubeconfig, self.namespace, *words), stdin)

    def apply(self, objects: Iterable[Mapping[str, Any]]) -> None:
        """Create or change objects."""
        listed = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.run("apply", "-f", "-", stdin=yaml.safe_dump(listed))

    def state(self) -> str:
        """Return the pods, claims and events of the namespace, for a scene that failed."""
        words = ("get", "pods,persistentvolumeclaims,events", "-o", "wide")
        return self.commands.attempt(kubectl(self.options.kubeconfig, self.namespace, *words)) or ""

    def _adapt(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return merged(adapted(values, self._kinds), self.options.values())

    def _custom_kinds(self) -> set[str]:
        words = ("get", "customresourcedefinitions", "-o", "name")
        text = self.commands.run(kubectl(self.options.kubeconfig, "", *words))
        return {line.partition("/")[2] for line in text.splitlines()}

    def certificates(self) -> list[dict[str, Any]]:
        """Return the Secrets of certificates, signed by themselves; and keys for stored mail."""
        tls = self.values.get("tls", {})
        found = []
        for name in (tls.get("secret", "mail-tls"), *tls.get("more", ())):
            certificate, key = self_signed("mail.example.org", "mail.example.net")
            data = {"tls.crt": certificate, "tls.key": key, "ca.crt": certificate}
            found.append(world.secret(name, data))
        encryption = self.values.get("dovecot", {}).get("encryption", {})
        if encryption.get("secret"):
            names = (encryption["key"], *encryption.get("oldKeys", ()))
            keys = {name: self_signed("keys.invalid")[1] for name in names}
            found.append(world.secret(encryption["secret"], keys))
        return found

    def _missing(self) -> list[str]:
        try:
            return self.books.lost(self.arrived())
        except CommandError:  # a pod is being replaced, or nothing has arrived yet
            return self.books.lost(())

    def _select_sink(self, labels: Mapping[str, str]) -> None:
        patch = json.dumps([{"op": "replace", "path": "/spec/selector", "value": dict(labels)}])
        self.run("patch", "service", "sink", "--type=json", f"--patch={patch}")

    def _wait_for_end(self, pod: str) -> None:
        def ended() -> bool:
            phase = self.run("get", "pod", pod, "-o", "jsonpath={.status.phase}")
            return phase in ("Succeeded", "Failed")

        self.commands.until(f"the end of {pod}", ended, self.options.patience + 120)

    def _wait_for(self, workload: str) -> None:
        self.run("rollout", "status", workload, f"--timeout={self.options.patience}s")

    def _helm(self, *words: str) -> list[str]:
        return helm(self.options.kubeconfig, self.namespace, *words)
