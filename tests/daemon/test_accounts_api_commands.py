"""The commands with the API of a service: the same words, output and errors as with the file."""

from __future__ import annotations

import base64
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from accounts.api_settings import ApiSettings
from accounts.cli.executor import Away, Declined, OperationStep
from accounts.cli.remote_executor import RemoteExecutor
from accounts.directory import administrators, aliases, domains, mailboxes, tokens
from accounts.http.principals import AREAS
from accounts.store.settings import DatabaseSettings
from accounts.store.transaction import Write
from gatepost.config.types import SecretFile
from tests.daemon.accounts_process import AccountsDaemon
from tests.testbed.ports import LOOPBACK, free_port
from tests.testbed.tls_proxy import TlsProxy
from tests.unit.accounts import files
from tests.unit.accounts.cli.shell import KEY, PASSWORD, Shell
from tests.unit.accounts.cli.test_hostile import BAD_DOMAINS, BAD_LOCALS, BAD_TEXTS, FREE
from tests.unit.accounts.secrets_suite import ED25519

ANNA = "anna@example.org"
RULE = {"name": "All", "match": "always", "actions": [{"kind": "keep"}]}
NO_LIMIT = {
    "principal_rate": 10_000,
    "principal_burst": 100_000,
    "network_rate": 10_000,
    "network_burst": 100_000,
    "failure_rate": 1000,
    "failure_burst": 10_000,
}

SAID = [
    (re.compile(r"\b[12]\d{9}\b"), "TIME"),
    # the folder of a mailbox is drawn at random
    (re.compile(r"-[0-9a-f]{16}\b"), "-HOME"),
    (re.compile(r"\d{4}-\d\d-\d\d(?: \d\d:\d\d UTC)?"), "DATE"),
    (re.compile(r"gp_[\w-]{43}"), "TOKEN"),
    (re.compile(r"(?:[a-z2-9]{4}-){6}[a-z2-9]{4}"), "PASSWORD"),
    (re.compile(r"p=[A-Za-z0-9+/=\s\"]{30,}"), "p=KEY"),
]
"""All that differs between two datastores in which the same was done."""


