"""Reading of postconf's output; an error of it is one line."""

import os
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from gatepost.cli.__main__ import gatepost
from gatepost.cli.postfix.lists import Endpoint, endpoint, split
from gatepost.cli.postfix.postconf import (
    Postconf,
    parse_overrides,
    parse_services,
    parse_values,
)
from gatepost.cli.postfix.settings import seconds
from gatepost.errors import StartError


def test_lists() -> None:
    assert split("a, b\tc,,d") == ["a", "b", "c", "d"]
    assert split("x { a, {b = c} } y") == ["x", "{ a, {b = c} }", "y"]
    assert split("{ never closed, a") == ["{ never closed, a"]
    assert split("a } b") == ["a", "}", "b"]
    assert split("") == []


def test_endpoints() -> None:
    assert endpoint("unix:private/x") == Endpoint("unix:private/x")
    assert endpoint("{inet:h:1,timeout=1s, {default_action = 450 4.7.1 no}}") == Endpoint(
        "inet:h:1", {"timeout": "1s", "default_action": "450 4.7.1 no"}
    )
    assert endpoint("{}") == Endpoint("")


@given(st.text(alphabet="{}, =ab\n", max_size=60))
def test_any_list_can_be_read(text: str) -> None:
    items = split(text)
    for item in items:
        endpoint(item)
    # nothing but what stands between items is lost
    between = str.maketrans("", "", " ,\n")
    assert "".join(items).translate(between) == text.translate(between)


@pytest.mark.parametrize(
    ("value", "read"),
    [("30s", 30), ("5m", 300), ("1h", 3600), ("2d", 172800), ("1w", 604800), ("7", 7), ("x", None)],
)
def test_times(value: str, read: float | None) -> None:
    assert seconds(value) == read


def test_values_overrides_and_services() -> None:
    assert parse_values("a = b = c\nd =\nrubbish\n") == {"a": "b = c", "d": ""}
    assert parse_overrides(
        "submission/inet/smtpd_milters = inet:a:1, inet:b:2\n"
        "private/x/unix/y = z\n127.0.0.1:10025/inet/smtpd_milters =\nrubbish\n"
    ) == {
        ("submission", "inet"): {"smtpd_milters": "inet:a:1, inet:b:2"},
        ("private/x", "unix"): {"y": "z"},
        ("127.0.0.1:10025", "inet"): {"smtpd_milters": ""},
    }
    lines = "smtp inet n - y - - smtpd -o a=b\nsmtps inet n - - - - smtpd\nbroken inet n\n"
    new = {"compatibility_level": "3.6"}
    assert [one.is_chrooted for one in parse_services(lines, new)] == [True, False]
    assert [one.is_chrooted for one in parse_services(lines, {})] == [True, True]


CONFIG = '[milters]\nkeys = "{folder}"\n'


def check(tmp_path: Path, script: str) -> tuple[int, str]:
    """`gatepost config check --postconf` with a program that does what the script says."""
    program = tmp_path / "postconf"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    config = tmp_path / "gatepost.toml"
    config.write_text(CONFIG.format(folder=tmp_path))
    arguments = ["config", "check", "--config", str(config), "--postconf", str(program)]
    done = CliRunner().invoke(gatepost, arguments)
    if isinstance(done.exception, StartError):
        return 1, str(done.exception)
    assert isinstance(done.exception, SystemExit | None), done.exception
    return done.exit_code, done.output


def test_a_postconf_that_fails_says_why(tmp_path: Path) -> None:
    status, said = check(tmp_path, "echo postconf: fatal: bad thing >&2; exit 1")
    assert (status, said) == (
        1,
        "postconf cannot read the configuration of Postfix: postconf: fatal: bad thing",
    )


def test_a_postconf_that_prints_rubbish(tmp_path: Path) -> None:
    status, _ = check(tmp_path, r"printf 'a = \377\nb\n\0 = \0\n/ / / / / / / smtpd\n'")
    assert status == 2  # a service smtpd of a Postfix that knows no parameter


def test_a_postconf_that_prints_nothing(tmp_path: Path) -> None:
    status, said = check(tmp_path, "exit 0")
    assert (status, said.splitlines()[-1]) == (0, "Postfix: ok")


def test_a_postconf_that_is_not_there_or_no_program(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"cannot find .*: use --postconf PATH"):
        Postconf(str(tmp_path / "none")).read()
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(StartError, match="cannot run"):
        Postconf(str(tmp_path / "fifo")).read()
