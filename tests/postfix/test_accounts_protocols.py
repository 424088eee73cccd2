"""Postfix's own clients of the protocols of accounts: postmap, smtpd's maps, and its SASL."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from accounts.listeners import socketmap_server, tcp_table_server
from accounts.protocols.socketmap import TABLES
from accounts.protocols.table import (
    TableAnswer,
    TableFound,
    TableLookup,
    TableNotFound,
    TableTemporary,
)
from tests.daemon.accounts_serving import Serving
from tests.postfix.conftest import StartPostfix
from tests.testbed import swaks
from tests.testbed.ports import free_port
from tests.testbed.postfix import PrivatePostfix, Service
from tests.testbed.postfix_files import MX_RESTRICTIONS
from tests.testbed.sink import Sink
from tests.testbed.smtp import RawClient
from tests.testbed.swaks import Exchange


class Tables:
    """A handler with a few names in it, which remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[TableLookup] = []
        self.away = False
        self.rows = {
            ("domains", "gatepost.test"): "gatepost.test",
            ("mailboxes", "anna@gatepost.test"): "anna@gatepost.test",
            ("aliases", "info@gatepost.test"): "anna@gatepost.test, bob@gatepost.test",
            ("aliases", "jörg@gatepost.test"): "anna@gatepost.test",
            ("aliases", "100%@gatepost.test"): "a%20b@gatepost.test",
            ("transport", "anna@gatepost.test"): "lmtp:inet:127.0.0.1:10024",
        }

    def answer(self, event: TableLookup) -> TableAnswer:
        self.asked.append(event)
        if self.away:
            return TableTemporary("the database is away")
        if event.key == "large@gatepost.test":
            return TableFound("x" * 200_000)
        if event.key == "99k@gatepost.test":
            return TableFound("x" * 99_000)
        if event.key == "broken@gatepost.test":
            raise ValueError(event.key)
        value = self.rows.get((event.table, event.key))
        return TableNotFound() if value is None else TableFound(value)


@pytest.fixture
def tables() -> Tables:
    return Tables()


