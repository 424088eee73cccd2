import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.exchange.files import SourceFiles
from accounts.exchange.notes import Reading, SourceError
from accounts.exchange.postfix import guess_role, read
from tests.unit.accounts.exchange.reading import (
    CRYPT,
    HASH,
    aliases,
    domains,
    files,
    mailboxes,
    said,
    whole,
)

PASSWD = f"""\
# a comment
anna@example.org:{HASH}:50:50:Anna, of Sales:/home/anna::userdb_quota_rule=*:bytes=100M
bob@example.org:{CRYPT}::::::nologin=y
clear@example.org:{{plain}}two words :
"""


def pair(virtual: str | bytes, passwd: str = PASSWD, origin: str | None = None) -> Reading:
    return whole(read(files(virtual=virtual, passwd=passwd), origin=origin))


def test_a_virtual_and_passwd_pair() -> None:
    reading = pair("info@example.org anna@example.org, bob@example.org\n")
    anna = mailboxes(reading)["anna@example.org"]
    assert anna.password == HASH
    assert anna.quota == 100 << 20
    assert anna.display_name == "Anna, of Sales"
    bob = mailboxes(reading)["bob@example.org"]
    assert bob.password == HASH
    assert (bob.may_login, bob.may_send) == (False, False)
    # a password in clear text is not trimmed; the import hashes it
    assert mailboxes(reading)["clear@example.org"].password == "{PLAIN}two words "
    assert said(reading, "passwd:4", "clear text")
    assert aliases(reading) == {"info@example.org": ("anna@example.org", "bob@example.org")}
    assert list(domains(reading)) == ["example.org"]


@pytest.mark.parametrize(
    ("stored", "says"),
    [
        ("", "locked or empty"),
        ("!", "locked or empty"),
        ("*", "locked or empty"),
        ("{SHA512-CRYPT}!" + CRYPT, "locked or empty"),
        ("{SHA512-CRYPT}$6$CHANGE_ME_HASH", "not of the form"),
        ("{MD5-CRYPT}8073950958b1673f207fec8f484efc7d", "not the 13 characters"),
        ("{BCRYPT}$2y$05$abcdefghijklmnopqrstuuHOaK9tYa7pMtPBUzccBInHxlRxoBo1a", "BLF-CRYPT"),
        ("{NEW-SCHEME}abc", "not supported"),
        ("{CRYPT}x", "13 characters"),
        ("changeme", "13 characters"),
    ],
)
def test_a_mailbox_whose_password_is_of_no_use_lets_nobody_in(stored: str, says: str) -> None:
    """The mailbox is there, so that its mail is not refused; the note says why nobody logs in.

    To leave the user out, as one could with a hash that is a placeholder, would bounce their mail.
    """
    reading = pair("", f"anna@example.org:{stored}\n")
    assert mailboxes(reading)["anna@example.org"].password is None
    assert said(reading, "passwd:1", says, "nobody can log in")
    if len(stored) > 10:
        assert not said(reading, stored[-10:])


def test_passwd_lines_that_are_odd() -> None:
    reading = pair(
        "",
        f"anna:{HASH}\n"
        f"anna@example.org:{HASH}\n"
        "anna@example.org:{PLAIN}second\n"
        f"nets@example.org:{HASH}::::::allow_nets=192.0.2.0/24\n"
        f"mbox@example.org:{HASH}::::::userdb_mail=mbox:~/mail userdb_quota_rule=Trash:+10M\n"
        "no-colon\n"
        f"../etc@example.org:{HASH}\n",
    )
    assert set(mailboxes(reading)) == {"anna@example.org", "nets@example.org", "mbox@example.org"}
    assert mailboxes(reading)["anna@example.org"].password == HASH  # the first counts
    assert said(reading, "passwd:1", "'anna' is not an address")
    assert said(reading, "passwd:3", "appears twice", "passwd:2 is used")
    assert not mailboxes(reading)["nets@example.org"].may_login
    assert said(reading, "passwd:4", "limiting logins to some networks")
    assert said(reading, "passwd:5", "userdb_mail is not imported")
    assert said(reading, "passwd:5", "userdb_quota_rule: only a quota in octets")
    assert said(reading, "passwd:6", "a user and a password")
    assert said(reading, "passwd:7", "../etc@example.org")


