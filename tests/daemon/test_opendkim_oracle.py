"""What our reading of opendkim's files rests on: the same questions to opendkim itself."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from milters.keys.tables.dataset import read_dataset
from milters.keys.tables.errors import OpendkimError, Place
from milters.keys.tables.parse import parse_key_table, parse_signing_table
from milters.migration.opendkim.configuration import read_configuration
from milters.migration.opendkim.options import KNOWN
from tests.testbed.waiting import DEADLINE

OPENDKIM = shutil.which("opendkim", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")

pytestmark = pytest.mark.skipif(OPENDKIM is None, reason="needs opendkim (apt install opendkim)")


def opendkim(*arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    assert OPENDKIM is not None
    return subprocess.run(
        [OPENDKIM, *arguments],
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE,
    )


def query(spec: str, key: str, fields: int) -> list[str]:
    """The fields that opendkim finds for a key of a data set; empty where it finds none."""
    done = opendkim("-Q", text=f"{spec}\n{key}/{fields}\n")
    found = [line.removeprefix("> ").strip() for line in done.stdout.splitlines()]
    return [line[1:-1] for line in found if line.startswith("'")]


CONFIGURATIONS = [
    "Mode v\nSelector one\nSelector two\n",
    "mode v\nSELECTOR x # y\n",
    "Mode\tv\nSelector   a b  c \n",
    "Mode v\r\nSelector x\r\n",
    "Mode v\nSelector x#y\n",
    'Mode v\nSelector "x y"\n',
    "Mode v\nInclude INC\nSelector one\n",
    "Mode v\nSelector one\nInclude INC\n",
    "\n\n   \nMode v\n  Selector x\n",
]


@pytest.mark.parametrize("text", CONFIGURATIONS)
def test_values_of_a_configuration(tmp_path: Path, text: str) -> None:
    (tmp_path / "included").write_text("Selector included\n")
    path = tmp_path / "opendkim.conf"
    path.write_bytes(text.replace("INC", str(tmp_path / "included")).encode())
    done = opendkim("-x", str(path), "-e", "Selector")
    assert done.returncode == 0, done.stderr
    # of several, opendkim prints the one that counts first
    assert read_configuration(path).value("Selector") == done.stdout.splitlines()[0]


@pytest.mark.parametrize(
    "text",
    [
        "Mode v\nSyslog\n",
        "Mode v\nSyslog maybe\n",
        "Mode v\nInclude /none/such\n",
        "Mode v\nDomain a \\\n  b\n",
        "Mode v\nFrobnicate 5\n",
    ],
)
def test_what_opendkim_does_not_start_with_is_told_here_too(tmp_path: Path, text: str) -> None:
    path = tmp_path / "opendkim.conf"
    path.write_text(text)
    assert opendkim("-n", "-x", str(path)).returncode != 0
    with contextlib.suppress(OpendkimError):
        options = read_configuration(path).options
        assert any(option.name.lower() not in KNOWN for option in options)


@pytest.mark.parametrize("name", sorted(known.name for known in KNOWN.values()))
def test_options_that_opendkim_knows(tmp_path: Path, name: str) -> None:
    path = tmp_path / "opendkim.conf"
    path.write_text(f"{name} 0\n")
    told = opendkim("-n", "-x", str(path)).stderr
    left_out = {
        *("IdentityHeader", "IdentityHeaderRemove", "POPDBFile", "ResignAll", "ResignMailTo"),
        *("SMTPURI", "StatisticsPolicyScript"),
        *("ADSPAction", "ADSPNoSuchDomain", "DisableADSP", "LocalADSP", "SendADSPReports"),
        "On-PolicyError",
    }
    assert ("unrecognized parameter" not in told) or name in left_out


def test_entries_of_a_key_table(tmp_path: Path) -> None:
    path = tmp_path / "KeyTable"
    path.write_text(
        "# keys\nkey1 a.example:s:/k1\nkey2\tb.example:s2:/k#x\n  key3 c.example:s:/k # y\n"
        "key1 other.example:s:/k\nKEY4 d.example:s:/k\n"
    )
    keys, _ = parse_key_table(read_dataset(f"file:{path}", Place("test")))
    for name in ("key1", "key2", "key3", "KEY4"):
        key = keys[name]
        assert query(f"file:{path}", name, 3) == [key.domain, key.selector, key.file]
    assert query(f"file:{path}", "none", 3) == []


PATTERNS = """
*@example.org k1
*@*.example.net k2
user@example.com k3
f.o*@x.example k4
*boss*@* k5
user@*.example.* k6
"""

ADDRESSES = [
    "me@example.org",
    "me@sub.example.org",
    "me@a.example.net",
    "me@a.b.example.net",
    "me@example.net",
    "user@example.com",
    "user2@example.com",
    "f.oo@x.example",
    "fxoo@x.example",
    "theboss1@y.example",
    "boss@y.example",
    "user@mail.example.com",
    "user@example.example.com",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_the_first_pattern_of_a_signing_table(tmp_path: Path, address: str) -> None:
    path = tmp_path / "SigningTable"
    path.write_text(PATTERNS)
    table, problems = parse_signing_table(read_dataset(f"refile:{path}", Place("test")))
    assert problems == []
    ours = [entry.key_name for entry in table.lookup(address)]
    assert ours[:1] == query(f"refile:{path}", address, 1)


def test_lists(tmp_path: Path) -> None:
    spec = "a, b,x=1 , y=q"
    entries = {entry.key: entry.value for entry in read_dataset(spec, Place("test")).entries}
    assert entries == {"a": "", "b": "", "x": "1", "y": "q"}
    for key in ("x", "y"):
        assert query(spec, key, 1) == [entries[key]]
