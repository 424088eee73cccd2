"""The watch of Postfix: it sees the queue and the log, and can change neither."""

from __future__ import annotations

from typing import Any

from tests.chart.helm import CHART, Rendered, render

MAILBOXES = (CHART / "ci" / "mailboxes-values.yaml").read_text()
QUEUE = "/var/spool/postfix"
POSTDROP = 10026
"""The group of the image of Postfix that may list the queue."""


def mounts(rendered: Rendered, name: str) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in rendered.containers()[name]["volumeMounts"]}


def test_it_reads_the_queue_and_the_log_where_postfix_writes_them() -> None:
    rendered = render(MAILBOXES)
    watch, postfix = mounts(rendered, "postfixwatch"), mounts(rendered, "postfix")
    for name in ("queue", "postfix-log"):
        assert watch[name]["mountPath"] == postfix[name]["mountPath"]
        assert watch[name]["readOnly"] is True
        assert "readOnly" not in postfix[name]
    container = rendered.containers()["postfixwatch"]
    options = dict(one.removeprefix("--").split("=") for one in container["args"][1:])
    settings = rendered.kind("ConfigMap")["mail-postfix"]["data"]
    assert options["log"] == settings["POSTFIX_LOG_FILE"]
    assert options["log"].startswith(watch["postfix-log"]["mountPath"] + "/")
    assert options["showq"] == f"{QUEUE}/queue/public/showq"
    assert options["accounts"] == "unix:/run/gatepost/snapshots"
    assert container["livenessProbe"]["exec"]["command"][-1] == f"--place={options['place']}"


def test_it_has_the_group_of_the_queue_and_no_secret() -> None:
    rendered = render(MAILBOXES)
    container = rendered.containers()["postfixwatch"]
    assert container["securityContext"]["runAsGroup"] == POSTDROP
    dockerfile = (CHART.parents[1] / "images" / "postfix" / "Dockerfile").read_text()
    assert f"groupadd -g {POSTDROP} postdrop" in dockerfile
    assert mounts(rendered, "postfixwatch").keys() == {
        *("sockets", "queue", "postfix-log", "tmp-postfixwatch")
    }


def test_without_accounts_there_is_nobody_to_tell() -> None:
    for topology in ("pod", "services"):
        rendered = render(f"topology: {topology}\n")
        assert "postfixwatch" not in rendered.containers()
        assert "POSTFIX_LOG_FILE" not in rendered.kind("ConfigMap")["mail-postfix"]["data"]
        assert "postfix-log" not in mounts(rendered, "postfix")
