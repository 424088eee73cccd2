"""Nothing that arrives by mail or from DNS is obeyed by a terminal, or breaks out of its line."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner

from gatepost.cli.__main__ import gatepost
from gatepost.config import LogSettings
from gatepost.logs import configure, get_logger
from gatepost.printable import escape, escape_lines
from policyd import records
from policyd.stores import StoreEntry
from policyd.stores.sqlite_file import EntryFile

DANGEROUS = (
    [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))]
    + [chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))]
    + list("\u200e\u200f\u061c\u2028\u2029\ufeff\u00ad\ud800\udfff\udc80")
)


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def test_what_is_escaped_is_all_that_no_letter_is() -> None:
    for code in range(sys.maxunicode + 1):
        char = chr(code)
        if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
            assert escape(char).isascii(), hex(code)
            assert escape(char).isprintable(), hex(code)
    assert escape("plain, grüße, 漢字") == "plain, grüße, 漢字"
    assert escape_lines("a\nb\x1b\r\n") == "a\nb\\x1b\\r\n"


@pytest.mark.parametrize("char", DANGEROUS, ids=ascii)
@pytest.mark.parametrize("text", ["a{}b", "a {} b", "{}", 'a"{}', "a='{}'"])
def test_a_console_line_shows_what_it_does_not_obey(
    text: str, char: str, capfd: pytest.CaptureFixture[str]
) -> None:
    configure(LogSettings(format="console"))
    value = text.format(char)
    log = get_logger("milters")
    log.info(f"event{char}", **{f"key{char}": value}, some=[value], more={value: value})
    (line,) = capfd.readouterr().err.removesuffix("\n").split("\n")
    assert line.isprintable()
    assert f"key{escape(char)}=" in line


def test_a_traceback_on_the_console_keeps_its_lines(capfd: pytest.CaptureFixture[str]) -> None:
    configure(LogSettings(format="console"))
    try:
        raise ValueError("a\x1b[2J\u202eb")  # noqa: TRY301
    except ValueError:
        get_logger("milters").exception("broken")
    lines = capfd.readouterr().err.removesuffix("\n").split("\n")
    assert lines[-1] == "ValueError: a\\x1b[2J\\u202eb"
    assert len(lines) > 3
    assert all(map(str.isprintable, lines))


def test_values_of_the_console_are_told_apart(capfd: pytest.CaptureFixture[str]) -> None:
    configure(LogSettings(format="console"))
    log = get_logger("milters")
    log.info("x", plain="grüße@example.org", blank="a b", forged="a\\' key='b", empty="", number=7)
    line = capfd.readouterr().err
    for part in ("plain=grüße@example.org", "blank='a b'", "empty=''", "number=7"):
        assert part in line
    assert "forged=" + repr("a\\' key='b") in line


@pytest.mark.parametrize(
    "value",
    [
        *DANGEROUS,
        float("nan"),
        float("inf"),
        b"\xff",
        Path("/a\udc80"),
        [{"a": ["\udc80"]}],
        {1: 2},
    ],
    ids=ascii,
)
def test_a_json_line_is_json_for_every_parser(
    value: object, capfd: pytest.CaptureFixture[str]
) -> None:
    configure(LogSettings(format="json"))
    name = f"key{value}" if isinstance(value, str) else "key"
    get_logger("milters").info("event", **{name: value})

    def refuse(text: str) -> None:
        pytest.fail(f"{text} is no JSON")

    (line,) = capfd.readouterr().err.removesuffix("\n").split("\n")
    event = json.loads(line, parse_constant=refuse)
    json.dumps(event, ensure_ascii=False).encode("utf-8")  # no half of a surrogate pair
    assert line.isascii()


@pytest.mark.parametrize("char", [char for char in DANGEROUS if char not in "\n\0"], ids=ascii)
def test_greylist_commands_show_mail_as_it_is_harmless(tmp_path: Path, char: str) -> None:
    store = EntryFile(tmp_path / "store")
    sender = f"a{char}b@example.org".encode("utf-8", "backslashreplace").decode()
    store.begin()
    store.read(())
    key = records.triplet_key(records.plain, "net:192.0.2.0/24", sender, "c@example.net")
    store.write({key: StoreEntry("1 2 0", 1 << 40)})
    store.commit()
    store.close()
    config = tmp_path / "gatepost.toml"
    config.write_text(f'[policyd.store]\nkind = "sqlite"\npath = "{tmp_path}/store"\n')
    for words in (["list"], ["find", "192.0.2"], ["find", f"x{char}y"]):
        found = CliRunner().invoke(gatepost, ["greylist", *words, "--config", str(config)])
        assert words[1:] == [f"x{char}y"] or escape(sender) in found.output
        assert all(map(str.isprintable, found.output.split("\n"))), words
