"""The place of `make up`, and the settings of who made it his own."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from tools.up.place import HOST, HOSTNAME, PORTS, SETTINGS, Place, PlaceError
from tools.up.system import System


def test_a_demonstration_is_open_on_loopback_alone(tmp_path: Path) -> None:
    place = Place(state=tmp_path).with_settings()
    assert place == Place(state=tmp_path)
    assert not place.is_own
    assert place.hostname == HOSTNAME
    assert {place.opened_at(service) for service in PORTS} == {HOST}


def test_the_settings_change_what_they_name_and_nothing_else(tmp_path: Path) -> None:
    settings = (
        'hostname = "mx.example.net"\naddress = "0.0.0.0"\nbackup = "/srv/backup"\n'
        "[ports]\nsmtp = 25\n"
    )
    (tmp_path / SETTINGS).write_text(settings)
    place = Place(state=tmp_path).with_settings()
    assert place.is_own
    assert place.hostname == "mx.example.net"
    assert place.ports == {**PORTS, "smtp": 25}
    assert place.backup == Path("/srv/backup")
    # their passwords would cross the network unencrypted
    local = {service for service in PORTS if place.opened_at(service) == HOST}
    assert local == {"webmail", "api"}


@pytest.mark.parametrize("domain", ["example.net", 'odd"\\1'])
def test_the_domain_that_seals_is_in_the_configuration(tmp_path: Path, domain: str) -> None:
    system = System(replace(Place(state=tmp_path), domain=domain))
    (text,) = (
        each["data"]["gatepost.toml"]
        for each in system._objects
        if "gatepost.toml" in each.get("data", {})
    )
    assert tomllib.loads(text)["milters"]["seal"] == {"domain": domain}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("hostnam = 'x'", "there is no hostnam"),
        ("hostname = 1", "hostname is like 'mail.example.org'"),
        ("backup = 1", "backup is like "),
        ("[ports]\nsmtp = '25'", "smtp is like 2525"),
        ("ports = 25", "ports is a table"),
        ("[", "settings.toml: "),
    ],
)
def test_a_mistake_in_the_settings_is_named(tmp_path: Path, settings: str, said: str) -> None:
    (tmp_path / SETTINGS).write_text(settings)
    with pytest.raises(PlaceError, match=said):
        Place(state=tmp_path).with_settings()


def test_what_make_down_keeps_is_not_said_to_be_removed_by_it(tmp_path: Path) -> None:
    place = Place(state=tmp_path)
    assert place.how_to_remove("them") == "`make down` removes them"
    (tmp_path / SETTINGS).write_text("")
    assert f"move {tmp_path / SETTINGS} away" in place.how_to_remove("them")


def test_all_data_are_in_volumes_of_this_system(tmp_path: Path) -> None:
    """`make down` finds them by their names, and another system has others."""
    claims = System(Place(name="other", state=tmp_path)).claims
    assert "other-queue" in claims
    assert [name for name in claims if not name.startswith("other-")] == []
