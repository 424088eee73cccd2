"""docs/debian.md, followed block by block on a fresh Debian 13 with systemd.

Then the mail system that it gives is used as by its users and other sites.
"""

from __future__ import annotations

import imaplib
import json
import re
import socket
from collections.abc import Iterator

import pytest

from tests.stack.debian.machine import DebianMachine
from tests.stack.debian.page import blocks
from tests.stack.debian.site import Site
from tests.stack.everyday import CAROL, EVE, INVOICES_RULE, wait_for_end
from tests.stack.greylist import wait_out_the_delay
from tests.stack.mailboxes import any_certificate
from tests.stack.spam import GTUBE
from tests.stack.stack import DOMAIN, KNOWN, STRANGER, World
from tests.testbed.oracles import dkimpy_verdicts
from tests.testbed.pod import Network
from tests.testbed.retries import QUICK_RETRIES
from tests.testbed.waiting import wait_until

ANNA, BERT = f"anna@{DOMAIN}", f"bert@{DOMAIN}"
UNITS = (
    *("gatepost-accounts", "gatepost-milters", "gatepost-policyd", "gatepost-delivery"),
    *("spamd", "dovecot", "postfix"),
)
DELAY = 3
PROBE = "gatepost probe socketmap unix:/var/spool/postfix/gatepost/accounts --wait 30 --timeout 30"
pytestmark = pytest.mark.timeout(900)
EXPOSURE = 2.5
"""The most that `systemd-analyze security` may find for a unit of ours; without any setting 9.6."""
LOCAL = (7830, 8080, 8081, 9101, 9102, 9103, 9104, 9105, 10024, 10025, 10026, 10027, 12340, 18080)
"""Ports that nobody else may reach."""


@pytest.fixture(scope="module")
def site(network: Network, world: World) -> Iterator[Site]:
    """The machine, when the page has been followed to its "First mail"."""
    world.dns.add("far.example", "MX", "10 mx.remote.example")
    with DebianMachine(network) as machine, Site(machine, world) as site:
        for title, block in blocks("docs/debian.md", last="First mail"):
            told = machine.run(block)
            site.told[title] = site.told.get(title, "") + told
            if title == "Domains and users":
                site.read_passwords("anna", "bert")
        yield site


@pytest.fixture(scope="module")
def quick(site: Site) -> Site:
    """The same, where strangers wait for seconds instead of minutes, with its key in DNS."""
    site.publish_key("s1")
    retries = " ".join(f"{name}={value}" for name, value in QUICK_RETRIES.items())
    site.machine.run(
        "cat >> /etc/gatepost/gatepost.toml <<'END'\n"
        f'[policyd.greylist]\ndelay = "{DELAY}s"\nallow_clients = ["{KNOWN}"]\nEND\n'
        f"postconf -e postscreen_greet_wait=1s {retries}\n"
        # the milter saw that there was no record, and looks again in a minute or when it starts
        "systemctl restart gatepost-milters gatepost-policyd postfix\n"
        "gatepost probe milter unix:/var/spool/postfix/gatepost/milter --wait 30\n"
        "gatepost probe policy unix:/var/spool/postfix/gatepost/policyd --wait 30\n"
    )
    return site


def test_the_page_ends_with_the_first_mail(site: Site) -> None:
    assert "The first mail has arrived." in site.told["First mail"]
    assert "Postfix: ok" in site.told["Start"]
    assert "administrator admin added" in site.told["Domains and users"]
    for daemon in ("accounts", "milters", "policyd"):
        assert f"{daemon}: gatepost can open everything it needs" in site.told["Start"]
    site.machine.wait_booted()
    units = " ".join(UNITS)
    assert site.machine.run(f"systemctl is-active {units}").split() == ["active"] * len(UNITS)
    assert site.machine.run(f"systemctl is-enabled {units}").split() == ["enabled"] * len(UNITS)
    assert "doveadm user" in site.machine.run("systemctl show dovecot -p ExecStartPost")


