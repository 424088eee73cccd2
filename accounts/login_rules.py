"""Logins by the rules in use, the same for Postfix and Dovecot."""

from __future__ import annotations

import time
from typing import Protocol

from accounts import login
from accounts.answers import Answers
from accounts.attempts import Attempts, ClientAddress
from accounts.login_driver import authenticate
from accounts.passwords import Password, PasswordWorkers
from accounts.settings import AccountsSettings


class LoginRules(Protocol):
    """Objects that verifying a login needs."""

    settings: AccountsSettings
    answers: Answers
    attempts: Attempts
    workers: PasswordWorkers


async def verify_login(
    rules: LoginRules,
    name: str,
    password: Password,
    protocol: login.Protocol,
    client: ClientAddress | None,
) -> login.Login:
    """Verify a login now; `client` is the address of the user. The caller applies the effects."""
    verification = login.verify(
        name,
        password,
        protocol,
        client,
        time.time(),
        attempts=rules.attempts,
        settings=rules.settings.passwords,
        default_domain=rules.settings.default_domain,
    )
    return await authenticate(verification, rules.answers.ask, rules.workers)
