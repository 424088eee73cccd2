"""Converter of opendkim's signing keys: tables, or the single key of Domain and KeyFile."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from milters.keys.errors import KeysError
from milters.keys.names import parse_domain, parse_selector
from milters.keys.tables.dataset import DataSet
from milters.keys.tables.errors import OpendkimError, Place
from milters.keys.tables.expand import Expanded, expand
from milters.keys.tables.parse import (
    KeyTableEntry,
    SigningTable,
    parse_key_table,
    parse_signing_table,
)
from milters.migration.opendkim.configuration import Option
from milters.migration.opendkim.draft import Draft, MigrationLevel


def convert_keys(draft: Draft) -> None:
    """Add the keys to the draft, with errors in them as findings of level error."""
    conf = draft.conf
    key_table, signing_table = conf.get("KeyTable"), conf.get("SigningTable")
    single = conf.get("KeyFile")
    if key_table is not None:
        for name in ("Domain", "KeyFile", "Selector"):
            if (ignored := conf.get(name)) is not None:
                draft.find(
                    MigrationLevel.NOTE, ignored.place, name, "not used, as there is a KeyTable"
                )
    if key_table is not None and signing_table is not None:
        _convert_tables(key_table, signing_table, draft)
    elif (half := key_table or signing_table) is not None:
        draft.find(
            MigrationLevel.ERROR,
            half.place,
            half.name,
            "nothing is signed: KeyTable and SigningTable need each other",
        )
    elif single is not None:
        _convert_single(single, draft)
    elif (named := conf.get("Domain", "Selector")) is not None:
        draft.find(
            MigrationLevel.ERROR, named.place, named.name, "nothing is signed without KeyFile"
        )
    elif "s" in conf.value("Mode", default="sv").lower():
        draft.find(
            MigrationLevel.NOTE,
            Place(str(conf.path)),
            "KeyFile",
            "there is no key: opendkim signed nothing",
        )


def _convert_tables(key_option: Option, signing_option: Option, draft: Draft) -> None:
    sets: list[DataSet] = []
    for option in (key_option, signing_option):
        try:
            sets.append(draft.dataset(option))
        except OpendkimError as error:
            draft.find(MigrationLevel.ERROR, error.place, option.name, error.text)
    if len(sets) < 2:
        return
    for option, table, key in zip(
        (key_option, signing_option),
        sets,
        ("opendkim_key_table", "opendkim_signing_table"),
        strict=True,
    ):
        if table.path is None:
            draft.find(
                MigrationLevel.ERROR,
                option.place,
                option.name,
                "is in opendkim.conf itself; write it into a file, one entry per line, and use "
                "file:PATH",
            )
            return
        draft.set("milters", key, f"{table.kind}:{table.path}", option.place)
    keys, key_problems = parse_key_table(sets[0])
    signing, signing_problems = parse_signing_table(sets[1])
    base = draft.conf.get("BaseDirectory")
    if base is not None and not all(key.file.startswith("/") for key in keys.values()):
        draft.set("milters", "opendkim_base", base.value, base.place)
    expanded = expand(keys, signing, draft.base, draft.files.find)
    for problem in (*key_problems, *signing_problems, *expanded.problems):
        draft.find(MigrationLevel.ERROR, problem.place, "not used", problem.text)
    for problem in expanded.unaligned:
        draft.find(MigrationLevel.ERROR, problem.place, "unaligned", problem.text)
    _tell_about_keys(keys, signing, draft)
    _check_files(expanded, draft)


def _tell_about_keys(
    keys: Mapping[str, KeyTableEntry], signing: SigningTable, draft: Draft
) -> None:
    used = {entry.key_name for entry in signing.entries}
    for name, key in keys.items():
        if name not in used:
            draft.find(
                MigrationLevel.NOTE, key.place, name, "the SigningTable does not use this key"
            )
        if key.algorithm == "rsa-sha1":
            draft.find(MigrationLevel.WARNING, key.place, name, "signs with rsa-sha256 (RFC 8301)")
        if "%" in key.file and key.domain != "%":
            draft.find(
                MigrationLevel.NOTE, key.place, name, f"% in the file now stands for {key.domain}"
            )
    for entry in signing.entries:
        if entry.signer:
            draft.find(
                MigrationLevel.NOTE,
                entry.place,
                entry.pattern,
                f"i={entry.signer} is not set: only d= counts",
            )


def _check_files(expanded: Expanded, draft: Draft) -> None:
    checked: set[Path] = set()
    for key in expanded.keys.values():
        if key.path not in checked:
            checked.add(key.path)
            if problem := draft.files.key_problem(key.path):
                draft.find(MigrationLevel.ERROR, key.place, "not used", problem)


def _convert_single(single: Option, draft: Draft) -> None:
    conf = draft.conf
    domain, selector = conf.get("Domain"), conf.get("Selector")
    if domain is None or selector is None:
        draft.find(
            MigrationLevel.ERROR,
            single.place,
            "KeyFile",
            "nothing is signed without Domain and Selector",
        )
        return
    try:
        listed = draft.dataset(domain)
    except OpendkimError as error:
        draft.find(MigrationLevel.ERROR, error.place, "Domain", error.text)
        return
    path = draft.base / single.value
    if problem := draft.files.key_problem(path):
        draft.find(MigrationLevel.ERROR, single.place, "KeyFile", problem)
    _add_domains([(e.place, e.key) for e in listed.entries], selector, path, draft)
    sub_domains = conf.get("SubDomains")
    if sub_domains is None or not sub_domains.boolean:
        draft.find(
            MigrationLevel.NOTE,
            domain.place,
            "SubDomains",
            "mail From a domain below one with a key is signed too; the signature is aligned",
        )


def _add_domains(
    domains: Iterable[tuple[Place, str]], selector: Option, path: Path, draft: Draft
) -> None:
    for place, text in domains:
        try:
            draft.add_key(
                parse_domain(text), parse_selector(selector.value), str(path), selector.place
            )
        except KeysError as error:
            draft.find(MigrationLevel.ERROR, place, "not used", str(error))
