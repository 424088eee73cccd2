"""The dictionary of scripts: ids that go with their texts, and what is said without a database."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable

import pytest
from hypothesis import given, settings

from accounts.dovecot.scripts import AWAY, DATA, NAME, KeptScripts, Scripts
from accounts.lookup.ask import RuleRow, RulesRow
from accounts.protocols.dovecot_dict import (
    DictIterate,
    DictLookup,
    DictReply,
    DictRequest,
    DictRows,
    DictValue,
    Failed,
    Iterate,
    Missing,
)
from accounts.sieve import compile_stored
from gatepost.logs import get_logger
from tests.unit.accounts.dovecot.bench import Bench
from tests.unit.accounts.lookup.sample import sample_world
from tests.unit.accounts.lookup.test_model import box_of_login, worlds
from tests.unit.accounts.lookup.world import World

ANNA = "anna@example.org"


def rule(folder: str) -> RuleRow:
    body = {
        "match": "always",
        "conditions": [],
        "actions": [{"kind": "fileinto", "mailbox": folder}],
    }
    return RuleRow(f"to {folder}", True, json.dumps(body))


class Dictionary:
    def __init__(self, world: World) -> None:
        self.bench = Bench(world)
        self.scripts = Scripts(lambda: self.bench, get_logger("test"))

    def ask(self, event: DictRequest) -> DictReply:
        async def run() -> DictReply:
            reply = self.scripts.answer(event)
            return await reply if isinstance(reply, Awaitable) else reply

        return asyncio.run(run())

    def look_up(self, user: str, key: str = NAME) -> DictReply:
        return self.ask(DictLookup("sieve", user, key))

    def script(self, user: str) -> str:
        found = self.look_up(user)
        assert isinstance(found, DictValue)
        text = self.look_up(user, DATA + found.value)
        assert isinstance(text, DictValue)
        return text.value


@pytest.fixture
def dictionary() -> Dictionary:
    return Dictionary(sample_world())


@settings(max_examples=30)
@given(worlds())
def test_scripts_are_those_of_the_rules(world: World) -> None:
    dictionary = Dictionary(world)
    for user in [*world.mailboxes, "a@two.example", "nobody@one.example", "x@foreign.example"]:
        box = box_of_login(user, world)
        if box is None:
            assert dictionary.look_up(user) == Missing()
        else:
            expected = compile_stored(world.rules[box.address]).text
            assert dictionary.script(user) == expected


def test_a_rule_that_cannot_be_read_is_left_out(dictionary: Dictionary) -> None:
    world = dictionary.bench.source.world
    world.rules[ANNA] = (RuleRow("a", True, "{"), RuleRow("b", True, "[" * 9999), rule("Lists"))
    assert 'fileinto :create "Lists"' in dictionary.script(ANNA)


def test_scripts_are_known_while_the_database_is_away(dictionary: Dictionary) -> None:
    world, bench = dictionary.bench.source.world, dictionary.bench
    world.rules[ANNA] = (rule("Lists"),)
    script = dictionary.script(ANNA)
    assert dictionary.look_up("nobody@example.org") == Missing()
    bench.source.state = "away"
    bench.now = 999
    assert dictionary.script(ANNA) == script
    # not "no rules", for which mail would be delivered as if there were none
    assert dictionary.look_up("nobody@example.org") == AWAY
    assert dictionary.look_up("ben@example.org") == AWAY
    assert dictionary.look_up("ben@example.org", DATA + "0") == AWAY
    bench.now = 1001
    assert dictionary.look_up(ANNA) == AWAY
    bench.source.state = "later"
    assert dictionary.script(ANNA) == script


def test_an_id_never_gets_the_text_of_another(dictionary: Dictionary) -> None:
    world = dictionary.bench.source.world
    texts = {}
    for folder in "ABC":
        world.rules[ANNA] = (rule(folder),)
        found = dictionary.look_up(ANNA)
        assert isinstance(found, DictValue)
        texts[found.value] = folder
    assert len(texts) == 3
    first, second, third = texts
    for revision in (second, third):  # that of a delivery under way, and the present one
        reply = dictionary.look_up(ANNA, DATA + revision)
        assert isinstance(reply, DictValue)
        assert f'"{texts[revision]}"' in reply.value
    for revision in (first, "", "x"):
        assert isinstance(dictionary.look_up(ANNA, DATA + revision), Failed)
    assert isinstance(dictionary.look_up("ben@example.org", DATA + third), Failed)


def test_iteration(dictionary: Dictionary) -> None:
    found = dictionary.look_up(ANNA)
    assert isinstance(found, DictValue)

    def rows(path: str, user: str = ANNA, flags: int = 0) -> DictReply:
        return dictionary.ask(DictIterate("sieve", user, (path,), Iterate(flags), 0))

    assert rows("priv/sieve/name/") == DictRows(((NAME, found.value),))
    assert rows(NAME, flags=Iterate.EXACT_KEY) == DictRows(((NAME, found.value),))
    assert rows("priv/") == rows("priv/sieve/name/", "nobody@example.org") == DictRows(())
    dictionary.bench.source.state = "away"
    assert rows("priv/sieve/name/", "nobody@example.org") == AWAY


def test_what_is_kept_is_bounded() -> None:
    kept = KeptScripts(scripts=10, size=20_000)
    for number in range(30):
        row = RulesRow(f"{number}@example.org", (rule("x" * 100 * (number % 7)),))
        kept.put(row, compile_stored(row.rules))
        kept.put(row, compile_stored(row.rules))
        assert len(kept) <= 10
        assert 0 <= kept.size <= 20_000
        assert kept.script(row) is not None
    big = RulesRow("big@example.org", (RuleRow("big", False, '"' + "x" * 30_000 + '"'),))
    kept.put(big, compile_stored(big.rules))
    assert kept.size <= 20_000
