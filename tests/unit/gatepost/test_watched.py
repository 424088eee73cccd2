"""The files that a section names: each is watched, or marked as one that is not."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import pytest
from pydantic import BaseModel, Field

import gatepost
from gatepost.config import (
    BasePath,
    GroundSettings,
    SecretFile,
    SecretPath,
    Section,
    ServerSettings,
    Unwatched,
    Watched,
    WatchedPath,
    WrittenPath,
    load,
    watched_paths,
)
from milters.settings import MiltersSettings
from policyd.settings import PolicydSettings


class Configuration(GroundSettings):
    """A gatepost.toml."""

    milters: MiltersSettings = Field(default_factory=MiltersSettings, description="")
    policyd: PolicydSettings = Field(default_factory=PolicydSettings, description="")


def sections() -> set[type[ServerSettings]]:
    """The sections of all daemons: those that a package of ours has in its `settings`."""
    packages = {
        found.parent.name for found in Path(gatepost.__file__).parents[1].glob("[a-z]*/settings*")
    }
    modules = [importlib.import_module(f"{package}.settings") for package in packages]
    return {
        found
        for module in modules
        for found in vars(module).values()
        if isinstance(found, type) and issubclass(found, ServerSettings)
    } - {ServerSettings}


Spot = tuple[str, Any, tuple[Any, ...]]
"""A place in a configuration: its key, its type, and the marks of that type."""


def spots(model: type[BaseModel], above: str = "") -> Iterator[Spot]:
    """Every place of a model that holds a value and not a table."""
    for name, info in model.model_fields.items():
        yield from below(f"{above}{name}", info.annotation, tuple(info.metadata))


def below(key: str, annotation: Any, metadata: tuple[Any, ...] = ()) -> Iterator[Spot]:
    arguments = get_args(annotation)
    if get_origin(annotation) is Annotated:
        yield from below(key, arguments[0], (*metadata, *arguments[1:]))
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from spots(annotation, f"{key}.")
    elif any(isinstance(item, Watched | Unwatched) for item in metadata) or not arguments:
        yield key, annotation, metadata
    else:
        for argument in arguments:
            yield from below(key, argument, metadata)


def is_marked(metadata: Sequence[Any]) -> bool:
    return any(isinstance(item, Watched | Unwatched) for item in metadata)


def names_a_file(key: str, annotation: Any) -> bool:
    """By its type, or, where that is text, by the name of its key."""
    if isinstance(annotation, type) and issubclass(annotation, Path | SecretFile):
        return True
    word = key.rpartition(".")[2]
    return annotation is str and word.endswith(("file", "files", "folder", "path", "table"))


def unmarked(model: type[BaseModel]) -> list[str]:
    return [
        key
        for key, annotation, metadata in spots(model)
        if names_a_file(key, annotation) and not is_marked(metadata)
    ]


def test_every_file_of_the_configuration_is_watched_or_says_why_not() -> None:
    models: set[type[BaseModel]] = {GroundSettings, *sections()}
    assert {MiltersSettings, PolicydSettings} <= models
    assert {model.__name__: unmarked(model) for model in models if unmarked(model)} == {}


def test_a_file_that_was_forgotten_is_found() -> None:
    class Forgetful(Section):
        plain: Path = Field(default=Path("x"), description="")
        several: tuple[Path, ...] = Field(default=(), description="")
        by_name: dict[str, tuple[SecretFile, ...]] = Field(default={}, description="")
        key_file: str = Field(default="", description="")
        well: WatchedPath | None = Field(default=None, description="")
        text: str = Field(default="", description="")

    class Outer(Section):
        inner: tuple[Forgetful, ...] = Field(default=(), description="")

    assert unmarked(Outer) == [
        "inner.plain",
        "inner.several",
        "inner.by_name",
        "inner.key_file",
    ]


class Entry(Section):
    file: WatchedPath = Field(description="")
    store: WrittenPath = Field(default=Path("/store"), description="")


class Everywhere(Section):
    plain: WatchedPath = Field(description="")
    maybe: WatchedPath | None = Field(default=None, description="")
    secret: SecretPath | None = Field(default=None, description="")
    several: tuple[WatchedPath, ...] = Field(default=(), description="")
    pair: tuple[int, WatchedPath] | None = Field(default=None, description="")
    by_name: dict[str, WatchedPath] = Field(default={}, description="")
    mixed: int | WatchedPath = Field(default=1, description="")
    entries: tuple[Entry, ...] = Field(default=(), description="")
    named: dict[str, Entry] = Field(default={}, description="")
    nested: Entry = Field(default=Entry(file=Path("/nested")), description="")
    base: BasePath = Field(default=Path("/"), description="")


def test_files_are_found_wherever_a_section_names_them(tmp_path: Path) -> None:
    section = Everywhere.model_validate(
        {
            "plain": "plain",
            "maybe": "maybe",
            "secret": "secret",
            "several": ["one", "two"],
            "pair": [1, "pair"],
            "by_name": {"a": "named"},
            "mixed": 3,
            "entries": [{"file": "entry", "store": "written"}],
            "named": {"b": {"file": "table"}},
        },
        context={"directory": tmp_path},
    )
    words = ["plain", "maybe", "secret", "one", "two", "pair", "named", "entry", "table"]
    expected = [tmp_path / word for word in words]
    assert list(watched_paths(section)) == [*expected, Path("/nested")]


def test_a_section_that_names_nothing_has_nothing_to_watch() -> None:
    assert list(watched_paths(Everywhere(plain=Path("p")), fields_of=Section)) == []


DAEMONS: Mapping[str, tuple[str, set[str]]] = {
    "milters": (
        """
        keys = "keys"
        opendkim_key_table = "refile:/t/KeyTable"
        opendkim_signing_table = "file:/t/SigningTable"
        opendkim_base = "base"
        ownership.owners_files = ["owners"]
        [[milters.key]]
        domain = "example.org"
        selector = "s"
        file = "one.pem"
        """,
        {"keys", "/t/KeyTable", "/t/SigningTable", "one.pem", "owners"},
    ),
    "policyd": (
        """
        store.path = "store.sqlite"
        store.password_file = "password"
        ownership.owners_files = ["owners"]
        compromised.countries_file = "countries"
        tables.allow_clients_files = ["ac"]
        tables.allow_senders_files = ["as"]
        tables.allow_recipients_files = ["ar"]
        tables.deny_clients_files = ["dc"]
        tables.deny_senders_files = ["ds"]
        tables.deny_recipients_files = ["dr"]
        greylist.allow_clients_files = ["gc"]
        greylist.allow_recipients_files = ["gr"]
        greylist.opt_in_files = ["go"]
        greylist.privacy_key_file = "privacy"
        [[policyd.dnslists.lists]]
        zone = "{key}.example"
        key_file = "zone-key"
        """,
        {"owners", "countries", "privacy", "zone-key"}
        | {"ac", "as", "ar", "dc", "ds", "dr", "gc", "gr", "go"},
    ),
}


@pytest.mark.parametrize("word", DAEMONS)
def test_relative_names_start_from_the_folder_of_the_configuration_in_every_daemon(
    word: str, tmp_path: Path
) -> None:
    text, files = DAEMONS[word]
    config = tmp_path / "gatepost.toml"
    config.write_text(f"[{word}]\n{text}")
    section = getattr(load(Configuration, config, {}).model, word)
    assert set(watched_paths(section)) == {tmp_path / file for file in files}
    # as many as there are keys that name one: none is missing above
    marked = [
        key
        for key, _, metadata in spots(type(section))
        if any(isinstance(item, Watched) for item in metadata)
    ]
    assert len(marked) == len(files)


@pytest.mark.parametrize("model", [MiltersSettings, PolicydSettings])
def test_a_daemon_overrides_defaults_and_descriptions_of_server_keys_alone(
    model: type[ServerSettings],
) -> None:
    for name, base in ServerSettings.model_fields.items():
        info = model.model_fields[name]
        assert info.annotation == base.annotation, name
        assert info.metadata == base.metadata, name
        assert info.json_schema_extra == base.json_schema_extra, name
        assert info.description, name


@pytest.mark.parametrize("model", [MiltersSettings, PolicydSettings])
def test_an_address_is_served_once_and_metrics_over_tcp(model: type[ServerSettings]) -> None:
    with pytest.raises(ValueError, match=r"is used twice in listen.* and metrics_listen"):
        model.model_validate({"listen": "inet:9999", "metrics_listen": "inet:9999"})
    with pytest.raises(ValueError, match="metrics_listen is served over TCP"):
        model.model_validate({"metrics_listen": "unix:/run/metrics"})


def test_all_that_is_served_is_known_by_its_key() -> None:
    milters = MiltersSettings.model_validate({"submission_listen": ["inet:1", "unix:/s"]})
    assert {key: [str(one) for one in found] for key, found in milters.served.items()} == {
        "listen": ["inet:8891@127.0.0.1"],
        "submission_listen": ["inet:1", "unix:/s"],
    }
