"""The commands on a store: what is shown, and what changes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from policyd.checks.greylist import GreylistCheck, Identify
from policyd.cli.dnslist import dnslist
from policyd.cli.greylist import greylist
from policyd.cli.serve import policyd
from policyd.settings import GreylistSettings
from policyd.stores.sqlite import SqliteStore
from tests.unit.policyd.requests import request


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "gatepost.toml"
    path.write_text(
        'hostname = "mx.example.org"\n'
        f'[policyd.store]\npath = "{tmp_path}/store.sqlite"\n'
        '[policyd.greylist]\nidentities = ["host"]\n'
    )
    return path


def learn(
    config: Path,
    *requests: dict[str, str],
    settings: GreylistSettings | None = None,
    identify: Sequence[Identify] = (),
) -> None:
    """Let a greylist see requests, ten minutes ago and now."""

    async def scene() -> None:
        store = SqliteStore(config.parent / "store.sqlite")
        for ago in (600, 0):
            check = GreylistCheck(
                settings or GreylistSettings(),
                store,
                "mx.example.org",
                identify,
                clock=lambda ago=ago: time.time() - ago,  # type: ignore[misc]
            )
            for attributes in requests:
                if not ago and attributes.get("sender") == "new@example.net":
                    continue
                await check.check(request(**attributes))
        await store.close()

    asyncio.run(scene())


def with_secret(config: Path, tmp_path: Path) -> GreylistSettings:
    """Turn privacy mode on."""
    secret = tmp_path / "secret"
    secret.write_text("a secret\n")
    secret.chmod(0o600)
    config.write_text(config.read_text() + f'privacy_key_file = "{secret}"\n')
    return GreylistSettings.model_validate({"privacy_key_file": str(secret)})


def run(config: Path, *arguments: str, stdin: str = "") -> Result:
    return CliRunner().invoke(greylist, [*arguments, "--config", str(config)], input=stdin)


def ask(config: Path, *arguments: str) -> Result:
    return CliRunner().invoke(policyd, ["ask", *arguments, "--config", str(config)])


def test_without_a_store(config: Path) -> None:
    result = run(config, "list")
    assert result.exit_code == 1
    assert "there is no store" in result.stderr


def test_list_and_find(config: Path) -> None:
    learn(config, {}, {"sender": "new@example.net"}, {"recipient": "carol@example.org"})
    lines = run(config, "list").stdout.splitlines()
    assert len(lines) == 4
    assert sum("  passed, last seen 20" in line for line in lines) == 2
    assert any("new@example.net  bob@example.org  may retry" in line for line in lines)
    assert any(line.startswith("client  host:example.net  retried 1 time") for line in lines)
    assert len(run(config, "list", "--kind", "triplet", "--limit", "2").stdout.splitlines()) == 2
    found = run(config, "find", "CAROL").stdout
    assert found.startswith("triplet  host:example.net  alice@example.net  carol@example.org")
    assert run(config, "find", "nobody").exit_code == 1


def test_allow_and_forget(config: Path) -> None:
    learn(config, {})
    stranger = [
        "--client",
        "203.0.113.7",
        "--sender",
        "x@y.example",
        "--recipient",
        "b@example.org",
    ]
    assert "greylist: new" in ask(config, *stranger).stdout
    assert "net:203.0.113.0/24 is no longer delayed" in run(config, "allow", "203.0.113.9").stdout
    assert "greylist: auto-allowed\naction=DUNNO" in ask(config, *stranger).stdout
    assert "1 record forgotten" in run(config, "forget", "203.0.113.7").stdout
    assert "greylist: new" in ask(config, *stranger).stdout
    assert "host:example.com" in run(config, "allow", "mx.example.com").stdout
    assert run(config, "allow", "nonsense").exit_code == 1
    assert "2 records forgotten" in run(config, "forget", "host:example.net").stdout
    assert run(config, "forget", "host:example.net").exit_code == 1


@pytest.mark.parametrize(
    ("said", "identity"),
    [
        ("203.0.113.9", "net:203.0.113.0/24"),
        ("203.0.113.0/24", "net:203.0.113.0/24"),
        ("net:203.0.113.9", "net:203.0.113.0/24"),
        ("::ffff:203.0.113.9", "net:203.0.113.0/24"),
        ("2001:db8::1", "net:2001:db8::/64"),
        ("2001:db8::/64", "net:2001:db8::/64"),
        ("Mail.Example.COM", "host:example.com"),
        ("host:mail.example.com", "host:example.com"),
        ("spf:Example.com", "spf:example.com"),
        ("dnswl:list.example", "dnswl:list.example"),
        ("mail.example.com.", "host:example.com"),
        ("mail_1.example.com", "host:example.com"),
        ("bücher.example", "host:xn--bcher-kva.example"),
        ("2001:DB8:0::1", "net:2001:db8::/64"),
    ],
)
def test_whom_allow_means(config: Path, said: str, identity: str) -> None:
    learn(config, {})
    assert f"{identity} is no longer delayed" in run(config, "allow", said).stdout
    assert f"client  {identity}  allowed" in run(config, "find", said).stdout
    assert "1 record forgotten" in run(config, "forget", said).stdout


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("203.0.113.0/28", "put other networks into allow_clients"),
        ("net:203.0.0.0/16", "put other networks into allow_clients"),
        ("203.0.113.9/33", "not an address, network, domain or identity"),
        ("203.0.113.9/", "not an address, network, domain or identity"),
        ("203.0.113.9/024", "not an address, network, domain or identity"),
        ("2001:db8::/129", "not an address, network, domain or identity"),
        ("1.2.3.999", "not an address, network, domain or identity"),
        ("1.2.3", "not an address, network, domain or identity"),
        ("1.2.3.4.5", "not an address, network, domain or identity"),
        ("1.2.3.4.", "not an address, network, domain or identity"),
        ("1.2.3.0x4", "not an address, network, domain or identity"),
        ("host:1.2.3.999", "not an address, network, domain or identity"),
        ("host:192.0.2.7", "not an address, network, domain or identity"),
        ("net:1.2.3.999", "not an address, network, domain or identity"),
        ("spf:1.2.3.999", "not an address, network, domain or identity"),
        ("dnswl:1.2.3.999", "not an address, network, domain or identity"),
        ("spf:example", "not an address, network, domain or identity"),
        ("2001:db8::g", "not an address, network, domain or identity"),
        ("2001:db8:::1", "not an address, network, domain or identity"),
        ("fe80::1%eth0", "not an address, network, domain or identity"),
        ("[192.0.2.7]", "not an address, network, domain or identity"),
        ("host:-mail.example.org", "not an address, network, domain or identity"),
        ("mail-.example.org", "not an address, network, domain or identity"),
        ("mail..example.org", "not an address, network, domain or identity"),
        (".example.org", "not an address, network, domain or identity"),
        ("*.example.org", "not an address, network, domain or identity"),
        ("example.org/24", "not an address, network, domain or identity"),
        ("mail example.org", "not an address, network, domain or identity"),
        (" 192.0.2.7", "not an address, network, domain or identity"),
        ("x" * 64 + ".example.org", "not an address, network, domain or identity"),
        ("", "not an address, network, domain or identity"),
        ("vps-1a2b3c4d.vps.ovh.net", "this is a generated name"),
        ("host:vps-1a2b3c4d.vps.ovh.net", "this is a generated name"),
        ("203.0.113/24", "not an address, network, domain or identity"),
        ("bob@example.org", "not an address, network, domain or identity"),
        ("net:example.org", "not an address, network, domain or identity"),
        ("spf:", "not an address, network, domain or identity"),
        ("host:org", "not an address, network, domain or identity"),
    ],
)
def test_nobody_to_allow(config: Path, said: str, told: str) -> None:
    learn(config, {})
    result = run(config, "allow", said)
    assert result.exit_code == 1
    assert told in result.stderr


def test_a_client_and_a_sender_are_found_as_mail_has_them(config: Path) -> None:
    bounce = "bounce-4711-bob=example.org@list.example"
    learn(config, {"client_name": "unknown", "sender": bounce})
    for text in ("192.0.2.7", "192.0.2.0/24", bounce):
        assert "  bob@example.org  passed" in run(config, "find", text).stdout
    assert run(config, "find", "192.0.3.7").exit_code == 1
    assert "1 record forgotten" in run(config, "forget", bounce).stdout


async def _spf(_request: object, _facts: object) -> str:
    return "spf:shop.example"


STORED = {
    "host": ({}, "host:example.net", ()),
    "network": ({"client_name": "unknown"}, "net:192.0.2.0/24", ()),
    "generated name": (
        {"client_name": "vps-1a2b3c4d.vps.ovh.net"},
        "net:192.0.2.0/24",
        ("vps-1a2b3c4d.vps.ovh.net", "VPS-1a2b3c4d.vps.ovh.net."),
    ),
    "IPv6": (
        {"client_address": "2001:db8:1::25", "client_name": "mx1.example.net"},
        "host:example.net",
        ("2001:DB8:1:0::25", "2001:db8:1::/64", "2001:db8::/32", "mx1.example.net"),
    ),
}


@pytest.mark.parametrize("privacy", [False, True], ids=["plain", "privacy"])
@pytest.mark.parametrize(("client", "identity", "texts"), STORED.values(), ids=STORED.keys())
def test_a_client_is_found_by_its_address_and_name(
    config: Path,
    tmp_path: Path,
    client: dict[str, str],
    identity: str,
    texts: tuple[str, ...],
    privacy: bool,
) -> None:
    settings = with_secret(config, tmp_path) if privacy else None
    learn(config, client, settings=settings)
    learn(config, {"client_address": "198.51.100.9", "client_name": "unknown"}, settings=settings)
    default = ("192.0.2.7", "::ffff:192.0.2.7", "192.0.2.0/24", "net:192.0.2.0/24", identity)
    for text in texts if "client_address" in client else (*default, *texts):
        if privacy and "/" in text and text != identity and "net:" not in identity:
            continue  # one hash does not tell which network an address is in
        found = run(config, "find", text)
        assert len(found.stdout.splitlines()) == 2, (text, found.output)
        if not privacy:
            assert f"  {identity}  " in found.stdout
    assert run(config, "find", "192.0.2.8").exit_code == (0 if "net:" in identity else 1)
    assert run(config, "find", "203.0.113.7").exit_code == 1


@pytest.mark.parametrize("privacy", [False, True], ids=["plain", "privacy"])
def test_a_client_is_found_by_what_spf_proved(config: Path, tmp_path: Path, privacy: bool) -> None:
    settings = with_secret(config, tmp_path) if privacy else None
    for address in ("192.0.2.7", "198.51.100.9"):
        learn(
            config,
            {"client_address": address, "client_name": "s1234.pool.example"},
            settings=settings,
            identify=[_spf],
        )
    for text in ("192.0.2.7", "198.51.100.9", "shop.example", "spf:shop.example"):
        found = run(config, "find", "--kind", "triplet", text).stdout
        assert privacy or "  spf:shop.example  alice@example.net  bob@example.org  " in found
        assert found
    if not privacy:
        told = run(config, "find", "192.0.2.7").stderr
        assert "192.0.2.7 is known as spf:shop.example" in told
        forgotten = run(config, "forget", "192.0.2.7")
        assert "also known as spf:shop.example, which is kept" in forgotten.stderr
        assert run(config, "forget", "spf:shop.example").exit_code == 0
        assert "spf:" not in run(config, "find", "alice@example.net").stdout


def test_another_server_of_a_pool_is_found_though_nothing_was_learned_of_it(config: Path) -> None:
    learn(config, {})
    learn(config, {"client_address": "198.51.100.9", "client_name": "mx2.example.net"})
    assert "host:example.net" in run(config, "find", "198.51.100.9").stdout


def test_an_address_that_was_many_is_known_as_the_last_of_them(config: Path) -> None:
    for n in range(10):
        learn(config, {"client_name": f"mail.example{'abcdefghij'[n]}.org"})
    told = run(config, "find", "192.0.2.7").stderr
    assert "host:examplej.org" in told
    assert "host:examplec.org" in told
    assert "host:exampleb.org" not in told


def test_what_is_exported_can_be_imported(config: Path, tmp_path: Path) -> None:
    learn(config, {}, {"sender": "new@example.net"}, {"sender": ""})
    exported = run(config, "export").stdout
    assert len(exported.splitlines()) == 4
    other = tmp_path / "other.toml"
    other.write_text(f'[policyd.store]\npath = "{tmp_path}/other.sqlite"\n')
    imported = run(other, "import", stdin=exported + "\n")
    assert "4 records read" in imported.stderr
    assert sorted(run(other, "export").stdout.splitlines()) == sorted(exported.splitlines())
    # and once more does no harm
    run(other, "import", stdin=exported)
    assert sorted(run(other, "export").stdout.splitlines()) == sorted(exported.splitlines())
    client = '{"kind":"client","client":"%s","returns":9,"last":1900000000,"expires":1900000000}'
    parts = (r"net:a\nnet:b", r"net:a\u0000b", r"net:\ud800")
    other_kind = client.replace('"kind":"client"', '"kind":"quota"') % "net:a"
    for wrong in (
        "{}",
        "nonsense",
        '{"kind": "client"}',
        "[]",
        other_kind,
        *(client % part for part in parts),
    ):
        result = run(other, "import", stdin=wrong)
        assert result.exit_code == 1
        assert "line 1: not a record" in result.stderr


def test_in_privacy_mode_a_whole_part_is_found(config: Path, tmp_path: Path) -> None:
    settings = with_secret(config, tmp_path)
    learn(config, {}, settings=settings)
    exported = run(config, "export").stdout
    assert "example" not in exported
    assert "passed" in run(config, "find", "alice@example.net").stdout
    assert run(config, "find", "alice").exit_code == 1
    assert run(config, "import", stdin=exported).exit_code == 0
    assert len(run(config, "export").stdout.splitlines()) == 2
    assert "1 record forgotten" in run(config, "forget", "alice@example.net").stdout


def test_ask_shows_each_check_and_leaves_no_trace(config: Path) -> None:
    learn(config, {})
    config.write_text(
        config.read_text() + '[policyd.tables]\ndeny_helo = ["evil.example"]\n'
        '[policyd.client]\nhelo_unqualified = "note"\n'
        '[[policyd.limits.rules]]\nname = "big"\nper = "client"\ncount = "bytes"\nlimit = "1M"\n'
    )
    before = run(config, "export").stdout
    result = ask(
        config,
        *("--client", "203.0.113.7", "--helo", "localhost", "--sender", "x@y.example"),
        *("--recipient", "bob@example.org"),
    )
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "limits: no finding",
        "tables: no finding",
        "client: noted (helo-unqualified)",
        "greylist: new (wait 300 s)",
        "action=DEFER_IF_PERMIT 4.2.0 Greylisted, please try again in 300 seconds [greylist-new]",
    ]
    assert run(config, "export").stdout == before
    denied = ask(config, "--client", "203.0.113.7", "--helo", "x.evil.example").stdout
    assert denied.splitlines() == [
        "limits: no finding",
        "tables: helo denied (evil.example)",
        "client: not reached",
        "greylist: not reached",
        "action=554 5.7.1 Access denied [denied-helo]",
    ]
    at_connect = ask(config, "--client", "203.0.113.7", "--state", "CONNECT").stdout
    assert "greylist: does not run at CONNECT\naction=DUNNO" in at_connect


def test_ask_takes_any_attribute_but_no_second_line(config: Path) -> None:
    result = ask(config, "--client", "192.0.2.7", "--attribute", "sasl_username=alice")
    assert "greylist: no finding" in result.stdout
    assert ask(config, "--attribute", "nonsense").exit_code == 2
    assert ask(config, "--attribute", "a=b\nc=d").exit_code == 2
    assert ask(config, "--sender", "a\nrequest=x").exit_code == 2


def test_no_list_is_configured(config: Path) -> None:
    result = CliRunner().invoke(dnslist, ["test", "192.0.2.7", "--config", str(config)])
    assert result.exit_code == 1
    assert "no list is configured" in result.stderr
