import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.exchange.dovecot_rspamd import read
from accounts.exchange.fetchmail import read_fetchmailrc
from accounts.exchange.files import SourceFiles
from accounts.exchange.gathering import Gathering
from accounts.exchange.notes import Reading, SourceError, SourcePlace
from accounts.exchange.settling import finish
from tests.unit.accounts.exchange.reading import CRYPT, HASH, mailboxes, said, whole

OWNER = "anna@example.org"


def fetched(text: str | bytes, owner: str | None = OWNER) -> Reading:
    gathering = Gathering("fetchmailrc")
    gathering.mailbox(OWNER, SourcePlace("x"), password=HASH)
    gathering.mailbox("bob@example.org", SourcePlace("x"), password=HASH)
    data = text.encode() if isinstance(text, str) else text
    read_fetchmailrc(gathering, "fetchmailrc", data, owner)
    return whole(finish(gathering))


def accounts(reading: Reading, owner: str = OWNER) -> list[tuple[str, str, int, str, str]]:
    return [
        (one.protocol, one.host, one.port, one.tls, one.login)
        for one in mailboxes(reading)[owner].remote_accounts
    ]


def test_noise_words_defaults_and_several_users() -> None:
    reading = fetched(
        """\
set daemon 300
defaults protocol IMAP, ssl, keep   # for all
poll Mail.Example.com. with port 1993 options idle
  user "one\\"x" there with password 'p w' is bob@example.org here
  user two; password=second; nokeep fetchall
skip old.example.com user three password x
poll away.example.com via real.example.com protocol pop3 user 'bob@example.org' here is 'four' there
  password y
"""
    )
    assert accounts(reading, "bob@example.org") == [
        ("imap", "mail.example.com", 1993, "implicit", 'one"x'),
        ("pop3", "real.example.com", 995, "implicit", "four"),
    ]
    assert accounts(reading) == [
        ("imap", "mail.example.com", 1993, "implicit", "two"),
        ("imap", "old.example.com", 993, "implicit", "three"),
    ]
    first, second = mailboxes(reading)[OWNER].remote_accounts
    assert (first.secret.clear, first.keep, first.enabled, first.interval) == (
        "second",
        False,
        True,
        300,
    )
    assert (second.keep, second.enabled) == (True, False)


def test_what_is_noted() -> None:
    reading = fetched(
        "poll a.example proto imap user u password p\n"
        "poll b.example proto etrn user u password p\n"
        "poll c.example proto imap user u ssl\n"
        "poll d.example proto imap user u password p ssl to a@x.example b@x.example here\n"
        "poll e.example proto imap user u password p ssl folder INBOX Lists\n"
        "poll f.example proto imap user u password p ssl mda '/usr/bin/procmail -d %T'\n"
        "poll g.example proto imap user u password p ssl preconnect 'rm -rf /'\n"
        "poll h.example proto imap user u password p ssl is nobody@example.org\n"
        "poll i.example proto imap port 99999 user u password p ssl\n"
    )
    assert said(reading, "fetchmailrc:1", "STARTTLS is required")
    assert said(reading, "fetchmailrc:2", "neither IMAP nor POP3")
    assert said(reading, "fetchmailrc:3", "password is missing")
    assert said(reading, "fetchmailrc:4", "several users")
    assert said(reading, "fetchmailrc:5", "only the first of its folders")
    assert said(reading, "fetchmailrc:6", "mda is ignored")
    assert said(reading, "fetchmailrc:7", "not run")
    assert said(reading, "no such mailbox", "imap u at h.example")
    assert said(reading, "fetchmailrc:9", "port")
    assert said(
        fetched("poll a.example proto imap user u password p", None), "no local mailbox is named"
    )


def test_a_folder_of_docker_dovecot_rspamd() -> None:
    own = """\
poll mail.example.com protocol IMAP port 993
  user 'anna@isp.example' there with ssl with password 'p' folder 'INBOX' idle ssl keep
  mda "rspamc --mime | /usr/libexec/dovecot/deliver -d anna@example.org"
"""
    others = """\
poll isp.example protocol pop3 user 'b' password 'q' ssl
  mda "/usr/libexec/dovecot/deliver -d bob@example.org"
poll isp.example protocol pop3 user 'c' password 'q' ssl
  mda "/usr/bin/fdm -a stdin -f ~/fdm.conf fetch"
"""
    content = {
        "users/anna@example.org/passwd": f"{CRYPT}\r\nmore\n",
        "users/anna@example.org/fetchmailrc": own,
        "users/bob@example.org/passwd": "{PLAIN}bobs password\n",
        "users/fetcher/fetchmailrc": others,
        "users/fetcher/fdm.conf": 'action "x" pipe "rm"\n',
        "users/empty@example.org/passwd": "\n",
    }
    reading = whole(read(SourceFiles({name: text.encode() for name, text in content.items()})))
    assert set(mailboxes(reading)) == {OWNER, "bob@example.org", "empty@example.org"}
    assert mailboxes(reading)[OWNER].password == HASH
    assert mailboxes(reading)["bob@example.org"].password == "{PLAIN}bobs password"
    assert mailboxes(reading)["empty@example.org"].password is None
    assert said(reading, "anna@example.org/passwd:2", "only the first line")
    assert accounts(reading) == [("imap", "mail.example.com", 993, "implicit", "anna@isp.example")]
    assert accounts(reading, "bob@example.org") == [("pop3", "isp.example", 995, "implicit", "b")]
    assert said(reading, "users/fetcher/fetchmailrc:3", "no local mailbox is named")
    assert said(reading, "fdm.conf", "rules of fdm")


def test_no_users() -> None:
    with pytest.raises(SourceError, match="users/NAME"):
        read(SourceFiles({"passwd": b"x"}))


def test_octets_that_are_no_text() -> None:
    fetched(b"\xff\xfe\0 poll \0")
    reading = fetched(b"\xef\xbb\xbfpoll a.example proto imap user u password p ssl\r\n")
    assert len(accounts(reading)) == 1


@pytest.mark.parametrize("evil", ["poll a ", "'", "\\", "# ", ", ", "user x "])
def test_time_is_bounded(evil: str) -> None:
    started = time.process_time()
    fetched(evil * 500_001)
    assert time.process_time() - started < 10


WORDS = (
    "poll skip user is here there password no keep ssl proto imap x@example.org set mda defaults"
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([*WORDS.split(), "'", '"', "\n", "#", "folder"]), max_size=40))
def test_any_words_give_a_document(words: list[str]) -> None:
    fetched(" ".join(words))
