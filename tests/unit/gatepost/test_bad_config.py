"""Each bad configuration fails for its own reason: folders with a file and its expected error."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from gatepost.cli import configuration
from gatepost.config import ConfigError

CASES = sorted((Path(__file__).parent / "bad_config").iterdir())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_bad_configuration_says_what_is_wrong(
    case: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(case)
    with pytest.raises(ConfigError) as caught:
        configuration.read_whole(Path("gatepost.toml"))
    told = "".join(f"gatepost: {problem}\n" for problem in caught.value.problems)
    (case / "expected-error.got").write_text(told)
    assert told == (case / "expected-error").read_text()
    (case / "expected-error.got").unlink()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a = " + "[" * 100_000, "not TOML: nested too deep"),
        ("a = " + "{a=" * 100_000, "not TOML: nested too deep"),
        ("a" + ".a" * 60 + " = 1", "unknown key"),
        ("a" + ".a" * 100_000 + " = 1", "a key has more than 64 parts"),
        ("[a" + ".a" * 100_000 + "]", "a key has more than 64 parts"),
        ("a = " + "9" * 10_000, "not TOML: a number is too long"),
        ("a = 2026-13-45", "not TOML: "),
        ("\n", "is empty"),
        ("#" + "x" * (4 << 20), "larger than"),
    ],
    ids=lambda value: value[:12],
)
def test_a_hostile_file_is_told_in_a_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "gatepost.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=words) as caught:
        configuration.read_whole(path)
    assert len(str(caught.value)) < 2000


def test_what_is_no_file_is_told_and_waits_for_nobody(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero")):
        with pytest.raises(ConfigError, match="is not a regular file"):
            configuration.read_whole(path)


def test_there_are_cases() -> None:
    assert len(CASES) >= 10


def test_a_file_that_is_not_there_is_told_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(configuration, "DEFAULT_PATH", tmp_path / "gatepost.toml")
    with pytest.raises(ConfigError, match=r"does not exist; name another one with --config FILE"):
        configuration.read_whole(None)
    assert configuration.read_if_any(None, configuration.whole()).model == configuration.whole()()


def test_config_show_prints_what_is_set_and_check_says_ok(tmp_path: Path) -> None:
    from gatepost.cli.config import config

    path = tmp_path / "gatepost.toml"
    path.write_text('hostname = "MX.example.org."\n[dns]\ntimeout = "90s"\n')
    result = CliRunner().invoke(config, ["check", "--config", str(path)])
    assert isinstance(result.exception, ConfigError)  # more than 60 seconds
    path.write_text('hostname = "MX.example.org."\n[dns]\ntimeout = "9s"\n')
    assert CliRunner().invoke(config, ["check", "--config", str(path)]).output == f"{path}: ok\n"
    shown = CliRunner().invoke(config, ["show", "--config", str(path)]).output
    assert shown == (
        '{\n  "hostname": "mx.example.org",\n  "dns": {\n    "timeout": "9s"\n  }\n}\n'
    )
