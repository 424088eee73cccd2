import pytest

from accounts.exchange.docker_mailserver import read
from accounts.exchange.files import SourceFiles
from accounts.exchange.notes import Reading, SourceError
from tests.unit.accounts.exchange.reading import HASH, aliases, mailboxes, said, whole
from tests.unit.accounts.exchange.samples import PEM

ACCOUNTS = f"""\
# comment
   # another one
anna@example.org|{HASH}
bob@example.org|{HASH}|userdb_mail=mbox:~/mail
"""


def config(**more: str) -> Reading:
    content = {"postfix-accounts.cf": ACCOUNTS.encode()}
    for name, text in more.items():
        content[name.replace("__", "/").replace("_", "-", 1) + ".cf"] = text.encode()
    return whole(read(SourceFiles(content)))


def test_accounts_aliases_and_quotas() -> None:
    reading = config(
        postfix_virtual="info@example.org anna@example.org\n@example.net anna@example.org\n"
        "twice@example.org anna@example.org\ntwice@example.org bob@example.org\n",
        dovecot_quotas="anna@example.org:5G\nbob@example.org:50M\nnobody@example.org:1G\n"
        "anna@example.org:x\n",
        postfix_regexp="# comment\n/^test[0-9]*@example\\.org/ anna@example.org\n",
    )
    assert {name: one.quota for name, one in mailboxes(reading).items()} == {
        "anna@example.org": 5 << 30,
        "bob@example.org": 50 << 20,
    }
    assert said(reading, "postfix-accounts.cf:4", "userdb_mail is not imported")
    assert said(reading, "dovecot-quotas.cf:3", "no such mailbox")
    assert said(reading, "dovecot-quotas.cf:4", "expected a size")
    assert said(reading, "postfix-regexp.cf:2", "regular expression")
    # its tables are of the type texthash, in which the last line counts
    assert aliases(reading) == {
        "info@example.org": ("anna@example.org",),
        "twice@example.org": ("bob@example.org",),
    }


def test_a_copy_in_a_subfolder_does_not_count() -> None:
    content = {"a/old/postfix-accounts.cf": b"", "postfix-accounts.cf": ACCOUNTS.encode()}
    assert len(mailboxes(read(SourceFiles(content)))) == 2


def test_restrictions() -> None:
    reading = whole(
        read(
            SourceFiles(
                {
                    "postfix-accounts.cf": ACCOUNTS.encode(),
                    "postfix-send-access.cf": b"Anna@example.org \t\t REJECT\n"
                    b"x@example.org REJECT\n",
                    "postfix-receive-access.cf": b"bob@example.org \t\t REJECT\n",
                }
            )
        )
    )
    anna, bob = mailboxes(reading).values()
    assert (anna.may_send, anna.may_receive) == (False, True)
    assert (bob.may_send, bob.may_receive) == (True, False)
    assert said(reading, "postfix-send-access.cf:2", "no mailbox x@example.org")


def test_fetchmail() -> None:
    reading = whole(
        read(
            SourceFiles(
                {
                    "postfix-accounts.cf": ACCOUNTS.encode(),
                    "fetchmail.cf": b"poll pop3.outside.example. with proto POP3\n"
                    b"  user 'other' there with\n  password 's3cret'\n"
                    b"  is 'anna@example.org' here\n  options keep ssl\n"
                    b"poll imap.outside.example proto imap\n"
                    b"  user 'nobody' pass 'x' is 'local_only'\n"
                    b"poll mail.example.org proto imap user 'bob@example.org' pass 'x'"
                    b" is 'bob@example.org' ssl\n"
                    b"poll imap.outside.example proto imap user 'x' pass 'x' is 'c@example.org'\n",
                }
            )
        )
    )
    (account,) = mailboxes(reading)["anna@example.org"].remote_accounts
    assert (account.host, account.port, account.tls) == ("pop3.outside.example", 995, "implicit")
    assert (account.login, account.secret.clear, account.keep) == ("other", "s3cret", True)
    assert said(reading, "fetchmail.cf:7", "'local_only' is not an address")
    # a mailbox that fetches from itself goes round and round
    (circle,) = mailboxes(reading)["bob@example.org"].remote_accounts
    assert not circle.enabled
    assert said(reading, "fetchmail.cf:8", "fetch from this server")
    assert said(
        reading, "fetchmail.cf:9: left out: remote accounts of c@example.org: there is no such"
    )


def test_dkim_keys_beside_the_key_table() -> None:
    reading = whole(
        read(
            SourceFiles(
                {
                    "postfix-accounts.cf": ACCOUNTS.encode(),
                    "opendkim/KeyTable": b"mail._domainkey.example.org "
                    b"example.org:mail:/etc/opendkim/keys/example.org/mail.private\n"
                    b"x example.net:mail:/etc/opendkim/keys/example.net/mail.private\n"
                    b"x example.org:bad:/etc/opendkim/keys/bad\nnonsense\n",
                    "opendkim/keys/example.org/mail.private": PEM.encode(),
                    "opendkim/keys/bad": b"-----BEGIN PRIVATE KEY-----\nAAAA\n",
                }
            )
        )
    )
    (key,) = reading.document.domains[0].dkim_keys
    assert (key.selector, key.algorithm, key.state) == ("mail", "ed25519", "active")
    assert key.private.clear == PEM
    assert said(reading, "KeyTable:2", "is missing in the source")
    assert said(reading, "KeyTable:3", "not a private key")
    assert said(reading, "KeyTable:4", "expected a line")


def test_files_that_are_not_taken_over_are_named() -> None:
    others = ("dovecot-masters.cf", "postfix-relaymap.cf", "dovecot.sieve", "getmail-x.cf")
    script = 'require "fileinto";'
    content = dict.fromkeys(others, b"x")
    content |= {
        "postfix-accounts.cf": ACCOUNTS.encode(),
        "anna@example.org.dovecot.sieve": script.encode(),
    }
    reading = read(SourceFiles(content))
    assert all(said(reading, f"{name}: left out") for name in others)
    assert [(one.mailbox, one.text) for one in reading.scripts] == [("anna@example.org", script)]
    assert len(mailboxes(reading)) == 2
    with pytest.raises(SourceError, match="neither postfix-accounts"):
        read(SourceFiles({"x": b""}))