def test_dovecot_has_no_complaint(site: Site) -> None:
    found = site.machine.run("doveconf -n 2>&1 >/dev/null; journalctl -u dovecot -p warning -o cat")
    # the folder of a new mailbox comes with its first message, after the look for its key
    expected = r"anvil-auth-penalty|Killed with signal 15|\.lda-dupes\) failed: No such file"
    assert [line for line in found.splitlines() if not re.search(expected, line)] == []


@pytest.mark.parametrize("unit", UNITS[:4])
def test_a_unit_is_confined(site: Site, unit: str) -> None:
    found = site.machine.run(f"systemd-analyze security --no-pager {unit} | tail -1")
    level = re.search(r"exposure level for \S+: ([0-9.]+)", found)
    assert level is not None, found
    assert float(level[1]) <= EXPOSURE


def test_secrets_and_mail_are_for_their_users_alone(site: Site) -> None:
    for path in (
        *("/etc/gatepost/accounts.key", "/etc/gatepost/doveadm.key", "/etc/gatepost/srs.secret"),
        *("/etc/gatepost/dovecot.token", "/etc/dovecot/doveadm.key", "/etc/dovecot/accounts.token"),
        *("/etc/ssl/private/mail.key", "/var/lib/gatepost/accounts/accounts.db", "/srv/mail/x"),
        *("/var/spool/postfix/gatepost/milter", "/var/spool/gatepost-dovecot/lmtp"),
        *("/var/spool/postfix/gatepost/delivery", "/var/lib/spamassassin/users/x"),
    ):
        done = site.machine.run(
            f"setpriv --reuid=nobody --clear-groups cat {path} 2>&1 || test $? = 1", folder="/"
        )
        assert "Permission denied" in done, path


def test_who_reads_hostile_mail_reads_no_secret(site: Site) -> None:
    """spamd shares the data of the users with delivery, and nothing else."""
    for path in ("/etc/gatepost/accounts.key", "/var/lib/gatepost/accounts/accounts.db"):
        done = site.machine.run(
            f"runuser -u debian-spamd -g gatepost-spam -- cat {path} || test $? = 1"
        )
        assert done == "", path
    started = "/sys/fs/cgroup/system.slice/spamd.service/cgroup.procs"
    found = site.machine.run(
        f'for each in $(cat {started}); do grep -hE "^(Uid|Gid)" /proc/$each/status; done'
    )
    ids = {line.split(":")[0]: set(line.split()[1:]) for line in found.splitlines()}
    user, group = site.machine.run("id -u debian-spamd; getent group gatepost-spam").split()
    assert ids == {"Uid": {user}, "Gid": {group.split(":")[2]}}


@pytest.mark.parametrize("port", LOCAL)
def test_the_inner_ports_are_closed_to_others(site: Site, port: int) -> None:
    with (
        pytest.raises(OSError, match="refused"),
        socket.create_connection((site.machine.address, port), timeout=10),
    ):
        pass


def test_mail_from_outside_waits_once_and_is_in_the_mailbox(quick: Site) -> None:
    wait_out_the_delay(lambda: quick.deliver("from a stranger", ANNA, STRANGER))
    header = quick.wait_for("from a stranger", ANNA)
    assert b"\r\nAuthentication-Results: mail.example.org;" in header
    unknown = quick.deliver("to nobody", f"nobody@{DOMAIN}")
    assert unknown.reply.code == 550, unknown.transcript
    relayed = quick.deliver("to others", EVE)
    assert relayed.reply.code == 554, relayed.transcript


def test_spam_is_in_junk(quick: Site) -> None:
    assert quick.deliver("spam", ANNA, body=GTUBE).accepted
    header = quick.wait_for("spam", ANNA, "Junk")
    assert b"\r\nX-Spam-Flag: YES\r\n" in header
    quick.machine.run("systemctl kill --signal=SIGKILL spamd && systemctl reload gatepost-delivery")
    assert quick.deliver("no spam", ANNA).accepted
    assert b"\r\nX-Spam-Status: No, score=" in quick.wait_for("no spam", ANNA)
    # the milter has asked DNS, and the filter has heard of it
    assert b"GP_NO_RESULTS" not in quick.wait_for("no spam", ANNA)


