from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milters.keys.tables.dataset import DataSetEntry
from milters.keys.tables.errors import OpendkimError, Place
from milters.migration.opendkim.hosts import MAX_PIECES, parse_hosts


def hosts(*texts: str) -> list[str]:
    entries = [DataSetEntry(Place("hosts", line), text) for line, text in enumerate(texts, 1)]
    return [str(network) for network in parse_hosts(entries).networks]


@pytest.mark.parametrize(
    ("texts", "networks"),
    [
        (["127.0.0.1"], ["127.0.0.1/32"]),
        (["localhost"], ["127.0.0.1/32", "::1/128"]),
        (["192.168.0.1/24"], ["192.168.0.0/24"]),
        (["[10.0.0.1]", "[2001:db8::]/32"], ["10.0.0.1/32", "2001:db8::/32"]),
        (["::ffff:192.0.2.1"], ["192.0.2.1/32"]),
        (["10.0.0.0/31", "!10.0.0.1"], ["10.0.0.0/32"]),
        (["!10.0.0.1", "10.0.0.0/31"], ["10.0.0.0/32"]),
        (["!10.0.0.0/8", "10.0.0.1"], ["10.0.0.1/32"]),
        (["10.0.0.0/8", "!10.0.0.0/8"], ["10.0.0.0/8"]),
        (["!0.0.0.0/0", "::1"], ["::1/128"]),
        ([], []),
    ],
)
def test_networks(texts: list[str], networks: list[str]) -> None:
    assert hosts(*texts) == networks


def test_names_and_nonsense() -> None:
    texts = [".example.org", "*.example.org", "mail.example.org", "!relay", "a/b", "192.0.2/24", ""]
    parsed = parse_hosts([DataSetEntry(Place("hosts", 1), text) for text in texts])
    assert [entry.key for entry in parsed.names] == texts[:4]
    assert [entry.key for entry in parsed.nonsense] == texts[4:]


networks = st.builds(
    lambda address, prefix: ipaddress.ip_network((address & 255, prefix), strict=False),
    st.integers(0, 255),
    st.integers(24, 32),
)


@given(st.lists(st.tuples(networks, st.booleans()), max_size=8), st.integers(0, 255))
def test_the_most_precise_entry_decides(
    rules: list[tuple[ipaddress.IPv4Network, bool]], host: int
) -> None:
    address = ipaddress.ip_address(host)
    matching = [(network.prefixlen, is_in) for network, is_in in rules if address in network]
    expected = max(matching, default=(0, False))[1]
    found = hosts(*(f"{'' if is_in else '!'}{network}" for network, is_in in rules))
    assert any(address in ipaddress.ip_network(network) for network in found) is expected


def test_exceptions_are_bounded() -> None:
    texts = [f"10.{n // 256}.{n % 256}.0/30" for n in range(MAX_PIECES + 1)]
    assert len(hosts(*texts)) == len(texts)
    with pytest.raises(OpendkimError, match="more than"):
        hosts(*texts, "!10.0.0.1")


@given(st.text(max_size=40))
def test_any_entry_is_read(text: str) -> None:
    parsed = parse_hosts([DataSetEntry(Place("hosts", 1), text)])
    assert len(parsed.names) + len(parsed.nonsense) <= 1
