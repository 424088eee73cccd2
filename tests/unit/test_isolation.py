import asyncio
import socket

import pytest

from tests.conftest import WATCH
from tests.isolation import NetworkUsed, Watch


def test_a_unit_test_opens_no_socket() -> None:
    with socket.socket() as client, pytest.raises(NetworkUsed):
        client.connect(("127.0.0.1", 9))
    assert WATCH.take() == ["socket.connect ('127.0.0.1', 9)"]


def test_an_event_loop_needs_no_socket() -> None:
    asyncio.run(asyncio.sleep(0))


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1"])
def test_addresses_outside_are_refused_in_every_layer(host: str) -> None:
    watch = Watch()
    with socket.socket() as client, pytest.raises(NetworkUsed):
        watch("socket.connect", (client, (host, 53)))
    assert len(watch.take()) == 1


@pytest.mark.parametrize("host", ["example.org", b"example.org"])
def test_names_are_looked_up_in_no_layer(host: str | bytes) -> None:
    watch = Watch()
    with pytest.raises(NetworkUsed):
        watch("socket.getaddrinfo", (host, 53, 0, 0, 0))
    assert len(watch.take()) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "127.53.7.9", "::1", "localhost", ""])
def test_addresses_of_this_machine_are_allowed_outside_the_unit_layer(host: str) -> None:
    watch = Watch()
    with socket.socket() as client:
        watch("socket.connect", (client, (host, 53)))
    watch("socket.getaddrinfo", (host, 53, 0, 0, 0))
    assert not watch.take()
