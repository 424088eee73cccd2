"""`gatepost probe` against the daemons, a server that is silent, and nobody."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest

from tests.testbed.daemon import Daemon, gatepost_command
from tests.testbed.ports import free_ports
from tests.testbed.waiting import DEADLINE


def probe(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [gatepost_command(), "probe", *arguments], capture_output=True, text=True, timeout=DEADLINE
    )


@pytest.mark.parametrize(
    ("word", "kind", "said"),
    [("milters", "milter", "milter protocol 6"), ("policyd", "policy", "action=DUNNO")],
)
@pytest.mark.parametrize("family", ["unix", "inet"])
def test_a_daemon_that_runs(word: str, kind: str, said: str, family: str, tmp_path: Path) -> None:
    port, metrics_port = free_ports(2)
    address = f"unix:{tmp_path}/socket" if family == "unix" else f"inet:{port}@127.0.0.1"
    config = tmp_path / "gatepost.toml"
    (tmp_path / "keys").mkdir()
    more = {"milters": 'keys = "keys"\nworkers = 1', "policyd": '[policyd.store]\nkind = "memory"'}
    config.write_text(
        f"""
[{word}]
listen = "{address}"
metrics_listen = "inet:{metrics_port}@127.0.0.1"
{more[word]}
"""
    )
    with Daemon(word, config, tmp_path):
        done = probe(kind, address)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{kind} {address}: {said}\n"
    gone = probe(kind, address)
    assert gone.returncode == 1
    assert "Connection refused" in gone.stderr or "No such file" in gone.stderr


@pytest.mark.parametrize("level", ["info", "debug"])
@pytest.mark.parametrize("format_", ["json", "console"])
def test_probes_do_not_fill_the_log_of_a_server_with_nothing_to_do(
    level: str, format_: str, tmp_path: Path
) -> None:
    address = f"unix:{tmp_path}/socket"
    config = tmp_path / "gatepost.toml"
    config.write_text(
        f"""
log = {{ format = "{format_}", level = "{level}" }}
[policyd]
listen = "{address}"
metrics_listen = "inet:{free_ports(1)[0]}@127.0.0.1"
store = {{ kind = "memory" }}
"""
    )
    with Daemon("policyd", config, tmp_path) as daemon:
        assert probe("policy", address).returncode == 0
        ask = [str(gatepost_command()), "policyd", "ask", "--send", f"--config={config}"]
        subprocess.run([*ask, "--state", "VRFY", "--helo", "probe.invalid"], check=True)
    lines = [line for line in daemon.log.read_text().splitlines() if "VRFY" in line]
    assert ["probe.invalid" in line for line in lines] == [True] * (2 if level == "debug" else 1)


@pytest.mark.parametrize(
    "kind", ["milter", "policy", "socketmap", "sasl", "dovecot", "dict", "smtp"]
)
def test_an_open_port_is_not_enough(kind: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"inet:{silent.getsockname()[1]}@127.0.0.1"
        done = probe(kind, address, "--timeout", "0.5")
    assert done.returncode == 1
    assert done.stderr == f"Error: {kind} {address}: no answer within 0.5 s\n"


def test_a_server_that_is_starting_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    command = [str(gatepost_command()), "probe", "milter", f"unix:{path}", "--wait", "60"]
    with (
        subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as waiting,
        socket.socket(socket.AF_UNIX) as server,
    ):
        assert probe("milter", f"unix:{path}").returncode == 1
        server.bind(str(path))
        assert "Connection refused" in probe("milter", f"unix:{path}", "--wait", "0.2").stderr
        assert waiting.poll() is None, "it waits"
        server.listen()
        for _ in range(2):  # the look whether somebody listens, and the handshake
            server.accept()[0].close()
        _, told = waiting.communicate(timeout=DEADLINE)
    assert waiting.returncode == 1
    assert f"milter unix:{path}: " in told


def test_an_address_that_is_none() -> None:
    done = probe("smtp", "localhost:25")
    assert done.returncode == 2
    assert "is not an address to listen on: write inet:PORT" in done.stderr
