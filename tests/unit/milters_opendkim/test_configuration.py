from __future__ import annotations

import contextlib
import ipaddress
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from milters.file import MiltersFile
from milters.keys.tables.errors import OpendkimError, Place
from milters.migration.opendkim.configuration import OpendkimConfiguration, read_configuration
from milters.migration.opendkim.convert import Conversion, convert
from milters.migration.opendkim.draft import MigrationLevel
from milters.migration.opendkim.files import Files
from milters.migration.opendkim.options import KNOWN


class Memory(Files):
    """Files in memory."""

    def __init__(self, **files: str) -> None:
        self.files = {f"/{name}": text for name, text in files.items()}

    def read(self, path: Path) -> str:
        if str(path) not in self.files:
            raise OpendkimError(Place(str(path)), "cannot be read: No such file or directory")
        return self.files[str(path)]

    def find(self, pattern: str) -> Iterator[str]:
        return iter(())

    def key_problem(self, path: Path) -> str:
        return ""


def read(text: str, **files: str) -> OpendkimConfiguration:
    return read_configuration(Path("/conf"), Memory(conf=text, **files).read)


def converted(text: str, **files: str) -> Conversion:
    return convert(Path("/conf"), Memory(conf=text, **files))


def errors(conversion: Conversion) -> list[str]:
    return [str(found) for found in conversion.findings if found.level is MigrationLevel.ERROR]


def test_lines() -> None:
    conf = read("\n# c\nMode\tsv # both\n  Domain   a.example, b.example  \nKEYFILE /k\r\n")
    assert [(o.place.line, o.name, o.value) for o in conf.options] == [
        (3, "Mode", "sv"),
        (4, "Domain", "a.example, b.example"),
        (5, "KEYFILE", "/k"),
    ]
    assert conf.value("keyfile") == "/k"


def test_the_last_of_several_counts() -> None:
    assert read("Selector one\nselector two\n").value("Selector") == "two"


def test_includes_stand_in_their_place() -> None:
    text = "Selector one\nInclude /more\n"
    assert read(text, more="Selector two").value("Selector") == "two"
    assert read(text + "Selector three", more="Selector two").value("Selector") == "three"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Syslog", "/conf:1: Syslog has no value"),
        ("Mode sv\nSyslog maybe", "/conf:2: Syslog is yes or no, and 'maybe' is neither"),
        ("Include /none", "/conf:1: /none: cannot be read: No such file or directory"),
        ("Include /conf", "/conf:1: files include one another 5 deep"),
    ],
)
def test_what_opendkim_would_not_start_with(text: str, told: str) -> None:
    with pytest.raises(OpendkimError) as caught:
        read(text)
    assert told in str(caught.value)


def test_includes_that_multiply_are_bounded() -> None:
    with pytest.raises(OpendkimError, match="more than 10000 options"):
        read("Include /a\n" * 50, a="Include /b\n" * 50, b="Mode sv\n" * 50)


def test_an_unknown_option_is_told_with_its_line() -> None:
    conversion = converted("Mode sv\nSocket inet:1\nSighningTable x\nFrobnicate 5\n")
    assert errors(conversion) == [
        "/conf:3: error: SighningTable: opendkim 2.11 knows no such option; is it SigningTable?",
        "/conf:4: error: Frobnicate: opendkim 2.11 knows no such option",
    ]


def test_options_that_are_switched_off_are_not_worth_a_word() -> None:
    conversion = converted("Mode v\nSoftwareHeader no\nDiagnostics false\nSyslog 0\n")
    assert [found.subject for found in conversion.findings] == ["Mode"]


