"""Envelope senders that change with each message, reduced to their constant part.

Bounce addresses contain parts that identify one message: a number, a hash, a day, the recipient.
`stable_sender()` removes them, so that the next message of a sender has the same triplet. Known
forms are parsed; if a form names the original sender or the customer of a sending service, that
name stays. Other addresses are judged by their appearance, and an ordinary address stays as it is:
``user123`` and ``user124``, ``john.1984`` and ``john.1985`` are different people.
"""

from __future__ import annotations

import re
from functools import lru_cache

MAX_LENGTH = 1024
"""Maximum characters of a sender; RFC 5321 section 4.5.3.1 allows 320."""
_MAX_NESTING = 3
"""Maximum nesting of forms, as in a bounce address that a forwarder rewrote."""

# Hosts and days of SRS are kept or left out by their place:
# SRS0=hash=day=domain=user, SRS1=hash=host==hash=day=domain=user; the first separator is = + or -
_SRS0 = re.compile(r"(?:(.*)\+)?srs0?[=+-][^=]+=[^=]+=([^=]+)=(.+)", re.IGNORECASE | re.DOTALL)
_SRS1 = re.compile(
    r"srs1[=+-][^=]+=([^=]+)=[=+-][^=]+=[^=]+=([^=]+)=(.+)", re.IGNORECASE | re.DOTALL
)
# Exchange as a relay: bounces+SRS=hash=day@domain
_SRS_BARE = re.compile(r"(.+)\+srs[=+-][^=]+=[^=]+", re.IGNORECASE | re.DOTALL)
# BATV: prvs=tag=user, also in reverse order and with a slash; the tag is one digit for the key,
# three for the day, and a hash
_PRVS = re.compile(r"prvs=([^=/]+)[=/](.+)", re.IGNORECASE | re.DOTALL)
_PRVS_TAG = re.compile(r"(?=[a-z]*[0-9])[0-9a-f]{6,12}|[0-9]{4}[0-9a-z]{6}", re.IGNORECASE)
_BTV1 = re.compile(r"btv1==[^=]+==(.+)", re.IGNORECASE | re.DOTALL)
_SPARKPOST = re.compile(r"msprvs1=[^=]+=(.+)", re.IGNORECASE | re.DOTALL)
# SendGrid: bounces+customer-hash-recipient
_SENDGRID = re.compile(r"(bounces?\+[0-9]+)-[0-9a-z]{4,}-.+", re.IGNORECASE | re.DOTALL)
# Sympa: bounce+user==a==domain==list
_SYMPA = re.compile(r"bounce\+.+==a==[^=]+==([^=]+)(?:==[a-z])?", re.IGNORECASE | re.DOTALL)
# Mailchimp: bounce-mc.us2_customer.campaign-hash; Mandrill: bounce-md_customer.hash.v1-hash
_MAILCHIMP = re.compile(r"(bounce-m[cd](?:\.us[0-9]+)?_[0-9]+)\..+", re.IGNORECASE | re.DOTALL)
# Constant Contact: hash_customer_hash
_CONSTANT = re.compile(r"[\w+/-]{8,}={0,2}_([0-9]{10,})_[\w+/-]{8,}={0,2}")
# ezmlm's confirmations: list-sc.time.cookie-recipient
_EZMLM = re.compile(r"(.+-[a-z]c)\.[0-9]+\.[a-z]{20}(-.+)", re.IGNORECASE | re.DOTALL)
# Acoustic, formerly Silverpop: v-abcdef_ghij_klm_nop_a
_ACOUSTIC = re.compile(r"v-[a-z]{4,9}(?:_[a-z]{4,9}){2,4}_[a-z]", re.IGNORECASE)
# Campaign Monitor: list-hash, all letters
_CAMPAIGN_MONITOR = re.compile(r"(.+)-[a-z]{8,}", re.IGNORECASE | re.DOTALL)
_CAMPAIGN_MONITOR_DOMAIN = re.compile(r"(?:.+\.)?(?:cmail|createsend)[0-9]*\.com")
# Salesforce: user=domain__hash@pod.bnc.salesforce.com
_SALESFORCE = re.compile(r"(.+=.+?)__[0-9a-z-]+", re.IGNORECASE | re.DOTALL)

