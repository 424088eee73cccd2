"""Backup and restore of the whole system: all is destroyed, and all is there again."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.stack.everyday import CAROL, INVOICES_RULE
from tests.stack.stack import DOMAIN, FRIEND, STRANGER, World
from tests.stack.up import WholeSystem
from tests.testbed.managesieve import ManageSieve
from tests.testbed.oracles import dkimpy_verdicts
from tests.testbed.pod import Network
from tests.testbed.podman import podman
from tests.testbed.smtp_load import Journey, Load
from tests.testbed.waiting import wait_until
from tools.steps import Steps
from tools.up.lifecycle import UpError
from tools.up.people import ANNA, BERT
from tools.up.place import HOST
from tools.up.recovery import back_up, restore
from tools.up.system import System

EVE_OF_US = f"eve.o'hara+x@{DOMAIN}"
MESSAGES = 60
SCRIPT = 'require "fileinto";\nif header :contains "subject" "list" { fileinto "Lists"; }\n'


@pytest.fixture(scope="module")
def whole(network: Network, world: World) -> Iterator[WholeSystem]:
    with tempfile.TemporaryDirectory(prefix="gatepost-test-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        system = WholeSystem(network, world, Path(folder) / "state")
        system.place = replace(system.place, backup=Path(folder) / "backup")
        system.system = System(system.place)
        try:
            assert system.start() is not None
            system.hurry()
            yield system
        finally:
            system.close()


def new_messages(said: str) -> int:
    found = re.search(r"^mail: .* (\d+) new messages?$", said, re.MULTILINE)
    assert found is not None, said
    return int(found[1])


def state_of(whole: WholeSystem, login: str) -> dict[str, list[tuple[str, str, str]]]:
    """UID, flags and subject of every message in every folder, and the UIDVALIDITY."""
    client = whole.imap(login)
    found: dict[str, list[tuple[str, str, str]]] = {}
    for line in client.list()[1]:
        assert isinstance(line, bytes), line
        name = line.decode().rpartition(' "/" ')[2].strip('"')
        client.select(f'"{name}"', readonly=True)
        valid = client.response("UIDVALIDITY")[1][0].decode()
        # a folder that exists by default has none before somebody uses it
        rows = []
        if client.response("EXISTS")[1] != [b"0"] and client.search(None, "ALL")[1][0]:
            rows.append((valid, "", ""))
            fields = "(UID FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])"
            for one in client.fetch("1:*", fields)[1]:
                if isinstance(one, tuple):
                    head = one[0].decode()
                    uid = re.search(r"UID (\d+)", head)
                    flags = re.search(r"FLAGS \(([^)]*)\)", head)
                    assert uid is not None, head
                    assert flags is not None, head
                    kept = sorted(set(flags[1].split()) - {"\\Recent"})
                    rows.append((uid[1], " ".join(kept), one[1].decode().strip()))
        found[name] = rows
    client.logout()
    return found


def script_of(whole: WholeSystem, login: str) -> str:
    client = ManageSieve(HOST, whole.place.ports["sieve"])
    try:
        client.login(login, whole.password(login))
        return client.command('GETSCRIPT "mine"')
    finally:
        client.close()


@pytest.mark.timeout(900)
def test_everything_is_destroyed_and_restored(whole: WholeSystem) -> None:
    whole.add_user(EVE_OF_US)
    whole.sieve(BERT, SCRIPT)
    whole.command("rule", "add", BERT, "-", stdin=INVOICES_RULE)
    client = whole.imap(BERT)
    client.create("Lists")
    client.create('"Work/M&APw-nchen ../../x"')
    client.logout()
    for subject, folder in (
        ("the list", "Lists"),
        ("an invoice", "Invoices"),
        ("kept in the inbox", "INBOX"),
    ):
        assert whole.deliver(subject, BERT).accepted
        whole.wait_for(subject, BERT, folder)
    assert whole.deliver("to Eve", EVE_OF_US).accepted
    client = whole.imap(BERT)
    client.select("INBOX")
    client.store("1", "+FLAGS", r"(\Seen \Flagged $Important)")
    client.logout()
    assert whole.deliver("waits", ANNA, STRANGER).reply.text.endswith("[greylist-new]")

    # while mail flows
    journey = Journey(whole.address, FRIEND, CAROL, ANNA, "flow", helo="mail.remote.example")
    with Load(journey, MESSAGES, sessions=2) as load:
        load.wait_for(10)
        first = back_up(whole.system)
        sent = load.finish()
    assert len(sent.accepted) == MESSAGES
    wait_until(lambda: sent.accepted <= whole.copies(ANNA, "flow").keys(), "the mail", deadline=60)
    assert "whoever reads it can sign your mail" in first
    copied = new_messages(first)
    assert copied >= 10, first
    assert whole.deliver("after the first", BERT).accepted
    whole.wait_for("after the first", BERT)
    second = back_up(whole.system)
    everything = copied + new_messages(second)
    assert everything == sum(
        max(len(rows) - 1, 0)
        for who in (ANNA, BERT, EVE_OF_US)
        for rows in state_of(whole, who).values()
    )
    third = back_up(whole.system)
    assert new_messages(third) == 0
    before = {login: state_of(whole, login) for login in (ANNA, BERT, EVE_OF_US)}
    assert ("1", r"$Important \Flagged \Seen", "Subject: The first mail") in before[BERT]["INBOX"]
    key = whole.command("dkim", "record", DOMAIN, "demo")

    whole.end(keep=False)
    assert not whole.place.state.exists()
    assert whole.place.name not in podman("volume", "ls", "--format={{.Name}}")
    restore(whole.system, Steps(whole.printed))
    whole.containers = {one.short: one for one in whole.system.containers()}
    assert {login: state_of(whole, login) for login in before} == before
    assert SCRIPT.replace("\n", "\r\n") in script_of(whole, BERT)
    assert whole.command("dkim", "record", DOMAIN, "demo") == key
    whole.hurry()
    again = whole.deliver("waits", ANNA, STRANGER)
    assert again.accepted or "greylist-early" in again.reply.text, again.transcript
    for subject, folder in (("a new list", "Lists"), ("a new invoice", "Invoices")):
        assert whole.deliver(subject, BERT).accepted
        whole.wait_for(subject, BERT, folder)
    assert whole.submit("signed again", ANNA, [CAROL]).accepted
    arrived = whole.world.remote.wait_for_subject("signed again")
    assert {each for _, each in dkimpy_verdicts(arrived.octets, whole.world.dns)} == {"pass"}
    with pytest.raises(UpError, match="it is up"):
        restore(whole.system, Steps(whole.printed))
