"""Pigeonhole compiles every script that rules become, and does with a message what they say."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from accounts.sieve import MailRule, compile_rules, compile_stored, parse_rule
from tests.unit.accounts.sieve.generated import Row, rule_lists

MESSAGE = b"""From: Anna <anna+lists@example.org>\r
To: me+work@example.net\r
Subject: 50* "off" \\ today\r
List-Id: <users.postfix.org>\r
X-Spam-Flag: YES\r
\r
The body has a text.\r
"""
OUT = '/nowhere"; discard; #'


def sievec(folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    (folder / "one.sieve").write_bytes(script.encode("utf-8"))
    (folder / "dovecot.conf").write_text("")
    command = ["sievec", "-c", f"{folder}/dovecot.conf", f"{folder}/one.sieve", f"{folder}/bin"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@settings(
    max_examples=150,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(rule_lists)
def test_pigeonhole_compiles_any_rules(tmp_path: Path, rules: list[MailRule]) -> None:
    script = compile_rules(rules)
    done = sievec(tmp_path, script)
    assert done.returncode == 0, f"{done.stderr}\n{script}"
    assert "warning" not in done.stderr


def test_pigeonhole_compiles_as_much_as_is_allowed(tmp_path: Path) -> None:
    def full(at: int) -> dict[str, Any]:
        values = [f"value {at} {n}" for n in range(5)]
        return {
            "match": "any",
            "conditions": [
                {"kind": "header", "names": ["Subject"], "match": "ends", "values": values}
            ] * 4,
            "actions": [{"kind": "fileinto", "mailbox": f"{at}"}] * 10,
        }  # fmt: skip

    stored = compile_stored([Row(f"rule {at}", True, full(at)) for at in range(100)])
    assert len(stored.text) > 55_000
    assert stored.problems
    assert sievec(tmp_path, stored.text).returncode == 0


def test_sievec_refuses_what_is_no_script(tmp_path: Path) -> None:
    """So that the other tests can fail."""
    assert sievec(tmp_path, 'fileinto "x";').returncode != 0


def test_pigeonhole_compiles_the_script_of_no_rules(tmp_path: Path) -> None:
    done = sievec(tmp_path, compile_stored([]).text)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that a process without rights can enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def deliver(folder: Path) -> Any:
    """Return what Pigeonhole does with MESSAGE by these actions, if the conditions are true."""
    (folder / "message").write_bytes(MESSAGE)
    (folder / "home").mkdir()
    (folder / "home").chmod(0o777)
    (folder / "dovecot.conf").write_text("mail_location = maildir:~/mail\n")

    def run(
        actions: list[dict[str, Any]],
        conditions: list[dict[str, Any]] | None = None,
        match: str = "all",
    ) -> str:
        rule = parse_rule(
            {
                "name": OUT,
                "match": match if conditions else "always",
                "conditions": conditions or [],
                "actions": actions,
            }
        )
        (folder / "one.sieve").write_bytes(compile_rules([rule]).encode("utf-8"))
        command = ["sieve-test", "-c", f"{folder}/dovecot.conf", "-f", "anna@example.org"]
        command += ["-r", "me@example.net", f"{folder}/one.sieve", f"{folder}/message"]
        if os.getuid() == 0:
            command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *command]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, "HOME": f"{folder}/home", "USER": "nobody"},
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def test_actions_are_performed(deliver: Any) -> None:
    told = deliver(
        [
            {"kind": "fileinto", "mailbox": 'Post "x"'},
            {"kind": "mark_read"},
            {"kind": "redirect", "address": "other@example.com"},
            {
                "kind": "vacation",
                "text": "Away.\n.\n;discard;",
                "subject": "Gone",
                "days": 3,
                "addresses": ["me+work@example.net"],
                "until": "2099-01-01",
            },
        ]
    )
    assert 'store message in folder: Post "x"' in told
    assert "add IMAP flags: \\seen" in told
    assert "redirect message to: <other@example.com>" in told
    assert "seconds : 259200" in told
    assert "START MESSAGE\nAway.\n.\n;discard;\n\nEND MESSAGE" in told
    assert "discard" not in told.replace(";discard;", "")


@pytest.mark.parametrize(
    "action", [{"kind": "keep"}, {"kind": "stop"}, {"kind": "redirect", "address": "o@example.com"}]
)
def test_a_message_that_stays_goes_to_the_inbox(deliver: Any, action: dict[str, Any]) -> None:
    assert "store message in folder: INBOX" in deliver([action])


def test_a_message_that_is_rejected_is_not_stored(deliver: Any) -> None:
    told = deliver([{"kind": "reject", "text": "no"}])
    assert "reject" in told
    assert "store message" not in told


@pytest.mark.parametrize(
    ("condition", "is_true"),
    [
        ({"kind": "header", "names": ["Subject"], "match": "contains", "values": ['"off"']}, True),
        ({"kind": "header", "names": ["Subject"], "match": "starts", "values": ["50*"]}, True),
        ({"kind": "header", "names": ["Subject"], "match": "starts", "values": ["5?*"]}, False),
        ({"kind": "header", "names": ["Subject"], "match": "ends", "values": ["\\ today"]}, True),
        ({"kind": "header", "names": ["Subject"], "match": "ends", "values": ["*day"]}, False),
        ({"kind": "header", "names": ["Subject"], "match": "matches", "values": ["5?*day"]}, True),
        ({"kind": "header", "names": ["Subject"], "match": "is", "values": ["50*"]}, False),
        ({"kind": "exists", "names": ["List-Id", "Subject"]}, True),
        ({"kind": "exists", "names": ["List-Id", "X-Nothing"]}, False),
        (
            {"kind": "address", "names": ["from"], "part": "detail", "match": "is",
             "values": ["lists"]},
            True,
        ),
        (
            {"kind": "address", "names": ["from", "to"], "part": "domain", "match": "is",
             "values": ["example.net"]},
            True,
        ),
        ({"kind": "envelope", "name": "from", "match": "is", "values": ["anna@example.org"]}, True),
        ({"kind": "envelope", "name": "to", "match": "is", "values": ["other@example.org"]}, False),
        ({"kind": "size", "compare": "under", "octets": 10_000}, True),
        ({"kind": "size", "compare": "over", "octets": 10_000}, False),
        ({"kind": "body", "values": ["has a TEXT"]}, True),
        ({"kind": "body", "values": ["Subject"]}, False),
        ({"kind": "spam"}, True),
        ({"kind": "date", "since": "2020-01-01", "until": "2099-12-31", "zone": "+0100"}, True),
        ({"kind": "date", "until": "2020-01-01"}, False),
        ({"kind": "date", "weekdays": [0, 1, 2, 3, 4, 5, 6]}, True),
    ],
)  # fmt: skip
def test_a_condition_is_true_as_it_says(
    deliver: Any, condition: dict[str, Any], is_true: bool
) -> None:
    for negate in (False, True):
        told = deliver([{"kind": "fileinto", "mailbox": "Hit"}], [{**condition, "negate": negate}])
        assert ("folder: Hit" in told) is (is_true is not negate)


def test_all_and_any_are_what_they_say(deliver: Any) -> None:
    hit = [{"kind": "fileinto", "mailbox": "Hit"}]
    two = [{"kind": "spam"}, {"kind": "spam", "negate": True}]
    assert "folder: Hit" in deliver(hit, two, "any")
    assert "folder: Hit" not in deliver(hit, two, "all")