_SERVERS_IN_THE_DOMAIN = re.compile(
    r".+\.((?:bnc\.salesforce|mcsv|mcdlv|rsgsv|mandrillapp)\.(?:com|net))"
)
"""Sending services whose bounce domain begins with the name of a changing server."""
_MAILCHIMP_POOLS = frozenset({"mcdlv.net", "rsgsv.net"})
"""Domains that Mailchimp alternates with mcsv.net."""
_RANDOM_ALONE = re.compile(r"(?:.+\.)?bounces\.google\.com|(?:.+\.)?amazonses\.com")
"""Domains where the whole local part changes with each message."""

_DIGIT = re.compile(r"[0-9]")
_SEPARATORS = re.compile(r"([-_.+=/@*]+)")
_UUID = re.compile(
    r"(?<![0-9a-z])[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(?![0-9a-z])",
    re.IGNORECASE,
)
_BOUNCE_WORDS = frozenset(
    {"alert", "alerts", "bnc", "bounce", "bounced", "bounces", "campaign", "confirm", "deliver"}
    | {"delivery", "devnull", "donotreply", "email", "err", "error", "errors", "list", "lists"}
    | {"mail", "mailer", "mailing", "mailings", "mails", "message", "messages", "msg", "news"}
    | {"newsletter", "newsletters", "nl", "noreply", "notification", "notifications", "notify"}
    | {"owner", "reply", "request", "ret", "return", "returns", "sentto", "tracking", "verp"}
)
"""Words that show that a program made the address."""
_BOUNCE_LABELS = re.compile(
    r"(?:.+\.)?(?:bnc|bounces?|e|em[0-9]*|email|lists?|mailer|mailing|mg|mta|news(?:letter)?|"
    r"returns?)[0-9]*\.[^.]+\.[^.]+(?:\..+)?"
)
"""The same for a label of the domain below the organizational domain."""
_NOBODYS_LABELS = re.compile(
    r"(?:.+\.)?(?:bnc|bounces?|em[0-9]+|mg|returns?|verp)[0-9]*\.[^.]+\.[^.]+(?:\..+)?"
)
"""Labels of domains without mailboxes: any address with a number was made by a program."""
_NUMBERED_WORD = re.compile(
    r"((?:bnc|bounced?|bounces|errors?|messages?|msg|returns?|sentto|verp)-?)[0-9]+", re.IGNORECASE
)
_FREEMAIL = frozenset(
    {"126.com", "163.com", "aol.com", "bigpond.com", "bk.ru", "bluewin.ch", "comcast.net"}
    | {"foxmail.com", "free.fr", "freenet.de", "fastmail.com", "gmail.com", "gmx.at", "gmx.ch"}
    | {"gmx.com", "gmx.de", "gmx.net", "googlemail.com", "hotmail.co.uk", "hotmail.com"}
    | {"hotmail.de", "hotmail.fr", "hotmail.it", "hushmail.com", "icloud.com", "inbox.ru"}
    | {"laposte.net", "libero.it", "list.ru", "live.com", "live.de", "live.fr", "live.it"}
    | {"mac.com", "mail.com", "mail.de", "mail.ru", "mailbox.org", "me.com", "msn.com", "naver.com"}
    | {"online.de", "orange.fr", "outlook.com", "outlook.de", "outlook.fr", "pm.me", "posteo.de"}
    | {"proton.me", "protonmail.ch", "protonmail.com", "qq.com", "rambler.ru", "rediffmail.com"}
    | {
        "seznam.cz",
        "sfr.fr",
        "sina.com",
        "t-online.de",
        "tutanota.com",
        "uol.com.br",
        "verizon.net",
    }
    | {"wanadoo.fr", "web.de", "wp.pl", "yahoo.co.jp", "yahoo.co.uk", "yahoo.com", "yahoo.de"}
    | {"yahoo.fr", "yandex.com", "yandex.ru", "ymail.com", "zoho.com"}
)
"""Providers whose users choose their names: a number is part of the name."""
_LONG_NUMBER = 6
_SHORT_HASH = 8
_LONG_WORD = 12
_LONGEST_WORD = 16
_MANY_TURNS = 3
"""Between digits and letters, in a short word: ``web2print`` has two."""
_HEX = re.compile(r"[0-9a-f]+", re.IGNORECASE)
_BEGINS_WITH_A_WORD = re.compile(r"[A-Za-z][a-z]{7}")
_EZMLM_COOKIE = re.compile(r"[a-p]{20}", re.IGNORECASE)
_LONG_RUN = re.compile(r"[0-9]{6,}")
_TURNS = re.compile(r"[0-9](?=[A-Za-z])|[A-Za-z](?=[0-9])|[a-z](?=[A-Z])")


