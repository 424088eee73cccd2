"""Webmail before Dovecot, accounts and Postfix: what people do in it, request by request."""

from __future__ import annotations

import imaplib
import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.stack.mailboxes import CONFIG, IMAP, SIEVE, Mailboxes
from tests.stack.stack import SUBMISSION, Stack, World
from tests.testbed.container import Container
from tests.testbed.managesieve import ManageSieve
from tests.testbed.pod import Network
from tests.testbed.waiting import wait_until
from tests.testbed.webmail import Browser, Page, start_webmail

BROWSER = "192.0.2.77"
"""The address of the browser, as the proxy tells it."""
WENDY, PASSWORD = "wendy@example.org", "wendy has a kettle and a ladder"
NEW_PASSWORD = "a lantern, purple and walking"


class Reader:
    """Somebody at webmail."""

    def __init__(self, host: str) -> None:
        self.browser = Browser(host, {"X-Forwarded-For": BROWSER})
        self.token = self.browser.get("/?_task=login").token()

    def log_in(self, user: str, password: str) -> Page:
        answer = self.post("login", "login", _user=user, _pass=password, _timezone="UTC")
        if answer.status == 302:
            self.token = self.get("mail").token()
        return answer

    def get(self, task: str, action: str = "", **query: str) -> Page:
        more = "".join(f"&{key}={value}" for key, value in query.items())
        return self.browser.get(f"/?_task={task}&_action={action}{more}")

    def post(self, task: str, action: str, **form: str) -> Page:
        target = f"/?_task={task}&_action={action}"
        return self.browser.post(
            target, {"_token": self.token, "_task": task, "_action": action, **form}
        )

    def subjects(self, folder: str = "INBOX") -> dict[str, str]:
        """Return the numbers of the messages that the list of a folder shows, by subject."""
        page = self.get("mail", "list", _mbox=folder, _remote="1", _refresh="1")
        rows = re.findall(r"add_message_row\((\d+),(\{.*?\}),", json.loads(page.text)["exec"])
        return {json.loads(row)["subject"]: number for number, row in rows}


class People:
    """Webmail in the pod of mailboxes, and those who use it."""

    def __init__(self, mailboxes: Mailboxes, container: Container) -> None:
        self.mailboxes = mailboxes
        self.container = container

    def reader(self, user: str = WENDY, password: str = PASSWORD) -> Reader:
        reader = Reader(self.mailboxes.address)
        answer = reader.log_in(user, password)
        assert answer.status == 302, answer.text[-3000:]
        return reader


