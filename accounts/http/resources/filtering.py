"""Operations on the filtering of mailboxes: rules, preferences and listed senders."""

from __future__ import annotations

from functools import partial

from accounts.directory import domain_preferences, listed_senders, preferences, sieve_rules
from accounts.directory.domain_preferences import DomainPreferences
from accounts.directory.preferences import Preferences
from accounts.http.call import ApiReply, Call
from accounts.http.models.belongings import (
    DomainListedSenderOut,
    DomainPreferencesChange,
    DomainPreferencesOut,
    ListedSenderAdd,
    ListedSenderOut,
    PreferencesChange,
    PreferencesOut,
    RuleAdd,
    RuleChange,
    RuleOrder,
    RuleOut,
)
from accounts.http.operation import Operation, Reach, for_owner
from accounts.http.resources.kind import Kind
from accounts.store.transaction import Write

_MAILBOX = "/mailboxes/{address}"

RULE = Kind(
    noun="rule",
    nouns="the filters of a mailbox in their order",
    article="a",
    area="rules",
    where=f"{_MAILBOX}/rules",
    one="{name:path}",
    gives=RuleOut,
    place=lambda rule: ("mailboxes", rule.mailbox, "rules", rule.name),
    search=lambda connection, call: sieve_rules.find(connection, call.address),
    fetch=sieve_rules.get,
    create=sieve_rules.add,
    alter=sieve_rules.change,
    delete=sieve_rules.remove,
    takes=RuleAdd,
    changes=RuleChange,
    reach=Reach.OWNER,
)


async def order_rules(call: Call) -> ApiReply:
    """Reorder the rules."""
    return ApiReply(await call.write(lambda w: sieve_rules.order(w, call.address, call.body.names)))


async def get_preferences(call: Call) -> ApiReply:
    """Read the preferences of a mailbox."""
    return ApiReply.of(await call.read(lambda c: preferences.get(c, call.address)))


async def change_preferences(call: Call) -> ApiReply:
    """Change the preferences of a mailbox."""

    def work(write: Write) -> Preferences:
        with write.attempt("preferences.change", call.address):
            before = preferences.get(write.connection, call.address)
            call.matching.expect(before)
            return preferences.change(write, call.address, before.version, **call.changes)

    return ApiReply.of(await call.write(work))


_preferences = partial(
    Operation,
    path=f"{_MAILBOX}/preferences",
    area="preferences",
    reach=Reach.OWNER,
    gives=PreferencesOut,
)

_DOMAIN = "/domains/{domain}"


async def get_domain_preferences(call: Call) -> ApiReply:
    """Read the preferences of a domain."""
    domain = call.params["domain"]
    return ApiReply.of(await call.read(lambda c: domain_preferences.get(c, domain)))


async def change_domain_preferences(call: Call) -> ApiReply:
    """Change the preferences of a domain."""
    domain = call.params["domain"]

    def work(write: Write) -> DomainPreferences:
        with write.attempt("domain-preferences.change", domain):
            before = domain_preferences.get(write.connection, domain)
            call.matching.expect(before)
            return domain_preferences.change(write, domain, before.version, **call.changes)

    return ApiReply.of(await call.write(work))


_domain_preferences = partial(
    Operation,
    path=f"{_DOMAIN}/preferences",
    area="preferences",
    reach=Reach.DOMAIN,
    gives=DomainPreferencesOut,
)

DOMAIN_LISTED = Kind(
    noun="domain-listed-sender",
    nouns="the senders that all mailboxes of a domain allow or block",
    article="a",
    area="listed-senders",
    where=f"{_DOMAIN}/listed-senders",
    one="{kind}/{pattern:path}",
    gives=DomainListedSenderOut,
    place=lambda one: ("domains", one.domain, "listed-senders", one.kind, one.pattern),
    search=lambda connection, call: listed_senders.OF_DOMAIN.find(
        connection, call.params["domain"]
    ),
    create=listed_senders.OF_DOMAIN.add,
    delete=listed_senders.OF_DOMAIN.remove,
    takes=ListedSenderAdd,
    named=("kind", "pattern"),
    is_versioned=False,
)

LISTED = Kind(
    noun="listed-sender",
    nouns="the senders that a mailbox allows or blocks",
    article="a",
    area="listed-senders",
    where=f"{_MAILBOX}/listed-senders",
    one="{kind}/{pattern:path}",
    gives=ListedSenderOut,
    place=lambda one: ("mailboxes", one.mailbox, "listed-senders", one.kind, one.pattern),
    search=lambda connection, call: listed_senders.find(connection, call.address),
    create=listed_senders.add,
    delete=listed_senders.remove,
    takes=ListedSenderAdd,
    named=("kind", "pattern"),
    reach=Reach.OWNER,
    is_versioned=False,
)

_OF_DOMAINS = [
    _domain_preferences(
        name="get-domain-preferences",
        method="GET",
        summary="Read the preferences about spam of a domain",
        handle=get_domain_preferences,
    ),
    _domain_preferences(
        name="change-domain-preferences",
        method="PATCH",
        summary="Change the preferences of a domain",
        handle=change_domain_preferences,
        takes=DomainPreferencesChange,
        matches=True,
    ),
    DOMAIN_LISTED.list(name="list-domain-listed-senders"),
    DOMAIN_LISTED.add(summary="Allow or block a sender for all mailboxes of a domain"),
    DOMAIN_LISTED.remove(summary="Remove a sender from the list of a domain"),
]

OPERATIONS = [
    *for_owner(
        [
            RULE.list(),
            RULE.add(summary="Add a filter after the others"),
            RULE.act(
                "order-rules",
                method="PUT",
                path=f"{_MAILBOX}/rules",
                summary="Reorder the filters",
                handle=order_rules,
                takes=RuleOrder,
                is_list=True,
                matches=False,
            ),
            RULE.read(summary="Read a filter"),
            RULE.change(summary="Change a filter"),
            RULE.remove(summary="Remove a filter"),
            _preferences(
                name="get-preferences",
                method="GET",
                summary="Read the preferences about greylisting, spam and viruses",
                handle=get_preferences,
            ),
            _preferences(
                name="change-preferences",
                method="PATCH",
                summary="Change the preferences",
                handle=change_preferences,
                takes=PreferencesChange,
                matches=True,
            ),
            LISTED.list(),
            LISTED.add(summary="Allow or block a sender"),
            LISTED.remove(summary="Remove a sender from the list"),
        ]
    ),
    *_OF_DOMAINS,
]
