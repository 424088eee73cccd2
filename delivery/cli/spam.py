"""`gatepost spam`: commands that teach the spam filter, and explain it."""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import click

from delivery.explanation import explain, read_status
from delivery.file import DeliveryFile
from delivery.learning.client import LearningAwayError, LearningClient
from delivery.lesson import MARGIN, read_top
from delivery.night.training import Night, NightBounds, NightCounts, NightSummary
from delivery.settings import DeliverySettings
from delivery.user import with_own_data
from gatepost.cli import configuration
from gatepost.cli.output import counted, tell
from gatepost.config.types import parse_duration
from gatepost.errors import StartError

_CLASSES: Final = click.Choice(["spam", "ham"])
_FILES: Final = click.Path(path_type=Path, allow_dash=True)


@click.group()
def spam() -> None:
    """Teach the spam filter, undo that, and explain scores.

    USER is a mailbox, or the word `site` for the data of the site: they count for everybody who has
    not taught enough. The commands talk to a running `gatepost delivery`
    (`delivery.learning.listen`).
    """


@spam.command()
@configuration.config_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.argument("user")
def stats(config: Path | None, as_json: bool, user: str) -> None:
    """Show how much a user has taught."""
    facts = _client(config).stats(user)
    if as_json:
        click.echo(json.dumps(facts))
        return
    tell(f"{user}: {counted(facts['spam'], 'message')} as spam, {facts['ham']} as ham")
    if facts["last"] is not None:
        tell(f"first: {_moment(facts['first'])}, last: {_moment(facts['last'])}")
        by_source = ", ".join(f"{name} {number}" for name, number in facts["sources"].items())
        tell(f"taught by: {by_source}")
    if user == "site":
        return
    if facts["is_used"]:
        tell("Mail is scanned with these data.")
    else:
        tell(f"Mail is scanned with the data of the site: {facts['needed']} of each are needed.")


@spam.command()
@configuration.config_option
@click.argument("user")
@click.argument("kind", metavar="spam|ham", type=_CLASSES)
@click.argument("files", metavar="FILE...", type=_FILES, nargs=-1, required=True)
def learn(config: Path | None, user: str, kind: str, files: Sequence[Path]) -> None:
    """Teach messages in files; - is standard input."""
    client = _client(config)
    done = _each(files, lambda message: client.learn(user, kind, message))
    tell(f"{counted(done[True], 'message')} learned, {done[False]} known before")
    sys.exit(1 if done[None] else 0)


@spam.command()
@configuration.config_option
@click.argument("user")
@click.argument("files", metavar="FILE...", type=_FILES, nargs=-1, required=True)
def forget(config: Path | None, user: str, files: Sequence[Path]) -> None:
    """Undo the lessons of messages in files; - is standard input.

    To forget a message that was learned by mistake, save it from the mail program as it is.
    """
    client = _client(config)
    done = _each(files, lambda message: client.forget(user, message))
    tell(f"{counted(done[True], 'message')} forgotten, {done[False]} not known")
    sys.exit(1 if done[None] else 0)


@spam.command()
@configuration.config_option
@click.confirmation_option("--yes", prompt="Forget everything that this user has taught?")
@click.argument("user")
def reset(config: Path | None, user: str) -> None:
    """Forget everything that a user has taught. Preferences stay."""
    tell("forgotten" if _client(config).reset(user) else "there was nothing to forget")


