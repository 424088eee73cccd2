"""A forgery of our own domain that comes in and leaves again, through a real Postfix."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Iterator

import pytest

from tests.daemon.milters import DOMAIN
from tests.postfix.site import MILTERS, OUTSIDE, Site, mail, open_directory, running_site
from tests.testbed.oracles import dkimpy_verdicts
from tests.testbed.postfix import HOSTNAME
from tests.testbed.sink import Delivery

ATTACKER = "192.0.2.5"
AWAY = "x@far.example"
LOCAL_DOMAIN = "local.gatepost.test"
# a user of the system without a home: Postfix looks for its file where forward_path says
USER = "games"
VERDICT = ["quarantine; reason=dmarc-fail-reject"]


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with open_directory() as folder:
        forward = folder / USER
        forward.write_text(f"{AWAY}\n")
        os.chown(forward, pwd.getpwnam(USER).pw_uid, -1)
        with running_site(
            folder,
            milters=f'{MILTERS}\n[milters.seal]\ndomain = "{DOMAIN}"',
            # the next site as well, to see what it says
            relay_domains=("gatepost.test", "far.example"),
            settings={
                "virtual_alias_maps": f"inline:{{alias@gatepost.test={AWAY}}}",
                "mydestination": LOCAL_DOMAIN,
                "local_transport": "local",
                "forward_path": f"{folder}/$user",
            },
        ) as running:
            yield running


def sendmail(site: Site, delivery: Delivery) -> Delivery:
    """The message as Sieve's redirect or a pipe in a .forward hands it in, and as it leaves."""
    site.sink.clear()
    command = ["sendmail", "-C", str(site.postfix.configuration), "-i", "-f", "fwd@gatepost.test"]
    subprocess.run(
        [*command, AWAY],
        input=delivery.octets.replace(b"\r\n", b"\n"),
        check=True,
        env={"PATH": f"{os.environ['PATH']}:/usr/sbin"},
    )
    (sent,) = site.sink.wait_for(lambda one: one.recipients == (AWAY,))
    return sent


def test_a_forgery_is_delivered_with_a_verdict_and_leaves_unsigned(site: Site) -> None:
    arrived = site.arrives(mail(), client=ATTACKER, sender="x@attacker.example")
    assert arrived.fields("X-Gatepost-Verdict") == VERDICT
    for _ in range(2):
        # the second time as from the next mailbox here, with a .forward of its own
        arrived = sendmail(site, arrived)
        assert not arrived.fields("DKIM-Signature")
        assert arrived.fields("X-Gatepost-Verdict") == VERDICT
        (results,) = arrived.fields("Authentication-Results")
        assert "dmarc=fail" in results
        assert "dmarc=pass" not in results
        # sealed on its way in, and not again
        assert len(arrived.fields("ARC-Seal")) == 1
        line = site.milters.wait_for_log(event="message", unsigned="from-outside")
        assert (line["origin"], line["seal"]) == ("internal", "already-sealed")
    # the next site
    judged = site.arrives(
        arrived.octets, client="192.0.2.99", sender="fwd@gatepost.test", recipients=(AWAY,),
    )  # fmt: skip
    (results,) = judged.fields("Authentication-Results")
    assert "arc=pass" in results
    assert "dmarc=fail" in results


def test_over_smtp_from_a_host_of_ours(site: Site) -> None:
    arrived = site.arrives(mail(), client=ATTACKER, sender="x@attacker.example")
    sent = site.arrives(
        arrived.octets,
        client="10.1.2.3",
        sender="fwd@gatepost.test",
        recipients=(AWAY,),
    )
    assert not sent.fields("DKIM-Signature")
    assert sent.fields("X-Gatepost-Verdict") == VERDICT


def test_what_was_ours_is_signed(site: Site) -> None:
    arrived = site.arrives(mail(), client=OUTSIDE)
    assert not arrived.fields("X-Gatepost-Verdict")
    sent = sendmail(site, arrived)
    assert len(sent.fields("DKIM-Signature")) == 2
    assert not sent.fields("Authentication-Results")
    assert {verdict for _, verdict in dkimpy_verdicts(sent.octets, site.dns)} == {"pass"}


@pytest.mark.parametrize("recipient", ["alias@gatepost.test", f"{USER}@{LOCAL_DOMAIN}"])
def test_an_alias_and_a_forward_file_pass_no_milter_again(site: Site, recipient: str) -> None:
    arrived = site.arrives(
        mail(), client=ATTACKER, sender="x@attacker.example", recipients=(recipient,)
    )
    assert arrived.recipients == (AWAY,)
    assert not arrived.fields("DKIM-Signature")
    assert arrived.fields("X-Gatepost-Verdict") == VERDICT
    assert len(arrived.fields("Authentication-Results")) == 1


@pytest.mark.parametrize(
    "forged",
    [
        b"X-Gatepost-Verdict: accept",
        b"x-gatepost-verdict: tag; reason=x",
        b"X-GATEPOST-VERDICT : quarantine; reason=dmarc-fail-reject",
        b"X-Gatepost-Verdict:\r\n\ttag;\r\n reason=x",
        b"Authentication-Results : %b; dmarc=pass" % HOSTNAME.encode(),
        b"Authentication-Results: dmarc=pass header.from=signer.example",
        b'Authentication-Results: "\\t%b"; dmarc=pass' % HOSTNAME.encode(),
        b"Subject: x\rAuthentication-Results: %b; dmarc=pass" % HOSTNAME.encode(),
    ],
)
@pytest.mark.parametrize("client", [OUTSIDE, ATTACKER])
def test_what_claims_to_be_ours_is_gone(site: Site, forged: bytes, client: str) -> None:
    arrived = site.arrives(mail(forged), client=client)
    expected = [] if client == OUTSIDE else VERDICT
    assert arrived.fields("X-Gatepost-Verdict") == expected
    (results,) = arrived.fields("Authentication-Results")
    assert results.startswith(f"{HOSTNAME}; iprev=")
    assert ("dmarc=pass" in results) is (client == OUTSIDE)
