"""`gatepost postfix-watch`: the queue and the deliveries of a Postfix, for accounts."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gatepost.errors import StartError

if TYPE_CHECKING:
    from gatepost.snapshots.settings import AccountsSource


@click.command("postfix-watch")
@click.option(
    "--accounts",
    metavar="URL",
    help="The `snapshot_listen` of accounts, such as unix:/run/gatepost/snapshots or "
    "https://HOST:PORT.",
)
@click.option(
    "--token-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File with the token for accounts. It is read for each request.",
)
@click.option(
    "--ca-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="CA certificates for verifying accounts. By default those of the system.",
)
@click.option(
    "--showq",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("/var/spool/postfix/public/showq"),
    show_default=True,
    help="The socket that lists the queue, which the group postdrop may use.",
)
@click.option(
    "--log",
    "log_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The log of Postfix in a file.",
)
@click.option("--journal", is_flag=True, help="Read the log of Postfix from systemd's journal.")
@click.option(
    "--place",
    "place_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File that keeps how far the log was read, for the next start.",
)
@click.option(
    "--check",
    is_flag=True,
    help="Only check that the one with this --place lives; the exit status is 0 if it does.",
)
def postfix_watch(
    *,
    accounts: str | None,
    token_file: Path | None,
    ca_file: Path | None,
    showq: Path,
    log_file: Path | None,
    journal: bool,
    place_file: Path | None,
    check: bool,
) -> None:
    """Report the queue and the deliveries of Postfix to accounts.

    The overview of the web pages shows the queue, and `gatepost trace` the deliveries. It
    runs beside Postfix, needs no root, and only reads; mail never waits for it.

    With neither --log nor --journal, only the queue is reported. SIGTERM ends it.
    """
    if check:
        _check(place_file)
        return
    if accounts is None:
        raise click.UsageError("Missing option '--accounts'.")
    if log_file is not None and journal:
        raise click.UsageError("--log and --journal exclude each other.")
    _watch(_source(accounts, token_file, ca_file), showq, log_file, place_file, journal=journal)


def _check(place_file: Path | None) -> None:
    from gatepost.postfix_watch.log_place import is_alive

    if place_file is None:
        raise click.UsageError("--check needs --place.")
    if not is_alive(place_file):
        click.echo(f"{place_file}: no sign of life for two minutes", err=True)
        sys.exit(1)


def _source(accounts: str, token_file: Path | None, ca_file: Path | None) -> AccountsSource:
    from pydantic import ValidationError

    from gatepost.snapshots.settings import AccountsSource

    given = {"url": accounts, "token_file": token_file, "ca_file": ca_file}
    try:
        return AccountsSource.model_validate(
            {name: value for name, value in given.items() if value is not None}
        )
    except ValidationError as error:
        said = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise StartError(f"--accounts: {said}") from None


def _watch(
    source: AccountsSource,
    showq: Path,
    log_file: Path | None,
    place_file: Path | None,
    *,
    journal: bool,
) -> None:
    from gatepost.config import LogSettings
    from gatepost.journal.sender import JournalSender
    from gatepost.logs import configure, get_logger
    from gatepost.metrics import Probes
    from gatepost.postfix_watch.log_file import LogFile
    from gatepost.postfix_watch.log_place import PlaceFile
    from gatepost.postfix_watch.log_watcher import LogSource, LogWatcher
    from gatepost.postfix_watch.queue_watcher import QueueWatcher
    from gatepost.postfix_watch.systemd_journal import SystemdJournal
    from gatepost.reports.sender import ReportSender

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    configure(LogSettings())
    log = get_logger("postfix-watch")
    probes = Probes()
    queue = QueueWatcher(showq, log)
    probes.ready_when("queue", queue.problem)
    sender = JournalSender(source, log)
    place = PlaceFile(place_file)
    watcher: LogWatcher | None = None
    if log_file is not None or journal:
        found: LogSource = (
            SystemdJournal(place) if journal else LogFile(Path(log_file or ""), place)
        )
        watcher = LogWatcher(found, place, sender.add, log)
        probes.remark("log", watcher.problem)
    reports = ReportSender("postfix", source, lambda: probes, log, queue=lambda: queue.state)
    queue.turn()  # so that the first report has the queue
    queue.start()
    sender.start()
    reports.start()
    if watcher is not None:
        watcher.start()
    log.info("ready", showq=str(showq), log="journal" if journal else str(log_file or ""))
    while not stop.wait(5.0):
        if watcher is None:
            place.beat()
    if watcher is not None:
        watcher.stop()
    queue.stop()
    sender.stop()
    reports.stop()
