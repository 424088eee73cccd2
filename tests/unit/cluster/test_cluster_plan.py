"""The dry run, and the end of a run without a cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster import __main__ as command
from tests.cluster import kind
from tests.cluster.commands import CommandError, PrintedCommands
from tests.cluster.options import Options
from tests.cluster.scenes import Scene, scenes
from tests.cluster.values import FILES

OPTIONS = Options(Path("KUBECONFIG"))


def planned(name: str) -> PrintedCommands:
    (scene,) = [one for one in scenes(FILES) if one.name == name]
    commands = PrintedCommands(lambda _: None)
    assert command.play(commands, OPTIONS, [scene]) == []
    return commands


def test_every_values_file_is_installed_and_every_scene_ends_clean() -> None:
    names = {scene.name for scene in scenes(FILES)}
    assert {f"install-{name}" for name in FILES} < names
    assert {scene.values for scene in scenes(FILES)} == set(FILES)
    for name in names:
        commands = planned(name)
        namespace = f"gatepost-test-{name}"
        assert len(namespace) <= 63
        for argv in commands.printed:
            assert "--kubeconfig=KUBECONFIG" in argv
            # nothing is changed in a namespace of others
            place = [word for word in argv if word.startswith("--namespace=")]
            assert place in ([], [f"--namespace={namespace}"])
        last = commands.printed[-1]
        assert last[2:5] == ["delete", "namespace", namespace]


def test_a_topology_is_changed_both_ways_with_mail_in_the_queue() -> None:
    printed = [" ".join(argv) for argv in planned("topology").printed]
    closed = [n for n, line in enumerate(printed) if "nobody" in line]
    upgraded = [n for n, line in enumerate(printed) if "upgrade --install" in line][1:]
    opened = [n for n, line in enumerate(printed) if "gatepost-test-sink" in line]
    assert len(closed) == len(upgraded) == len(opened) == 2
    for first, second, third in zip(closed, upgraded, opened, strict=True):
        assert first < second < third


def test_a_scene_that_fails_is_told_and_cleaned_up() -> None:
    def fail(_: object) -> None:
        raise CommandError("a reason")

    told: list[str] = []
    commands = PrintedCommands(told.append)
    scene = Scene("broken", "minimal", fail, {}, "About.")
    assert command.play(commands, OPTIONS, [scene]) == ["broken"]
    assert "  FAILED: a reason" in told
    assert commands.printed[-1][2] == "delete"


def test_a_namespace_of_others_is_left_alone() -> None:
    class Taken(PrintedCommands):
        def run(self, argv: list[str], stdin: str = "") -> str:
            if "create" in argv:
                raise CommandError("already exists")
            return super().run(argv, stdin)

    commands = Taken(lambda _: None)
    (scene,) = [one for one in scenes(FILES) if one.name == "rotate"]
    assert command.play(commands, OPTIONS, [scene]) == ["rotate"]
    assert not any("delete" in argv or "uninstall" in argv for argv in commands.printed)


def test_without_a_cluster_it_says_what_it_needs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setattr(kind, "is_here", lambda: False)
    assert command.main([]) == 2
    assert "set KUBECONFIG" in capsys.readouterr().err


def test_a_scene_that_does_not_exist_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["nonsense"])
    assert "there is no scene nonsense" in capsys.readouterr().err