@pytest.fixture(scope="module")
def people(network: Network, world: World, stack: Stack) -> Iterator[People]:
    mailboxes = Mailboxes(network, {"DOVECOT_TRUSTED_NETWORKS": "127.0.0.0/8"})
    more = 'http_listen = "inet:8080@127.0.0.1"\nhttp = { proxies = ["127.0.0.0/8"] }\n'
    toml = CONFIG.replace("[accounts]\n", f"[accounts]\n{more}")
    mailboxes.gatepost.update({"gatepost.toml": toml})
    name = network.new_name()
    with tempfile.TemporaryDirectory(prefix="gatepost-test-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        (Path(folder) / "ca.pem").write_text(stack.secrets["mail-tls"].files()["tls.crt"])
        (Path(folder) / "ca.pem").chmod(0o644)
        settings: Mapping[str, str] = {
            "WEBMAIL_IMAP": f"127.0.0.1:{IMAP}",
            "WEBMAIL_SIEVE": f"127.0.0.1:{SIEVE}",
            "WEBMAIL_SUBMISSION": f"tls://{stack.address}:{SUBMISSION}",
            "WEBMAIL_API": "http://127.0.0.1:8080/api/v1",
            "WEBMAIL_CA_FILE": "/secrets/ca.pem",
            "WEBMAIL_TLS_NAME": "mail.example.org",
            "WEBMAIL_PROXIES": network.subnet,
        }
        try:
            mailboxes.start()
            mailboxes.command("user", "add", WENDY, stdin=PASSWORD)
            world.logins.logins[WENDY] = PASSWORD
            pod = (f"--pod={mailboxes.pod}", f"--volume={folder}:/secrets:ro")
            container = start_webmail(name, *pod, settings=settings)
            container.wait_ready()
            yield People(mailboxes, container)
        finally:
            network.remove(name)
            mailboxes.remove()


def test_somebody_reads_and_files_mail(people: People) -> None:
    for subject in ("first", "second", "third"):
        assert people.mailboxes.deliver(WENDY, subject, text="Hello Wendy.").code == 250
    reader = people.reader()

    def arrived() -> dict[str, str] | None:
        found = reader.subjects()
        return found if len(found) == 3 else None

    found = wait_until(arrived, "three messages")
    page = reader.get("mail", "show", _mbox="INBOX", _uid=found["first"])
    assert "Hello Wendy." in page.text
    junk, archived = (
        {"_mbox": "INBOX", "_uid": found[subject], "_remote": "1"}
        for subject in ("second", "third")
    )
    # the page moves it to where it is told
    answer = reader.post("mail", "plugin.markasjunk.junk", **junk)
    assert 'markasjunk_move(\\"Junk\\"' in answer.text, answer.text
    assert reader.post("mail", "move", _target_mbox="Junk", **junk).status == 200
    assert reader.post("mail", "plugin.move2archive", **archived).status == 200
    assert set(reader.subjects()) == {"first"}
    assert set(reader.subjects("Junk")) == {"second"}
    assert set(reader.subjects("Archive")) == {"third"}
    shown = json.loads(people.mailboxes.command("user", "show", WENDY, "--json"))
    assert 0 < shown["usage"] < 100_000
    assert shown["last_login"]


def test_mail_is_sent_with_the_login_of_the_one_who_writes(people: People, stack: Stack) -> None:
    reader = people.reader()
    begun = reader.get("mail", "compose")
    (compose,) = re.findall(r"_id=(\w+)", begun.fields["location"])
    page = reader.get("mail", "compose", _id=compose)
    (identity,) = re.findall(r'<option value="(\d+)"[^>]*>[^<]*wendy@example\.org', page.text)
    form = {
        "_id": compose,
        "_from": identity,
        "_to": "carol@remote.example",
        "_subject": "from the browser",
        "_message": "Hello Carol.\n",
        "_store_target": "Sent",
        "_framed": "1",
    }
    answer = reader.post("mail", "send", **form)
    assert "sent_successfully" in answer.text, (answer.text, people.container.log())
    sent = stack.remote.wait_for_subject("from the browser")
    assert sent.sender == WENDY
    assert [*sent.fields("From"), *sent.fields("To")] == [WENDY, "carol@remote.example"]
    assert "Hello Carol." in sent.body.decode()
    # ours, and signed; nothing says from where or with what it was written
    assert len(sent.fields("DKIM-Signature")) == 2
    for text in ("Roundcube", "User-Agent", BROWSER):
        assert text.encode() not in sent.octets, sent.octets.decode()
    assert set(reader.subjects("Sent")) == {"from the browser"}


def test_a_vacation_is_a_script_of_the_one_who_is_away(people: People) -> None:
    reader = people.reader()
    page = reader.get("settings", "plugin.managesieve-vacation")
    assert 'name="vacation_reason"' in page.text
    form = {"vacation_reason": "I am on a boat.", "vacation_status": "on", "vacation_interval": "7"}
    answer = reader.post("settings", "plugin.managesieve-vacation", **form)
    assert answer.status == 200
    client = ManageSieve(people.mailboxes.address, SIEVE)
    try:
        client.login(WENDY, PASSWORD)
        (name,) = re.findall(r'"([^"]+)" ACTIVE', client.command("LISTSCRIPTS"))
        assert "I am on a boat." in client.command(f'GETSCRIPT "{name}"')
    finally:
        client.close()


def test_a_wrong_password_is_that_of_the_browser(people: People) -> None:
    reader = Reader(people.mailboxes.address)
    answer = reader.log_in(WENDY, "another word for it")
    assert answer.status == 401
    assert "Login failed" in answer.text
    # accounts counts it for the network of the browser, and not for webmail
    people.mailboxes.accounts.wait_for_log(BROWSER)
    (entry,) = people.mailboxes.accounts.log_entries(event="login", client=BROWSER, result="wrong")
    assert WENDY in entry.values()


def test_somebody_changes_the_password(people: People) -> None:
    reader = people.reader()

    def change(current: str, new: str) -> str:
        form = {"_curpasswd": current, "_newpasswd": new, "_confpasswd": new}
        return reader.post("settings", "plugin.password-save", **form).text

    assert "incorrect" in change("not my password", NEW_PASSWORD)
    # the sentence is that of accounts
    assert "common" in change(PASSWORD, "password1234")
    assert "Successfully saved" in change(PASSWORD, NEW_PASSWORD)
    with pytest.raises(imaplib.IMAP4.error):
        people.mailboxes.imap(WENDY, PASSWORD)
    people.mailboxes.imap(WENDY, NEW_PASSWORD).logout()
    # the session goes on, and a new one needs the new password
    assert reader.get("mail").status == 200
    assert people.reader(password=NEW_PASSWORD).subjects() is not None
    assert Reader(people.mailboxes.address).log_in(WENDY, PASSWORD).status == 401
    people.mailboxes.command("user", "password", WENDY, stdin=PASSWORD)


def test_no_password_is_on_the_volume_in_the_clear(people: People) -> None:
    people.reader()
    found = people.container.attempt("grep", "-r", PASSWORD, "/var/lib/webmail")
    assert found.returncode == 1, found.stdout