def stable_sender(sender: str) -> str:
    """Return the part of an envelope sender that all messages of the sender share, in lower case.

    Each removed part becomes ``#``; the text after a plus sign is dropped.
    """
    return sender.lower() if len(sender) > MAX_LENGTH else _reduced(sender)


@lru_cache(maxsize=16384)  # Postfix asks once for each recipient
def _reduced(sender: str) -> str:
    user, at, domain = sender.rpartition("@")
    if not at or user.isalpha():
        return sender.lower()
    return _stable(user, domain.lower(), _MAX_NESTING)


def _stable(user: str, domain: str, nesting: int) -> str:
    if nesting and "=" in user:  # all of these have one
        for read in (_srs, _batv):
            if (found := read(user, domain, nesting - 1)) is not None:
                return found.lower()
    if nesting and not user.isalnum() and (found := _customer(user, domain)) is not None:
        return found.lower()
    if _RANDOM_ALONE.fullmatch(domain):
        return f"#@{domain}"
    return f"{_plain(user, domain).lower()}@{domain}"


def _inner(user: str, domain: str, nesting: int) -> str:
    """Reduce the user of an address inside another one as if it were the whole address."""
    return _stable(user, domain.lower(), nesting).rpartition("@")[0]


def _srs(user: str, domain: str, nesting: int) -> str | None:
    """Reduce an address rewritten by a forwarder to the original sender."""
    if found := _SRS1.fullmatch(user):
        host, original, name = found.groups()
        return f"srs1=#={host}==#=#={original}={_inner(name, original, nesting)}@{domain}"
    if found := _SRS0.fullmatch(user):
        through, original, name = found.groups()
        before = f"{through}+" if through else ""
        return f"{before}srs0=#=#={original}={_inner(name, original, nesting)}@{domain}"
    if found := _SRS_BARE.fullmatch(user):
        return f"{found[1]}+srs=#=#@{domain}"
    return None


def _batv(user: str, domain: str, nesting: int) -> str | None:
    """Reduce a signed sender to the sender without its signature (draft-levine-smtp-batv)."""
    if found := _BTV1.fullmatch(user):
        return _stable(found[1], domain, nesting)
    found = _PRVS.fullmatch(user)
    if found is None:
        return None
    first, rest = found.groups()
    if _PRVS_TAG.fullmatch(first):
        return _stable(rest, domain, nesting)
    head, _, last = rest.rpartition("=")
    if _PRVS_TAG.fullmatch(last):
        return _stable(f"{first}={head}" if head else first, domain, nesting)
    return None


