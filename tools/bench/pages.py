"""Benchmark of the web pages: time and octets of each page, with 100,000 mailboxes.

One browser asks for one page after the other over one connection, each time for other objects. The
first load of a page has its style sheets, scripts and icon with it; later the browser has them.
Octets are those of whole answers, compressed, with their header fields.
"""

from __future__ import annotations

import gzip
import http.client
import random
import re
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlencode

from accounts.store.settings import DatabaseSettings
from tests.testbed.ports import LOOPBACK, free_ports
from tests.testbed.postgres import PostgresServer
from tools.bench import pages_data
from tools.bench.load import LoadError
from tools.bench.mailboxes import ALIAS, ALIAS_EVERY, Rows, fill_postgres, fill_sqlite
from tools.bench.pages_data import ADA, MAILS, ROOT, SECRET, queue_id
from tools.bench.plan import Bench
from tools.bench.report import Target
from tools.bench.server import Server, answers

DOMAINS, MAILBOXES = 200, 100_000
VISITS = 20
"""Visits of each page in a round."""
MAX_MS = 100.0
"""Milliseconds in 95 of 100 visits of a page."""
MAX_FIRST, MAX_LATER = 30.0, 10.0
"""KB (1000 octets)."""
SQLITE, POSTGRES = "sqlite", "postgresql"
_ASSET = re.compile(r'(?:href|src)="(/static/[^"]+)"')
_TOKEN = re.compile(r'name="csrf" value="([^"]+)"')


class GatepostPages(Server):
    """``gatepost accounts`` with its pages."""

    def __init__(self, folder: Path, url: str, name: str) -> None:
        super().__init__(folder, over="inet")
        self.name = name
        self._url = url
        self.port, self._metrics = free_ports(2)

    def start(self) -> None:
        """Start it. One browser asks more often than people do."""
        config = self.write(
            "gatepost.toml",
            f'[accounts]\nlisten = "unix:{self.folder / "map"}"\n'
            f'sasl_listen = "unix:{self.folder / "logins"}"\n'
            f'http_listen = "{self.listen()}"\nmetrics_listen = "inet:{self._metrics}@{LOOPBACK}"\n'
            f'[accounts.database]\nurl = "{self._url}"\n[accounts.pages]\nenabled = true\n'
            "[accounts.http]\nprincipal_rate = 100000\nnetwork_rate = 100000\n",
        )
        self.run(Path(sys.executable).with_name("gatepost"), "accounts", "--config", config)

    def is_ready(self) -> bool:
        """Return what `/readyz` says."""
        return super().is_ready() and answers(self._metrics, "/readyz")


@dataclass(frozen=True)
class _Answer:
    status: int
    seconds: float
    octets: int
    text: str


