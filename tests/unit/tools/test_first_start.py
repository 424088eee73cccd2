"""`make up` on a machine that has no image yet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.testbed import images
from tools.up import system as module
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
