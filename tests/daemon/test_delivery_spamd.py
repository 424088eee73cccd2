"""`gatepost delivery` with a real spamd."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.delivery_site import HAM, SPAM, DeliverySite, delivery_site
from tests.daemon.spamd_server import SpamdServer

ANN, BOB = "ann@example.org", "bob@example.org"


@pytest.fixture(scope="module")
def spamd() -> Iterator[SpamdServer]:
    # spamd runs as nobody, who cannot enter the folders of pytest
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        server = SpamdServer(Path(name))
        server.prefer(ANN, "score T_HELLO 9")
        with server:
            yield server


@pytest.fixture
def site(tmp_path: Path, spamd: SpamdServer) -> Iterator[DeliverySite]:
    spam = {"address": spamd.address, "users_folder": str(spamd.users), "timeout": 30}
    with delivery_site(tmp_path, {"spam": spam}) as site:
        yield site


def score_of(site: DeliverySite, message: bytes, address: str) -> tuple[float, set[str]]:
    """The score of a message, and the rules that hit."""
    (answer,) = site.send(message, address)
    assert answer.startswith("250 "), answer
    stored = site.store.messages[-1]
    (status,) = stored.fields("X-Spam-Status")
    rules = set("".join(status.partition("tests=")[2].split()).split(","))
    return float(stored.fields("X-Spam-Score")[0]), rules


def test_gtube_is_spam(site: DeliverySite) -> None:
    score, rules = score_of(site, SPAM, BOB)
    assert score >= 1000
    assert "GTUBE" in rules
    assert site.store.messages[-1].fields("X-Spam-Flag") == ["YES"]
    score, rules = score_of(site, HAM, BOB)
    assert score < 5
    assert "T_HELLO" in rules
    assert site.store.messages[-1].fields("X-Spam-Flag") == []


def ours(*results: str) -> bytes:
    return f"Authentication-Results: mx.example.org; {'; '.join(results)}\r\n".encode()


def test_spamd_believes_our_milter_and_nobody_else(site: DeliverySite) -> None:
    plain, rules = score_of(site, HAM, BOB)
    assert not {"T_DMARC_PASS", "T_DMARC_FAIL"} & rules
    fail, rules = score_of(site, ours("dmarc=fail header.from=example.com") + HAM, BOB)
    assert "T_DMARC_FAIL" in rules
    assert fail == pytest.approx(plain + 2)
    # a word that SpamAssassin does not know makes it drop a field
    odd = ours("arc=temperror", "x=y", "dmarc=fail header.from=example.com")
    assert score_of(site, odd + HAM, BOB) == (fail, rules)
    # fields that a sender writes are below our Received field
    for name in (b"Authentication-Results: ", b"ARC-Authentication-Results: i=1; "):
        forged = name + b"mx.example.org; dmarc=pass header.from=example.com\r\n"
        sent = HAM.replace(b"From: ", forged + b"From: ", 1)
        assert score_of(site, sent, BOB)[0] == plain
        assert score_of(site, odd + sent, BOB) == (fail, rules)


def test_forged_fields_change_no_score(site: DeliverySite) -> None:
    plain = score_of(site, HAM, BOB)
    forged = b"X-Spam-Flag: NO\r\nX-Spam-Status: No, score=-99 required=5\r\n"
    assert score_of(site, HAM.replace(b"From: ", forged + b"From: ", 1), BOB) == plain


def test_the_preferences_of_ann_are_not_those_of_bob(site: DeliverySite) -> None:
    bob, _ = score_of(site, HAM, BOB)
    ann, _ = score_of(site, HAM, ANN)
    assert ann == pytest.approx(bob + 8)
    # one message for both gives each their own score
    site.send(HAM, ANN, BOB)
    by_name = {one.recipients[0]: one for one in site.store.messages[-2:]}
    assert by_name[ANN].fields("X-Spam-Flag") == ["YES"]
    assert by_name[BOB].fields("X-Spam-Flag") == []


@pytest.mark.parametrize("name", ['"a/../../b"@example.org', '"../../etc"@example.org', "b@.."])
def test_a_name_with_dots_is_scanned_as_nobody(site: DeliverySite, name: str) -> None:
    assert score_of(site, HAM, name) == score_of(site, HAM, BOB)


def test_spamd_killed_during_a_scan(site: DeliverySite, spamd: SpamdServer) -> None:
    try:
        with site.daemon.connect() as client:
            spamd.pause()
            client.begin(BOB)
            client.content(SPAM)
            client.sock.settimeout(0.5)
            with pytest.raises(TimeoutError):
                client.sock.recv(1)
            client.sock.settimeout(60)
            spamd.kill()
            assert client.sock.recv(4096).startswith(b"451 4.3.0 ")
        assert site.store.messages == []
    finally:
        spamd.start()
    assert score_of(site, SPAM, BOB)[0] >= 1000
