import errno
import os
import socket
import stat
from pathlib import Path

import pytest

from gatepost.daemon import SocketFiles, StartError, listening_socket
from gatepost.listen import Inet, Unix


def test_a_socket_that_a_dead_process_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with listening_socket(Unix(path), mode=0o666):
        assert stat.S_IMODE(path.stat().st_mode) == 0o666
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))


def test_a_socket_that_somebody_answers_on_is_left_alone(tmp_path: Path) -> None:
    address = Unix(tmp_path / "socket")
    with (
        listening_socket(address),
        pytest.raises(StartError, match="another process listens there"),
    ):
        listening_socket(address)


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("mine")
    with pytest.raises(StartError, match="a file that is not a socket exists there"):
        listening_socket(Unix(path))
    assert path.read_text() == "mine"


def test_a_folder_that_is_missing_and_a_group_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="No such file or directory"):
        listening_socket(Unix(tmp_path / "none" / "socket"))
    with pytest.raises(StartError, match="there is no group 'nobodies'"):
        listening_socket(Unix(tmp_path / "socket"), group="nobodies")


def test_nothing_is_left_of_a_socket_that_could_not_be_made(tmp_path: Path) -> None:
    with pytest.raises(StartError):
        listening_socket(Unix(tmp_path / "socket"), group="nobodies")
    assert not list(tmp_path.iterdir())


def test_a_socket_that_is_taken_away_is_noticed(tmp_path: Path) -> None:
    address = Unix(tmp_path / "socket")
    with listening_socket(address):
        files = SocketFiles([address, None, Inet("127.0.0.1", 8891)])
        files.check()
        address.path.unlink()
        with pytest.raises(StartError, match=r"socket was removed: nobody can connect any more"):
            files.check()
        with listening_socket(address):
            with pytest.raises(StartError, match="was replaced"):
                files.check()
            files.remove()
            assert address.path.exists()  # it is somebody else's
            SocketFiles([address]).remove()
            assert not address.path.exists()


def test_a_port_in_use_is_told_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(StartError) as caught:
            listening_socket(Inet("127.0.0.1", port))
    assert str(caught.value) == (
        f"cannot listen on inet:{port}@127.0.0.1: another process uses this port"
    )


def test_an_address_of_another_machine() -> None:
    with pytest.raises(StartError, match="this machine does not have that address"):
        listening_socket(Inet("192.0.2.77", 8891))


def test_every_address_is_both_families() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with listening_socket(Inet("", port)):
        socket.create_connection(("127.0.0.1", port)).close()


def test_without_ipv6_every_address_is_every_one_of_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine that was started with ``ipv6.disable=1``."""
    real = socket.socket

    def of_ipv4(family: int = socket.AF_INET, *more: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
        return real(family, *more)

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setattr("gatepost.daemon.sockets.socket.socket", of_ipv4)
    with listening_socket(Inet("", port)) as listening:
        monkeypatch.undo()
        assert listening.family == socket.AF_INET
        socket.create_connection(("127.0.0.1", port)).close()
