"""A scan for viruses: what is kept of a message, and what becomes of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import structlog

from gatepost.clamd.instream import VirusResult
from gatepost.dns import Zone
from gatepost.listen import Inet
from gatepost.peer.errors import PeerError
from milters import virus_scanner
from milters.actions import DeleteHeader, InsertHeader, Refuse
from milters.content import IN_MEMORY, MessageContent
from milters.memory import Memory
from milters.outcome import MessageOutcome
from milters.settings import MiltersSettings
from milters.virus import VirusFinding, apply_finding
from milters.virus_scanner import MAX_NAMES, MilterVirusScanner
from milters.virus_settings import VirusScanSettings
from msgauth.message import HeaderField
from tests.unit.milters.mail import Mail, play, session_of

ADDRESS = Inet("127.0.0.1", 3310)
ON = {"virus": {"address": "inet:3310@127.0.0.1"}}
OUTCOME = MessageOutcome(
    (DeleteHeader("X-Virus-Status", 1), InsertHeader("DKIM-Signature", " v=1")),
    "internal",
    "accept",
    signatures=("rsa-sha256",),
    seal="sealed",
    forged=1,
    facts={"sender": "a@example.org"},
)
FIELDS = (HeaderField(b"From", b" a@example.org"),)


def settings(**more: object) -> VirusScanSettings:
    return VirusScanSettings.model_validate({"address": "inet:3310@127.0.0.1", **more})


# The consequence


def test_a_clean_message_gets_its_field_below_ours() -> None:
    outcome = apply_finding(OUTCOME, VirusFinding(), "defer")
    assert outcome.actions == (
        DeleteHeader("X-Virus-Status", 1),
        InsertHeader("X-Virus-Status", " Clean"),
        InsertHeader("DKIM-Signature", " v=1"),
    )
    assert outcome.action == "accept"
    assert outcome.facts == {"sender": "a@example.org", "virus_scan": "clean"}
    assert outcome.signatures == ("rsa-sha256",)


@pytest.mark.parametrize("on_error", ["defer", "accept"])
def test_a_virus_is_refused_and_nothing_is_signed(on_error: Any) -> None:
    outcome = apply_finding(OUTCOME, VirusFinding("Eicar"), on_error)
    (refuse,) = outcome.actions
    assert isinstance(refuse, Refuse)
    assert str(refuse.reply) == "550 5.7.1 the message has a virus: Eicar [virus]"
    assert (outcome.action, outcome.reason) == ("reject", "virus")
    assert (outcome.signatures, outcome.seal, outcome.forged) == ((), "", 0)
    assert outcome.facts["virus"] == "Eicar"


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("virus-scanner-away", "451 4.3.0"),
        ("virus-scan-incomplete", "451 4.7.1"),
        ("no-space", "452 4.3.1"),
    ],
)
def test_what_was_not_scanned_is_never_called_clean(reason: str, code: str) -> None:
    finding = VirusFinding(reason=reason, problem="it is away")
    outcome = apply_finding(OUTCOME, finding, "defer")
    (refuse,) = outcome.actions
    assert isinstance(refuse, Refuse)
    assert str(refuse.reply).startswith(code)
    assert (outcome.action, outcome.reason) == ("defer", reason)
    accepted = apply_finding(OUTCOME, finding, "accept")
    assert InsertHeader("X-Virus-Status", f" Unchecked ({reason})") in accepted.actions
    assert accepted.action == "accept"
    for one in (outcome, accepted):
        assert one.facts["virus_scan"] == reason
        assert one.facts["virus_problem"] == "it is away"


# The fields of others


def test_fields_of_others_are_removed_and_are_no_forgeries() -> None:
    theirs = (
        ("X-Virus-Status", " Clean"),
        ("x-virus-status", " Clean"),
        ("X-Virus-Status ", " Clean"),
        ("X-Virus-Scanned", " by us"),
    )
    mail = Mail.of("a@other.example", *theirs)
    outcome = play(session_of(settings=ON), mail, Zone.parse(""))
    gone = [one for one in outcome.actions if isinstance(one, DeleteHeader)]
    assert [(one.name.strip().lower(), one.occurrence) for one in gone] == [
        ("x-virus-status", 3),
        ("x-virus-status", 2),
        ("x-virus-status", 1),
    ]
    assert outcome.forged == 0
    # without a scan of ours they are nobody's business
    outcome = play(session_of(), mail, Zone.parse(""))
    assert not any(isinstance(one, DeleteHeader) for one in outcome.actions)


# The content


def content_of(more: dict[str, object], memory: Memory | None = None) -> MessageContent:
    return MessageContent(settings(**more), FIELDS, memory or Memory())


def test_the_content_is_the_message() -> None:
    session = session_of(settings=ON)
    session.mail_from(b"<a@example.org>", "", "")
    session.header(b"Subject", b" two\n lines")
    session.header(b"From", b" a@example.org")
    session.end_of_headers()
    session.body(b"Hello\r\n")
    session.body(b"World\r\n")
    content = session.end_content()
    assert content is not None
    assert b"".join(content.parts()) == (
        b"Subject: two\r\n lines\r\nFrom: a@example.org\r\n\r\nHello\r\nWorld\r\n"
    )
    session.abort()


def test_a_message_whose_header_has_no_end_is_scanned_too() -> None:
    session = session_of(settings=ON)
    session.mail_from(b"<a@example.org>", "", "")
    session.header(b"From", b" a@example.org")
    content = session.end_content()
    assert content is not None
    assert b"".join(content.parts()) == b"From: a@example.org\r\n\r\n"


def test_nothing_is_kept_of_mail_that_is_refused_or_not_scanned() -> None:
    for options, header in (({}, b" a"), (ON | {"max_header": 65536}, b" " * 70_000)):
        session = session_of(settings=options)
        session.mail_from(b"<a@example.org>", "", "")
        session.header(b"Subject", header)
        session.end_of_headers()
        assert session.end_content() is None


def test_a_large_message_goes_to_a_file_and_leaves_no_memory_behind(tmp_path: Path) -> None:
    memory = Memory()
    content = content_of({"spool_folder": str(tmp_path)}, memory)
    assert 0 < memory.held < 100
    content.write(b"x" * 1000)
    assert memory.held > 1000
    content.write(b"x" * IN_MEMORY)
    assert memory.held == 0
    assert b"".join(content.parts()).endswith(b"\r\n\r\n" + b"x" * (1000 + IN_MEMORY))
    assert list(tmp_path.iterdir()) == []  # the file has no name
    del content
    small = content_of({}, memory)
    del small
    assert memory.held == 0


def test_without_room_in_memory_even_a_small_message_goes_to_a_file() -> None:
    memory = Memory(lambda: 100)
    other = content_of({}, memory)
    other.write(b"x" * 2000)  # the only one may
    assert memory.held > 2000
    content = content_of({}, memory)
    content.write(b"y" * 50)
    assert b"".join(content.parts()).endswith(b"y" * 50)
    before = memory.held
    content.close()
    assert memory.held == before


def test_a_message_beyond_the_limit_is_partial() -> None:
    content = content_of({"scan_size": 65536})
    head = content.size
    content.write(b"x" * (65536 - head))
    assert not content.is_partial
    content.write(b"y")
    assert content.is_partial
    content.write(b"z" * 10**6)
    assert content.size == 65536


def test_a_full_disk_is_a_problem_of_the_message(tmp_path: Path) -> None:
    content = content_of({"spool_folder": str(tmp_path / "gone")})
    content.write(b"x" * IN_MEMORY)
    assert content.problem == "No such file or directory"
    content.write(b"x")
    assert content.size == 0


# The scanner


class Clamd:
    """Answers in the place of clamd."""

    def __init__(self) -> None:
        self.answer: VirusResult | Exception | None = VirusResult()
        self.asked = 0
        self.at_once = 0
        self.most = 0

    async def ask(self, address: object, parts: object, reader: object, timeout: float) -> Any:
        self.asked += 1
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        try:
            await asyncio.sleep(3600 if self.answer is None else 0.001)
        finally:
            self.at_once -= 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def clamd(monkeypatch: pytest.MonkeyPatch) -> Clamd:
    clamd = Clamd()
    monkeypatch.setattr(virus_scanner, "ask", clamd.ask)
    return clamd


def scanner(**more: object) -> MilterVirusScanner:
    log = structlog.get_logger("milters")
    return MilterVirusScanner(settings(**more), ADDRESS, log)


def test_findings(clamd: Clamd) -> None:
    one = scanner(scan_size=65536)

    def found(answer: VirusResult | Exception, size: int = 10) -> VirusFinding:
        clamd.answer = answer
        content = content_of({"scan_size": 65536})
        content.write(b"x" * size)
        return asyncio.run(one.scan(content))

    assert found(VirusResult()) == VirusFinding()
    assert found(VirusResult("Eicar")) == VirusFinding("Eicar")
    assert found(PeerError("it is away")) == VirusFinding("", "virus-scanner-away", "it is away")
    limit = VirusResult("Heuristics.Limits.Exceeded.MaxFileSize")
    assert found(limit).reason == "virus-scan-incomplete"
    # the part that was scanned may have a virus; if not, the rest may
    assert found(VirusResult("Eicar"), 10**6) == VirusFinding("Eicar")
    assert found(VirusResult(), 10**6).reason == "virus-scan-incomplete"


def test_content_that_is_not_there_is_not_scanned(clamd: Clamd, tmp_path: Path) -> None:
    content = content_of({"spool_folder": str(tmp_path / "gone")})
    content.write(b"x" * IN_MEMORY)
    finding = asyncio.run(scanner().scan(content))
    assert finding.reason == "no-space"
    assert clamd.asked == 0


def test_scans_take_turns_and_the_wait_counts(clamd: Clamd) -> None:
    one = scanner(max_scans=2, timeout=0.2)

    async def many() -> list[VirusFinding]:
        return await asyncio.gather(*(one.scan(content_of({})) for _ in range(10)))

    assert asyncio.run(many()) == [VirusFinding()] * 10
    assert clamd.most == 2
    clamd.answer = None
    one = scanner(max_scans=2, timeout=0.2)
    findings = asyncio.run(many())
    assert {finding.reason for finding in findings} == {"virus-scanner-away"}


def test_a_silent_scanner_does_not_keep_all_mail_waiting(
    clamd: Clamd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(virus_scanner, "IMPATIENT", 0.05)
    one = scanner(timeout=0.2)

    def problem() -> str:
        return asyncio.run(one.scan(content_of({}))).problem

    clamd.answer = None
    assert problem() == "no answer within 0.2 s"
    assert problem() == "no answer within 0.05 s"
    # a message that is scanned in this time restores the patience, as does an error
    for answer, told in ((VirusResult(), ""), (PeerError("it closed"), "it closed")):
        clamd.answer = answer
        assert problem() == told
        clamd.answer = None
        assert problem() == "no answer within 0.2 s"


def test_names_of_viruses_are_bounded_in_the_metrics(clamd: Clamd) -> None:
    one = scanner()

    async def play() -> None:
        for number in range(MAX_NAMES + 5):
            clamd.answer = VirusResult(f"Test.{number}")
            await one.scan(content_of({}))

    asyncio.run(play())
    assert len(one._names) == MAX_NAMES


# The settings


def test_the_time_limits_together_fit_into_postfix() -> None:
    assert MiltersSettings().budget == 20.0
    assert MiltersSettings.model_validate(ON).budget == 80.0
    assert MiltersSettings().all_connections == 1000
    assert MiltersSettings.model_validate(ON).all_connections == 2004


def test_an_address_needs_a_host() -> None:
    with pytest.raises(ValueError, match="no host to connect to"):
        settings(address="inet:3310")