def flags(client: imaplib.IMAP4, subject: str) -> tuple[str, set[str]]:
    """Return the UID of the only message with a subject, and its flags but for \\Recent."""
    _, found = client.uid("SEARCH", "SUBJECT", f'"{subject}"')
    (uid,) = found[0].decode().split()
    _, lines = client.uid("FETCH", uid, "(FLAGS)")
    return uid, {flag.decode() for flag in imaplib.ParseFlags(lines[0])} - {"\\Recent"}


def test_moving_mail_into_junk_and_out_of_it_teaches_the_filter(quick: Site) -> None:
    def lessons() -> dict[str, int]:
        told = json.loads(quick.machine.run(f"gatepost spam stats {BERT} --json"))
        return {kind: told[kind] for kind in ("spam", "ham")}

    assert quick.deliver("to move", BERT).accepted
    quick.wait_for("to move", BERT)
    client = quick.imap(BERT)
    client.select()
    uid, before = flags(client, "to move")
    assert before == set()
    assert client.uid("MOVE", uid, "Junk")[0] == "OK"
    client.select("Junk")
    uid, after = flags(client, "to move")
    assert after == {"$LearnedSpam"}
    assert lessons() == {"spam": 1, "ham": 0}
    assert client.uid("MOVE", uid, "INBOX")[0] == "OK"
    client.select()
    assert flags(client, "to move")[1] == {"$LearnedHam"}
    assert lessons() == {"spam": 0, "ham": 1}
    # spamd has made one of these folders, and delivery the other
    users = "/var/lib/spamassassin/users"
    modes = quick.machine.run(f"stat -c %a {users}/site/site {users}/{DOMAIN}/bert")
    assert modes.split() == ["2770", "2770"]


def test_what_users_have_read_is_learned_at_night(quick: Site) -> None:
    timer = quick.machine.run("systemctl list-timers --no-legend gatepost-training.timer")
    assert "gatepost-training.service" in timer
    assert quick.deliver("wanted", BERT).accepted
    quick.wait_for("wanted", BERT)
    client = quick.imap(BERT)
    client.select()
    # what has a keyword does not wait for two days
    client.uid("STORE", flags(client, "wanted")[0], "+FLAGS", r"(\Seen NonJunk)")
    quick.machine.run("systemctl start gatepost-training")
    told = quick.machine.run("journalctl -u gatepost-training -o cat")
    assert f"{BERT}: 0 as spam, 1 as ham" in told
    client.noop()
    assert flags(client, "wanted")[1] == {"\\Seen", "NonJunk", "$LearnedHam"}


def test_the_key_of_doveadm_opens_no_mail_from_elsewhere(quick: Site) -> None:
    key = quick.machine.run("cat /etc/gatepost/doveadm.key").strip()
    with (
        imaplib.IMAP4_SSL(quick.machine.address, ssl_context=any_certificate()) as client,
        pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"),
    ):
        client.authenticate("PLAIN", lambda _: f"{BERT}\0doveadm\0{key}".encode())


@pytest.mark.parametrize(("port", "option"), [(587, "--tls"), (465, "--tls-on-connect")])
def test_a_user_writes_to_the_world_with_a_signature(quick: Site, port: int, option: str) -> None:
    sent = quick.submit(f"by {port}", ANNA, [CAROL, f"info@{DOMAIN}"], port=port, option=option)
    assert sent.accepted, sent.transcript
    arrived = quick.world.remote.wait_for_subject(f"by {port}")
    assert {each for _, each in dkimpy_verdicts(arrived.octets, quick.world.dns)} == {"pass"}
    assert b"swaks" not in arrived.octets, "the program of the user is told"
    quick.wait_for(f"by {port}", ANNA)  # info is an alias of Anna


def test_a_wrong_password_and_a_forged_sender_are_refused(quick: Site) -> None:
    wrong = quick.submit("wrong", ANNA, [BERT], password="not this one, never")
    assert wrong.reply.code == 535, wrong.transcript
    forged = quick.submit("forged", ANNA, [CAROL], sender=BERT)
    assert forged.reply.code == 553, forged.transcript
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        quick.imap(ANNA, "not this one, never")


