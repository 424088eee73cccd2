"""`gatepost user`."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from sqlalchemy import select

from accounts.passwords import Password, read
from accounts.store import schema
from tests.unit.accounts.cli.shell import PASSWORD, Shell
from tests.unit.accounts.desk import Desk


def stored(shell: Shell, address: str = "anna@example.org") -> str | None:
    desk = Desk(shell.settings)
    try:
        statement = select(schema.mailbox.c.password).where(schema.mailbox.c.address == address)
        return desk.read(lambda connection: connection.scalar(statement))
    finally:
        desk.close()


def has(shell: Shell, password: str, address: str = "anna@example.org") -> bool:
    found = stored(shell, address)
    assert found is not None
    assert found.startswith("{ARGON2ID}")
    return any(read(found).matches(form, address) for form in Password(password).forms)


def test_a_user_is_added_shown_changed_and_removed(shell: Shell) -> None:
    shell.domain("example.org", "--default-quota", "1G")
    made = shell.json(
        *("user", "add", "Anna@Example.org", "--display-name", "Anna Ω"),
        *("--forwards", "x@example.net", "--forwards", "y@example.net", "--keep-copy", "no"),
        typed=PASSWORD,
    )
    assert (made["address"], made["quota"]) == ("anna@example.org", 1 << 30)
    assert made["forwards"] == ["x@example.net", "y@example.net"]
    assert made["has_password"] is True
    assert "password" not in made
    assert has(shell, PASSWORD)
    made = shell.json(
        *("user", "set", "anna@example.org", "--forwards", "none", "--quota", "none"),
        *("--may-login", "no", "--may-send", "no", "--may-receive", "no", "--enabled", "no"),
    )
    assert (made["forwards"], made["quota"]) == ([], None)
    assert not any(made[field] for field in ("may_login", "may_send", "may_receive", "enabled"))
    assert "disabled, no login," in shell.run("user", "list")
    assert shell.json("user", "remove", "anna@example.org", "-y") == {"removed": "anna@example.org"}
    assert "There is no mailbox" in shell.error("user", "show", "anna@example.org")


def test_the_password_comes_from_a_file_or_from_standard_input(shell: Shell) -> None:
    shell.domain()
    file = shell.folder / "password"
    file.write_text(f"{PASSWORD}\n")
    shell.run("user", "add", "anna@example.org", "--password-file", str(file))
    assert has(shell, PASSWORD)
    shell.run(
        "user", "password", "anna@example.org", "--password-file", "-", typed="öther secret 7\r\n"
    )
    assert has(shell, "öther secret 7")
    shell.run("user", "password", "anna@example.org", typed="third good secret")
    assert has(shell, "third good secret")
    shell.run("user", "password", "anna@example.org", "--no-password")
    assert stored(shell) is None


def test_the_password_is_asked_for_on_a_terminal(
    filled: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal:
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("accounts.cli.new_password.sys", SimpleNamespace(stdin=Terminal()))
    typed = f"{PASSWORD}\nsomething else\n{PASSWORD}\n{PASSWORD}\n"
    result = filled.call("user", "password", "anna@example.org", typed=typed)
    assert result.exit_code == 0, result.output
    assert PASSWORD not in result.output
    assert has(filled, PASSWORD)


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("", "empty"),
        ("short", "at least 10"),
        ("Password1!", "common"),
        ("my example.org 26", "address"),
        ("a\0bcdefghijklm", "NUL"),
        ("x" * 600, "longer than"),
        ("two lines\nof text here", "only line"),
        (b"\xff\xfe not text at all", "not UTF-8"),
    ],
)
def test_a_bad_password_is_refused(filled: Shell, password: str | bytes, reason: str) -> None:
    before = filled.everything()
    assert reason in filled.error("user", "password", "anna@example.org", typed=password)
    assert reason in filled.error("user", "add", "new@example.org", typed=password)
    assert filled.everything() == before


def test_no_password_stands_in_the_audit_log_or_the_output(shell: Shell) -> None:
    shell.domain()
    output = shell.run("user", "add", "anna@example.org", "--json", typed=PASSWORD)
    output += shell.run(
        "user", "password", "anna@example.org", "--json", typed="another " + PASSWORD
    )
    output += shell.run("user", "show", "anna@example.org") + str(shell.audit())
    assert PASSWORD not in output
    assert "ARGON2ID" not in output


def test_all_else_is_checked_before_the_password(shell: Shell) -> None:
    """Nobody types a password twice and is told then that there is no such domain."""
    assert "There is no domain" in shell.error("user", "add", "anna@example.org", typed="x")
    assert "There is no mailbox" in shell.error("user", "password", "anna@example.org", typed="x")
    assert [entry[3] for entry in shell.audit()] == [
        {"refused": "address: There is no domain example.org."},
        {"refused": "There is no mailbox anna@example.org."},
    ]


def test_a_password_file_that_cannot_be_read(filled: Shell) -> None:
    where = str(filled.folder / "nothing")
    text = filled.error("user", "password", "anna@example.org", "--password-file", where)
    assert text == f"cannot read {where}: No such file or directory"


def test_a_password_on_the_command_line_is_no_option(filled: Shell) -> None:
    assert "No such option" in filled.usage(
        "user", "password", "anna@example.org", "--password", "x"
    )
    assert "unexpected extra argument" in filled.usage("user", "password", "anna@example.org", "x")


def test_a_user_is_renamed(filled: Shell) -> None:
    filled.run("alias", "add", "sales@example.org", "anna@example.org")
    made = filled.json("user", "rename", "anna@example.org", "Ann@example.org", "--keep-alias")
    assert made["address"] == "ann@example.org"
    assert filled.json("alias", "show", "sales@example.org")["targets"] == ["ann@example.org"]
    assert filled.json("alias", "show", "anna@example.org")["targets"] == ["ann@example.org"]
    assert "already" in filled.error("user", "rename", "ann@example.org", "sales@example.org")


def test_rights_listed_senders_and_preferences(filled: Shell) -> None:
    made = filled.json(
        *("user", "set", "anna@example.org", "--send-as", "Boss@Example.org"),
        *("--send-as", "@example.net", "--allow-sender", "Good@example.net"),
        *("--block-sender", "@bad.example", "--greylist", "no", "--spam-junk-score", "4.5"),
    )
    assert made["send_as"] == ["boss@example.org", "@example.net"]
    assert made["allowed_senders"] == ["good@example.net"]
    assert made["blocked_senders"] == ["@bad.example"]
    assert made["preferences"] == {
        "greylist": False,
        "spam_check": True,
        "spam_junk_score": 4.5,
        "spam_reject_score": None,
        "virus_check": True,
        "languages": [],
        "subject_tag": None,
        "rule_scores": {},
    }
    # nobody here knows what it holds
    assert filled.json("user", "show", "anna@example.org") == {
        **made,
        "usage": None,
        "messages": None,
    }
    made = filled.json(
        *("user", "set", "anna@example.org", "--not-send-as", "@EXAMPLE.net"),
        *("--unlist-sender", "@bad.example", "--unlist-sender", "GOOD@example.net"),
        *("--spam-junk-score", "none"),
    )
    assert (made["send_as"], made["allowed_senders"]) == (["boss@example.org"], [])
    assert (made["blocked_senders"], made["preferences"]["spam_junk_score"]) == ([], None)


def test_preferences_for_the_spam_filter(filled: Shell) -> None:
    made = filled.json(
        *("user", "set", "anna@example.org", "--languages", "en", "--languages", "de"),
        *("--subject-tag", "[Spam?]", "--rule-scores", "BAYES_99=6.5", "--rule-scores", "A=-1"),
    )["preferences"]
    assert made["languages"] == ["de", "en"]
    assert (made["subject_tag"], made["rule_scores"]) == ("[Spam?]", {"A": -1.0, "BAYES_99": 6.5})
    shown = filled.run("user", "show", "anna@example.org")
    for line in ("languages        de, en", "subject tag      [Spam?]", "A=-1, BAYES_99=6.5"):
        assert line in shown
    made = filled.json(
        *("user", "set", "anna@example.org", "--languages", "none", "--rule-scores", "none"),
        *("--subject-tag", ""),
    )["preferences"]
    assert (made["languages"], made["subject_tag"], made["rule_scores"]) == ([], "", {})
    made = filled.json("user", "set", "anna@example.org", "--subject-tag", "none")
    assert made["preferences"]["subject_tag"] is None
    for wrong, told in {
        ("--languages", "xx"): "is not a language",
        ("--rule-scores", "A=100.5"): "is not between",
        ("--rule-scores", "a b=1"): "is not the name of a rule",
        ("--subject-tag", "x" * 41): "at most 40 characters",
    }.items():
        assert told in filled.error("user", "set", "anna@example.org", *wrong)
    for malformed in (("A",), ("A=x",), ("none", "--rule-scores", "A=1")):
        result = filled.call("user", "set", "anna@example.org", "--rule-scores", *malformed)
        assert result.exit_code == 2


def test_a_set_is_done_whole_or_not_at_all(filled: Shell) -> None:
    before = filled.everything()
    text = filled.error(
        *(
            "user",
            "set",
            "anna@example.org",
            "--display-name",
            "Anna",
            "--send-as",
            "x@example.net",
        ),
        *("--spam-junk-score", "9", "--spam-reject-score", "2"),
    )
    assert text == "spam_reject_score: It is below spam_junk_score, which is 9."
    assert filled.everything() == before


def test_lists_are_restricted(filled: Shell) -> None:
    filled.domain("example.net")
    filled.user("bob@example.net", "--display-name", "Anna's brother")
    filled.user("zoe@example.net")

    def listed(*options: str) -> list[str]:
        return [one["address"] for one in filled.json("user", "list", *options)]

    assert listed() == ["anna@example.org", "bob@example.net", "zoe@example.net"]
    assert listed("--domain", "EXAMPLE.net") == ["bob@example.net", "zoe@example.net"]
    assert listed("--search", "anna") == ["anna@example.org", "bob@example.net"]
    assert "There is no domain" in filled.error("user", "list", "--domain", "nowhere.example")
