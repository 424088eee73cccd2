"""Rules in use over a datastore in dictionaries that can be away."""

from __future__ import annotations

from accounts.answers import Answers
from accounts.attempt_settings import AttemptSettings
from accounts.attempts import Attempts
from accounts.passwords import PasswordSettings, PasswordWorkers
from accounts.settings import AccountsSettings
from accounts.sources.cache import CacheLimits, StaleCache
from tests.unit.accounts.lookup.world import NOW, World
from tests.unit.accounts.test_answers import Source

LIMITS = CacheLimits(keep=1000, keep_changed=100, trust_missing=10)


class Bench:
    """`accounts.login_rules.LoginRules`, with a clock of the test."""

    def __init__(self, world: World) -> None:
        self.settings = AccountsSettings(passwords=PasswordSettings(memory=8192, passes=1))
        self.source = Source(world)
        self.now = 0.0
        self.answers = Answers(
            self.source, StaleCache(LIMITS), clock=lambda: NOW, monotonic=lambda: self.now
        )
        self.attempts = Attempts(AttemptSettings(), b"k" * 32)
        self.workers = PasswordWorkers(self.settings.passwords)
