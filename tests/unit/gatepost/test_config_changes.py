"""Which keys of a changed configuration a daemon takes over at its next start alone."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from gatepost.config import AT_START, Section, files_read_at_start, waiting_for_a_start
from policyd.settings import PolicydSettings


class Door(Section):
    listen: str = Field(default="inet:1", json_schema_extra=AT_START, description="Where.")
    colour: str = Field(default="red", description="Which.")


class House(Section):
    door: Door = Field(default=Door(), description="The door.")
    roof: str = Field(default="flat", json_schema_extra=AT_START, description="The roof.")


def test_only_keys_that_are_read_at_the_start_wait_for_one() -> None:
    running = House()
    new = House(door=Door(listen="inet:2", colour="blue"), roof="steep")
    assert list(waiting_for_a_start(running, new, "house")) == ["house.door.listen", "house.roof"]
    repainted = House(door=Door(colour="blue"))
    assert list(waiting_for_a_start(running, repainted, "house")) == []


def test_files_of_keys_that_are_read_at_the_start_are_known_by_their_keys() -> None:
    settings = PolicydSettings.model_validate(
        {
            "store": {"path": "/store", "password_file": "/password"},
            "greylist": {"privacy_key_file": "/privacy"},
        }
    )
    found = dict(files_read_at_start(settings, "policyd"))
    assert found == {"policyd.store.password_file": Path("/password")}
