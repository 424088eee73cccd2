"""Mailboxes as their users see them: IMAP, POP3, ManageSieve, and mail that arrives by LMTP."""

from __future__ import annotations

import imaplib
import json
import poplib
import re
import urllib.request

import pytest

from tests.stack.everyday import INVOICES_RULE, wait_for_end
from tests.stack.mailboxes import (
    ALIAS_DOMAIN,
    ANNA,
    BOB,
    DORA,
    METRICS,
    PASSWORDS,
    QUOTA_OF_SMALL,
    SMALL,
    Mailboxes,
)
from tests.stack.stack import World
from tests.testbed.managesieve import ManageSieveError
from tests.testbed.waiting import wait_until

WRONG = "[AUTHENTICATIONFAILED] Authentication failed."


@pytest.mark.parametrize("name", [ANNA, ANNA.upper(), f"anna@{ALIAS_DOMAIN}"])
def test_the_right_password_lets_in(mailboxes: Mailboxes, name: str) -> None:
    mailboxes.deliver(ANNA, f"seen by {name}")
    client = mailboxes.imap(name, PASSWORDS[ANNA])
    client.select()
    assert client.search(None, f'SUBJECT "seen by {name}"')[1] != [b""]


def test_a_wrong_password_and_an_unknown_user_are_told_the_same(mailboxes: Mailboxes) -> None:
    assert WRONG in mailboxes.refusal(BOB, "not this one, never")
    assert WRONG in mailboxes.refusal("nobody@example.org")
    assert WRONG in mailboxes.refusal("a/../../anna@example.org")


def test_a_disabled_mailbox_lets_nobody_in_and_its_session_ends(mailboxes: Mailboxes) -> None:
    session = mailboxes.imap(DORA)
    session.select()
    mailboxes.command("user", "set", DORA, "--enabled", "no")
    assert WRONG in mailboxes.refusal(DORA)
    wait_for_end(session)
    mailboxes.command("user", "set", DORA, "--enabled", "yes")
    wait_until(lambda: lets_in(mailboxes, DORA), "the mailbox to be enabled again")


def lets_in(mailboxes: Mailboxes, user: str) -> bool:
    try:
        mailboxes.imap(user)
    except imaplib.IMAP4.error:
        return False
    return True


def test_an_app_password_is_for_its_protocols(mailboxes: Mailboxes) -> None:
    added = mailboxes.command("app-password", "add", BOB, "phone", "--protocol", "imap", "--json")
    password = json.loads(added)["new_password"]
    assert mailboxes.imap(BOB, password).select()[0] == "OK"
    with pytest.raises(poplib.error_proto):
        mailboxes.pop3(BOB, password)


def test_pop3_reads_and_deletes(mailboxes: Mailboxes) -> None:
    assert mailboxes.deliver(DORA, "by POP3").code == 250
    client = mailboxes.pop3(DORA)
    count = len(client.list()[1])
    lines = b"\n".join(client.retr(count)[1])
    assert b"Subject: by POP3" in lines
    client.dele(count)
    client.quit()
    assert "by POP3" not in mailboxes.subjects(DORA)


def test_the_special_folders_are_there(mailboxes: Mailboxes) -> None:
    _, lines = mailboxes.imap().list()
    listed = b"\n".join(line for line in lines if isinstance(line, bytes)).decode()
    for name in ("Drafts", "Sent", "Trash", "Archive", "Junk"):
        assert re.search(rf'\\{name}\) "/" {name}$', listed, re.MULTILINE), listed
    _, subscribed = mailboxes.imap().lsub()
    assert len(subscribed) >= 5


def test_mail_for_an_unknown_user_is_refused_for_good(mailboxes: Mailboxes) -> None:
    reply = mailboxes.deliver("nobody@example.org", "to nobody")
    assert str(reply).startswith("550 5.1.1"), reply


@pytest.mark.parametrize(
    ("extension", "folder"), [("Archive", "Archive"), ("archive", "Archive"), ("other", "INBOX")]
)
def test_the_extension_is_the_folder_if_there_is_one(
    mailboxes: Mailboxes, extension: str, folder: str
) -> None:
    assert mailboxes.deliver(f"bob+{extension}@example.org", f"with {extension}").code == 250
    assert f"with {extension}" in mailboxes.subjects(BOB, folder)


def test_search_finds_words_by_their_stem(mailboxes: Mailboxes) -> None:
    """A plain search would look for these very letters."""
    mailboxes.deliver(ANNA, "to be found", text="The aardvarks were running.")
    client = mailboxes.imap()
    client.select()
    found = client.search(None, 'SUBJECT "to be found" BODY "aardvark run"')[1]
    assert found[0], "nothing was found"
    assert client.search(None, 'BODY "zebra"')[1] == [b""]