class Service:
    """`gatepost accounts` with an API, and a folder for commands that have no database."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        key = folder / "key"
        folder.mkdir()
        key.write_text(base64.b64encode(KEY).decode())
        key.chmod(0o600)
        self.socket = folder / "api.sock"
        self.port = free_port()
        self.gate = AccountsDaemon(folder)
        self.gate.write(
            {
                "http_listen": [f"unix:{self.socket}", f"inet:{self.port}@{LOOPBACK}"],
                "http": NO_LIMIT,
                "database": {"url": self.gate.database.url, "key_file": str(key)},
            }
        )
        self.gate.change(lambda w: administrators.add(w, "keeper", role="global"))
        self.token = self.new_token(["all:write"])

    def new_token(self, scopes: list[str], **values: Any) -> Path:
        """Return a file with a new token of a program."""
        _, text = self.gate.change(lambda w: tokens.add(w, "test", scopes=scopes, **values))
        path = self.folder / f"token{len(list(self.folder.glob('token*')))}"
        path.write_text(f"{text}\n")
        path.chmod(0o600)
        return path

    def shell(self, url: str = "", token: Path | None = None, more: str = "") -> Shell:
        """Return a command line on a host that has no database."""
        folder = self.folder / f"shell{len(list(self.folder.glob('shell*')))}"
        folder.mkdir()
        shell = Shell(
            folder,
            DatabaseSettings(url=f"sqlite:///{folder}/none.db"),
            f'[accounts.api]\nurl = "{url or f"unix:{self.socket}"}"\n'
            f'token_file = "{token or self.token}"\n{more}',
        )
        shell.settings = self.gate.database
        return shell


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    made = Service(tmp_path / "service")
    with made.gate:
        yield made


@pytest.fixture
def here(tmp_path: Path) -> Shell:
    """The datastore in a file of this host."""
    (tmp_path / "here").mkdir()
    shell = Shell(tmp_path / "here", files.make(tmp_path / "here/accounts.db"))
    shell.run("admin", "add", "keeper", "--role", "global", "--no-password")
    shell.run("token", "add", "test", "--scope", "all:write")
    return shell


@pytest.fixture
def there(service: Service) -> Shell:
    """The API."""
    return service.shell()


def told(result: Result) -> tuple[int, str, str]:
    """Return what a command has said, without times and random texts."""
    out, err = result.stdout, result.stderr
    for pattern, word in SAID:
        out, err = pattern.sub(word, out), pattern.sub(word, err)
    return result.exit_code, out, err


def same(here: Shell, there: Shell, *words: str, typed: str | bytes | None = None) -> Result:
    """Run a command in both places, and compare all that it says."""
    result = here.call(*words, typed=typed)
    assert told(there.call(*words, typed=typed)) == told(result), words
    return result


def done(here: Shell, there: Shell, *words: str, typed: str | bytes | None = None) -> str:
    """Run a command that succeeds in both places."""
    result = same(here, there, *words, typed=typed)
    assert result.exit_code == 0, (words, result.output)
    return result.stdout


def test_every_command_says_the_same(here: Shell, there: Shell, tmp_path: Path) -> None:
    rule = json.dumps(RULE)
    pem = tmp_path / "key.pem"
    pem.write_bytes(ED25519)
    secret = tmp_path / "secret"
    secret.write_text("the password there\n")
    commands: list[tuple[tuple[str, ...], str]] = [
        (("domain", "add", "Bücher.example", "--description", "One", "--max-quota", "9G"), ""),
        (("domain", "add", "example.org", "--default-quota", "1G"), ""),
        (("domain", "set", "example.org", "--max-aliases", "5", "--catch-all", "x@y.example"), ""),
        (("domain", "show", "EXAMPLE.org"), ""),
        (("domain", "list", "--search", "one"), ""),
        (("user", "add", "Anna@example.org", "--display-name", "Anna Ω"), PASSWORD),
        (("user", "add", "bob@example.org", "--no-password", "--forwards", "b@far.example"), ""),
        (("user", "set", ANNA, "--send-as", "@example.net", "--send-as", "boss@x.example"), ""),
        (("user", "set", ANNA, "--block-sender", "@bad.example", "--greylist", "no"), ""),
        (("user", "set", ANNA, "--allow-sender", "a@b.example", "--spam-junk-score", "4.5"), ""),
        (("user", "set", ANNA, "--not-send-as", "@example.net", "--quota", "none"), ""),
        (("user", "set", ANNA, "--unlist-sender", "@bad.example"), ""),
        (("user", "show", ANNA), ""),
        (("user", "list", "--domain", "example.org"), ""),
        (("user", "password", ANNA), "another good secret"),
        (("user", "password", ANNA, "--no-password"), ""),
        (("user", "rename", "bob@example.org", "rob@example.org", "--keep-alias"), ""),
        (("alias", "add", "s-*@example.org", ANNA, "X@y.example", "--expires", "2040-01-01"), ""),
        (("alias", "set", "s-*@example.org", "--add-target", "z@y.example"), ""),
        (("alias", "set", "s-*@example.org", "--remove-target", "ANNA@example.org"), ""),
        (("alias", "show", "s-*@example.org"), ""),
        (("alias", "list", "--target", "z@y.example"), ""),
        (("alias", "rename", "s-*@example.org", "t-*@example.org"), ""),
        (("rule", "add", ANNA, "-"), rule),
        (("rule", "add", ANNA, "-"), rule.replace("All", "../a%2F?b c")),
        (("rule", "set", ANNA, "../a%2F?b c", "--number", "1", "--enabled", "no"), ""),
        (("rule", "set", ANNA, "All", "--file", "-"), rule.replace("All", "Every")),
        (("rule", "show", ANNA, "Every"), ""),
        (("rule", "list", ANNA), ""),
        (("app-password", "add", ANNA, "my phone", "--protocol", "imap"), ""),
        (("app-password", "show", ANNA, "my phone"), ""),
        (("app-password", "list", ANNA), ""),
        (("admin", "add", "root", "--role", "global"), PASSWORD),
        (("admin", "add", "ada", "--no-password", "--domains", "example.org"), ""),
        (("admin", "set", "ada", "--enabled", "no"), ""),
        (("admin", "password", "ada"), "another good secret"),
        (("admin", "show", "ada"), ""),
        (("admin", "list"), ""),
        (("token", "add", "for ada", "--scope", "domains:read", "--admin", "ada"), ""),
        (("token", "show", "2"), ""),
        (("token", "list", "--admin", "ada"), ""),
        (("dkim", "add", "example.org", "s1"), ""),
        (("dkim", "import", "example.org", "s2", str(pem)), ""),
        (("dkim", "activate", "example.org", "s2"), ""),
        (("dkim", "show", "example.org", "s2"), ""),
        (("dkim", "record", "example.org", "s2"), ""),
        (("dkim", "list", "example.org", "--state", "new"), ""),
        (("dkim", "retire", "example.org", "s2"), ""),
        (
            ("remote", "add", ANNA, "imap", "imap.y.example", "anna", "--interval", "10m"),
            "pässword",
        ),
        (("remote", "set", ANNA, "1", "--keep", "yes", "--destination", "Old"), ""),
        (("remote", "password", ANNA, "1", "--password-file", str(secret)), ""),
        (("remote", "show", ANNA, "1"), ""),
        (("remote", "list", ANNA), ""),
        (("setup", "email", "add", "carl@new.example"), PASSWORD),
        (("setup", "email", "restrict", "add", "send", "carl@new.example"), ""),
        (("setup", "email", "restrict", "list", "send"), ""),
        (("setup", "alias", "add", "c@new.example", "carl@new.example,x@y.example"), ""),
        (("setup", "alias", "add", "c@new.example", "w@y.example"), ""),
        (("setup", "alias", "del", "c@new.example", "x@y.example,Carl@new.example"), ""),
        (("setup", "alias", "del", "c@new.example", "w@y.example"), ""),
        (("setup", "quota", "set", "carl@new.example", "2G"), ""),
        (("setup", "email", "list"), ""),
        (("setup", "email", "del", "-y", "carl@new.example"), ""),
        (("setup", "addmaildomain", "-D", "new.example", "-y"), ""),
        # and all that is removed
        (("remote", "remove", ANNA, "1", "--yes"), ""),
        (("dkim", "remove", "example.org", "s1", "--yes"), ""),
        (("token", "remove", "2", "--yes"), ""),
        (("admin", "remove", "ada", "--yes"), ""),
        (("app-password", "remove", ANNA, "my phone", "--yes"), ""),
        (("rule", "remove", ANNA, "../a%2F?b c", "--yes"), ""),
        (("alias", "remove", "t-*@example.org", "--yes"), ""),
        (("user", "remove", "rob@example.org", "--yes"), ""),
    ]
    for number, (words, typed) in enumerate(commands):
        # every other one as JSON; what shows something in both forms
        forms = [words, (*words, "--json")] if words[1] in ("show", "list", "record") else [words]
        if len(forms) == 1 and number % 2:
            forms = [(*words, "--json")]
        for form in forms:
            done(here, there, *form, typed=typed)
    # a question, and nothing is done without a yes
    for typed, status in (("n\n", 1), ("y\n", 0)):
        result = same(here, there, "domain", "remove", "example.org", typed=typed)
        assert result.exit_code == status
        assert "its mailboxes (1), aliases (1) and DKIM keys (1)?" in result.stderr
    left, right = (
        {name: len(rows) for name, rows in shell.everything().items()} for shell in (here, there)
    )
    # the service reports its own state
    assert left.pop("daemon_state") == 0
    assert right.pop("daemon_state") == 1
    assert left == right
    actions = [(action, subject) for _, action, subject, _ in here.audit()]
    assert [(action, subject) for _, action, subject, _ in there.audit()] == actions
    # only the name of the one who did it differs
    assert {entry[0] for entry in there.audit()} == {"test", "test (token 1)"}


def test_refusals_are_the_same_sentences(here: Shell, there: Shell) -> None:
    done(here, there, "domain", "add", "example.org")
    done(here, there, "user", "add", ANNA, "--no-password")
    done(here, there, "alias", "add", "a@example.org", ANNA)
    for words, typed, part in (
        (("domain", "add", "example.org"), "", "already a domain"),
        (("domain", "show", "no.example"), "", "There is no domain no.example."),
        (("domain", "check", "no.example"), "", "There is no domain no.example."),
        (("domain", "remove", "no.example", "--yes"), "", "There is no domain no.example."),
        (("user", "add", "a@no.example"), PASSWORD, "There is no domain"),
        (("user", "add", "new@example.org"), "short", "at least 10"),
        (("user", "add", "new@example.org"), "example.org 26", "address"),
        (("user", "password", "no@example.org"), PASSWORD, "There is no mailbox"),
        (("user", "set", ANNA, "--spam-junk-score", "nan"), "", "NaN"),
        (("user", "set", ANNA, "--spam-junk-score", "9", "--spam-reject-score", "2"), "", "below"),
        (("alias", "add", ANNA, "x@y.example"), "", "already a mailbox"),
        (("alias", "set", "a@example.org", "--remove-target", "x@y.example"), "", "not lead"),
        (("alias", "set", "a@example.org", "--remove-target", ANNA), "", "at least one"),
        (("rule", "add", ANNA, "-"), "{}", "rule.name"),
        (("rule", "set", ANNA, "x", "--enabled", "no"), "", "no rule"),
        (("app-password", "show", ANNA, "x"), "", "no app password"),
        (("admin", "remove", "keeper", "--yes"), "", "last global administrator"),
        (("admin", "set", "keeper", "--role", "domains"), "", "last global administrator"),
        (("admin", "set", "keeper", "--enabled", "no"), "", "last global administrator"),
        (("token", "add", "x", "--scope", "some:read"), "", "AREA is one of"),
        (("token", "show", "--", "-1"), "", "no such token"),
        (("dkim", "add", "example.org", "a b"), "", "selector"),
        (("dkim", "import", "example.org", "s1", "-"), "no key", "private"),
        (("dkim", "activate", "example.org", "s9"), "", "no key with the selector"),
        (("remote", "add", ANNA, "imap", "not a host", "x"), "secret", "host"),
        (("remote", "show", ANNA, "99"), "", "no such remote account"),
    ):
        result = same(here, there, *words, typed=typed)
        assert result.exit_code == 1, words
        assert part in result.stderr, (words, result.stderr)
    done(here, there, "admin", "remove", "keeper", "--yes", "--last")


def test_hostile_values_are_refused_in_the_same_way(here: Shell, there: Shell) -> None:
    done(here, there, "domain", "add", "example.org")
    done(here, there, "user", "add", ANNA, "--no-password")
    state = there.everything()
    words: tuple[str, ...]
    for local in BAD_LOCALS:
        address = f"{local}@example.org"
        for words in (
            ("user", "add", "--no-password", "--", address),
            ("user", "show", "--", address),
            ("user", "rename", "--", ANNA, address),
            ("user", "remove", "--yes", "--", address),
            ("rule", "list", "--", address),
        ):
            assert same(here, there, *words).exit_code == 1, words
    for name in BAD_DOMAINS:
        for words in (("add", "--"), ("show", "--"), ("remove", "--yes", "--")):
            assert same(here, there, "domain", *words, name).exit_code == 1, words
        assert same(here, there, "dkim", "list", "--", name).exit_code == 1
        assert same(here, there, "dkim", "add", "--", "example.org", f"{name}!").exit_code == 1
    for text in BAD_TEXTS:
        for words in (
            ("domain", "set", "example.org", "--description", text),
            ("user", "set", ANNA, "--display-name", text),
            ("app-password", "add", "--", ANNA, text),
            ("app-password", "show", "--", ANNA, text),
            ("token", "add", "--scope", "all:read", "--", text),
            ("remote", "add", "--", ANNA, "imap", "imap.y.example", text),
            ("user", "set", ANNA, "--block-sender", f"{text}@x.example"),
        ):
            assert same(here, there, *words, typed="secret").exit_code == 1, words
    assert there.everything() == state
    for text in FREE:
        done(here, there, "domain", "set", "example.org", "--description", text)
        done(here, there, "app-password", "add", "--json", "--", ANNA, text)
        done(here, there, "app-password", "show", "--json", "--", ANNA, text)
        done(here, there, "app-password", "remove", "--yes", "--", ANNA, text)


def test_several_changes_are_one_transaction(there: Shell) -> None:
    there.domain()
    there.user()
    before = there.everything()
    words = ("--display-name", "Anna", "--send-as", "x@y.example")
    there.error("user", "set", ANNA, *words, "--block-sender", "no address")
    assert there.everything() == before
    there.error("setup", "email", "del", "-y", ANNA, "nobody@example.org")
    assert there.everything() == before
    # nor is anything left of a question without an answer
    assert there.call("user", "remove", ANNA, typed="").exit_code == 1
    assert there.call("user", "add", "new@example.org", typed="").exit_code == 1
    assert there.everything() == before


def test_a_token_limits_what_a_command_may_do(service: Service) -> None:
    service.gate.change(people)
    reader = service.shell(token=service.new_token(["domains:read"]))
    assert [one["name"] for one in reader.json("domain", "list")] == ["example.net", "example.org"]
    assert "no scope domains:write" in reader.error("domain", "add", "new.example")
    assert "no scope mailboxes:read" in reader.error("user", "list")
    ada = service.shell(token=service.new_token(["all:write"], administrator="ada"))
    assert [one["name"] for one in ada.json("domain", "list")] == ["example.org"]
    assert "for global administrators" in ada.error("domain", "add", "new.example")
    assert ada.json("user", "list", "--domain", "example.net") == []
    assert "not one of this administrator" in ada.error("user", "show", "bob@example.net")
    assert ada.json("user", "set", ANNA, "--display-name", "Anna")["display_name"] == "Anna"
    # one of two changes that it may not make: neither is made
    assert "Only a global administrator sets store" in ada.error(
        "user", "set", ANNA, "--display-name", "x", "--store", "s1"
    )
    anna = service.shell(token=service.new_token(["all:write"], mailbox=ANNA))
    assert anna.json("user", "show", ANNA)["display_name"] == "Anna"
    anna.run("rule", "add", ANNA, "-", typed=json.dumps(RULE))
    assert "another mailbox" in anna.error("rule", "list", "bob@example.net")
    refused = [entry[3].get("refused", "") for entry in anna.audit()]
    assert any("no scope domains:write" in text for text in refused)


def test_a_token_gives_no_rights_that_it_lacks(service: Service) -> None:
    service.gate.change(people)
    shell = service.shell(token=service.new_token(["administrators:write", "tokens:write"]))
    before = shell.everything()
    for words, sentence in (
        (("admin", "add", "eve", "--role", "global", "--no-password"), "Only a global admin"),
        (("admin", "set", "ada", "--role", "global"), "Only a global administrator"),
        (("admin", "set", "ada", "--domains", "example.net"), "no scope domains:write"),
        (("admin", "remove", "--yes", "keeper"), "Only a global administrator"),
        (("token", "add", "x", "--scope", "all:write"), "no scope all:write"),
    ):
        assert sentence in shell.error(*words)
        refused = shell.audit()[-1]
        assert refused[0].startswith("test (token ")
        assert sentence in refused[3]["refused"]
    brief = service.shell(token=service.new_token(["all:write"], expires=4_000_000_000))
    assert "valid for longer" in brief.error("token", "add", "x", "--scope", "me:read")
    after = shell.everything()
    assert all(after[name] == before[name] for name in after if name not in ("token", "state"))
    assert len(after["token"]) == len(before["token"]) + 1  # the brief one


def people(write: Write) -> None:
    domains.add(write, "example.org")
    domains.add(write, "example.net")
    mailboxes.add(write, ANNA)
    mailboxes.add(write, "bob@example.net")
    aliases.add(write, "a@example.org", targets=[ANNA])
    administrators.add(write, "ada", domains=["example.org"])


def test_every_area_of_the_api_has_a_command() -> None:
    """No kind of object can be changed by the API alone."""
    told_of = {
        "domains": "domain",
        "mailboxes": "user",
        "aliases": "alias",
        "sender-rights": "user set --send-as",
        "app-passwords": "app-password",
        "rules": "rule",
        "preferences": "user set --greylist",
        "listed-senders": "user set --block-sender",
        "dkim-keys": "dkim",
        "remote-accounts": "remote",
        "administrators": "admin",
        "tokens": "token",
        "trace": "trace",
        "second-factors": "second-factor",
        "quarantine": "quarantine",
        "greylist": "greylist-exception",
    }
    assert told_of.keys() == set(AREAS) - {"audit", "me", "overview"}


def test_of_two_changes_of_one_object_the_second_is_refused(service: Service) -> None:
    service.gate.change(people)
    settings = ApiSettings(url=f"unix:{service.socket}", token_file=SecretFile(service.token))
    executor = RemoteExecutor(settings)
    alias = {"address": "a@example.org"}
    (read,) = executor.do(OperationStep("get-alias", alias))
    executor.do(OperationStep("change-alias", alias, {"description": "other"}, match=str(read.tag)))
    for step in (
        OperationStep("change-alias", alias, {"description": "second"}, match=str(read.tag)),
        OperationStep("remove-alias", alias, match=str(read.tag)),
    ):
        with pytest.raises(Declined, match="changed meanwhile") as caught:
            executor.do(step)
        assert (caught.value.status, caught.value.exit_code) == (409, 1)
    (read,) = executor.do(OperationStep("get-alias", alias))
    assert read.body["description"] == "other"
    executor.close()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("gp_" + "x" * 43, "The token is not valid."),
        ("no token", "must have a token as its only line"),
        ("", "is empty"),
        ("gp_x\r\nX: y", "must have a token as its only line"),
    ],
)
def test_a_token_that_is_none(service: Service, text: str, sentence: str) -> None:
    file = service.folder / "wrong"
    file.write_text(text)
    file.chmod(0o600)
    assert sentence in service.shell(token=file).error("domain", "list")


def test_a_token_that_has_expired_or_is_missing(service: Service) -> None:
    shell = service.shell(token=service.new_token(["all:write"], expires=1))
    assert shell.error("domain", "list") == "The token has expired."
    missing = service.shell(token=service.folder / "nothing")
    assert "cannot read the token" in missing.error("domain", "list")
    open_to_all = service.new_token(["all:write"])
    open_to_all.chmod(0o644)
    assert "accessible to everybody" in service.shell(token=open_to_all).error("domain", "list")


def away(shell: Shell, *words: str) -> str:
    """Run a command that nobody can do now; return its one line."""
    result = shell.call(*words)
    assert result.exit_code == 75, result.output
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.isprintable()
    return line.removeprefix("Error: ")


def test_a_service_that_is_away(service: Service) -> None:
    port = free_port()
    shell = service.shell(f"http://{LOOPBACK}:{port}")
    assert away(shell, "domain", "list") == (
        f"cannot reach http://{LOOPBACK}:{port}: Connection refused"
    )
    assert "No such file" in away(service.shell("unix:/nowhere/api.sock"), "domain", "list")
    live = service.shell(f"http://{LOOPBACK}:{service.port}/")
    assert live.json("domain", "list") == []
    service.gate.daemon.stop()
    assert "cannot reach" in away(live, "domain", "add", "example.org")


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (b"", "the change may or may not have been made"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", "gave no answer"),
        (b"\x15\x03\x01 no HTTP\r\n\r\n", "gave no answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", "not from the API (status 200)"),
        (
            b'HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{"items": []}',
            "not from the API (status 2",
        ),
        (
            b'HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{"items": 17}',
            "not from the API (status 2",
        ),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\n<html", "not from the API (status 4"),
        (
            b'HTTP/1.1 503 x\r\nContent-Length: 26\r\n\r\n{"detail": "Not yet, no."}',
            "Not yet, no.",
        ),
        (b"HTTP/1.1 502 Bad\r\nContent-Length: 3\r\n\r\nbad", "not from the API (status 502)"),
    ],
)
def test_an_answer_that_is_none(service: Service, answer: bytes, sentence: str) -> None:
    with socket.create_server((LOOPBACK, 0)) as listener:
        answering = threading.Thread(target=answer_once, args=(listener, answer))
        answering.start()
        shell = service.shell(f"http://{LOOPBACK}:{listener.getsockname()[1]}")
        assert sentence in away(shell, "domain", "add", "example.org")
        answering.join(30)


def answer_once(listener: socket.socket, answer: bytes) -> None:
    connection, _ = listener.accept()
    with connection:
        received = b""
        while b"dry_run" not in received:
            received += connection.recv(65536)
        connection.sendall(answer)


def test_a_silent_service_is_not_waited_for_without_end(service: Service) -> None:
    with socket.create_server((LOOPBACK, 0)) as listener:
        url = f"http://{LOOPBACK}:{listener.getsockname()[1]}"
        shell = service.shell(url, more="timeout = 0.5\n")
        assert "timed out" in away(shell, "domain", "list")


DRIPS = [
    b"",
    b"HTTP/1.1 200 OK\r\nX-Padding: ",
    b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4000\r\n",
    b"HTTP/1.0 200 OK\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n",
]


@pytest.mark.parametrize("start", DRIPS)
def test_a_dripping_answer_is_not_waited_for_without_end(service: Service, start: bytes) -> None:
    """Each octet arrives in time, and the answer never ends."""
    stopping = threading.Event()
    with socket.create_server((LOOPBACK, 0)) as listener:
        dripping = threading.Thread(target=drip, args=(listener, start, stopping))
        dripping.start()
        url = f"http://{LOOPBACK}:{listener.getsockname()[1]}"
        shell = service.shell(url, more="timeout = 0.5\n")
        began = time.monotonic()
        said = away(shell, "domain", "add", "example.org")
        assert time.monotonic() - began < 10
        stopping.set()
        dripping.join(30)
    assert said == (
        f"{url} gave no answer; the change may or may not have been made: timed out after 0.5s"
    )


def drip(listener: socket.socket, start: bytes, stopping: threading.Event) -> None:
    """Send `start`, and then an octet ten times a second until the other side has closed."""
    connection, _ = listener.accept()
    with connection:
        connection.sendall(start)
        end = time.monotonic() + 20
        while not stopping.wait(0.1) and time.monotonic() < end:
            try:
                connection.sendall(b"x")
            except OSError:
                return


def test_a_service_that_does_not_read_is_not_waited_for_without_end(service: Service) -> None:
    with socket.create_server((LOOPBACK, 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        url = f"http://{LOOPBACK}:{listener.getsockname()[1]}"
        file = SecretFile(service.token)
        executor = RemoteExecutor(ApiSettings(url=url, token_file=file, timeout=0.5))
        large = OperationStep("add-domain", {}, {"description": "x" * (8 << 20)})
        with pytest.raises(Away, match=r"timed out after 0\.5s"):
            executor.do(large)
        executor.close()


def test_tls_has_to_be_trusted(service: Service) -> None:
    with TlsProxy(service.folder, service.socket) as proxy:
        url = f"https://localhost:{proxy.port}"
        trusting = service.shell(url, more=f'ca_file = "{proxy.certificate}"\n')
        trusting.domain()
        assert len(trusting.json("domain", "list")) == 1
        assert "cannot trust" in away(service.shell(url), "domain", "list")
        other = service.shell(
            f"https://{LOOPBACK}:{proxy.port}", more=f'ca_file = "{proxy.certificate}"\n'
        )
        assert "cannot trust" in away(other, "domain", "list")
        broken = service.shell(url, more=f'ca_file = "{service.token}"\n')
        assert "it has no certificate" in broken.error("domain", "list")
        # no TLS at that port
        plain = service.shell(f"https://localhost:{service.port}")
        assert "cannot trust" in away(plain, "domain", "list")
        # the options take the place of the configuration
        options = ("--api", url, "--token-file", str(service.token))
        bare = Shell(service.folder, files.make(service.folder / "other.db"))
        assert bare.json("domain", "list") == []
        (listed,) = bare.json(
            *("domain", "list", *options, "--ca-file", str(proxy.certificate)),
        )
        assert listed["name"] == "example.org"


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("http://mail.example.org", "in clear text"),
        ("http://192.0.2.1:8080", "in clear text"),
        ("ftp://mail.example.org", "not a URL of an API"),
        ("https://", "not a URL of an API"),
        ("https://x:y@mail.example.org", "must not contain a login"),
        ("https://mail.example.org/?x=1", "must not contain a login"),
        ("https://mail.example.org:99999", "not a URL of an API"),
        ("https://mail.example.org/\r\nX: y", "not a URL of an API"),
        ("https://mail.example.org/" + "x" * 600, "not a URL of an API"),
        ("unix:\x00", "not a URL of an API"),
        ("", "not a URL of an API"),
    ],
)
def test_a_url_that_is_none(here: Shell, url: str, sentence: str) -> None:
    assert sentence in here.usage("domain", "list", "--api", url)


def test_the_file_comes_before_the_api(service: Service) -> None:
    """On the host of the datastore the commands need no service."""
    shell = service.shell()
    shell.domain("there.example")
    local = Shell(
        service.folder,
        files.make(service.folder / "here.db"),
        f'[accounts.api]\nurl = "unix:{service.socket}"\ntoken_file = "{service.token}"\n',
    )
    local.domain("here.example")
    assert [one["name"] for one in local.json("domain", "list")] == ["here.example"]
    assert [one["name"] for one in shell.json("domain", "list")] == ["there.example"]


def test_a_list_has_all_pages(there: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("accounts.cli.session.MAX_PAGE", 2)
    names = [f"d{number}.example" for number in range(5)]
    for name in names:
        there.domain(name)
    assert [one["name"] for one in there.json("domain", "list")] == names
