"""Converter of opendkim's options for signing, and for its actions on results."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from milters.migration.opendkim.configuration import Option
from milters.migration.opendkim.draft import Draft, MigrationLevel
from msgauth.dkim import DEFAULT_HEADERS
from msgauth.dkim.headers import require_signable
from msgauth.errors import MsgauthError

_CANONICALIZATIONS = ("relaxed", "simple")
MAX_EXPIRY = 10 * 365 * 86400
"""Maximum validity of a signature in seconds."""

_ACTIONS = {
    "a": "accept",
    "d": "discard",
    "q": "quarantine",
    "r": "reject",
    "t": "defer",
}
_RESULTS = {
    "On-BadSignature": "fail",
    "On-NoSignature": "none",
    "On-DNSError": "temperror",
    "On-KeyNotFound": "permerror",
}


def _canonicalization(draft: Draft, option: Option) -> None:
    # RFC 6376 section 3.5, tag c=: an omitted algorithm is simple
    header, _, body = option.value.lower().partition("/")
    body = body or "simple"
    if header not in _CANONICALIZATIONS or body not in _CANONICALIZATIONS:
        draft.find(
            MigrationLevel.ERROR,
            option.place,
            option.name,
            f"{option.value!r} is not a canonicalization",
        )
        return
    draft.set("milters.sign", "canonicalization", f"{header}/{body}", option.place)
    if "simple" in (header, body):
        draft.find(
            MigrationLevel.NOTE,
            option.place,
            option.name,
            "relaxed/relaxed, the default, survives more changes in transit",
        )


def _algorithm(draft: Draft, option: Option) -> None:
    if option.value.lower() == "rsa-sha1":
        draft.find(
            MigrationLevel.WARNING,
            option.place,
            option.name,
            "signs with rsa-sha256 (RFC 8301 section 3.1)",
        )
    else:
        draft.find(
            MigrationLevel.NOTE, option.place, option.name, "not needed: the type of a key decides"
        )


def _expiry(draft: Draft, option: Option) -> None:
    text = option.value
    if not (text.isascii() and text.isdecimal()) or not int(text[:20]) <= MAX_EXPIRY:
        draft.find(
            MigrationLevel.ERROR,
            option.place,
            option.name,
            f"{text[:40]!r} is not a number of seconds",
        )
    elif int(text):
        draft.set("milters.sign", "expiry", f"{int(text)}s", option.place)


def _multiple(draft: Draft, option: Option) -> None:
    if option.boolean and draft.conf.get("SigningTable") is not None:
        draft.set("milters", "opendkim_multiple_signatures", True, option.place)


def _names(draft: Draft, option: Option) -> tuple[list[str], list[str]]:
    """Return the header fields that the option adds and removes (``*,+a,-b``)."""
    added: list[str] = []
    taken: list[str] = []
    for entry in draft.dataset(option).entries:
        name = entry.key
        if name in ("*", ".", "-"):
            continue
        if name.startswith("-"):
            taken.append(name[1:])
        else:
            added.append(name.removeprefix("+"))
    return added, taken


def _signable(names: list[str], option: Option, draft: Draft) -> list[str]:
    """Return the `names` that may be signed; add a finding with the reason for each other one."""
    signable = []
    for name in names:
        try:
            require_signable(name)
        except MsgauthError as error:
            draft.find(MigrationLevel.WARNING, option.place, name, f"left out: {error}")
        else:
            signable.append(name)
    return signable


_USUAL = frozenset(
    name.lower()
    for name in (*DEFAULT_HEADERS.always, *DEFAULT_HEADERS.present, *DEFAULT_HEADERS.plain)
)
_OVERSIGNED = frozenset(name.lower() for name in DEFAULT_HEADERS.always)


def _sign_headers(draft: Draft, option: Option) -> None:
    added, taken = _names(draft, option)
    more = _signable([name for name in added if name.lower() not in _USUAL], option, draft)
    if more:
        draft.set("milters.sign", "also_sign", more, option.place)
    kept = [name for name in taken if name.lower() in _USUAL]
    draft.find(
        MigrationLevel.NOTE if not kept else MigrationLevel.WARNING,
        option.place,
        option.name,
        "the usual header fields are signed, with List-Unsubscribe and List-Unsubscribe-Post as "
        "RFC 8058 asks" + (f"; also {', '.join(kept)}" if kept else ""),
    )


def _omit_headers(draft: Draft, option: Option) -> None:
    added, _ = _names(draft, option)
    signed = [name for name in added if name.lower() in _USUAL]
    if signed:
        draft.find(
            MigrationLevel.WARNING,
            option.place,
            option.name,
            f"still signed when present: {', '.join(signed)}",
        )
    else:
        draft.find(MigrationLevel.NOTE, option.place, option.name, "these are not signed anyway")


def _oversign(draft: Draft, option: Option) -> None:
    added, _ = _names(draft, option)
    more = _signable([name for name in added if name.lower() not in _OVERSIGNED], option, draft)
    if more:
        draft.set("milters.sign", "oversign", more, option.place)


def _sender_headers(draft: Draft, option: Option) -> None:
    names, _ = _names(draft, option)
    if [name.lower() for name in names] != ["from"]:
        draft.find(
            MigrationLevel.ERROR,
            option.place,
            option.name,
            "only From decides which key signs: any other signature is not aligned",
        )


def _daemons(draft: Draft, option: Option) -> None:
    _add_daemons([entry.key for entry in draft.dataset(option).entries], option, draft)


def _macros(draft: Draft, option: Option) -> None:
    for entry in draft.dataset(option).entries:
        name, _, rest = entry.key.partition("|")
        values = [value for value in (*rest.split("|"), *entry.value.split("|")) if value.strip()]
        match name.strip("{}").lower():
            case "auth_authen" | "auth_type" if not values:
                continue  # mail from clients that have logged in is signed anyway
            case "daemon_name" if values:
                _add_daemons([value.strip() for value in values], option, draft)
            case _:
                draft.find(
                    MigrationLevel.ERROR,
                    entry.place,
                    option.name,
                    f"the macro {name} does not decide; see authenticated, internal and "
                    "daemon_names in [milters.sign]",
                )


def _add_daemons(names: list[str], option: Option, draft: Draft) -> None:
    before = draft.tables.get("milters.sign", {}).get("daemon_names", ((), option.place))[0]
    known = [*before] if not isinstance(before, str | int) else []
    draft.set("milters.sign", "daemon_names", list(dict.fromkeys([*known, *names])), option.place)


def _actions(draft: Draft, _: Option) -> None:
    default = draft.conf.get("On-Default")
    for name, result in _RESULTS.items():
        option = draft.conf.get(name) or default
        if option is None:
            continue
        action = _ACTIONS.get(option.value[:1].lower())
        if action is None:
            draft.find(
                MigrationLevel.ERROR,
                option.place,
                option.name,
                f"{option.value[:40]!r} is not an action",
            )
            continue
        if action == "discard":
            draft.find(
                MigrationLevel.WARNING,
                option.place,
                option.name,
                "mail is never discarded; it is quarantined",
            )
            action = "quarantine"
        draft.set("milters.policy.dkim", result, action, option.place)
        if action in ("reject", "quarantine") and result in ("fail", "none", "permerror"):
            draft.find(
                MigrationLevel.WARNING,
                option.place,
                option.name,
                "mail from lists and forwarders fails DKIM without being forged; RFC 6376 "
                "section 6.1 says to treat it as unsigned, and DMARC detects forgeries",
            )


SIGNING_RULES: Mapping[str, Callable[[Draft, Option], None]] = {
    "Canonicalization": _canonicalization,
    "SignatureAlgorithm": _algorithm,
    "SignatureTTL": _expiry,
    "MultipleSignatures": _multiple,
    "SignHeaders": _sign_headers,
    "OmitHeaders": _omit_headers,
    "OversignHeaders": _oversign,
    "SenderHeaders": _sender_headers,
    "MTA": _daemons,
    "MacroList": _macros,
    # one rule for all of them, because the last one set may be the default of the others
    " ".join(("On-Default", *_RESULTS)): _actions,
}
"""Rules by the names of their options, separated by blanks."""