@pytest.mark.parametrize(
    ("value", "mode"),
    [("002", "0664"), ("007", "0660"), ("0", "0666"), ("022", "0644"), ("0117", "0660")],
)
def test_the_mode_of_the_socket(value: str, mode: str) -> None:
    conversion = converted(f"Socket local:/run/o.sock\nUMask {value}\n")
    assert tomllib.loads(conversion.toml)["milters"]["socket_mode"] == mode


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("inet:8891@localhost", "inet:8891@localhost"),
        ("inet6:8891@[::1]", "inet:8891@::1"),
        ("inet:8891", "inet:8891"),
        ("local:/run/o.sock", "unix:/run/o.sock"),
        ("/run/o.sock", "unix:/run/o.sock"),
    ],
)
def test_sockets(value: str, address: str) -> None:
    conversion = converted(f"Socket {value}\n")
    loaded = tomllib.loads(conversion.toml)
    assert loaded["milters"]["listen"] == address
    assert [str(one) for one in MiltersFile.model_validate(loaded).milters.listen] == [address]


def test_fields_that_are_changed_on_the_way_are_left_out() -> None:
    long = "X" * 77
    conversion = converted(
        f"SignHeaders *,+Received,Return-Path,X-Foo,{long}\nOversignHeaders From,received,List-Id\n"
    )
    loaded = tomllib.loads(conversion.toml)
    assert loaded["milters"]["sign"] == {"also_sign": ["X-Foo"], "oversign": ["List-Id"]}
    MiltersFile.model_validate(loaded)
    told = [f.subject for f in conversion.findings if f.level is MigrationLevel.WARNING]
    assert told == ["Received", "Return-Path", long, "received"]


@pytest.mark.parametrize(
    ("hosts", "is_error"),
    [
        ("0.0.0.0/0", True),
        ("::/0", True),
        ("127.0.0.1,0.0.0.0/0,!10.1.0.0/16", True),
        ("0.0.0.0/1,!1.2.3.4", True),
        ("127.0.0.1,10.0.0.0/8,192.168.0.0/16,!10.1.0.0/16", False),
        ("::1,fc00::/7,fe80::/10", False),
    ],
)
def test_internal_hosts_that_are_nearly_everybody(hosts: str, is_error: bool) -> None:
    found = errors(converted(f"InternalHosts {hosts}\n"))
    assert any("every client" in text for text in found) is is_error


UNDECIDED = [
    "InternalHosts 0.0.0.0/0",
    "InternalHosts ::/0",
    "InternalHosts 0.0.0.0/1,128.0.0.0/1",
    "InternalHosts 127.0.0.1,!host.example",
    "InternalHosts *.example.org",
    "InternalHosts refile:/nowhere",
    "InternalHosts dsn:mysql://a@b/c",
    "InternalHosts 10.0.0.0/33",
    "KeyTable /nowhere\nSigningTable refile:/st",
    "KeyTable ldap:///x\nSigningTable refile:/st",
    "KeyTable /kt\nSigningTable /nowhere",
    "KeyTable /kt\nSigningTable lua:/x",
    "KeyTable /kt",
    "Domain a.example\nSelector s",
    "ExemptDomains a.example",
    "DontSignMailTo a.example",
    "SenderHeaders Sender,From",
    "SenderMacro i",
    "MacroList {client_name}|x",
    "PeerList 127.0.0.1",
    "PeerList 10.1.2.3\nInternalHosts 10.0.0.0/8",
    "PeerList peer.example",
    "SetupPolicyScript /x.lua",
    "ScreenPolicyScript /x.lua",
    "FinalPolicyScript /x.lua",
    "ReplaceRules /x",
    "ResignMailTo a.example",
    "POPDBFile /x",
    "Mode q",
    "SignThat yes",
]


@pytest.mark.parametrize("text", UNDECIDED)
def test_what_is_undecided_is_refused_and_signs_nobody_elses_mail(text: str) -> None:
    conversion = converted(f"{text}\n", kt="", st="")
    loaded = tomllib.loads(conversion.toml)
    with pytest.raises(ValidationError, match="decide this, then remove the line"):
        MiltersFile.model_validate(loaded)
    del loaded["undecided"]
    networks = MiltersFile.model_validate(loaded).milters.internal_networks
    assert not any(ipaddress.ip_address("192.0.2.1") in network for network in networks)