def _customer(user: str, domain: str) -> str | None:
    """Reduce a sending service's address to the customer, if it names one."""
    pool = _SERVERS_IN_THE_DOMAIN.fullmatch(domain)
    domain = pool[1] if pool else domain
    domain = "mcsv.net" if domain in _MAILCHIMP_POOLS else domain
    if found := _SPARKPOST.fullmatch(user):
        return f"{found[1]}@{domain}"  # the numbers identify the customer
    if found := _SENDGRID.fullmatch(user) or _MAILCHIMP.fullmatch(user):
        return f"{found[1]}@{domain}"
    if domain == "bnc.salesforce.com" and (found := _SALESFORCE.fullmatch(user)):
        return f"{found[1]}@{domain}"
    if found := _SYMPA.fullmatch(user):
        return f"bounce+{found[1]}@{domain}"
    if found := _CONSTANT.fullmatch(user):
        return f"#_{found[1]}_#@{domain}"
    if found := _EZMLM.fullmatch(user):
        return f"{found[1]}.#.#{found[2]}@{domain}"
    if _ACOUSTIC.fullmatch(user):
        return f"v-#@{domain}"
    if _CAMPAIGN_MONITOR_DOMAIN.fullmatch(domain) and (found := _CAMPAIGN_MONITOR.fullmatch(user)):
        return f"{found[1]}@createsend.com"
    return None


def _plain(user: str, domain: str) -> str:
    """Reduce a local part of unknown form."""
    user = user.partition("+")[0] or user
    if not _DIGIT.search(user) or domain in _FREEMAIL:
        return user
    user = _UUID.sub("#", user)
    parts = _SEPARATORS.split(user)
    words = parts[::2]
    nobodys = _NOBODYS_LABELS.fullmatch(domain) is not None
    if sum(word != "" for word in words) == 1:
        if found := _NUMBERED_WORD.fullmatch(user):
            return f"{found[1]}#"
        if nobodys:
            return _without_what_changes(user, nobodys)
        return "#" if _looks_random(user) and len(user) >= 2 * _LONG_WORD else user
    made_by_a_program = (
        "=" in user
        or not _BOUNCE_WORDS.isdisjoint(word.lower() for word in words)
        or any(map(_NUMBERED_WORD.fullmatch, words))
        or _BOUNCE_LABELS.fullmatch(domain) is not None
        or sum(word.isdecimal() or word == "#" for word in words) > 1
    )
    # a recipient's address, written with an = for its @, stays
    own = _words_before_a_recipient(parts)
    last = len(words) - 1
    for n, word in enumerate(words[:own]):
        if made_by_a_program:
            parts[2 * n] = _without_what_changes(word, nobodys)
        elif word.isdecimal():
            if 0 < n < last or len(word) >= _LONG_NUMBER:
                parts[2 * n] = "#"
        elif _looks_random(word):
            parts[2 * n] = "#"
    return "".join(parts)


def _without_what_changes(word: str, nobodys: bool) -> str:
    """Remove numbers and hashes from a word of an address that a program made.

    In a domain without mailboxes, a long word is a hash even if it consists of letters only.
    """
    if word.isdecimal() or _looks_random(word) or _looks_hashed(word):
        return "#"
    if nobodys and len(word) >= _LONGEST_WORD:
        return "#"
    if found := _NUMBERED_WORD.fullmatch(word):
        return f"{found[1]}#"
    return _LONG_RUN.sub("#", word)


def _words_before_a_recipient(parts: list[str]) -> int:
    """Return the number of words before the recipient in a VERP address (user=domain.example)."""
    separators = parts[1::2]
    for n in range(len(separators) - 1, -1, -1):
        if "=" in separators[n]:
            # the word before it is the user, or the last piece of it
            return n if "." in separators[n + 1 :] else len(parts[::2])
    return len(parts[::2])


def _looks_random(word: str) -> bool:
    """Return whether a word is long, with digits and letters mixed."""
    if len(word) < _SHORT_HASH or word.isalpha() or word.isdecimal() or not word.isascii():
        return False
    if _HEX.fullmatch(word):
        return True
    if len(word) < _LONG_WORD or _BEGINS_WITH_A_WORD.match(word):
        return False
    return len(_TURNS.findall(word)) >= 4


def _looks_hashed(word: str) -> bool:
    """Return whether a word of an address that a program made is a hash, even a short one."""
    if _EZMLM_COOKIE.fullmatch(word):
        return True
    if len(word) < _LONG_NUMBER or word.isalpha() or word.isdecimal() or not word.isascii():
        return False
    return (
        _HEX.fullmatch(word) is not None
        or len(_TURNS.findall(word)) >= _MANY_TURNS
        or len(word) >= 2 * _LONG_WORD
    )
