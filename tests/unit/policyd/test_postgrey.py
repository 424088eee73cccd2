"""postgrey's files: the Berkeley DB, its records, its options, and the command that takes them."""

from __future__ import annotations

import contextlib
import fcntl
import json
import random
import shutil
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gatepost.cli.imports import import_
from policyd.cli.greylist import greylist
from policyd.greylisting import ClientRecord, GreylistRules, TripletRecord
from policyd.migration.berkeley import BerkeleyError, read_btree
from policyd.migration.postgrey import Taken, read_options, take_clients, take_triplets
from policyd.settings import GreylistSettings

VECTORS = Path(__file__).parents[2] / "vectors" / "postgrey"
NOW = 1763700000


def test_every_pair_comes_out_in_order() -> None:
    pairs = list(read_btree(VECTORS / "postgrey.db"))
    keys = [key for key, _ in pairs]
    assert len(pairs) == 120
    assert keys == sorted(keys)
    first = b"192.0.0.0/sendera0@example.net/user0@example.org"
    assert pairs[0] == (first, b"1763699000,1763699010")
    assert not any(b"senderd3@" in key for key in keys)  # deleted
    assert max(map(len, keys)) > 3000  # on overflow pages
    clients = list(read_btree(VECTORS / "postgrey_clients.db"))
    assert len(clients) == 20
    assert (b"192.0.2.7", b"8,1763700000") in clients


