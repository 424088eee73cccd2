"""Scripts as other programs write them, through ManageSieve: what is right is kept octet for octet.

`SCRIPTS` names a folder with many more of them and with an index of what Pigeonhole says to each;
without it, only those here are tried.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack.mailboxes import BOB, PASSWORDS, SIEVE, Mailboxes
from tests.testbed.managesieve import ManageSieve, ManageSieveError

SCRIPTS = "GATEPOST_SIEVE_SCRIPTS"
NOT_OFFERED = re.compile(r"unknown Sieve capability '(editheader|mboxmetadata|servermetadata)'")
"""Users cannot change headers, which say what the gate found; and there is no IMAP METADATA."""
RIGHT = {
    "empty": b"",
    "a comment alone": b"# nothing here\r\n",
    "rules of Roundcube": (
        b'require ["fileinto","imap4flags","reject"];\n# rule:[Lists]\n'
        b'if anyof (header :contains "list-id" "users", size :over 5M)\n'
        b'{\n\tfileinto "Lists";\n\taddflag "\\\\Seen";\n\tstop;\n}\n'
        b'# rule:[Off]\nif false # header :is "subject" "x"\n{\n\treject "no";\n}\n'
    ),
    "nested": (
        b'require "fileinto";\r\nif header :is "X" "1" {\r\n  if size :under 1K {\r\n'
        b'    if not exists "Y" { fileinto "A"; } else { keep; }\r\n  }\r\n}\r\n'
    ),
    "several requires": b'require "fileinto";\nrequire ["copy"];\nrequire "copy";\nkeep;\n',
    "a copy for another program": (
        b"/* BEGIN DATA\r\neyJuYW1lIjoiTGlzdHMifQ==\r\nEND DATA */\r\n"
        b'require "fileinto";\r\nkeep;\r\n'
    ),
    "vacation": (
        'require ["vacation","date","relational"];\r\nif allof (currentdate :value "ge" "date" '
        '"2026-11-01", currentdate :value "le" "date" "2026-12-01") {\r\n  vacation :days 3 '
        ':addresses ["bob@example.org"] :subject "Fort – bis Montag" text:\r\nGrüße\r\n..\r\n.\r\n'
        ";\r\n}\r\n"
    ).encode(),
    "variables": (
        b'require ["variables","fileinto","mailbox","envelope","subaddress"];\n'
        b'if envelope :detail :matches "to" "*" { set :lower "box" "${1}"; }\n'
        b'if mailboxexists "INBOX.${box}" { fileinto :create "Lists/${box}"; }\n'
    ),
    "by use": b'require ["special-use","fileinto"];\nfileinto :specialuse "\\\\Junk" "Junk";\n',
    "of tomorrow": b'require ["include"];\ninclude :personal :optional "not there yet";\n',
}
WRONG = {
    "no semicolon": b"keep\r\n",
    "no end": b'if header :is "X" "1" { keep;\r\n',
    "unknown": b'require "vnd.nobody.knows";\r\nkeep;\r\n',
    "without require": b'fileinto "A";\r\n',
    "an open comment": b"/* keep;\r\n",
    "an open text": b'redirect "carol@remote.example;\r\n',
    "not UTF-8": b'require "fileinto";\r\nfileinto "\xff\xfe";\r\n',
    "deep": b"if not " * 5000 + b"true { keep; }\r\n",
    "programs": b'require "vnd.dovecot.execute";\r\nexecute "id";\r\n',
    "pipes": b'require "vnd.dovecot.pipe";\r\npipe "learn";\r\n',
}


@pytest.fixture(scope="module")
def client(mailboxes: Mailboxes) -> Iterator[ManageSieve]:
    client = ManageSieve(mailboxes.address, SIEVE)
    client.login(BOB, PASSWORDS[BOB])
    yield client
    client.close()


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_script_is_kept_as_it_is(client: ManageSieve, name: str) -> None:
    client.check(RIGHT[name])
    client.store(name, RIGHT[name])
    assert client.fetch(name) == RIGHT[name]
    client.command(f'DELETESCRIPT "{name}"')


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_script_is_refused_and_the_old_one_stays(client: ManageSieve, name: str) -> None:
    client.store("kept", b"keep;\r\n")
    for refused in (client.check, lambda script: client.store("kept", script)):
        with pytest.raises(ManageSieveError, match=r"^NO "):
            refused(WRONG[name])
    assert client.fetch("kept") == b"keep;\r\n"
    client.command('DELETESCRIPT "kept"')


def given() -> list[tuple[Path, str]]:
    """Return the scripts of the folder with what its index says to each; none if it is not set."""
    folder = os.environ.get(SCRIPTS)
    if not folder:
        return []
    found = []
    for line in (Path(folder) / "INDEX.md").read_text().splitlines():
        said = re.match(
            r"\| (?P<file>\S+\.sieve) \|.*\[sievec [^:]*: (?P<word>compiles|refuses)", line
        )
        if said:
            found.append((Path(folder) / said["file"], said["word"]))
    assert len(found) > 100, f"{SCRIPTS} names a folder without an index"
    return found


def explained(word: str, got: str, why: str, script: bytes) -> bool:
    """Return whether the index and the server say the same, or differ for a good reason."""
    if got == "refuses":
        return word == got or NOT_OFFERED.search(why) is not None
    # an include may be stored before the script that it names
    return word == got or b"include" in script


def test_scripts_of_other_programs(client: ManageSieve) -> None:
    differ = []
    for path, word in given():
        script = path.read_bytes()
        try:
            client.check(script)
            client.store("given", script)
            got, why = "compiles", ""
            assert client.fetch("given") == script, path
        except ManageSieveError as error:
            got, why = "refuses", str(error)
            assert why.startswith("NO "), (path, why)
        if not explained(word, got, why, script):
            differ.append((path.name, word, got, why[:300]))
    assert differ == [], "\n".join(map(repr, differ))