def test_rules_of_accounts_and_own_scripts_both_run(mailboxes: Mailboxes) -> None:
    mailboxes.command("rule", "add", ANNA, "-", stdin=INVOICES_RULE)
    mailboxes.sieve(
        ANNA,
        'require ["fileinto", "mailbox"];\n'
        'if header :contains "Subject" "list" { fileinto :create "Lists"; }\n',
    )
    for subject in ("an invoice", "the list", "neither"):
        assert mailboxes.deliver(ANNA, subject).code == 250
    assert mailboxes.subjects(ANNA, "Invoices") == ["an invoice"]
    assert mailboxes.subjects(ANNA, "Lists") == ["the list"]
    assert "neither" in mailboxes.subjects(ANNA)
    with pytest.raises(ManageSieveError):
        mailboxes.sieve(ANNA, "this is no Sieve\n")


def test_without_delivery_in_front_nobody_believes_the_flag_of_spam(mailboxes: Mailboxes) -> None:
    """Anybody can write it, and could hide mail from its reader."""
    assert mailboxes.deliver(BOB, "flagged", fields="X-Spam-Flag: YES\r\n").code == 250
    assert "flagged" in mailboxes.subjects(BOB)
    assert "flagged" not in mailboxes.subjects(BOB, "Junk")


def test_quarantined_mail_goes_to_junk(mailboxes: Mailboxes) -> None:
    verdict = "X-Gatepost-Verdict: quarantine; reason=dmarc-fail-reject\r\n"
    assert mailboxes.deliver(BOB, "suspicious", fields=verdict).code == 250
    assert mailboxes.subjects(BOB, "Junk") == ["suspicious"]


def test_a_script_sends_mail_on_and_answers(mailboxes: Mailboxes, world: World) -> None:
    mailboxes.sieve(
        DORA,
        'require ["vacation", "copy"];\nredirect :copy "carol@remote.example";\n'
        'vacation :subject "Away" "I am away.";\n',
    )
    assert mailboxes.deliver(DORA, "sent on").code == 250
    sent_on = world.sink.wait_for_subject("sent on")
    assert sent_on.recipients == ("carol@remote.example",)
    answer = world.sink.wait_for_subject("Away")
    assert answer.sender == "<>"
    assert "sent on" in mailboxes.subjects(DORA)


def test_a_full_mailbox_is_refused_before_and_its_owner_warned(mailboxes: Mailboxes) -> None:
    assert mailboxes.may_come(SMALL, 1000) == "DUNNO"
    assert mailboxes.may_come(SMALL, 100 * QUOTA_OF_SMALL).startswith("552 5.3.4")
    line = "0123456789" * 7 + "\r\n"
    part = line * (QUOTA_OF_SMALL // 20 // len(line))
    for number in range(25):
        reply = mailboxes.deliver(SMALL, f"part {number}", text=part)
        if reply.code != 250:
            break
    assert str(reply).startswith("452 4.2.2"), reply
    assert mailboxes.may_come(SMALL, 1000).startswith("452 4.2.2")
    # the sender of mail to nobody is refused by Postfix, which asks accounts
    assert mailboxes.may_come("nobody@example.org", 1000) == "DUNNO"
    warnings = {f"Your mailbox is {percent}% full" for percent in (80, 95)}
    wait_until(lambda: warnings <= set(mailboxes.subjects(SMALL)), "two warnings")
    assert mailboxes.subjects(SMALL).count("Your mailbox is 80% full") == 1
    quota = mailboxes.imap(SMALL).getquotaroot("INBOX")[1]
    assert b"STORAGE" in quota[1][0]


def test_metrics_count_logins_and_deliveries(mailboxes: Mailboxes) -> None:
    mailboxes.refusal(BOB, "not this one, never")
    mailboxes.deliver(BOB, "counted")
    url = f"http://{mailboxes.address}:{METRICS}/metrics"
    with urllib.request.urlopen(url, timeout=30) as answer:
        text = answer.read().decode()
    assert re.search(r'^dovecot_auth_total\{success="",protocol="imap"\} [1-9]', text, re.MULTILINE)
    assert re.search(r"^dovecot_delivery_count [1-9]", text, re.MULTILINE)
    assert re.search(r'^dovecot_rcpt_total\{status_code="250"\} [1-9]', text, re.MULTILINE)


def test_names_do_not_leave_their_folder(mailboxes: Mailboxes) -> None:
    client = mailboxes.imap(BOB)
    for name in ("../../anna/mail", "/etc", "a/../../b", "~root"):
        assert client.create(f'"{name}"')[0] == "NO", name