def test_passwords_and_quotas_in_two_files() -> None:
    """Dovecot's passdb and userdb may be two files; the names say nothing about the order."""
    reading = whole(
        read(
            files(
                a_users="anna@example.org::50:50::/home/a::userdb_quota_rule=*:storage=1G\n",
                b_passwd=f"anna@example.org:{HASH}\n",
            )
        )
    )
    (anna,) = mailboxes(reading).values()
    assert (anna.password, anna.quota) == (HASH, 1 << 30)
    assert not said(reading, "appears twice")


def test_a_name_without_a_domain_gets_the_origin() -> None:
    reading = pair("root anna\nx@example.org root\n", f"anna:{HASH}\n", origin="example.org")
    assert list(mailboxes(reading)) == ["anna@example.org"]
    assert aliases(reading) == {
        "root@example.org": ("anna@example.org",),
        "x@example.org": ("root@example.org",),
    }


def test_forms_of_virtual() -> None:
    """The forms of virtual(5): lists, continuation, case, domains, catch-all, doubles."""
    reading = pair(
        """\
list@example.org   anna@example.org,bob@example.org, clear@example.org,
long@example.org anna@example.org,
# a comment does not end a line

   bob@example.org
Mixed.Case@Example.ORG ANNA@example.org
anna+news@example.org bob@example.org
prefixtest@example.org bob@example.org
test@example.org anna@example.org
first.name@example.org anna@example.org
first-name@example.org bob@example.org
twice@example.org anna@example.org
twice@example.org bob@example.org
other.example anything
@example.net @example.org
@example.com anna@example.org
@several.example anna@example.org, bob@example.org
moved@example.org @example.com
quoted@example.org "two words"@outside.example
"""
    )
    assert aliases(reading) == {
        "list@example.org": ("anna@example.org", "bob@example.org", "clear@example.org"),
        "long@example.org": ("anna@example.org", "bob@example.org"),
        "mixed.case@example.org": ("anna@example.org",),
        "anna+news@example.org": ("bob@example.org",),
        "prefixtest@example.org": ("bob@example.org",),
        "test@example.org": ("anna@example.org",),
        "first.name@example.org": ("anna@example.org",),
        "first-name@example.org": ("bob@example.org",),
        "twice@example.org": ("anna@example.org",),
        "moved@example.org": ("moved@example.com",),
        "quoted@example.org": ('"two words"@outside.example',),
        "*@several.example": ("anna@example.org", "bob@example.org"),
    }
    assert domains(reading) == {
        "example.org": {},
        "other.example": {},
        "example.net": {"alias_of": "example.org"},
        "example.com": {"catch_all": "anna@example.org"},
        "several.example": {},
    }
    assert said(reading, "virtual:13", "virtual:12 is used")


def test_the_last_of_two_lines_counts_in_texthash() -> None:
    source = files(virtual="a@example.org b@x.example\na@example.org c@x.example\n")
    assert aliases(read(source, first_wins=False)) == {"a@example.org": ("c@x.example",)}


def test_an_alias_with_the_name_of_a_mailbox_becomes_forwarding() -> None:
    """docker-mailserver issue 3262: in Postfix the alias wins, so the mailbox gets no mail."""
    reading = pair(
        "anna@example.org bob@example.org\n"
        "bob@example.org bob@example.org, copy@outside.example\n"
        "clear@example.org clear@example.org\n"
    )
    assert not reading.document.aliases
    anna, bob = mailboxes(reading)["anna@example.org"], mailboxes(reading)["bob@example.org"]
    assert (anna.forwards, anna.keep_copy) == (("bob@example.org",), False)
    assert (bob.forwards, bob.keep_copy) == (("copy@outside.example",), True)
    assert said(reading, "virtual:1", "anna@example.org is a mailbox and an alias")
    assert not said(reading, "virtual:2")
    # Mailu issue 2716: an alias that leads to its own mailbox is none
    assert mailboxes(reading)["clear@example.org"].forwards == ()
    assert not said(reading, "virtual:3")


