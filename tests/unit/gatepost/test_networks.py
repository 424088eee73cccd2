"""Lists of networks that are somebody's own, and lists that hold the Internet."""

from __future__ import annotations

import ipaddress
import random

import pytest

from gatepost.config.networks import IpNetwork, extents, require_own, too_large


def parsed(*texts: str) -> tuple[IpNetwork, ...]:
    return tuple(map(ipaddress.ip_network, texts))


@pytest.mark.parametrize(
    "texts",
    [
        ("0.0.0.0/0",),
        ("::/0",),
        ("0.0.0.0/1", "128.0.0.0/1"),
        ("0.0.0.0/1",),
        ("10.0.0.0/8", "192.0.0.0/2"),
        ("::/1",),
        ("2000::/3",),
        ("2000::/4", "3000::/4"),
        ("::ffff:0:0/96",),
        ("::ffff:0.0.0.0/97", "::ffff:128.0.0.0/97"),
        ("64.0.0.0/4",),
    ],
)
def test_the_internet_is_nobodys_own(texts: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"of the public IPv[46] addresses: name the networks"):
        require_own(parsed(*texts))


@pytest.mark.parametrize(
    "texts",
    [
        (),
        ("127.0.0.0/8", "::1/128"),
        ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16"),
        ("fc00::/7", "fe80::/10"),
        ("224.0.0.0/4", "240.0.0.0/4"),
        ("17.0.0.0/8",),
        ("2001:db8::/32", "2a00:1450::/29"),
        ("2600::/20",),
        ("::ffff:10.0.0.0/104",),
        ("17.0.0.0/8", "17.1.0.0/16", "17.1.2.3"),
    ],
)
def test_what_somebody_has_is_neither_refused_nor_worth_a_word(texts: tuple[str, ...]) -> None:
    assert require_own(parsed(*texts)) == parsed(*texts)
    assert too_large(parsed(*texts)) == ""


@pytest.mark.parametrize("text", ["16.0.0.0/7", "64.0.0.0/5", "2a00::/12", "2600::/19"])
def test_a_very_large_network_is_worth_a_word(text: str) -> None:
    assert require_own(parsed(text))
    assert "public IPv" in too_large(parsed(text))


def test_a_union_is_measured_as_the_whole_however_it_is_cut() -> None:
    dice = random.Random(8)
    pieces = [ipaddress.IPv4Network("0.0.0.0/0")]
    while len(pieces) < 60:
        piece = pieces.pop(dice.randrange(len(pieces)))
        pieces += piece.subnets() if piece.prefixlen < 20 else [piece]
    dice.shuffle(pieces)
    with pytest.raises(ValueError, match="all of the public IPv4"):
        require_own(tuple(pieces))
    hole = ipaddress.IPv4Network("192.0.2.0/24")
    with pytest.raises(ValueError, match="all of the public IPv4"):
        require_own(tuple(ipaddress.IPv4Network("0.0.0.0/0").address_exclude(hole)))


def test_shares_are_of_all_public_addresses() -> None:
    four, six = extents(parsed("0.0.0.0/0", "::/0"))
    assert (four.share, six.share) == (1.0, 1.0)
    assert four.addresses < 2**32 * 7 / 8
    assert six.addresses == 2**125
