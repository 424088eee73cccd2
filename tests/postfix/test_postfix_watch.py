"""`gatepost postfix-watch` beside a real Postfix: queue in the overview, log in the trace."""

from __future__ import annotations

import asyncio
import grp
import os
import pwd
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from accounts.directory import daemon_states
from accounts.journal.journal import MailJournal
from accounts.journal.question import JournalQuestion
from accounts.journal.settings import JournalSettings
from accounts.journal.story import MailStory
from gatepost.postfix_watch.queue_watcher import read_queue
from gatepost.reports.queue_state import QueueState
from tests.daemon.accounts_process import AccountsDaemon
from tests.postfix.site import open_directory
from tests.testbed.daemon import gatepost_command
from tests.testbed.postfix import PrivatePostfix
from tests.testbed.sink import Sink
from tests.testbed.smtp import RawClient
from tests.testbed.waiting import wait_until

TRANSPORTS = {
    "late.test": "smtp:[127.0.0.1]:1",
    "void.test": "discard:",
}
HOSTILE = '"x>, relay=mx.evil[192.0.2.9]:25, dsn=2.0.0, status=sent (250 ok)"@late.test'


class WatchedPostfix:
    """A Postfix, accounts, and the watch that tells one about the other."""

    def __init__(self, postfix: PrivatePostfix, sink: Sink, gate: AccountsDaemon) -> None:
        self.postfix = postfix
        self.sink = sink
        self.gate = gate
        self.showq = postfix.queue / "public" / "showq"
        self.place = postfix.directory / "watch.place"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the watch."""
        command = [str(gatepost_command()), "postfix-watch"]
        command += ["--accounts", f"unix:{self.gate.socket.parent}/snapshots.sock"]
        command += ["--showq", str(self.showq), "--place", str(self.place)]
        self._process = subprocess.Popen([*command, "--log", str(self.postfix.log)])
        wait_until(self.is_alive, "the watch to live")

    def stop(self) -> None:
        """End the watch."""
        if self._process is not None:
            self._process.terminate()
            assert self._process.wait(40) == 0
            self._process = None

    def is_alive(self) -> bool:
        command = [str(gatepost_command()), "postfix-watch", "--check", "--place", str(self.place)]
        return subprocess.run(command, check=False, capture_output=True).returncode == 0

    def send(self, *recipients: str, sender: str = "user@signer.example") -> None:
        with RawClient(self.postfix.port("mx")) as smtp:
            smtp.hello(address="192.0.2.7")
            assert smtp.begin(sender, *recipients).code == 354
            smtp.send(b"Subject: a test\r\nMessage-ID: <1@signer.example>\r\n\r\nHi\r\n")
            assert smtp.end().code == 250

    def trace(self, *words: str) -> list[MailStory]:
        async def search() -> list[MailStory]:
            journal = MailJournal(JournalSettings, self.gate.database, lambda: "+")
            try:
                return (await journal.search(JournalQuestion(words))).stories
            finally:
                await journal.close()

        return asyncio.run(search())

    def story(self, *words: str) -> MailStory:
        wait_until(lambda: self.trace(*words), f"a record of {words}")
        return self.trace(*words)[0]

    def run(self, command: str, *arguments: str) -> None:
        """Run a command of Postfix."""
        words = [command, "-c", str(self.postfix.configuration), *arguments]
        environment = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin"}
        subprocess.run(words, env=environment, check=True, capture_output=True)

    def queue(self) -> QueueState:
        return read_queue(self.showq)


@pytest.fixture(scope="module")
def watched() -> Iterator[WatchedPostfix]:
    with ExitStack() as stack:
        folder = stack.enter_context(open_directory())
        sink = stack.enter_context(Sink())
        gate = AccountsDaemon(folder / "accounts")
        stack.callback(gate.close)
        gate.write({"snapshot_listen": f"unix:{gate.socket.parent}/snapshots.sock"})
        gate.daemon.start()
        table = ", ".join(f"{{{name}={to}}}" for name, to in TRANSPORTS.items())
        postfix = PrivatePostfix(
            folder / "postfix",
            sink.postfix,
            relay_domains=["gatepost.test", *TRANSPORTS],
            settings={
                "transport_maps": f"inline:{{{table}}}",
                "enable_long_queue_ids": "yes",
                "info_log_address_format": "external",
            },
        )
        postfix.start()
        stack.callback(postfix.stop)
        there = WatchedPostfix(postfix, sink, gate)
        stack.callback(there.stop)
        there.start()
        yield there


def test_deliveries_are_in_the_trace(watched: WatchedPostfix) -> None:
    watched.send("ann@gatepost.test", sender="first@signer.example")
    story = watched.story("ann@gatepost.test")
    # the sink is on this host
    assert (story.state, story.sender) == ("accepted", "first@signer.example")
    assert story.message_id == "<1@signer.example>"
    assert story.sentence.startswith("Passed on within this system on ")
    (event,) = story.events
    assert (event.daemon, event.text) == ("Postfix", "passed on within this system")
    assert event.reply.startswith("250 ")

    watched.sink.refuse_recipients("bob@gatepost.test")
    watched.send("bob@gatepost.test")
    story = watched.story("bob@gatepost.test")
    assert (story.state, story.events[0].text) == ("bounced", "bounced by 127.0.0.1")
    assert "no such user here" in story.advice

    watched.send("carl@void.test")
    assert watched.story("carl@void.test").state == "discarded"


def test_what_waits_is_in_the_trace_and_in_the_overview(watched: WatchedPostfix) -> None:
    assert watched.queue().mails["deferred"] == 0
    begin = int(time.time())
    watched.send(HOSTILE, "dora@late.test")
    story = watched.story("dora@late.test")
    assert story.state == "queued"
    assert "refused" in story.advice
    assert "The next one is about 20" in story.sentence
    # what a sender writes as an address is no news
    assert {one.state for one in watched.trace(story.queue_id)} == {"queued"}

    wait_until(lambda: watched.queue().mails["deferred"] == 1, "the mail to wait")
    state = watched.queue()
    assert begin - 1 <= state.oldest <= time.time()
    (destination,) = state.destinations
    assert (destination.domain, destination.recipients) == ("late.test", 2)
    assert "Connection refused" in destination.reason
    assert not state.is_partial

    # the watch has started a minute ago at most: restart it, so that the report comes now
    watched.stop()
    watched.start()

    def reported() -> QueueState | None:
        states = watched.gate.read(lambda c: daemon_states.find(c, int(time.time())))
        found = [one for one in states if one.component == "postfix" and not one.problems]
        return found[0].queue if found else None

    wait_until(lambda: reported() is not None, "the report")
    found = reported()
    assert found is not None and found.mails["deferred"] == 1  # noqa: PT018
    assert found.destinations[0].domain == "late.test"


def test_a_restart_neither_misses_nor_repeats(watched: WatchedPostfix) -> None:
    watched.send("eve@gatepost.test")
    watched.story("eve@gatepost.test")
    watched.stop()
    watched.send("fay@gatepost.test", sender="while@signer.example")
    watched.sink.wait_for(lambda one: "fay@gatepost.test" in one.recipients)
    watched.postfix.wait_for_log(r"to=<fay@gatepost\.test>")
    watched.start()
    watched.story("fay@gatepost.test")
    # a rotation, too
    watched.postfix.log.rename(watched.postfix.log.with_suffix(".1"))
    watched.postfix.log.touch()
    watched.send("hal@gatepost.test")  # it is in the old file, perhaps
    watched.run("postfix", "reload")
    watched.send("gil@gatepost.test")
    for name in ("eve", "fay", "gil", "hal"):
        watched.story(f"{name}@gatepost.test")
    for name in ("eve", "fay", "gil", "hal"):
        (story,) = watched.trace(f"{name}@gatepost.test")
        assert len(story.events) == 1, story
    assert watched.trace("fay@gatepost.test")[0].sender == "while@signer.example"


def test_no_root_is_needed(watched: WatchedPostfix) -> None:
    """The group postdrop may list the queue, and others may not."""
    postdrop, nobody = grp.getgrnam("postdrop").gr_gid, pwd.getpwnam("nobody")
    for group, expected in ((postdrop, 0), (nobody.pw_gid, 13)):
        child = os.fork()
        if child == 0:
            status = 99
            try:
                os.setgroups([])
                os.setgid(group)
                os.setuid(nobody.pw_uid)
                watched.queue()
                status = 0
            except OSError as error:
                status = error.errno or 98
            finally:
                os._exit(status)
        _, waited = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(waited) == expected


def test_mail_on_hold_does_not_count_as_waiting(watched: WatchedPostfix) -> None:
    before = watched.queue()
    (entry,) = watched.postfix.queue_entries()
    watched.run("postsuper", "-h", entry["queue_id"])
    state = watched.queue()
    assert state.mails["hold"] == before.mails["hold"] + 1
    assert (state.oldest, state.destinations) == (0, ())