@pytest.mark.parametrize("name", ["postgrey.db", "postgrey_clients.db"])
def test_a_damaged_file_is_an_error_or_less_and_nothing_worse(tmp_path: Path, name: str) -> None:
    whole = (VECTORS / name).read_bytes()
    path = tmp_path / "damaged.db"
    source = random.Random(7)
    for _ in range(1500):
        data = bytearray(whole)
        for _ in range(source.choice([1, 1, 2, 20])):
            # mostly where pages begin: headers and tables of items
            page = source.randrange(len(data) // 4096) * 4096
            data[page + source.randrange(source.choice([40, 200, 4096]))] = source.randrange(256)
        if source.random() < 0.2:
            del data[source.randrange(len(data)) :]
        path.write_bytes(data)
        with contextlib.suppress(BerkeleyError):
            assert len(list(read_btree(path))) <= 4000


@pytest.mark.parametrize("data", [b"", b"SQLite format 3\0" * 100, b"\0" * 4096])
def test_what_is_no_btree(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.db"
    path.write_bytes(data)
    with pytest.raises(BerkeleyError, match=r"too short|no B-tree"):
        list(read_btree(path))


def test_triplets() -> None:
    taken = Taken()
    take_triplets(
        [
            (b"192.0.2.0/alice@example.net/bob@example.org", b"1000,1400"),
            (b"192.0.2.0/early@example.net/bob@example.org", b"1000,1010"),
            (b"2001:db8:1:2::/a/b@example.net/bob@example.org", b"1000,1400,host"),
            (b"192.0.2.0//bob@example.org", b"1000,1400"),
            (b"a" * 40, b"1000,1400"),
            (b"nonsense", b"1000,1400"),
            (b"192.0.2.0/x/y", b"soon,later"),
        ],
        GreylistRules(delay=300),
        taken,
    )
    assert taken.triplets == [
        (
            ("net:192.0.2.0/24", "alice@example.net", "bob@example.org"),
            TripletRecord(1000, 1400, 1300),
        ),
        (
            ("net:192.0.2.0/24", "early@example.net", "bob@example.org"),
            TripletRecord(1000, 1000, 0),
        ),
        (
            ("net:2001:db8:1:2::/64", "a/b@example.net", "bob@example.org"),
            TripletRecord(1000, 1400, 1300),
        ),
        (("net:192.0.2.0/24", "", "bob@example.org"), TripletRecord(1000, 1400, 1300)),
    ]
    assert (taken.hidden, taken.unreadable) == (1, 2)


def test_clients_of_a_network_are_one() -> None:
    taken = Taken()
    take_clients(
        [(b"192.0.2.1", b"3,1000"), (b"192.0.2.2", b"7,900"), (b"x", b"1,1"), (b"192.0.3.1", b"1")],
        taken,
    )
    assert taken.clients == [("net:192.0.2.0/24", ClientRecord(7, 900))]
    assert taken.unreadable == 2


@pytest.mark.parametrize(
    ("text", "settings", "listen", "notes"),
    [
        ("", {}, "", 0),
        # postgrey(8): "localhost if HOST is not specified"
        ("--inet=10023", {}, "inet:127.0.0.1:10023", 0),
        ("-i 10023 -d", {}, "inet:127.0.0.1:10023", 0),
        ("-u /run/postgrey.sock", {}, "unix:/run/postgrey.sock", 0),
        (
            '# startup options\nPOSTGREY_OPTS="--inet=127.0.0.1:10023 \\\n  --delay=60\n'
            '  --max-age=40"  # as long\n',
            {"delay": 60.0, "max_age": 40 * 86400.0},
            "inet:127.0.0.1:10023",
            0,
        ),
        ("POSTGREY_OPTS=--delay=60\nPOSTGREY_OPTS='--delay=90'\n", {"delay": 90.0}, "", 0),
        (
            "--whitelist-clients=/etc/a --whitelist-clients=/etc/b",
            {"allow_clients_files": (Path("/etc/a"), Path("/etc/b"))},
            "",
            0,
        ),
        (
            'POSTGREY_OPTS="--inet=127.0.0.1:10023 --delay=60 --max-age=40 --retry-window=12h"\n',
            {"delay": 60.0, "max_age": 40 * 86400.0, "retry_window": 12 * 3600.0},
            "inet:127.0.0.1:10023",
            0,
        ),
        (
            "--auto-whitelist-clients=10 --ipv4cidr=28 --ipv6cidr=56 --greylist-action=DEFER",
            {"auto_allow_clients": 10, "ipv4_prefix": 28, "ipv6_prefix": 56, "action": "defer"},
            "",
            0,
        ),
        ("--lookup-by-host --privacy --exim", {"ipv4_prefix": 32, "ipv6_prefix": 128}, "", 2),
        (
            "POSTGREY_TEXT=\"Wait %s s, http://x/%r.html\"\nPOSTGREY_OPTS='--delay 5'\n",
            {"text": "Wait {seconds} s, http://x/{domain}.html", "delay": 5.0},
            "",
            0,
        ),
    ],
)
def test_options(text: str, settings: dict[str, object], listen: str, notes: int) -> None:
    options = read_options(text)
    toml = "".join(f"{key} = {value}\n" for key, value in options.greylist.items())
    read = GreylistSettings.model_validate(tomllib.loads(toml))
    assert {key: getattr(read, key) for key in settings} == settings
    assert set(options.greylist) == set(settings)
    assert options.listen == listen
    assert len(options.notes) == notes


def run(tmp_path: Path, *arguments: str, group: str = "import") -> Result:
    config = tmp_path / "gatepost.toml"
    if not config.exists():
        # postgrey's data are of 2025: they must not have expired when this test runs
        config.write_text(
            f'[policyd.store]\npath = "{tmp_path}/store.sqlite"\n'
            '[policyd.greylist]\nmax_age = "500w"\nretry_window = "500w"\n'
        )
    command = import_ if group == "import" else greylist
    return CliRunner().invoke(command, [*arguments, "--config", str(config)])


def test_the_command_takes_all_over(tmp_path: Path) -> None:
    etc = tmp_path / "etc"
    etc.mkdir()
    (etc / "whitelist_clients").write_text("example.com\n")
    (etc / "whitelist_clients.local").write_text("two words\n")
    options = tmp_path / "default"
    options.write_text('POSTGREY_OPTS="--inet=10023 --delay=200 --x-greylist-header=x"\n')
    result = run(
        tmp_path,
        "postgrey",
        str(VECTORS),
        *("--options", str(options)),
        *("--whitelists", str(etc)),
    )
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("\n# Made from postgrey's options and whitelists by ")
    printed = tomllib.loads(result.stdout)["policyd"]
    assert printed["listen"] == "inet:127.0.0.1:10023"
    assert printed["greylist"]["delay"] == "200s"
    assert printed["greylist"]["allow_clients_files"] == [
        str(etc / "whitelist_clients"),
        str(etc / "whitelist_clients.local"),
    ]
    assert "120 triplets, 1 client imported" in result.stderr
    assert "whitelist_clients.local:1: 'two words'" in result.stderr
    assert "--x-greylist-header" in result.stderr
    exported = run(tmp_path, "export", group="greylist")
    records = [json.loads(line) for line in exported.stdout.splitlines()]
    assert len([one for one in records if one["kind"] == "triplet"]) == 120
    (client,) = [one for one in records if one["kind"] == "client"]
    assert (client["client"], client["returns"]) == ("net:192.0.2.0/24", 21)
    assert sum(1 for one in records if one.get("passed")) == 80
    found = run(tmp_path, "find", "sendera0@example.net", group="greylist")
    assert "net:192.0.0.0/24  sendera#@example.net" not in found.output
    assert "sendera0@example.net  user0@example.org  may retry" in found.output


def test_clients_are_as_large_as_postgrey_has_them(tmp_path: Path) -> None:
    """The lines that are printed say so as well: triplets of other networks would never be met."""
    options = tmp_path / "default"
    options.write_text('POSTGREY_OPTS="--lookup-by-host"\n')
    result = run(tmp_path, "postgrey", str(VECTORS), "--options", str(options))
    assert tomllib.loads(result.stdout)["policyd"]["greylist"]["ipv4_prefix"] == 32
    exported = run(tmp_path, "export", "--kind", "triplet", group="greylist").stdout
    clients = {json.loads(line)["client"] for line in exported.splitlines()}
    assert clients
    assert all(client.endswith(("/32", "/128")) for client in clients)


def test_a_postgrey_that_runs_is_to_be_stopped_first(tmp_path: Path) -> None:
    folder = tmp_path / "postgrey"
    shutil.copytree(VECTORS, folder)
    with (folder / "postgrey.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        result = run(tmp_path, "postgrey", str(folder))
        assert result.exit_code == 1
        assert "stop it first" in result.stderr
        assert not (tmp_path / "store.sqlite").exists()
        looked = run(tmp_path, "postgrey", str(folder), "--dry-run")
        assert looked.exit_code == 0
        assert "postgrey is running, and not all" in looked.stderr
    assert run(tmp_path, "postgrey", str(folder)).exit_code == 0


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    result = run(tmp_path, "postgrey", str(VECTORS), "--dry-run")
    assert result.exit_code == 0, result.output
    assert "would be imported" in result.stderr
    assert not (tmp_path / "store.sqlite").exists()


def test_a_folder_without_a_database(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    result = run(tmp_path, "postgrey", str(empty))
    assert result.exit_code == 1
    assert "postgrey.db: cannot be read" in result.stderr
