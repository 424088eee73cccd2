"""Proof of a second factor: a code of an app, a recovery code, or a passkey."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from functools import lru_cache
from http import HTTPStatus
from typing import Final

from sqlalchemy import Connection

from accounts.attempts import AttemptKind, ClientAddress
from accounts.directory import challenges, passkeys, recovery_codes, totp_secrets
from accounts.directory.owner import LoginOwner, OwnerName, find_login_owner
from accounts.directory.passkeys import Passkey
from accounts.directory.totp_secrets import CodeVerdict
from accounts.http.authentication import attempts_name, factor_attempts_name
from accounts.http.context import Context
from accounts.http.problems import ApiProblem, too_many
from accounts.one_time_code import DIGITS, STEP
from accounts.pages.form import wrong
from accounts.store.transaction import Actor, Write
from accounts.webauthn import BadPasskeyError, PasskeyParty
from gatepost.logs import get_logger

MAX_CODE: Final = 64
"""Characters of a code that are looked at."""

_BETWEEN: Final = re.compile(r"[\s-]+")

log = get_logger("accounts")


@dataclass(frozen=True, slots=True)
class FactorProof:
    """A proof from a form. A passkey answers the challenge of `purpose` for the browser that has
    `secret`; see `accounts.directory.challenges`."""

    purpose: str
    secret: str = field(repr=False)
    code: str = field(default="", repr=False)
    passkey: str = field(default="", repr=False)


class FactorProver:
    """Prover of second factors. `host` is the host name that passkeys are bound to."""

    def __init__(self, context: Context, host: str, client: ClientAddress | None) -> None:
        self._context = context
        self._client = client
        self.host = host.lower()

    @property
    def party(self) -> PasskeyParty:
        """The relying party of passkeys."""
        return _party(self.host)

    async def prove(self, owner: OwnerName, proof: FactorProof) -> None:
        """Use up a proof for an account.

        Raises `ApiProblem` if it is not right, or if there were too many that were not.
        """
        if not proof.passkey:
            await self._use_code(owner, proof.code)
            return
        key = await self._use_passkey(proof, owner)
        await self._context.database.record(
            lambda c: totp_secrets.forgive(c, find_login_owner(c, **_owner_of(key)))
        )

    async def identify(self, proof: FactorProof) -> OwnerName:
        """Use up a passkey that stands for login and password; return its account.

        Its authenticator must have known its owner. Raises `ApiProblem`.
        """
        return _owner_of(await self._use_passkey(proof, None))

    # codes

    async def _use_code(self, owner: OwnerName, text: str) -> None:
        context, now = self._context, self._context.clock()
        code = _BETWEEN.sub("", text[:MAX_CODE])
        if not code:
            raise wrong("code", "A code is needed.")
        is_app = len(code) == DIGITS and code.isascii() and code.isdigit()
        # the same six digits are another try in another step
        mark = f"{int(now) // STEP} {code}" if is_app else code
        account = factor_attempts_name(_account(owner))
        decision = context.attempts.decide(account, self._client, mark.encode(), now)
        verdict: CodeVerdict | None = None
        try:
            if decision.kind is AttemptKind.LATER:
                raise too_many("There were too many wrong codes.", decision.seconds)
            if decision.kind is AttemptKind.CHECK and decision.seconds > 0:
                await asyncio.sleep(decision.seconds)
            if decision.kind is AttemptKind.REPEATED:
                verdict = CodeVerdict.WRONG
            elif is_app:
                verdict = await context.database.record(lambda c: self._check_app(c, owner, code))
            else:
                actor = Actor(_name(owner), None if self._client is None else str(self._client))
                verdict = await context.database.write(
                    actor, lambda write: _check_recovery(write, owner, code)
                )
        finally:
            if decision.kind is AttemptKind.CHECK:
                right = None if verdict is None else _RIGHT.get(verdict)
                context.attempts.end(decision, right, context.clock())
        self._log(owner, "app" if is_app else "recovery", verdict.value)
        if verdict is not CodeVerdict.RIGHT:
            raise _wrong_code(verdict)

    def _check_app(self, connection: Connection, owner: OwnerName, code: str) -> CodeVerdict:
        found = find_login_owner(connection, **owner)
        now = int(self._context.clock())
        return totp_secrets.use(connection, self._context.seal, found, code, now)

    # passkeys

    async def _use_passkey(self, proof: FactorProof, owner: OwnerName | None) -> Passkey:
        """Return the passkey of a right answer; without `owner`, that of any account."""
        try:
            key = await self._verified(proof, owner)
        except BadPasskeyError as error:
            self._log(owner or {}, "passkey", "wrong", reason=str(error)[:200])
            raise _refused("The passkey was not accepted. Try again.") from None
        self._log(_owner_of(key), "passkey", "right")
        return key

    async def _verified(self, proof: FactorProof, owner: OwnerName | None) -> Passkey:
        database, now = self._context.database, int(self._context.clock())
        challenge = await database.record(
            lambda c: challenges.take(c, proof.secret, proof.purpose, now)
        )
        answer = self.party.answer(proof.passkey)
        key = await database.read(lambda c: passkeys.find_by_credential(c, answer.credential))
        if key is None or (owner is not None and _owner_of(key) != owner):
            raise BadPasskeyError("it belongs to no such account")
        count = self.party.verify(
            challenge, answer, key.public_key, key.handle, verified=owner is None
        )
        if not await database.record(lambda c: passkeys.note_use(c, key.id, count, now)):
            raise BadPasskeyError("it has signed less often than before: there is a copy")
        return key

    def _log(self, owner: OwnerName, kind: str, result: str, **more: str) -> None:
        log.info(
            "second factor",
            kind=kind,
            result=result,
            administrator=owner.get("administrator") or "",
            address=owner.get("mailbox") or "",
            client=str(self._client or ""),
            **more,
        )


@lru_cache(4)
def _party(host: str) -> PasskeyParty:
    return PasskeyParty(host)


def _check_recovery(write: Write, owner: OwnerName, code: str) -> CodeVerdict:
    found: LoginOwner = find_login_owner(write.connection, **owner)
    if not recovery_codes.use(write, found, code):
        return CodeVerdict.WRONG
    totp_secrets.forgive(write.connection, found)
    return CodeVerdict.RIGHT


def _owner_of(key: Passkey) -> OwnerName:
    if key.mailbox is not None:
        return {"mailbox": key.mailbox}
    return {"administrator": key.administrator}


def _account(owner: OwnerName) -> str:
    """Return the name under which attempts of an owner are counted."""
    administrator = owner.get("administrator")
    return attempts_name(administrator) if administrator else _name(owner)


def _name(owner: OwnerName) -> str:
    return owner.get("administrator") or owner.get("mailbox") or ""


_RIGHT: Final = {CodeVerdict.RIGHT: True, CodeVerdict.WRONG: False, CodeVerdict.LOCKED: False}
"""Verdicts that count as right or wrong: a code that was used already counts as neither."""


def _wrong_code(verdict: CodeVerdict) -> ApiProblem:
    if verdict is CodeVerdict.USED:
        return wrong("code", "This code was used already. Wait for the next one.")
    if verdict is CodeVerdict.LOCKED:
        return wrong("code", "There were too many wrong codes. Use a recovery code or a passkey.")
    return wrong("code", "The code is not right.")


def _refused(text: str) -> ApiProblem:
    return ApiProblem(HTTPStatus.UNPROCESSABLE_ENTITY, text)