class Postmap:
    """postmap with a main.cf of our own."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        (directory / "main.cf").write_text("smtputf8_enable = yes\n")

    def __call__(self, key: str, table: str, stdin: str = "") -> tuple[int, str, str]:
        """Return the exit status, the output and the complaints of ``postmap -q``."""
        done = subprocess.run(
            ["postmap", "-c", str(self._directory), "-q", key, table],
            input=stdin,
            env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout.removesuffix("\n"), done.stderr


@pytest.fixture
def postmap(directory: Path) -> Postmap:
    return Postmap(directory)


Query = Callable[[str], tuple[int, str, str]]
Started = tuple[Serving, Callable[[str], Query]]


@pytest.fixture(params=["socketmap:inet", "socketmap:unix", "tcp"])
def started(
    request: pytest.FixtureRequest, tables: Tables, directory: Path, postmap: Postmap
) -> Iterator[Started]:
    """A server of the table "aliases", and what asks it."""
    path = directory / "socketmap" if request.param == "socketmap:unix" else None

    def make() -> object:
        if request.param == "tcp":
            return tcp_table_server("aliases", tables.answer)
        return socketmap_server(tables.answer)

    with Serving(make, path) as server:  # type: ignore[arg-type]
        host_and_port = server.postfix.removeprefix("inet:")
        names = {
            "socketmap:inet": f"socketmap:inet:{host_and_port}:{{}}",
            "socketmap:unix": f"socketmap:unix:{path}:{{}}",
            "tcp": f"tcp:{host_and_port}",
        }
        name = names[request.param]
        yield server, lambda table: lambda key: postmap(key, name.format(table))


def test_postmap_asks(started: Started, tables: Tables) -> None:
    _, ask = started
    query = ask("aliases")
    assert query("info@gatepost.test")[:2] == (0, "anna@gatepost.test, bob@gatepost.test")
    assert query("jörg@gatepost.test")[:2] == (0, "anna@gatepost.test")
    assert query("100%@gatepost.test")[:2] == (0, "a%20b@gatepost.test")
    assert query("nobody@gatepost.test")[:2] == (1, "")
    tables.asked.clear()
    assert query("info+list@gatepost.test")[:2] == (1, "")
    assert tables.asked == [TableLookup("aliases", "info+list@gatepost.test")]  # and no part of it


def test_every_table_of_a_socketmap(tables: Tables, postmap: Postmap) -> None:
    with Serving(lambda: socketmap_server(tables.answer)) as server:
        for table in TABLES:
            tables.rows[table, "x@gatepost.test"] = table
            name = f"socketmap:{server.postfix}:{table}"
            assert postmap("x@gatepost.test", name)[:2] == (0, table)


def test_many_keys_over_one_connection(started: Started, tables: Tables, postmap: Postmap) -> None:
    """As an administrator asks for a list of names."""
    server, _ = started
    if not server.postfix.startswith("inet:"):
        return
    keys = [f"user{n}@gatepost.test" for n in range(300)]
    for key in keys[::2]:
        tables.rows["aliases", key] = f"to-{key}"
    name = f"socketmap:{server.postfix}:aliases"
    if "TcpTable" in type(server.server.conversation()).__name__:
        name = f"tcp:{server.postfix.removeprefix('inet:')}"
    status, output, _ = postmap("-", name, stdin="\n".join(keys) + "\n")
    assert status == 0
    assert output.split("\n") == [f"{key}\tto-{key}" for key in keys[::2]]


@pytest.mark.parametrize("key", ["away", "large@gatepost.test", "broken@gatepost.test"])
def test_a_failure_is_an_error_and_not_an_absence(
    started: Started, tables: Tables, key: str
) -> None:
    _, ask = started
    tables.away = key == "away"
    status, output, complaints = ask("aliases")(key)
    assert (status, output) == (1, "")
    assert "query error" in complaints
    tables.away = False
    status, _, complaints = ask("aliases")("nobody@gatepost.test")
    assert status == 1
    assert complaints == ""


def test_a_large_answer(started: Started) -> None:
    """Postfix takes 100,000 octets of a socketmap and 4,096 of tcp_table."""
    server, ask = started
    status, output, complaints = ask("aliases")("99k@gatepost.test")
    if "TcpTable" in type(server.server.conversation()).__name__:
        assert (status, output) == (1, "")
        assert "query error" in complaints
    else:
        assert (status, output) == (0, "x" * 99_000)


def test_a_map_that_nobody_knows_is_an_error(tables: Tables, postmap: Postmap) -> None:
    with Serving(lambda: socketmap_server(tables.answer)) as server:
        status, _, complaints = postmap("x", f"socketmap:{server.postfix}:mailbox")
    assert status == 1
    assert "query error" in complaints
    assert "no such map: mailbox" in complaints


def test_mail_is_deferred_while_nobody_answers_and_refused_when_there_is_no_such_user(
    tables: Tables, start_postfix: StartPostfix, sink: Sink
) -> None:
    with Serving(lambda: socketmap_server(tables.answer)) as server:
        postfix = start_postfix([Service("mx", MX_RESTRICTIONS)], _maps(server, sink))
        assert _send(postfix, "anna@gatepost.test").accepted
        sink.wait_for_subject("to anna@gatepost.test")
        info = _send(postfix, "info@gatepost.test")
        assert info.accepted
        delivered = sink.wait_for_subject("to info@gatepost.test")
        assert set(delivered.recipients) <= {"anna@gatepost.test", "bob@gatepost.test"}
        unknown = _send(postfix, "nobody@gatepost.test").reply
        assert (unknown.code, "User unknown" in unknown.text) == (550, True)
        asked = {event.key for event in tables.asked if event.table in ("aliases", "mailboxes")}
        assert "anna@gatepost.test" in asked
        assert all("@" in key and not key.startswith("@") for key in asked)
        tables.away = True
        away = _send(postfix, "bob@gatepost.test").reply
        assert (away.code, "User unknown" in away.text) == (451, False)
    # nobody listens any more
    gone = _send(postfix, "anna@gatepost.test").reply
    assert (gone.code, "User unknown" in gone.text) == (451, False)


def _maps(server: Serving, sink: Sink) -> dict[str, str]:
    name = f"socketmap:{server.postfix}"
    return {
        "relay_domains": "",
        "virtual_mailbox_domains": f"{name}:domains",
        "virtual_mailbox_maps": f"{name}:mailboxes",
        "virtual_alias_maps": f"{name}:aliases",
        "virtual_alias_domains": "",
        "virtual_transport": sink.postfix,
    }


def _send(postfix: PrivatePostfix, recipient: str) -> Exchange:
    return swaks.send(
        postfix.port(),
        sender="a@example.net",
        recipients=[recipient],
        subject=f"to {recipient}",
    )


def test_a_server_that_is_started_again_is_found_in_the_middle_of_a_session(
    tables: Tables, start_postfix: StartPostfix, sink: Sink
) -> None:
    port = free_port()
    with Serving(lambda: socketmap_server(tables.answer), port=port) as server:
        postfix = start_postfix([Service("mx", MX_RESTRICTIONS)], _maps(server, sink))
        with RawClient(postfix.port()) as client:
            client.hello(address="192.0.2.77")
            client.command("MAIL FROM:<a@example.net>")
            assert client.command("RCPT TO:<anna@gatepost.test>").code == 250
            server.close()
            with Serving(lambda: socketmap_server(tables.answer), port=port):
                assert client.command("RCPT TO:<info@gatepost.test>").code == 250