@pytest.mark.parametrize(
    "text", ["PeerList 192.0.2.9", "ExternalIgnoreList 0.0.0.0/0", "Mode v", "X-Header yes"]
)
def test_what_decides_nothing_about_signing_is_no_undecided_point(text: str) -> None:
    assert "undecided" not in tomllib.loads(converted(f"{text}\n").toml)


def test_a_verifier_signs_nothing_whatever_the_service() -> None:
    loaded = tomllib.loads(converted("Mode v\nMTA ORIGINATING\n").toml)
    assert loaded["milters"]["sign"] == {"authenticated": False, "internal": False}


def test_many_undecided_points_are_bounded() -> None:
    table = "".join(f"{number} {'x' * 2000}\n" for number in range(5000))
    conversion = converted("KeyTable /kt\nSigningTable refile:/st\n", kt=table, st="")
    points = tomllib.loads(conversion.toml)["undecided"]
    assert points[-1] == "4800 more: see the output of the import"
    assert len(conversion.toml) < 300_000


@pytest.mark.parametrize(("file", "base"), [("./k", Path("/b")), ("/b/k", Path("/"))])
def test_relative_key_files_keep_what_they_are_relative_to(file: str, base: Path) -> None:
    text = "BaseDirectory /b\nKeyTable file:kt\nSigningTable refile:st\n"
    tables = {"b/kt": f"k a.example:s:{file}\n", "b/st": "*@a.example k\n"}
    conversion = converted(text, **tables)
    assert not errors(conversion)
    milters = MiltersFile.model_validate(tomllib.loads(conversion.toml)).milters
    assert milters.opendkim_key_table == "file:/b/kt"
    assert milters.opendkim_base == base


def test_half_of_the_tables_is_an_error() -> None:
    for text in ("KeyTable /kt", "SigningTable refile:/st", "KeyFile /k", "KeyFile /k\nDomain a.b"):
        assert errors(converted(text, kt="", st="")), text


def test_a_file_name_does_not_end_the_comment_that_it_stands_in() -> None:
    path = Path('/a\nlisten = "inet:1"')
    files = Memory()
    files.files[str(path)] = "Socket inet:8891\n"
    conversion = convert(path, files)
    assert tomllib.loads(conversion.toml)["milters"] == {
        "listen": "inet:8891",
        "policy": {"preset": "report"},
    }


names = st.sampled_from(sorted({known.name for known in KNOWN.values()} | {"Unknown"}))
values = st.one_of(
    st.sampled_from(
        [
            *("yes", "no", "sv", "s", "/t", "file:/t", "refile:/t", "0", "5", "9" * 20, "-1"),
            *("a.example", "relaxed/simple", "local:/run/s", "inet:1@localhost", "!10.0.0.0/8"),
            *("127.0.0.1,::1", "Received", "From,bcc"),
        ]
    ),
    st.text(alphabet="ab.:/@*%,!=\"'\\|-+0119 \t\x7f\u00e9\ud800", max_size=20),
)
lines = st.builds(lambda name, value: f"{name} {value}", names, values)


@settings(max_examples=300)
@given(st.lists(lines, max_size=12), st.text(alphabet="ab.:/@*% k\n", max_size=60))
def test_whatever_is_read_makes_a_valid_configuration_or_an_error(
    conf: list[str], table: str
) -> None:
    try:
        conversion = converted("\n".join(conf), t=table)
    except OpendkimError:
        return
    loaded = tomllib.loads(conversion.toml)
    assert bool(loaded.pop("undecided", None)) is bool(errors(conversion))
    MiltersFile.model_validate(loaded, context={"directory": Path("/")})
    for option in read("\n".join(conf), t=table).options:
        known = KNOWN.get(option.name.lower())
        assert known is not None or any(option.name in text for text in errors(conversion))


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(OpendkimError):
        assert read(text).path == Path("/conf")
