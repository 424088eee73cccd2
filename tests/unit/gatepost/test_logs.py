import json
from collections.abc import Iterator

import pytest
import structlog

from gatepost.config import LogSettings
from gatepost.logs import MAX_VALUE, configure, get_logger


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def test_a_json_line_is_one_line_and_bounded(capfd: pytest.CaptureFixture[str]) -> None:
    configure(LogSettings(format="json"))
    get_logger("milters").info("message", queue_id="4ABC", sender="a\nb\x00ü" + "x" * 5000)
    (line,) = capfd.readouterr().err.splitlines()
    event = json.loads(line)
    assert (event["daemon"], event["event"], event["level"]) == ("milters", "message", "info")
    assert event["sender"].startswith("a\nb")
    assert len(event["sender"]) == MAX_VALUE + 1
    assert event["time"].endswith("Z")


def test_lower_levels_are_not_logged(capfd: pytest.CaptureFixture[str]) -> None:
    configure(LogSettings(format="json", level="warning"))
    get_logger("milters").info("message")
    get_logger("milters").warning("trouble")
    assert "message" not in (err := capfd.readouterr().err)
    assert "trouble" in err


def test_a_console_line_cannot_be_broken_by_a_value(capfd: pytest.CaptureFixture[str]) -> None:
    configure(LogSettings(format="console"))
    get_logger("milters").info("message", sender="a\n2026 forged line\x1b[2J")
    (line,) = capfd.readouterr().err.splitlines()
    assert "\x1b" not in line
