"""A datastore in dictionaries, which answers the questions of a look-up."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from accounts.lookup.ask import (
    AliasRow,
    Ask,
    DomainRow,
    LoginRow,
    MailboxRow,
    RowAnswer,
    RuleRow,
    RulesRow,
    solve,
)
from accounts.lookup.postfix import MAPS, MapText
from accounts.lookup.terms import LookupTerms

NOW = 1_800_000_000


@dataclass
class World:
    domains: dict[str, DomainRow] = field(default_factory=dict)
    mailboxes: dict[str, MailboxRow] = field(default_factory=dict)
    aliases: dict[str, AliasRow] = field(default_factory=dict)
    rights: list[tuple[str, str]] = field(default_factory=list)
    """Mailbox and sender."""
    logins: dict[str, LoginRow] = field(default_factory=dict)
    rules: dict[str, tuple[RuleRow, ...]] = field(default_factory=dict)
    asked: int = 0
    rounds: int = 0

    def add(self, *rows: DomainRow | MailboxRow | AliasRow) -> None:
        for row in rows:
            if isinstance(row, DomainRow):
                self.domains[row.name] = row
            elif isinstance(row, MailboxRow):
                assert row.address not in self.aliases
                self.mailboxes[row.address] = row
            else:
                assert row.address not in self.mailboxes
                self.aliases[row.address] = row

    def answer(self, ask: Ask) -> RowAnswer:
        self.asked += 1
        match ask.table:
            case "domain":
                return self.domains.get(ask.key)
            case "name":
                return self.mailboxes.get(ask.key) or self.aliases.get(ask.key)
            case "wildcards":
                return tuple(
                    row
                    for address, row in self.aliases.items()
                    if "*" in address and address.endswith("@" + ask.key)
                )
            case "rights":
                return tuple(
                    login
                    for login, sender in sorted(self.rights)
                    if sender == ask.key and self.may_send(login)
                )
            case "login":
                return self.logins.get(ask.key)
            case "rules":
                if ask.key not in self.mailboxes:
                    return None
                return RulesRow(ask.key, self.rules.get(ask.key, ()))

    def may_send(self, login: str) -> bool:
        box = self.mailboxes.get(login)
        if box is None or not box.enabled or not box.may_send:
            return False
        return self.domains[login.rpartition("@")[2]].enabled

    def answers(self, asks: Iterable[Ask]) -> tuple[RowAnswer, ...]:
        self.rounds += 1
        return tuple(self.answer(ask) for ask in asks)

    def ask(
        self, table: str, key: str, *, delimiter: str = "+", now: int = NOW, max_targets: int = 1000
    ) -> MapText:
        return solve(MAPS[table](key, LookupTerms(now, delimiter, max_targets)), self.answers)