@spam.command()
@configuration.config_option
@click.option(
    "--user", default="site", help="Scan as this mailbox; by default with the site's data."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.argument("file", type=_FILES)
def test(config: Path | None, user: str, as_json: bool, file: Path) -> None:
    """Scan a message in a file as a delivery would, and deliver nothing."""
    verdict = _client(config).score(user, _read(file))
    if as_json:
        click.echo(json.dumps(verdict))
        return
    for sentence in list(explain(None, verdict))[1:]:
        tell(sentence)


@spam.command()
@configuration.config_option
@click.option(
    "--user", default="site", help="Scan as this mailbox; by default with the site's data."
)
@click.option("--no-scan", is_flag=True, help="Only read the message: rules have no descriptions.")
@click.argument("message", type=_FILES)
def why(config: Path | None, user: str, no_scan: bool, message: Path) -> None:
    """Explain the X-Spam-Status of a delivered message.

    The message has only the names of the rules. Their points and descriptions are those of a scan
    now.
    """
    octets = _read(message)
    status = read_status(read_top(octets).status)
    verdict: dict[str, Any] | None = None
    problem = ""
    if not no_scan:
        try:
            verdict = _client(config).score(user, octets)
        except LearningAwayError as error:
            problem = str(error)
    for sentence in explain(status, verdict):
        tell(sentence)
    if problem:
        tell(f"It could not be scanned now: {problem}", err=True)


@spam.command()
@configuration.config_option
@click.option("--user", "users", multiple=True, help="Only this mailbox; may be repeated.")
@click.option("--limit-time", help="As `delivery.night.max_time`, such as 30m.")
@click.option("--min-age", help="As `delivery.night.min_age`, such as 2d; 0 for all mail.")
def train(
    config: Path | None, users: Sequence[str], limit_time: str | None, min_age: str | None
) -> None:
    """Teach from the mail of the users, once a night.

    Exit status: 0 if all that was begun succeeded, else 1. Time that runs out is no failure.
    """
    from delivery.night.mail_stores import MailStoreAccess

    settings = _settings(config)
    night = settings.night
    access = MailStoreAccess(night)
    client = LearningClient.of(settings)
    bounds = NightBounds(
        night.min_age if min_age is None else _duration(min_age),
        night.max_messages,
        night.max_time if limit_time is None else _duration(limit_time),
        settings.spam.scan_size,
    )
    names = list(users) or _taught(access.users())
    # when the time runs out, it is not always the same users who get no turn
    random.shuffle(names)
    run = Night(client, access.open, access.move_to_junk, _report, bounds)
    summary = run.run(names)
    _conclude(summary)
    sys.exit(0 if summary.is_complete else 1)


def _taught(users: Sequence[str]) -> list[str]:
    """Return the mailboxes that can be taught, and tell how many cannot; that is no failure."""
    taught = with_own_data(users)
    if left := len(users) - len(taught):
        tell(f"left out, for no data can be kept under their name: {counted(left, 'user')}")
    return taught


def _report(user: str, counts: NightCounts) -> None:
    if counts.spam or counts.ham or counts.rescanned:
        tell(
            f"{user}: {counts.spam} as spam, {counts.ham} as ham, "
            f"{counts.rescanned} scanned again, {counts.moved} moved to Junk"
        )
    for problem in counts.problems:
        tell(f"{user}: {problem}", err=True)


def _conclude(summary: NightSummary) -> None:
    total = summary.counts
    tell(
        f"{counted(summary.users, 'user')}: {total.spam} as spam, {total.ham} as ham, "
        f"{total.rescanned} scanned again, {total.moved} moved to Junk"
    )
    if summary.failed:
        tell(f"failed: {counted(summary.failed, 'user')}", err=True)
    if summary.away:
        tell(f"ended early, {counted(summary.left, 'user')} left: {summary.away}", err=True)
    elif summary.left:
        tell(f"out of time: {counted(summary.left, 'user')} left for another night")


def _each(files: Sequence[Path], work: Callable[[bytes], bool]) -> dict[bool | None, int]:
    """Return how often `work` said yes or no; None: how many messages it refused."""
    done: dict[bool | None, int] = {True: 0, False: 0, None: 0}
    for file in files:
        octets = _read(file)
        try:
            done[work(octets)] += 1
        except LearningAwayError:
            raise
        except StartError as error:
            done[None] += 1
            tell(f"{file}: {error}", err=True)
    return done


def _read(file: Path) -> bytes:
    limit = (64 << 20) + MARGIN
    try:
        if str(file) == "-":
            return sys.stdin.buffer.read(limit)
        with file.open("rb") as opened:
            return opened.read(limit)
    except OSError as error:
        raise click.ClickException(f"{file}: {error.strerror}") from None


def _settings(config: Path | None) -> DeliverySettings:
    return configuration.read_if_any(config, DeliveryFile).model.delivery


def _client(config: Path | None) -> LearningClient:
    return LearningClient.of(_settings(config))


def _duration(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
