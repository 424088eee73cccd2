"""`make up` on a machine that has no image yet."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.testbed import images
from tools.steps import Steps
from tools.up import lifecycle
from tools.up import system as module
from tools.up.lifecycle import UpError
from tools.up.place import Place
from tools.up.system import System


def test_the_pod_starts_with_the_images_that_were_built_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tag of an image has a digest of its base, so it is another one before the base is
    built."""
    built: list[str] = []
    played: list[dict[str, Any]] = []

    def play(*_: str, stdin: str, **__: object) -> str:
        played.extend(yaml.safe_load_all(stdin))
        return ""

    monkeypatch.setattr(images, "tag", lambda name: f"{name}:{len(built)}")
    monkeypatch.setattr(module, "exists", lambda *_: False)
    monkeypatch.setattr(module, "podman", play)
    system = System(Place(state=tmp_path / "state", backup=tmp_path / "backup"))
    built.append("base")
    system.play()
    (pod,) = (each for each in played if each["kind"] == "Deployment")
    used = {one["image"] for one in pod["spec"]["template"]["spec"]["containers"]}
    assert {"postfix:1", "accounts:1", "gatepost:1"} <= used
    assert {image.partition(":")[2] for image in used} == {"1"}


def test_only_images_of_the_pod_are_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[str] = []
    monkeypatch.setattr(images, "build", built.append)
    lifecycle.build_images(System(Place(state=tmp_path)), Steps(io.StringIO()))
    assert built == [
        *("base", "accounts", "dovecot", "gatepost", "postfix", "spamassassin", "webmail")
    ]


def test_a_start_that_failed_is_not_called_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = System(Place(state=tmp_path))
    monkeypatch.setattr(module, "exists", lambda *_: True)
    monkeypatch.setattr(lifecycle, "podman", lambda *_: "")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    with pytest.raises(UpError, match="did not come to its end"):
        lifecycle.check(system)
    system.complete()
    with pytest.raises(UpError, match="it is up already"):
        lifecycle.check(system)