def test_a_catch_all_takes_no_mail_of_mailboxes_any_more() -> None:
    """docker-mailserver issue 3751: Postfix gives the catch-all what mailboxes should get."""
    reading = pair("@example.org anna@example.org\nbob@example.org bob@example.org\n")
    assert domains(reading) == {"example.org": {"catch_all": "anna@example.org"}}
    assert said(
        reading,
        "virtual:1",
        "gets the mail of clear@example.org; in Gatepost a mailbox gets its own mail",
    )
    assert not said(reading, "bob@example.org; in Gatepost")


def test_circles_are_cut() -> None:
    """The datastore refuses them, and Postfix defers such mail or bounces it."""
    reading = pair(
        "a@example.org b@example.org\nb@example.org c@example.net\n"
        "@example.net @example.org\nc@example.org a@example.org, x@outside.example\n"
        "anna@example.org anna@example.org, bob@example.org\n"
        "bob@example.org bob@example.org, anna@example.org\n"
        "@only.example nobody@only.example\n@two.example @three.example\n"
        "d@example.org d+x@example.org\n@three.example z@two.example\n"
    )
    assert aliases(reading) == {
        "a@example.org": ("b@example.org",),
        "b@example.org": ("c@example.net",),
        "c@example.org": ("x@outside.example",),
    }
    assert said(reading, "virtual:4", "c@example.org leads to a@example.org")
    anna, bob = mailboxes(reading)["anna@example.org"], mailboxes(reading)["bob@example.org"]
    assert (anna.forwards, anna.keep_copy) == (("bob@example.org",), True)
    assert (bob.forwards, bob.keep_copy) == ((), True)
    assert "catch_all" not in domains(reading)["only.example"]
    assert "catch_all" not in domains(reading)["three.example"]
    assert said(reading, "d@example.org leads to d+x@example.org")


def test_a_long_chain_of_aliases_takes_no_stack() -> None:
    lines = "".join(f"a{n}@example.org a{n + 1}@example.org\n" for n in range(20_000))
    reading = pair(lines + "a20000@example.org a0@example.org\n")
    assert len(reading.document.aliases) == 20_000
    assert said(reading, "a20000@example.org leads to a0@example.org")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("info@example.org root", "target 'root' has no domain"),
        ("root anna@example.org", "alias 'root' has no domain"),
        ("info@example.org |/usr/bin/vacation", "a command or a file"),
        ("info@example.org /var/mail/x", "a command or a file"),
        ("info@example.org :include:/etc/list", "a command or a file"),
        ("info@example.org", "has no value"),
        (r"/^(.*)@example\.com$/ ${1}@example.org", "a regular expression"),
        ("info@example.org info@example.org", "no usable target"),
        ("info@exam_ple.org anna@example.org", "not a mail domain"),
        ("@loop.example @loop2.example\n@loop2.example @loop.example", "is an alias of"),
        ("@alias.example @nowhere.example", "which does not exist"),
        ("@example.org @other.example\n@other.example x@outside.example", "has mailboxes"),
        ("info@example.org nobody@example.org", "leads to nobody@example.org"),
        ("@example.org nobody@example.org", "@example.org leads to nobody@example.org, from where"),
        ("info@example.org " + "a" * 65 + "@x.example", "more than 64 octets"),
        ("x" * 300 + "@example.org anna@example.org", "more than 64 octets"),
        ("<script>@example.org anna@example.org", "is not an address"),
        ("'; DROP TABLE alias; --@example.org anna@example.org", "has no domain"),
    ],
)
def test_what_cannot_be_taken_over_is_noted_with_its_line(line: str, says: str) -> None:
    assert said(pair("ok@example.org anna@example.org\n" + line), "virtual:2", says)


def test_other_tables() -> None:
    reading = whole(
        read(
            files(
                passwd=PASSWD,
                vmailbox="anna@example.org example.org/anna/\nnew@example.org example.org/new/\n"
                "example.info anything\n@example.org example.org/all/\n",
                sender_login="info@example.org anna@example.org, bob@example.org\n"
                "@example.net bob@example.org\nanna@example.org anna@example.org\n"
                "x@example.org nobody@example.org\n",
                virtual_domains="example.org\nexample.biz OK\n",
            )
        )
    )
    assert mailboxes(reading)["new@example.org"].password is None
    assert said(reading, "vmailbox:2", "no password in the files")
    assert not said(reading, "vmailbox:1")
    assert said(reading, "vmailbox:4", "a mailbox for a whole domain is not supported")
    assert set(domains(reading)) == {"example.org", "example.info", "example.biz"}
    assert mailboxes(reading)["anna@example.org"].rights == ("info@example.org",)
    assert mailboxes(reading)["bob@example.org"].rights == ("info@example.org", "@example.net")
    assert said(reading, "rights of nobody@example.org", "no such mailbox")


