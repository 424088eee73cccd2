"""The skeleton of a daemon, by a third one that is nothing else, with both runners."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.echo import EchoDaemon, ask
from tests.daemon.milters import children
from tests.postfix.site import open_directory
from tests.testbed.ports import LOOPBACK
from tests.testbed.process import ProcessDied
from tests.testbed.waiting import wait_until

RESTART = "some changes need a restart: these keys are only read at the start"
NOT_RELOADED = "configuration not reloaded, the old one stays in use"


@pytest.fixture(params=["single", "prefork"])
def echo(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EchoDaemon]:
    """The daemon, not yet started; it is stopped afterwards."""
    daemon = EchoDaemon(tmp_path, request.param)
    yield daemon
    daemon.stop()


def failure_of(echo: EchoDaemon) -> str:
    """Return the output of a start that fails."""
    with pytest.raises(ProcessDied, match="ended with 1"):
        echo.start()
    return echo.log.read_text()


def launch_and_hold(echo: EchoDaemon) -> Path:
    """Start it to the point where it builds what it works with; the file that holds it there."""
    hold = echo.directory / "hold"
    hold.touch()
    echo.write(hold_file=str(hold))
    echo.launch()
    echo.process.wait_until(lambda: is_waiting(echo), "the daemon to build")
    return hold


def is_waiting(echo: EchoDaemon) -> bool:
    """Return whether sockets and port are open, which is done before anything is built."""
    with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, echo.metrics_port)):
        return echo.socket.exists()
    return False


def soft_limit(pid: int) -> int:
    """How many files a process may have open."""
    text = Path(f"/proc/{pid}/limits").read_text()
    found = re.search(r"^Max open files +(\d+)", text, re.MULTILINE)
    assert found
    return int(found[1])


def test_start_and_end(echo: EchoDaemon) -> None:
    echo.start()
    assert echo.ask() == "hello you"
    with echo.connect((LOOPBACK, echo.red_port)) as red:
        assert ask(red) == "red hello you"
    wait_until(lambda: echo.metric("echo_lines_total") == 2, "both lines to be counted")
    assert echo.stop() == 0
    assert not echo.socket.exists()
    assert [entry["event"] for entry in echo.log_entries(daemon="echo")][-1] == "stopped"
    with pytest.raises(ConnectionRefusedError):
        echo.connect((LOOPBACK, echo.red_port))


def test_a_reload_is_used_by_everyone_and_a_bad_one_by_nobody(echo: EchoDaemon) -> None:
    echo.start()
    echo.greeting.write_text("good\n")
    echo.reload()
    echo.wait_until_says("good you")
    (told,) = echo.log_entries(event="configuration reloaded")
    assert told["generation"] == 2
    assert echo.log_entries(event="reading the configuration")
    for bad in ("refused", "mistake"):
        echo.greeting.write_text(f"{bad}\n")
        echo.reload()
        wait_until(lambda: echo.metric("gatepost_config_last_reload_success") == 0, "the failure")
        echo.wait_until_says("good you")
        echo.greeting.write_text("good\n")
        echo.reload()
        wait_until(lambda: echo.metric("gatepost_config_last_reload_success") > 0, "the success")
    echo.config.write_text("[echo]\nunknown = 1\n")
    echo.reload()
    wait_until(lambda: "unknown key" in echo.log.read_text(), "the key to be told")
    assert len(echo.log_entries(event=NOT_RELOADED)) >= 3
    assert echo.ask() == "good you"


def test_files_are_watched_without_a_signal(echo: EchoDaemon) -> None:
    echo.start()
    echo.greeting.write_text("changed\n")
    echo.wait_until_says("changed you")
    other = echo.directory / "other"
    other.write_text("another\n")
    echo.write(greeting_file="other")  # relative to the configuration
    echo.wait_until_says("another you")
    other.write_text("followed\n")
    echo.wait_until_says("followed you")


def test_a_change_during_the_start_is_seen(echo: EchoDaemon) -> None:
    """The greeting and the configuration change after they were read, and before the first look."""
    pause = echo.directory / "pause"
    reached = pause.with_suffix(".reached")
    other = echo.directory / "other"
    other.write_text("another\n")
    echo.write(pause_file=str(pause))
    for change, says in (
        (lambda: echo.greeting.write_text("changed\n"), "changed you"),
        (lambda: echo.write(greeting_file="other"), "another you"),
    ):
        pause.touch()
        echo.launch()
        echo.process.wait_until(reached.exists, "the greeting to be read")
        change()
        reached.unlink()
        echo.process.wait_until(echo.ready, "the daemon to be ready")
        echo.wait_until_says(says)
        assert echo.stop() == 0


def test_a_configuration_that_comes_later_is_seen(echo: EchoDaemon, tmp_path: Path) -> None:
    env = {
        "GATEPOST_ECHO__LISTEN": f"unix:{echo.socket}",
        "GATEPOST_ECHO__METRICS_LISTEN": f"inet:{echo.metrics_port}@{LOOPBACK}",
        "GATEPOST_ECHO__GREETING_FILE": str(echo.greeting),
    }
    started = EchoDaemon(tmp_path, echo.runner, env)
    started.socket, started.metrics_port = echo.socket, echo.metrics_port
    started.config.unlink()
    with started:
        assert started.ask() == "hello you"
        started.write(drain_grace="7s", more_listen=[])
        started.wait_for_log(event="configuration reloaded")
    assert started.log_entries(event="draining: lines")[0]["grace"] == 7


def test_what_cannot_be_looked_at_stops_nothing(echo: EchoDaemon, tmp_path: Path) -> None:
    with EchoDaemon(tmp_path, echo.runner, {"ECHO_BLIND": "1"}) as blind:
        blind.wait_for_log(event="the configuration files could not be checked")
        blind.greeting.write_text("by signal\n")
        blind.reload()
        blind.wait_until_says("by signal you")


def test_what_a_reload_cannot_change_is_told(echo: EchoDaemon) -> None:
    secret = echo.directory / "secret"
    secret.write_text("one")
    secret.chmod(0o600)
    echo.write(secret_file="secret")
    echo.start()
    secret.write_text("two, longer")
    assert echo.wait_for_log(event=RESTART)["keys"] == ["echo.secret_file"]
    secret.write_text("one")
    echo.write(socket_mode="0600", secret_file="secret")
    echo.wait_for_log(event=RESTART, keys=["echo.socket_mode"])


def test_work_under_way_is_finished_before_the_end(echo: EchoDaemon) -> None:
    echo.start()
    with echo.connect() as connection:
        assert ask(connection) == "hello you"
        echo.process.signal(signal.SIGTERM)
        echo.wait_for_log(event="draining: lines")
        wait_until(lambda: not echo.socket.exists(), "the socket to be removed")
        assert not echo.ready()
        assert ask(connection, "still") == "hello still"
    assert echo.process.wait() == 0
    assert echo.log_entries(event="stopped")


def test_the_grace_is_that_of_the_last_configuration(echo: EchoDaemon) -> None:
    echo.write(drain_grace="1h")
    echo.start()
    echo.write(drain_grace="200ms")
    echo.wait_for_log(event="configuration reloaded")
    with echo.connect() as connection:
        assert ask(connection) == "hello you"
        echo.process.signal(signal.SIGTERM)
        assert echo.process.wait() == 0
    assert echo.log_entries(event="draining: lines")[0]["grace"] == 0.2


def test_a_socket_that_is_taken_away_ends_the_daemon_in_order(echo: EchoDaemon) -> None:
    echo.start()
    echo.socket.unlink()
    assert echo.process.wait() == 1
    assert "was removed: nobody can connect any more" in echo.log.read_text()
    assert echo.log_entries(event="stopped")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to leave it")
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to leave it")
@pytest.mark.parametrize("runner", ["single", "prefork"])
def test_root_is_left_after_the_sockets_are_open(runner: str) -> None:
    with open_directory() as folder:
        echo = EchoDaemon(folder, runner)
        echo.greeting.chmod(0o644)
        echo.write(user="nobody")
        echo.config.chmod(0o644)
        try:
            echo.start()
            assert echo.ask() == "hello you"
            for pid in (echo.process.pid, *children(echo.process.pid)):
                status = Path(f"/proc/{pid}/status").read_text()
                assert "Uid:\t65534\t65534\t65534\t65534" in status
            echo.greeting.write_text("as nobody\n")
            echo.wait_until_says("as nobody you")
        finally:
            echo.stop()


def test_a_start_that_fails_leaves_no_socket(echo: EchoDaemon) -> None:
    echo.greeting.write_text("refused\n")
    assert "echo: the greeting is refused" in failure_of(echo)
    assert not echo.socket.exists()
    echo.greeting.write_text("mistake\n")
    assert "a mistake of ours" in failure_of(echo)
    assert not echo.socket.exists()
    echo.greeting.write_text("well\n")
    with socket.create_server((LOOPBACK, echo.metrics_port)):
        assert "another process uses this port" in failure_of(echo)
    assert not echo.socket.exists()
    echo.write(user="nobody-has-this-name")
    assert "there is no user 'nobody-has-this-name'" in failure_of(echo)
    assert not echo.socket.exists()


def test_a_start_on_a_socket_in_use_removes_its_own_alone(echo: EchoDaemon) -> None:
    taken = echo.directory / "taken.sock"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(taken))
        other.listen()
        echo.write(listen=[f"unix:{echo.socket}", f"unix:{taken}"])
        assert "another process listens there" in failure_of(echo)
    assert not echo.socket.exists()
    assert taken.exists()


def test_a_reload_that_is_wanted_during_the_start_comes_after_it(echo: EchoDaemon) -> None:
    hold = launch_and_hold(echo)
    echo.reload()
    hold.unlink()
    echo.process.wait_until(echo.ready, "the daemon to be ready")
    echo.wait_for_log(event="configuration reloaded", generation=2)
    assert echo.ask() == "hello you"


def test_an_end_that_is_wanted_during_the_start_leaves_nothing(echo: EchoDaemon) -> None:
    launch_and_hold(echo)
    assert echo.stop() == 0
    assert not echo.socket.exists()
    assert "Traceback" not in echo.log.read_text()


def test_more_connections_get_more_files_without_a_restart(
    echo: EchoDaemon, tmp_path: Path
) -> None:
    within = ["sh", "-c", 'ulimit -H -n 20000; ulimit -S -n 256; exec "$@"', "sh"]
    limited = EchoDaemon(tmp_path, echo.runner, within=within)
    limited.write(max_connections=100)
    with limited:
        processes = [limited.process.pid, *children(limited.process.pid)]
        before = {soft_limit(pid) for pid in processes}
        limited.write(max_connections=3100)
        wait_until(
            lambda: {soft_limit(pid) - 3000 for pid in processes} == before,
            "every process to be allowed more files",
        )
