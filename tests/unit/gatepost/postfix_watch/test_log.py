"""The log of Postfix: lines of real ones, and those that senders would like to forge."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from gatepost.journal.record import JournalRecord
from gatepost.postfix_watch.delivery_line import DeliveryLine, parse_text
from gatepost.postfix_watch.log_file import LogFile
from gatepost.postfix_watch.log_line import LogLine, parse_line, program_of
from gatepost.postfix_watch.log_place import PlaceFile, is_alive
from gatepost.postfix_watch.recorder import (
    AGAIN,
    MAX_DELAYS,
    MAX_MAILS,
    MAX_WAITING,
    DeliveryRecorder,
)

ID = "4XyzAb12CdZ1"
SENT = (
    f"{ID}: to=<ann@far.test>, relay=mx.far.test[192.0.2.5]:25, conn_use=2, delay=1.2, "
    "delays=0.1/0/0.5/0.6, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 9F00)"
)
DEFERRED = (
    f"{ID}: to=<ann@far.test>, relay=none, delay=900, delays=899/0.01/1/0, dsn=4.4.1, "
    "status=deferred (connect to mx.far.test[192.0.2.5]:25: Connection timed out)"
)


def test_lines_of_files() -> None:
    now = time.mktime((2026, 1, 2, 0, 0, 0, 0, 0, -1))
    text = b"mx postfix/relay/smtp[12]: hello"
    at = time.mktime((2026, 1, 1, 12, 30, 1, 0, 0, -1))
    assert parse_line(b"Jan  1 12:30:01 " + text, now) == LogLine(at, "smtp", "hello")
    # written before the new year
    assert parse_line(b"Dec 31 23:59:59 " + text, now) == LogLine(
        time.mktime((2025, 12, 31, 23, 59, 59, 0, 0, -1)), "smtp", "hello"
    )
    found = parse_line(b"2026-01-01T12:30:01.123456789+02:00 " + text, now)
    assert found is not None
    assert found.at == pytest.approx(1767263401.123456)
    for bad in (
        b"Feb 30 12:30:01 ",
        b"Foo  1 12:30:01 ",
        b"Jan  1 99:99:99 ",
        b"2026-99-01T00:00:00Z ",
        b"",
    ):
        assert parse_line(bad + text, now) is None, bad
    for tag in ("sshd", "postfix", "notpostfix/smtp", "postfix/sm tp"):
        assert program_of(tag) is None
    assert program_of("postfix-out/submission/smtpd") == "smtpd"


def test_a_delivery() -> None:
    assert parse_text("smtp", SENT) == DeliveryLine(
        *(ID, "ann@far.test", "", "mx.far.test[192.0.2.5]:25", 1.2, "2.0.0", "sent"),
        "250 2.0.0 Ok: queued as 9F00",
    )
    line = SENT.replace(", relay", ", orig_to=<info@example.org>, relay")
    found = parse_text("lmtp", line)
    assert isinstance(found, DeliveryLine)
    assert found.original == "info@example.org"
    # syslog has cut it
    found = parse_text("smtp", SENT[:-8])
    assert isinstance(found, DeliveryLine)
    assert found.reply == "250 2.0.0 Ok: queued …"


@pytest.mark.parametrize(
    "line",
    [
        SENT.replace("ann@far.test", "ann@far.test>, relay=x[192.0.2.1], delay=0"),
        SENT.replace("ann@far.test", 'ann"@far.test'),
        SENT.replace("ann@far.test", "ann b@far.test"),
        SENT.replace("mx.far.test[", "mx.far.test, x["),
        SENT.replace("dsn=2.0.0", "dsn=9.0.0"),
        SENT.replace("delay=1.2", "delay=soon"),
        SENT.replace(ID, "NOQUEUE."),
        f"{ID}: reject: RCPT from x[192.0.2.1]: 554 5.7.1 <{SENT}>: no; from=<a@b> to=<c@d>",
        SENT[:70],
        f"{ID}: to=<" + '"\\' * 200_000,
        f"{ID}: to=<" + '""' * 200_000,
    ],
)
def test_what_departs_from_the_form_is_no_news(line: str) -> None:
    begin = time.process_time()
    assert parse_text("smtp", line[: 8 << 10]) is None
    assert time.process_time() - begin < 0.5


def test_a_quoted_address_is_one_address() -> None:
    hostile = '"x>, relay=mx.evil[192.0.2.9]:25, dsn=2.0.0, status=sent (250 ok)"@late.test'
    found = parse_text("smtp", DEFERRED.replace("ann@far.test", hostile))
    assert isinstance(found, DeliveryLine)
    assert (found.recipient, found.status, found.relay) == (hostile, "deferred", "none")


def told(*lines: tuple[str, str], recorder: DeliveryRecorder | None = None) -> list[JournalRecord]:
    recorder = recorder or DeliveryRecorder()
    found = [recorder.record(LogLine(1000.0 + n, *line)) for n, line in enumerate(lines)]
    return [one for one in found if one is not None]


def test_a_record_has_what_earlier_lines_told() -> None:
    (record,) = told(
        ("smtpd", f"{ID}: client=pc.test[192.0.2.7], sasl_method=PLAIN, sasl_username=bob@a.test"),
        ("cleanup", f"{ID}: message-id=<1@a.test>"),
        ("qmgr", f"{ID}: from=<bob+x@a.test>, size=1523, nrcpt=1 (queue active)"),
        ("smtp", SENT),
        ("qmgr", f"{ID}: removed"),
    )
    assert (record.daemon, record.action, record.queue_id) == ("postfix", "deliver", ID)
    assert (record.login, record.sender) == ("bob@a.test", "bob+x@a.test")
    assert (record.message_id, record.size, record.recipients) == (
        *("<1@a.test>", 1523, ("ann@far.test",)),
    )
    assert record.details["way"] == "smtp"
    assert record.details["relay"] == "mx.far.test[192.0.2.5]:25"


@pytest.mark.parametrize(
    "login", ["bob@a.test, x", "bob b@a.test", "bob, sasl_username=eve@a.test", "a" * 400]
)
def test_a_login_that_is_not_one_word_is_nobodys(login: str) -> None:
    client = f"{ID}: client=pc.test[192.0.2.7], sasl_method=PLAIN, sasl_username={login}"
    (record,) = told(("smtpd", client), ("smtp", SENT))
    assert record.login == ""


@pytest.mark.parametrize(
    ("program", "relay", "way"),
    [
        ("smtp", "mx.far.test[2001:db8::1]:25", "smtp"),
        ("smtp", "127.0.0.1[127.0.0.1]:10026", "inside"),
        ("smtp", "localhost[::1]:10026", "inside"),
        ("smtp", "none", None),
        ("lmtp", "mx.example.org[gatepost/delivery]", "lmtp"),
        ("virtual", "virtual", "local"),
        ("error", "none", None),
    ],
)
def test_the_way(program: str, relay: str, way: str | None) -> None:
    (record,) = told((program, SENT.replace("mx.far.test[192.0.2.5]:25", relay)))
    assert record.details.get("way") == way


def test_a_queue_id_that_is_used_again_is_another_mail() -> None:
    login = (
        "smtpd",
        f"{ID}: client=pc.test[192.0.2.7], sasl_method=PLAIN, sasl_username=bob@a.test",
    )
    for between in (("qmgr", f"{ID}: removed"), ("smtpd", f"{ID}: client=x.test[192.0.2.8]")):
        first, second = told(login, ("smtp", SENT), between, ("smtp", SENT))
        assert (first.login, second.login) == ("bob@a.test", "")


def test_equal_delays_are_told_once_an_hour() -> None:
    recorder = DeliveryRecorder()
    assert [one.action for one in told(("smtp", DEFERRED), recorder=recorder)] == ["defer"]
    (first,) = told(("smtp", DEFERRED.replace("ann@", "bob@")), recorder=recorder)
    # the age of the mail is the pause, between bounds
    assert first.details["next"] == "1900"
    other = DEFERRED.replace("timed out", "refused")
    assert told(("smtp", DEFERRED), ("smtp", other), recorder=recorder) == []
    assert recorder.record(LogLine(1000.0 + AGAIN + 1, "smtp", DEFERRED)) is not None
    # another end is always told
    assert [one.action for one in told(("smtp", SENT), recorder=recorder)] == ["deliver"]


def test_who_is_given_up_is_told_with_the_last_reply() -> None:
    expired = ("qmgr", f"{ID}: from=<s@a.test>, status=expired, returned to sender")
    assert told(expired) == []
    *_, record = told(("smtp", DEFERRED), expired)
    assert (record.action, record.recipients) == ("reject", ("ann@far.test",))
    assert record.details["expired"] == "yes"
    assert "timed out" in record.details["reply"]


@pytest.mark.parametrize("line", [SENT, DEFERRED])
def test_a_reply_does_not_tell_the_target_of_an_alias(line: str) -> None:
    line = line.replace("to=<ann@far.test>", "to=<ann@far.test>, orig_to=<info@a.test>")
    line = line.partition("(")[0] + "(250 2.0.0 <Ann@Far.test> Saved)"
    (record,) = told(("lmtp", line))
    assert record.details["reply"] == "250 2.0.0 <info@a.test> Saved"
    assert record.recipients == ("info@a.test",)


def test_a_long_address_is_kept_in_part() -> None:
    recorder = DeliveryRecorder()
    (record,) = told(("smtp", DEFERRED.replace("ann@", "a" * 3000 + "@")), recorder=recorder)
    assert len(record.recipients[0]) == 320
    assert [len(one) for one in recorder._mails[ID].delays] == [320]


def test_probes_are_no_mail() -> None:
    for status in ("deliverable", "undeliverable"):
        assert told(("smtp", SENT.replace("sent", status))) == []


def test_memory_is_bounded() -> None:
    recorder = DeliveryRecorder()
    for number in range(MAX_MAILS + 10):
        recorder.record(LogLine(0.0, "cleanup", f"4Q{number:06d}: message-id=<{number}@x>"))
    assert len(recorder._mails) == MAX_MAILS
    for number in range(60_000):
        queue_id, recipient = f"4R{number // 150:06d}", f"u{number}@far.test"
        line = DEFERRED.replace(ID, queue_id).replace("ann@far.test", recipient)
        recorder.record(LogLine(0.0, "smtp", line))
    known = sum(len(one.delays) for one in recorder._mails.values())
    assert known == recorder._delays
    assert MAX_DELAYS - MAX_WAITING <= known <= MAX_DELAYS
    for queue_id in list(recorder._mails):
        expired = f"{queue_id}: from=<s@a.test>, status=expired, returned to sender"
        recorder.record(LogLine(0.0, "qmgr", expired))
    assert recorder._delays == 0


class Log:
    """A log file of a test, and one that follows it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "mail.log"
        self.place = folder / "place"
        self.path.touch()
        self.file = self.follow()

    def follow(self) -> LogFile:
        return LogFile(self.path, PlaceFile(self.place))

    def write(self, *texts: str, end: str = "\n") -> None:
        with self.path.open("a") as stream:
            for text in texts:
                stream.write(f"2026-01-01T12:30:01Z mx postfix/smtp[1]: {text}{end}")

    def news(self) -> list[str]:
        return [line.text for line, is_news in self.file.lines() if is_news]


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path)