@pytest.mark.parametrize(
    ("name", "data", "role"),
    [
        ("etc/dovecot/users", b"", "passwd"),
        ("virtual_users", b"a@example.org example.org/a/\n", "mailboxes"),
        ("virtual-mailbox-maps", b"a@example.org 1\n", "mailboxes"),
        ("virtual", b"a@example.org:{PLAIN}x\n", "passwd"),
        ("dovecot-passwd", b"", "passwd"),
        ("vmailbox", b"", "mailboxes"),
        ("virtual_alias_maps", b"", "virtual"),
        ("valiases", b"", "virtual"),
        ("smtpd_sender_login_maps", b"", "senders"),
        ("x", b"a@example.org:{PLAIN}x\n", "passwd"),
        ("x", b"a@example.org example.org/a/\n", "mailboxes"),
        ("x", b"a@example.org b@example.org\n", "virtual"),
    ],
)
def test_the_role_of_a_file(name: str, data: bytes, role: str) -> None:
    assert guess_role(name, data) == role


def test_octets_that_are_no_text() -> None:
    reading = pair(
        b"\xef\xbb\xbffirst@example.org anna@example.org\r\n"
        b"# M\xfcller, a comment in another encoding\r\n"
        b"bad\xff@example.org anna@example.org\r\n"
        b"   bob@example.org\r\n"
        b"nul\0@example.org anna@example.org\n"
        b"last@example.org bob@example.org"
    )
    assert aliases(reading) == {
        "first@example.org": ("anna@example.org",),
        "last@example.org": ("bob@example.org",),
    }
    assert said(reading, "virtual:3", "not UTF-8")
    # a continuation never goes to the alias before the one that was left out
    assert said(reading, "virtual:4", "continues a line that was left out")
    assert said(reading, "virtual:5", "NUL")
    with pytest.raises(SourceError, match="UTF-16"):
        pair("a@example.org b@example.org".encode("utf-16"))
    with pytest.raises(SourceError, match="no table"):
        read(SourceFiles({}))


def test_idn_and_smtputf8() -> None:
    reading = pair("Müller@Bücher.example ännä@bücher.example\n", f"ännä@bücher.example:{HASH}\n")
    assert aliases(reading) == {"müller@xn--bcher-kva.example": ("ännä@xn--bcher-kva.example",)}


def test_a_million_lines_take_seconds() -> None:
    virtual = b"".join(b"a%d@example.org b@x.example\n" % number for number in range(100_000))
    comments = b"# comment\n" * 900_000
    started = time.process_time()
    reading = read(SourceFiles({"virtual": comments + virtual}))
    assert len(reading.document.aliases) == 100_000
    assert time.process_time() - started < 60
    with pytest.raises(SourceError, match="more than 3000000 lines"):
        read(SourceFiles({"virtual": b"\n" * 3_000_002}))


def test_the_notes_of_a_million_bad_lines_are_counted() -> None:
    reading = read(SourceFiles({"virtual": b"x\n" * 100_000}))
    assert len(reading.notes) == 20_001
    assert said(reading, "80000 more notes")


def test_a_line_that_never_ends() -> None:
    reading = pair(b"a@example.org b@x.example\n" + b" c@x.example,\n" * 10_000)
    assert not reading.document.aliases
    assert said(reading, "virtual:1", "longer than")
    many = b"".join(b"m%d@x.example," % number for number in range(300))
    assert said(pair(b"a@example.org " + many), "virtual:1", "at most 250 items")


@settings(max_examples=200, deadline=None)
@given(st.text(" \tab@.*+,\"'#\n\\é", max_size=80), st.text("ab@.:{}$ \n=é", max_size=80))
def test_any_text_gives_a_document(virtual: str, passwd: str) -> None:
    pair(virtual, passwd)
    pair(virtual, passwd, origin="example.org")
