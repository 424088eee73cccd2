"""What cannot be installed is named, with the reason."""

import io

import pytest

from tools.installer import __main__ as installer
from tools.installer import apt
from tools.installer.errors import InstallError
from tools.installer.needs import Need
from tools.installer.steps import Steps

NEEDS = [
    Need("swaks", ("swaks",), lambda: False),
    Need("Valkey or Redis", ("valkey-server", "redis-server"), lambda: False),
]


def test_nothing_missing_is_nothing_said() -> None:
    stream = io.StringIO()
    installer._machine(Steps(stream), [])
    assert stream.getvalue() == ""


def test_on_another_system_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apt, "is_supported", lambda: False)
    monkeypatch.setattr(apt, "release", lambda: "Plan 9")
    with pytest.raises(InstallError) as told:
        installer._machine(Steps(io.StringIO()), NEEDS)
    assert str(told.value).splitlines() == [
        "missing on this machine:",
        "    swaks            Debian: swaks",
        "    Valkey or Redis  Debian: valkey-server or redis-server",
        "  (this is Plan 9, and packages are installed for you on Debian 12 and 13 only)",
    ]


def test_without_root_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apt, "is_supported", lambda: True)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(InstallError, match="packages can be installed only by root"):
        installer._machine(Steps(io.StringIO()), NEEDS)


def test_what_is_still_missing_after_the_installation_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(installer, "_why_not_ours", lambda: "")
    monkeypatch.setattr(apt, "install", lambda needs, *_: [need.packages[0] for need in needs])
    stream = io.StringIO()
    with pytest.raises(InstallError, match="what was installed does not bring it"):
        installer._machine(Steps(stream), NEEDS)
    assert "missing: swaks, Valkey or Redis" in stream.getvalue()


def test_what_is_only_wished_for_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apt, "is_supported", lambda: False)
    stream = io.StringIO()
    installer._machine(Steps(stream), [], NEEDS)
    assert stream.getvalue() == "  missing: swaks, Valkey or Redis\n"


def test_an_old_python_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.version_info", (3, 9, 2))
    with pytest.raises(InstallError, match=r"Gatepost runs on 3\.11 to 3\.13"):
        installer._check_python()


@pytest.mark.parametrize(
    ("line", "percent", "what"),
    [
        ("dlstatus:1:12.5:Retrieving file 1 of 9", "12.5", "Retrieving file 1 of 9"),
        ("pmstatus:swaks:50.0000:Unpacking swaks (all)", "50.0000", "Unpacking swaks (all)"),
        ("pmstatus:gcc:amd64:9.5:Preparing gcc: now", "9.5", "Preparing gcc: now"),
    ],
)
def test_the_progress_of_apt_is_read(line: str, percent: str, what: str) -> None:
    found = apt._STATUS.match(line)
    assert found is not None
    assert (found["percent"], found["what"]) == (percent, what)
