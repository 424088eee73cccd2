"""Decrypting the secrets of a document, so that they can be compared with those of a datastore."""

from __future__ import annotations

import base64

from accounts.directory import dkim_keys, remote_accounts
from accounts.exchange.document import (
    DkimKeyEntry,
    Document,
    DomainEntry,
    MailboxEntry,
    RemoteAccountEntry,
    Secret,
)
from accounts.store.seal import SealError, SecretSeal


def unsealed(document: Document, seal: SecretSeal) -> Document:
    """Return the document with all secrets in clear text that the keys of `seal` can decrypt.

    Others stay as they are; the import refuses them.
    """
    domains = tuple(_domain(one, seal) if one.dkim_keys else one for one in document.domains)
    mailboxes = tuple(
        _mailbox(one, seal) if one.remote_accounts else one for one in document.mailboxes
    )
    return document.model_copy(
        update={
            name: value
            for name, value in (("domains", domains), ("mailboxes", mailboxes))
            if name in document.model_fields_set
        }
    )


def open_secret(secret: Secret, seal: SecretSeal, purpose: str) -> str:
    """Return a secret in clear text; raise `SealError` if none of the keys fits."""
    if secret.clear is not None:
        return secret.clear
    opened = seal.open(base64.b64decode(secret.sealed or ""), purpose)
    try:
        return opened.decode()
    except UnicodeDecodeError:
        raise SealError(f"{purpose} is not text") from None


def _domain(one: DomainEntry, seal: SecretSeal) -> DomainEntry:
    keys = tuple(_key(one.name, key, seal) for key in one.dkim_keys)
    return one.model_copy(update={"dkim_keys": keys})


def _key(domain: str, key: DkimKeyEntry, seal: SecretSeal) -> DkimKeyEntry:
    secret = _clear(key.private, seal, dkim_keys.purpose(domain, key.selector))
    return key.model_copy(update={"private": secret})


def _mailbox(one: MailboxEntry, seal: SecretSeal) -> MailboxEntry:
    accounts = tuple(_account(account, seal) for account in one.remote_accounts)
    return one.model_copy(update={"remote_accounts": accounts})


def _account(one: RemoteAccountEntry, seal: SecretSeal) -> RemoteAccountEntry:
    purpose = remote_accounts.purpose(one.protocol, one.host, one.login)
    return one.model_copy(update={"secret": _clear(one.secret, seal, purpose)})


def _clear(secret: Secret, seal: SecretSeal, purpose: str) -> Secret:
    if secret.sealed is None:
        return secret
    try:
        return Secret.model_validate({"clear": open_secret(secret, seal, purpose)})
    except SealError:
        return secret
