import io

import pytest

from tools.steps import Steps


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_log_has_one_line_for_a_step_and_no_control_characters() -> None:
    stream = io.StringIO()
    with Steps(stream).step("Debian packages") as step:
        step.progress(0.5, "swaks")
        step.outcome = "installed swaks"
    assert stream.getvalue().startswith("  ok Debian packages          installed swaks")
    assert stream.getvalue().count("\n") == 1
    assert stream.getvalue().rstrip("\n").isprintable()


def test_a_line_fits_80_columns() -> None:
    stream = io.StringIO()
    with Steps(stream).step("DNS server and mail sink") as step:
        step.outcome = "inet:127.0.0.1:38581, process 4194304"
    assert len(stream.getvalue().rstrip("\n")) <= 80


def test_a_terminal_has_a_bar_that_is_drawn_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    with Steps(stream).step("Debian packages") as step:
        step.progress(0.5, "swaks")
    assert "████████████░░░░░░░░░░░░  50% swaks" in stream.getvalue()
    assert stream.getvalue().count("\n") == 1
    assert "\033[32m" not in stream.getvalue()


def test_a_step_that_fails_says_so_and_passes_the_error_on() -> None:
    stream = io.StringIO()
    with pytest.raises(ValueError, match="no"), Steps(stream).step("Debian packages"):
        raise ValueError("no")
    assert stream.getvalue().startswith("  !! Debian packages          failed")


def test_each_line_of_a_text_stays_a_line_and_fits_80_columns() -> None:
    stream = io.StringIO()
    Steps(stream).say("mail: 3 mailboxes\naccounts: 3 mailboxes\n" + "word " * 30 + "/a/folder")
    lines = stream.getvalue().splitlines()
    assert lines[:2] == ["  mail: 3 mailboxes", "  accounts: 3 mailboxes"]
    assert lines[-1].split()[-1] == "/a/folder"
    assert all(len(line) <= 80 for line in lines)
