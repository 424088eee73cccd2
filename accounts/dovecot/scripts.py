"""Dictionary of Sieve scripts for Dovecot, made from the rules of mailboxes.

`priv/sieve/name/rules` has the id of a script, which is made from its text, and `priv/sieve/data/`
with that id has the text. Every mailbox has a script. While the database is away, known scripts are
served.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol

from structlog.typing import FilteringBoundLogger

from accounts.answers import Answers
from accounts.counts import LookupCounts
from accounts.eager import begin
from accounts.lookup import dovecot
from accounts.lookup.ask import RuleRow, RulesRow, Unavailable
from accounts.lookup.login_name import read_login_name
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
from accounts.settings import AccountsSettings
from accounts.sieve import Compiled, compile_stored
from gatepost.daemon import RareWarnings

NAME: Final = "priv/sieve/name/rules"
DATA: Final = "priv/sieve/data/"
MAX_SCRIPTS: Final = 5000
"""Mailboxes whose scripts are kept."""
MAX_KEPT: Final = 16_000_000
"""Characters of the scripts and rules that are kept."""
AWAY: Final = Failed("the database is away")


class ScriptRules(Protocol):
    """The part of the configuration that finding a script needs."""

    settings: AccountsSettings
    answers: Answers


class Scripts:
    """Dictionary that answers by the rules in use."""

    def __init__(self, rules: Callable[[], ScriptRules], log: FilteringBoundLogger) -> None:
        self._rules = rules
        self._log = log
        self._warnings = RareWarnings(log, time.monotonic)
        self._counts = LookupCounts()
        self._kept = KeptScripts()

    def answer(self, event: DictRequest) -> DictReply | Awaitable[DictReply]:
        """Return the answer, or an awaitable for it; an exception is a temporary failure, too."""
        return begin(self._answer(event))

    async def _answer(self, event: DictRequest) -> DictReply:
        if isinstance(event, DictIterate):
            return await self._iterate(event)
        if event.key == NAME:
            found = await self._find(event.user)
            return DictValue(found.revision) if isinstance(found, Compiled) else found
        if event.key.startswith(DATA):
            return await self._text(event)
        return Missing()

    async def _text(self, event: DictLookup) -> DictReply:
        revision = event.key.removeprefix(DATA)
        address = read_login_name(event.user)
        known = self._kept.text(str(address), revision) if address is not None else None
        if known is not None:  # an id always has the same text, even if the mailbox has changed
            self._counts.answered("sieve", "found", is_stale=False)
            return DictValue(known)
        found = await self._find(event.user)
        if not isinstance(found, Compiled):
            return found
        if found.revision != revision:
            # Dovecot would store the compiled script under the wrong id
            return Failed("the rules have changed: ask for the new id")
        return DictValue(found.text)

    async def _iterate(self, event: DictIterate) -> DictReply:
        """List the one name; a path is the folder, or the key itself."""
        folder = NAME.rpartition("/")[0] + "/"
        wanted = {NAME} if Iterate.EXACT_KEY in event.flags else {folder}
        if wanted.isdisjoint(event.paths):
            return DictRows(())
        found = await self._find(event.user)
        if isinstance(found, Compiled):
            return DictRows(((NAME, found.revision),))
        return DictRows(()) if isinstance(found, Missing) else found

    async def _find(self, user: str) -> Compiled | Missing | Failed:
        rules = self._rules()
        try:
            driven = await rules.answers.drive(dovecot.rules(user, rules.settings.default_domain))
        except Unavailable:
            return self._away(user)
        if driven.result is None and driven.is_stale:
            return self._away(user)
        if driven.result is None:
            self._counts.answered("sieve", "not_found", is_stale=False)
            return Missing()
        self._counts.answered("sieve", "found", driven.is_stale)
        return self._compile(driven.result)

    def _away(self, user: str) -> Failed:
        self._counts.answered("sieve", "temporary", is_stale=True)
        self._warnings.warn("temporary answer", map="sieve", key=user[:320], reason=AWAY.reason)
        return AWAY

    def _compile(self, row: RulesRow) -> Compiled:
        known = self._kept.script(row)
        if known is not None:
            return known
        compiled = compile_stored(row.rules)
        for problem in compiled.problems:
            self._log.warning(
                "rule left out", address=row.address, rule=problem.rule, reason=problem.text
            )
        self._kept.put(row, compiled)
        return compiled


@dataclass(slots=True)
class _Entry:
    rules: tuple[RuleRow, ...]
    script: Compiled
    before: Compiled | None
    size: int


class KeptScripts:
    """Latest scripts of recently used mailboxes, each with its predecessor.

    Thus a delivery that began before a change finds the text of its id.
    """

    def __init__(self, scripts: int = MAX_SCRIPTS, size: int = MAX_KEPT) -> None:
        self._max_scripts = scripts
        self._max_size = size
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self.size = 0

    def __len__(self) -> int:
        return len(self._entries)

    def script(self, row: RulesRow) -> Compiled | None:
        """Return the script of exactly these rules; None if it is not known."""
        entry = self._entries.get(row.address)
        if entry is None or entry.rules != row.rules:
            return None
        self._entries.move_to_end(row.address)
        return entry.script

    def text(self, address: str, revision: str) -> str | None:
        """Return the text of a script of this mailbox; None if it is not known."""
        entry = self._entries.get(address)
        if entry is None:
            return None
        for one in (entry.script, entry.before):
            if one is not None and one.revision == revision:
                return one.text
        return None

    def put(self, row: RulesRow, script: Compiled) -> None:
        """Keep a script."""
        last = self._entries.pop(row.address, None)
        if last is not None:
            self.size -= last.size
        before = last.script if last is not None else None
        size = 1000 + len(script.text) + (len(before.text) if before is not None else 0)
        size += sum(len(rule.text) for rule in row.rules)
        self._entries[row.address] = _Entry(row.rules, script, before, size)
        self.size += size
        while self.size > self._max_size or len(self._entries) > self._max_scripts:
            _, oldest = self._entries.popitem(last=False)
            self.size -= oldest.size
