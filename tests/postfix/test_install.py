"""The README and docs/install.md, followed line by line on a machine of the test's own.

The blocks of the documents are what runs, with the real Postfix of the machine in its chroot, real
users, and the units as they are shipped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from gatepost.key_pair import new_key
from msgauth.keys import SigningKey
from tests.testbed.dns import DnsServer
from tests.testbed.machine import ROOT, Machine
from tests.testbed.oracles import dkimpy_verdicts
from tests.testbed.sink import Delivery, Sink
from tests.testbed.waiting import wait_until

DOMAIN = "example.org"
ZONE = f"""
["{DOMAIN}"]
SOA = "ns1.{DOMAIN}. admin.{DOMAIN}. 1 3600 600 86400 60"
NS = "ns1.{DOMAIN}"
["ns1.{DOMAIN}"]
A = "127.0.0.1"
"""


class Documents:
    """The blocks of one page, by what they say."""

    def __init__(self, page: str) -> None:
        text = (ROOT / page).read_text()
        self.blocks = re.findall(r"^```(?:\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)

    def block(self, *words: str) -> str:
        """The one block that has all of these words."""
        found = [block for block in self.blocks if all(word in block for word in words)]
        assert len(found) == 1, (words, found)
        return str(found[0])


@pytest.fixture
def dns() -> Iterator[DnsServer]:
    # where /etc/resolv.conf and the delegation lead; the network namespace is the test's own
    with DnsServer(ZONE, port=53) as server:
        yield server


@pytest.fixture
def machine(sink: Sink, dns: DnsServer) -> Iterator[Machine]:
    with Machine() as copy:
        copy.write("/etc/resolv.conf", f"nameserver {dns.host}\n")
        copy.write(
            "/etc/postfix/main.cf",
            "compatibility_level = 3.6\n"
            f"myhostname = mail.{DOMAIN}\nmyorigin = {DOMAIN}\nmydestination =\n"
            f"inet_interfaces = loopback-only\nmaillog_file = /var/log/postfix.log\n"
            f"relayhost = [127.0.0.1]:{sink.port}\nsmtp_tls_security_level = none\n"
            f"default_transport = smtp\nrelay_transport = smtp\n",
        )
        # what Debian installs, whatever the packages of this machine were made to be
        copy.run(
            "cp /usr/share/postfix/master.cf.dist /etc/postfix/master.cf\n"
            "postconf -F '*/*/chroot=n' smtp/inet/chroot=y cleanup/unix/chroot=y\n"
            "printf 'postlog unix-dgram n - n - 1 postlogd\\n' >> /etc/postfix/master.cf\n"
            "ln -s /opt/gatepost/bin/gatepost /usr/local/bin/"
        )
        yield copy
        copy.run("postfix stop || true", check=False)


UNITS = "systemd/gatepost-milters.service systemd/gatepost-policyd.service"


def follow(machine: Machine, script: str) -> str:
    """Paste a block into the shell of root and return its standard output."""
    return machine.run(script).stdout


def configure_postfix(machine: Machine, block: str) -> None:
    main = machine.inside("/etc/postfix/main.cf")
    main.write_text(main.read_text() + block)
    machine.run("postfix check && { postfix reload || postfix start; }")


def publish(machine: Machine, dns: DnsServer) -> None:
    folder = machine.inside(f"/etc/gatepost/keys/{DOMAIN}")
    for path in folder.glob("*.pem"):
        record = SigningKey.parse(path.read_bytes()).public_record()
        dns.add(f"{path.stem}._domainkey.{DOMAIN}", "TXT", record)


def arrived(sink: Sink) -> Delivery:
    (delivery,) = sink.wait_for(lambda _: True)
    return delivery


def is_signed(delivery: Delivery, dns: DnsServer) -> bool:
    verdicts = {verdict for _, verdict in dkimpy_verdicts(delivery.octets, dns)}
    return verdicts == {"pass"}


@pytest.mark.parametrize("page", ["README.md", "docs/install.md"])
def test_mail_is_signed_when_the_page_is_followed(
    page: str, machine: Machine, dns: DnsServer, sink: Sink
) -> None:
    blocks = Documents(page)
    follow(machine, blocks.block("useradd", "install -d"))
    if page == "docs/install.md":
        follow(machine, f"install -m 0644 {UNITS} /etc/systemd/system/")
    machine.write("/etc/gatepost/gatepost.toml", blocks.block('hostname = "mail.example.org"'))
    follow(machine, blocks.block("gatepost keys new example.org"))
    publish(machine, dns)
    if page == "docs/install.md":
        follow(machine, blocks.block("gatepost keys check example.org", "gatepost keys activate"))
    told = follow(machine, blocks.block("gatepost probe policy", "systemctl is-active"))
    assert "milters: gatepost can open everything it needs" in told
    assert "policyd: gatepost can open everything it needs" in told
    assert told.count("active\n") == 2
    configure_postfix(machine, blocks.block("smtpd_milters = ", "check_policy_service"))
    test_message, look = blocks.block("sendmail", "journalctl").splitlines()
    follow(machine, test_message)
    assert is_signed(arrived(sink), dns)
    assert '"signed":"example.org"' in follow(machine, look)
    # over SMTP too: the smtpd in its chroot reaches both sockets
    sink.clear()
    swaks = "swaks --silent 2 --server 127.0.0.1 --from user@example.org --to rcpt@gatepost.test"
    follow(machine, f"{swaks} --header 'From: user@example.org'")
    assert is_signed(arrived(sink), dns)
    # and nobody else reaches the milter
    strangers = "gatepost probe milter unix:/var/spool/postfix/gatepost/milter"
    refused = machine.run(f"setpriv --reuid=nobody --clear-groups {strangers}", check=False)
    assert refused.returncode != 0
    assert "Permission denied" in refused.stderr


def test_the_switch_from_opendkim_on_its_socket_goes_on_signing(
    machine: Machine, dns: DnsServer, sink: Sink
) -> None:
    blocks = Documents("README.md")
    dns.add("mail._domainkey.example.org", "TXT", opendkim(machine))
    configure_postfix(
        machine,
        "smtpd_milters = local:opendkim/opendkim.sock\n"
        "non_smtpd_milters = local:opendkim/opendkim.sock\nmilter_default_action = accept\n",
    )
    test_message, look = blocks.block("sendmail", "journalctl").splitlines()
    follow(machine, f"systemctl enable --now opendkim\n{test_message}")
    assert is_signed(arrived(sink), dns), "opendkim signs"
    sink.clear()
    follow(machine, blocks.block("useradd", "install -d"))
    import_block = blocks.block("gatepost import opendkim", "--drop-in")
    without = [line for line in import_block.splitlines() if "system/" not in line]
    follow(machine, "\n".join(without))
    refused = machine.run("gatepost config check", check=False)
    assert refused.returncode == 2, "the unit as it is shipped cannot become opendkim"
    assert "User=opendkim into the unit" in refused.stderr
    follow(machine, import_block)
    told = follow(machine, blocks.block("gatepost config check", "disable --now opendkim"))
    assert "mail of example.org (rsa 2048, active): published" in told
    assert "milters: opendkim can open everything it needs" in told
    assert "opendkim.sock: milter protocol 6" in told
    follow(machine, test_message)
    delivery = arrived(sink)
    assert is_signed(delivery, dns)
    assert delivery.fields("DKIM-Signature")[0].count("s=mail;") == 1
    assert '"signed":"example.org"' in follow(machine, look)
    follow(machine, "systemctl disable --now gatepost-milters && systemctl enable --now opendkim")
    sink.clear()
    follow(machine, test_message)
    assert is_signed(arrived(sink), dns), "and back"


def test_a_socket_that_the_unit_forbids_is_told_before_and_fails_after(machine: Machine) -> None:
    blocks = Documents("README.md")
    follow(machine, blocks.block("useradd", "install -d"))
    machine.write("/etc/gatepost/gatepost.toml", 'milters.listen = "unix:/srv/gate/milter"\n')
    follow(machine, "install -d -o gatepost -g postfix -m 2750 /srv/gate")
    refused = machine.run("gatepost config check", check=False)
    assert refused.returncode == 2
    assert "ReadWritePaths=/srv/gate in [Service]" in refused.stderr
    start = "systemctl enable --now gatepost-milters"
    look = "gatepost probe milter unix:/srv/gate/milter"
    machine.run(start)
    state = "systemctl is-active gatepost-milters"
    wait_until(lambda: machine.run(state, check=False).stdout == "failed\n", "the start to fail")
    assert machine.run(look, check=False).returncode == 1
    assert "Read-only file system" in follow(machine, "journalctl -u gatepost-milters")
    drop_in = "/etc/systemd/system/gatepost-milters.service.d/socket.conf"
    machine.write(drop_in, "[Service]\nReadWritePaths=/srv/gate\n")
    follow(machine, "gatepost config check")
    assert "milter protocol 6" in machine.run(f"{start}\n{look} --wait 30").stdout


def opendkim(machine: Machine) -> str:
    """opendkim as guides for Debian set it up; returns the record of its key."""
    pem = new_key("rsa")
    machine.write("/etc/dkimkeys/mail.private", pem.decode())
    machine.write("/etc/opendkim/KeyTable", "org example.org:mail:/etc/dkimkeys/mail.private\n")
    machine.write("/etc/opendkim/SigningTable", "*@example.org org\n")
    machine.write("/etc/opendkim/TrustedHosts", "127.0.0.1\nlocalhost\n")
    machine.write(
        "/etc/opendkim.conf",
        "Syslog no\nUserID opendkim\nUMask 007\nMode sv\nCanonicalization relaxed/simple\n"
        "Socket local:/var/spool/postfix/opendkim/opendkim.sock\n"
        "PidFile /run/opendkim/opendkim.pid\nOversignHeaders From\n"
        "KeyTable /etc/opendkim/KeyTable\nSigningTable refile:/etc/opendkim/SigningTable\n"
        "InternalHosts /etc/opendkim/TrustedHosts\nExternalIgnoreList /etc/opendkim/TrustedHosts\n",
    )
    machine.run(
        "chmod 0600 /etc/dkimkeys/mail.private; chown -R opendkim: /etc/dkimkeys\n"
        "install -d -o opendkim -g opendkim /run/opendkim\n"
        "install -d -m 0750 -o opendkim -g postfix /var/spool/postfix/opendkim\n"
        "usermod -a -G opendkim postfix"
    )
    return SigningKey.parse(pem).public_record()


def test_the_units_are_what_systemd_understands(machine: Machine) -> None:
    if machine.run("command -v systemd-analyze", check=False).returncode != 0:
        pytest.skip("systemd-analyze is not here")
    done = machine.run("systemd-analyze verify systemd/gatepost-*.service", check=False)
    assert (done.returncode, done.stderr) == (0, "")
