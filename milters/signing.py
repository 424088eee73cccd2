"""Choice of the signatures of our messages.

The signing domain is the domain of From, or the longest parent domain with a key: the signature is
then aligned and makes DMARC pass (RFC 9989 section 4.4.1). Keys come from a `KeyTable`.
"""

from __future__ import annotations

from collections.abc import Iterable

from milters.key_table import DomainKey, KeyTable
from milters.settings import DomainSigning, MiltersSettings
from milters.signed_headers import header_policy
from msgauth.arc import SealSpec
from msgauth.dkim import Canonicalization, SignatureSpec
from msgauth.domain import ancestors, is_at_or_below
from msgauth.mail_address import MailAddress


class Signing:
    """The signing rules of one configuration, prepared as far as possible without a message."""

    def __init__(self, settings: MiltersSettings, keys: KeyTable) -> None:
        self._settings = settings.sign
        self._keys = keys
        self._headers = header_policy(settings.sign.oversign, settings.sign.also_sign)
        self._specs: dict[DomainKey, SignatureSpec] = {}
        self._seal = settings.seal
        self._seal_spec: tuple[DomainKey, SealSpec] | None = None

    def specs(
        self, author: MailAddress, recipient_domains: Iterable[str]
    ) -> tuple[SignatureSpec, ...]:
        """Return the signatures for mail From `author`; empty if no key applies.

        The domains are in A-labels.
        """
        specs = self._aligned(author)
        if (
            not specs
            and self._settings.unaligned_domain is not None
            # a key of its own may be there: the mail waits for it
            and not self.is_unreadable(author)
        ):
            specs = self._of(self._settings.unaligned_domain)
        if len(specs) > 1 and self._settings.no_ed25519_to and self._is_spared(recipient_domains):
            specs = tuple(spec for spec in specs if spec.key.type == "rsa") or specs
        return specs

    def is_unreadable(self, author: MailAddress) -> bool:
        """Return whether there may be a key for mail From `author` that cannot be read."""
        return self._keys.is_unreadable(author.domain)

    @property
    def seals(self) -> bool:
        """Whether mail from outside is to be sealed."""
        return self._seal.domain is not None

    def seal_spec(self) -> SealSpec | None:
        """Return the domain and key that seal mail from outside now (RFC 8617); None if there is
        none."""
        if self._seal.domain is None:
            return None
        for key in self._keys.keys_of(self._seal.domain):
            # RFC 8617 section 4.1.3 only defines RSA
            if key.key.type == "rsa" and self._seal.selector in (None, key.selector):
                if self._seal_spec is None or self._seal_spec[0] != key:
                    self._seal_spec = key, SealSpec(key.domain, key.selector, key.key)
                return self._seal_spec[1]
        return None

    def _aligned(self, author: MailAddress) -> tuple[SignatureSpec, ...]:
        keys = self._keys.keys_for(author)
        if keys is not None:
            return self._with(keys)
        for domain in ancestors(author.domain):
            if specs := self._of(domain):
                return specs
        return ()

    def _of(self, domain: str) -> tuple[SignatureSpec, ...]:
        return self._with(self._keys.keys_of(domain))

    def _with(self, keys: Iterable[DomainKey]) -> tuple[SignatureSpec, ...]:
        return tuple(self._spec(key) for key in keys if self._signs(key))

    def _signs(self, key: DomainKey) -> bool:
        own = self._settings.domains.get(key.domain, _NOTHING_OWN)
        algorithms = own.algorithms or self._settings.algorithms
        return key.key.algorithm in algorithms and (
            not own.selectors or key.selector in own.selectors
        )

    def _spec(self, key: DomainKey) -> SignatureSpec:
        if key not in self._specs:  # never more than the number of keys
            self._specs[key] = self._new_spec(key)
        return self._specs[key]

    def _new_spec(self, key: DomainKey) -> SignatureSpec:
        own = self._settings.domains.get(key.domain, _NOTHING_OWN)
        expiry = self._settings.expiry if own.expiry is None else own.expiry
        return SignatureSpec(
            key.domain,
            key.selector,
            key.key,
            Canonicalization.parse(own.canonicalization or self._settings.canonicalization),
            self._headers,
            int(expiry) if expiry else None,
        )

    def _is_spared(self, domains: Iterable[str]) -> bool:
        return any(
            is_at_or_below(domain, spared)
            for domain in domains
            for spared in self._settings.no_ed25519_to
        )


_NOTHING_OWN = DomainSigning()