def test_rules_and_scripts_file_mail_and_send_it_on(quick: Site) -> None:
    quick.sieve(
        BERT,
        f'require ["copy"];\nif header :is "subject" "to redirect" {{ redirect :copy "{EVE}"; }}\n',
    )
    quick.machine.run(f"gatepost rule add {BERT} - <<'END'\n{INVOICES_RULE}\nEND")
    for subject in ("an invoice", "to redirect"):
        assert quick.deliver(subject, BERT).accepted
    quick.wait_for("an invoice", BERT, "Invoices")
    sent_on = quick.world.remote.wait_for_subject("to redirect")
    assert sent_on.recipients == (EVE,)
    assert sent_on.sender.startswith("SRS0=")
    assert sent_on.sender.endswith("=remote.example=carol@mail.example.org")


def test_a_new_user_a_full_mailbox_and_one_that_is_disabled(quick: Site) -> None:
    carl = f"carl@{DOMAIN}"
    quick.passwords[carl] = "a horse that nobody has seen"
    quick.machine.run(f"echo '{quick.passwords[carl]}' | gatepost user add {carl} --quota 1M")
    assert quick.rcpt(carl, 20_000_000).code == 552
    session = quick.imap(carl)
    session.select()
    quick.machine.run(f"gatepost user set {carl} --enabled no")
    wait_for_end(session)
    with pytest.raises(imaplib.IMAP4.error):
        quick.imap(carl)


def test_mail_of_the_machine_for_root_is_annas(quick: Site) -> None:
    quick.machine.run("printf 'Subject: from cron\\n\\nDone.\\n' | sendmail root")
    quick.wait_for("from cron", ANNA)


def test_while_accounts_is_away_everything_waits(quick: Site) -> None:
    quick.machine.run("systemctl stop gatepost-accounts")
    try:
        for address in (ANNA, f"nobody@{DOMAIN}"):
            assert quick.rcpt(address, 1000).code == 451
        assert quick.submit("away", ANNA, [BERT]).reply.code == 454
        with pytest.raises(imaplib.IMAP4.error, match="UNAVAILABLE"):
            quick.imap(ANNA)
    finally:
        quick.machine.run(f"systemctl start gatepost-accounts\n{PROBE}")


def test_a_renewed_certificate_is_used(quick: Site) -> None:
    (block,) = (block for title, block in blocks("docs/debian.md") if title == "Certificate")
    quick.machine.run(
        "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=renewed.example.org"
        " -keyout privkey.pem -out fullchain.pem 2>/dev/null"
    )
    quick.machine.run(block)
    for port, words in ((993, ""), (465, ""), (587, "-starttls smtp")):
        ask = f"openssl s_client -connect 127.0.0.1:{port} {words} < /dev/null 2>/dev/null"
        wait_until(
            lambda ask=ask: "CN=renewed.example.org" in quick.machine.run(ask),  # type: ignore[misc]
            f"the new certificate at port {port}",
            deadline=15,
            pause=0.3,
        )


def test_after_a_restart_of_the_machine_everything_is_there(quick: Site) -> None:
    assert quick.submit("before the restart", ANNA, [BERT]).accepted
    quick.wait_for("before the restart", BERT)
    quick.restart()
    units = " ".join(UNITS)
    assert quick.machine.run(f"systemctl is-active {units}").split() == ["active"] * len(UNITS)
    quick.wait_for("before the restart", BERT)
    quick.wait_for("an invoice", BERT, "Invoices")
    assert quick.submit("after the restart", BERT, [ANNA, CAROL]).accepted
    quick.wait_for("after the restart", ANNA)
    arrived = quick.world.remote.wait_for_subject("after the restart")
    assert {each for _, each in dkimpy_verdicts(arrived.octets, quick.world.dns)} == {"pass"}


def test_an_update_keeps_everything(quick: Site) -> None:
    (block,) = (block for title, block in blocks("docs/debian.md") if title == "Update")
    quick.machine.run(block)
    quick.wait_for("before the restart", BERT)