class _Reader:
    """Somebody's browser, with one connection."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection(LOOPBACK, port, timeout=60)
        self._cookies: dict[str, str] = {}

    def close(self) -> None:
        self._connection.close()

    def ask(self, method: str, path: str, form: dict[str, str] | None = None) -> _Answer:
        fields = {"Accept-Encoding": "gzip", "Sec-Fetch-Site": "same-origin"}
        if self._cookies:
            fields["Cookie"] = "; ".join(f"{name}={one}" for name, one in self._cookies.items())
        body = None
        if form is not None:
            body = urlencode(form)
            fields["Content-Type"] = "application/x-www-form-urlencoded"
        begun = time.perf_counter()
        self._connection.request(method, path, body, fields)
        response = self._connection.getresponse()
        octets = response.read()
        seconds = time.perf_counter() - begun
        head = sum(len(name) + len(value) + 4 for name, value in response.getheaders())
        for cookie in response.headers.get_all("Set-Cookie", []):
            name, _, value = cookie.partition(";")[0].partition("=")
            self._cookies[name] = value
        text = gzip.decompress(octets) if response.headers["Content-Encoding"] == "gzip" else octets
        line = len("HTTP/1.1 200 OK\r\n\r\n")
        return _Answer(response.status, seconds, line + head + len(octets), text.decode())

    def log_in(self, login: str) -> None:
        """Log in by the form; raises `LoadError`."""
        token = _TOKEN.search(self.ask("GET", "/login").text)
        form = {"csrf": token[1] if token else "", "login": login, "password": SECRET}
        if self.ask("POST", "/login", form).status != HTTPStatus.SEE_OTHER:
            raise LoadError(f"{login} cannot log in")


@dataclass(frozen=True)
class _Asked:
    """A page that is measured: its path for a random mailbox, and a text that it must have."""

    name: str
    path: Callable[[Rows, int], str]
    text: Callable[[Rows, int], str]


def _at(path: str, **query: str) -> str:
    return f"{path}?{urlencode(query)}" if query else path


def _page(name: str, path: str, text: str = "</main>") -> _Asked:
    return _Asked(name, lambda _rows, _n: path, lambda _rows, _n: text)


def _of(name: str, path: Callable[[str], str], text: str = "") -> _Asked:
    """Return a page about the address of a mailbox, which it shows unless it shows a text."""
    return _Asked(
        name, lambda rows, n: path(rows.address(n)), lambda rows, n: text or rows.address(n)
    )


def _domain(address: str) -> str:
    return address.partition("@")[2]


OF_ROOT = (
    _page("Home", "/"),
    _of("Search, an address", lambda one: _at("/", text=one)),
    _page("Search, most addresses", "/?text=user", "user"),
    _page("Search, nothing", "/?text=nobody-has-this", "None."),
    _page("Domains", "/domains", "d100.example"),
    _page("Domains, later", "/domains?after=d150.example", "d151.example"),
    _of("Domain", lambda one: f"/domains/{_domain(one)}", "</main>"),
    _of("Keys", lambda one: f"/domains/{_domain(one)}/keys", "</main>"),
    _page("Mailboxes", "/mailboxes", "user1"),
    _of("Mailboxes, later", lambda one: _at("/mailboxes", after=one), "user"),
    _of("Mailboxes, an address", lambda one: _at("/mailboxes", text=one)),
    _of("Mailboxes, a name", lambda one: _at("/mailboxes", text=f"person {one[4:7]}"), "user"),
    _page("Mailboxes, nothing", "/mailboxes?text=nobody-has-this", "None."),
    _of("Mailboxes of a domain", lambda one: _at("/mailboxes", domain=_domain(one)), "user"),
    _of(
        "Mailboxes of a domain, nothing",
        lambda one: _at("/mailboxes", domain=_domain(one), text="nobody-has-this"),
        "None.",
    ),
    _of("Mailbox", lambda one: f"/mailboxes/{one}"),
    _of("Remove a mailbox", lambda one: f"/mailboxes/{one}/remove"),
    _page("Aliases", "/aliases", ALIAS),
    _of("Aliases, later", lambda one: _at("/aliases", after=ALIAS + one), "</main>"),
    _page("Aliases, nothing", "/aliases?text=nobody-has-this", "None."),
    _Asked(
        "Alias",
        lambda rows, n: f"/aliases/{ALIAS}{rows.address(n // ALIAS_EVERY * ALIAS_EVERY + 1)}",
        lambda rows, n: rows.address(n // ALIAS_EVERY * ALIAS_EVERY + 1),
    ),
    _page("Trace mail", "/trace?words=&time=all", "Step by step"),
    _of("Trace mail, an address", lambda one: _at("/trace", words=one, time="all"), "</article>"),
    _Asked(
        "Trace mail, a queue id",
        lambda _, n: _at("/trace", words=queue_id(n % MAILS), time="all"),
        lambda _, n: queue_id(n % MAILS),
    ),
    _page("Trace mail, a sender", "/trace?words=sender7@news.example&time=all", "Step by step"),
    _page("Changes", "/audit", "trace.search"),
    _of("Changes, an address", lambda one: _at("/audit", object=one)),
    _page("Changes, nobody", "/audit?actor=nobody-has-this"),
    _page("Security", "/security"),
)
OF_ADA = (
    _page("Mailboxes (20 domains)", "/mailboxes", "user"),
    _page("Mailboxes, nothing (20 domains)", "/mailboxes?text=nobody-has-this", "None."),
    _page("Search, nothing (20 domains)", "/?text=nobody-has-this", "None."),
    _page("Aliases (20 domains)", "/aliases", "</main>"),
    _page("Trace mail (20 domains)", "/trace?words=&time=all", "Step by step"),
)
OF_OWNER = (
    _page("Home (owner)", "/"),
    _page("Filters (owner)", "/filters", "Rule 19"),
    _page("Spam (owner)", "/spam"),
    _page("Trace mail (owner)", "/trace?words=&time=all"),
    _page("App passwords (owner)", "/app-passwords"),
)


@dataclass
class _Measured:
    """Figures of a page: milliseconds of each visit, CPU of one, and octets."""

    name: str
    milliseconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    octets: int = 0
    first: int = 0

    @property
    def median(self) -> float:
        return statistics.median(self.milliseconds)

    @property
    def p95(self) -> float:
        return statistics.quantiles(self.milliseconds, n=20)[-1]


def run(bench: Bench) -> None:
    """Measure all pages with SQLite and with PostgreSQL."""
    rows = Rows(DOMAINS, MAILBOXES, pages_data.hashed())
    file = bench.folder / "pages" / "accounts.db"
    file.parent.mkdir()
    now = time.time()
    with PostgresServer() as postgres:
        urls = {SQLITE: f"sqlite:///{file}", POSTGRES: postgres.new_database()}
        with bench.steps.step(f"{DOMAINS} domains, {MAILBOXES:,} mailboxes") as step:
            fill_sqlite(file, rows)
            step.progress(0.1, "mail")
            pages_data.fill(DatabaseSettings(url=urls[SQLITE]), rows, now)
            step.progress(0.5, POSTGRES)
            fill_postgres(urls[POSTGRES], rows)
            pages_data.fill(DatabaseSettings(url=urls[POSTGRES]), rows, now)
        for name, url in urls.items():
            # one after the other: an idle one takes memory and watches its database
            server = GatepostPages(bench.folder, url, name)
            with bench.running([server], lambda server: server.check()) as good:
                for one in good:
                    _run(bench, one, rows)


def _run(bench: Bench, server: GatepostPages, rows: Rows) -> None:
    try:
        measured = _measure(bench, server, rows)
    except (LoadError, OSError, http.client.HTTPException) as error:
        bench.report.fail(f"pages, {server.name}: {error}")
    else:
        _tell(bench, server.name, measured)


def _measure(bench: Bench, server: GatepostPages, rows: Rows) -> list[_Measured]:
    found: dict[str, _Measured] = {}
    kinds = ((ROOT, OF_ROOT), (ADA, OF_ADA), (rows.address(1), OF_OWNER))
    with bench.steps.step(f"pages, {server.name}") as step:
        for number, (login, pages) in enumerate(kinds):
            step.progress(number / len(kinds), login)
            reader = _Reader(server.port)
            try:
                _log_in(reader, login, found)
                for page in pages:
                    found[page.name] = _visits(bench, server, reader, page, rows)
            finally:
                reader.close()
    return list(found.values())


def _log_in(reader: _Reader, login: str, found: dict[str, _Measured]) -> None:
    """Log in; measure the page for it the first time."""
    if not found:
        measured = _Measured("Log in")
        for _ in range(VISITS):
            _visit(reader, measured, "/login", "</main>")
        found[measured.name] = measured
    reader.log_in(login)


def _visits(
    bench: Bench, server: GatepostPages, reader: _Reader, page: _Asked, rows: Rows
) -> _Measured:
    measured = _Measured(page.name)
    numbers = random.Random(page.name)  # the same ones in each run
    for round_number in range(-1, bench.extent.rounds):
        before = server.cpu()
        for _ in range(VISITS if round_number >= 0 else 2):
            number = numbers.randrange(1, rows.mailboxes)
            path, text = page.path(rows, number), page.text(rows, number)
            _visit(reader, measured, path, text, counts=round_number >= 0)
        if round_number >= 0:
            measured.cpu.append((server.cpu() - before) / VISITS * 1000)
    return measured


def _visit(
    reader: _Reader, measured: _Measured, path: str, text: str, *, counts: bool = True
) -> None:
    answer = reader.ask("GET", path)
    if answer.status != HTTPStatus.OK or text not in answer.text:
        raise LoadError(f"{path}: {answer.status}, without {text!r}")
    if counts:
        measured.milliseconds.append(answer.seconds * 1000)
    if answer.octets > measured.octets:
        measured.octets = answer.octets
        urls = set(_ASSET.findall(answer.text))
        measured.first = answer.octets + sum(reader.ask("GET", url).octets for url in urls)


def _tell(bench: Bench, name: str, measured: Sequence[_Measured]) -> None:
    tell = bench.report.text
    title = f"Web pages with {MAILBOXES:,} mailboxes, {name}"
    tell("")
    tell(title)
    heads = "".join(f"{text:>9}" for text in ("p50 ms", "p95 ms", "CPU ms", "KB", "first KB"))
    tell(f"  {'':34}{heads}")
    for one in measured:
        cpu = statistics.median(one.cpu) if one.cpu else 0.0
        figures = (one.median, one.p95, cpu, one.octets / 1000, one.first / 1000)
        tell(f"  {one.name:34}" + "".join(f"{figure:9.1f}" for figure in figures))
    slowest = max(measured, key=lambda one: one.p95)
    dearest = max(measured, key=lambda one: statistics.median(one.cpu or [0.0]))
    heaviest = max(measured, key=lambda one: one.first)
    largest = max(measured, key=lambda one: one.octets)
    bench.report.aim(
        title,
        Target(f"ms (95 %) of the slowest page, {slowest.name}", MAX_MS, slowest.p95, at_most=True),
        Target(
            f"ms CPU of the dearest page, {dearest.name}",
            MAX_MS,
            statistics.median(dearest.cpu),
            at_most=True,
        ),
        Target(
            f"KB of the heaviest first load, {heaviest.name}",
            MAX_FIRST,
            heaviest.first / 1000,
            at_most=True,
        ),
        Target(
            f"KB of the largest page, {largest.name}",
            MAX_LATER,
            largest.octets / 1000,
            at_most=True,
        ),
    )
