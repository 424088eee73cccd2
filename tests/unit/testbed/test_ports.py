"""Free ports for servers of the tests."""

from __future__ import annotations

from tests.testbed.ports import free_port, free_ports


def test_no_port_is_given_twice_in_a_row() -> None:
    # by chance alone, of 900 out of 28,000 ports some are the same
    ports = [free_port() for _ in range(600)] + free_ports(300)
    assert len(set(ports)) == len(ports)