def test_a_first_start_tells_nothing_old(log: Log) -> None:
    log.write("before")
    assert [(line.text, is_news) for line, is_news in log.file.lines()] == [("before", False)]
    log.write("one", "two")
    log.write("th", end="")
    assert log.news() == ["one", "two"]
    with log.path.open("a") as stream:
        stream.write("ree\n")
    assert log.news() == ["three"]


def test_rotation_loses_nothing(log: Log) -> None:
    assert log.news() == []
    log.write("one")
    old = log.path.rename(log.path.with_suffix(".1"))
    assert log.news() == ["one"]
    log.path.touch()
    with old.open("a") as stream:  # Postfix has it open still
        stream.write("2026-01-01T12:30:01Z mx postfix/smtp[1]: two\n")
    assert log.news() == ["two"]
    log.write("three")
    assert log.news() == ["three"]
    # copytruncate
    os.truncate(log.path, 0)
    assert log.news() == []
    log.write("4")
    assert log.news() == ["4"]


def test_a_restart_goes_on_where_it_was(log: Log) -> None:
    log.news()
    log.write("one")
    log.write("half", end="")
    assert log.news() == ["one"]
    log.file.save()
    log.file.close()
    with log.path.open("a") as stream:
        stream.write(" two\n")
    log.file = log.follow()
    assert log.news() == ["half two"]
    log.file.save()
    # another file is in its place
    log.path.unlink()
    log.write("three")
    log.file = log.follow()
    assert log.news() == ["three"]
    log.place.write_text("[" * 999)
    log.file = log.follow()
    assert log.news() == []


def test_long_lines_and_other_files(log: Log, tmp_path: Path) -> None:
    assert log.news() == []
    log.write("x" * 100_000, "short")
    assert log.news() == ["short"]
    os.mkfifo(tmp_path / "fifo")
    for name in ("fifo", "missing"):
        with pytest.raises(OSError, match=r"not a file|No such file"):
            list(LogFile(tmp_path / name, PlaceFile(None)).lines())


def test_the_sign_of_life(tmp_path: Path) -> None:
    path = tmp_path / "place"
    assert not is_alive(path)
    PlaceFile(path).beat()
    assert is_alive(path)
    os.utime(path, (0, 0))
    assert not is_alive(path)
    assert PlaceFile(path).read() is None
