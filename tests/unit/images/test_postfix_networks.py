"""`internet` of the Postfix image: mynetworks must not hold the Internet."""

from __future__ import annotations

import ipaddress
import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatepost.config.networks import extents

INTERNET = Path(__file__).resolve().parents[3] / "images" / "postfix" / "bin" / "internet"


def internet(*words: str) -> list[str]:
    """The families of which it says that the words hold too much, as `4 100%`."""
    done = subprocess.run(
        ["bash", INTERNET, "mynetworks"],
        input="".join(f"{word}\n" for word in words),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return re.sub(
        r"mynetworks: this is (\d+%) of the public addresses of IPv(\d), an open relay: .*",
        r"\2 \1",
        done.stdout,
    ).splitlines()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["0.0.0.0/0"], ["4 100%"]),
        (["0.0.0.0/1", "128.0.0.0/1"], ["4 100%"]),
        (["[::]/0"], ["6 100%"]),
        (["[::]/1", "[8000::]/1"], ["6 100%"]),
        (["[2a00::]/7", "[2400::]/8"], ["6 9%"]),
        (["16.0.0.0/4"], ["4 7%"]),
        ([f"{first}.0.0.0/8" for first in range(50, 64)], ["4 6%"]),
        (["[::ffff:0:0]/96"], ["4 100%"]),
        (["[::FFFF:128.0.0.0]/97"], ["4 43%"]),
        (["static:all"], ["4 100%", "6 100%"]),
        # in one another: what stands twice counts once
        (["8.0.0.0/5", "8.0.0.0/5", "9.0.0.0/8", "8.8.8.8"], []),
        (["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "[fc00::]/7"], []),
        (["!0.0.0.0/0", "host.example.org", "hash:/etc/hosts", "inline:"], []),
        ([], []),
    ],
)
def test_it_says_how_much(words: list[str], said: list[str]) -> None:
    assert internet(*words) == said


def test_files_count_with_the_words(tmp_path: Path) -> None:
    low = tmp_path / "low"
    low.write_text("# half of it\n0.0.0.0/2, 64.0.0.0/2\n")
    high = tmp_path / "high.cidr"
    high.write_text("# the other half\n128.0.0.0/1 OK\n  continued\n\n[2000::]/3 OK\n")
    assert internet(str(low)) == ["4 56%"]
    assert internet(str(low), f"cidr:{high}") == ["4 100%", "6 100%"]
    assert internet(f"{low}.absent", f"cidr:{high}.absent") == []


def test_a_file_that_names_itself_ends(tmp_path: Path) -> None:
    path = tmp_path / "networks"
    path.write_text(f"{path} 0.0.0.0/1\n")
    assert internet(str(path)) == ["4 56%"]


def _network(version: int) -> st.SearchStrategy[str]:
    bits = 32 if version == 4 else 128
    # beyond /48 it counts in whole networks of 48 bits
    prefix = st.integers(0, bits if version == 4 else 48)
    address = st.one_of(
        st.integers(0, 2**bits - 1),
        st.sampled_from(
            [0, 10, 100, 127, 172, 192, 198, 224] if version == 4 else [0x20, 0x3F]
        ).map(lambda first: first << (bits - 8)),
    )
    return st.tuples(address, prefix).map(
        lambda one: str(
            (ipaddress.IPv4Network if version == 4 else ipaddress.IPv6Network)(one, strict=False)
        )
    )


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(_network(4), _network(6)), max_size=12))
def test_it_says_what_gatepost_says(networks: list[str]) -> None:
    expected = [
        f"{extent.version} {int(extent.share * 100)}%"
        for extent in extents(map(ipaddress.ip_network, networks))
        if extent.is_internet
    ]
    words = [re.sub(r"^(.*:.*)/", r"[\1]/", network) for network in networks]
    assert internet(*words) == expected
