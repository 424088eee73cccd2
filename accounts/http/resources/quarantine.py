"""Operations on mail in quarantine: list, show, release and delete.

The holders of the mail do the work, so an operation acts before its transaction begins, and after
an entry in the audit log.
"""

from __future__ import annotations

import asyncio
import base64
from dataclasses import asdict
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from accounts.http.call import ApiReply, Call
from accounts.http.models.quarantine import (
    QuarantinedMailOut,
    QuarantinedMessageOut,
    QuarantineOut,
    QuarantineQuery,
    QuarantineReleaseOut,
)
from accounts.http.operation import Operation, Reach
from accounts.http.principals import Role
from accounts.http.problems import ApiProblem, unavailable
from accounts.quarantine.holders import FoundMail, HolderAnswer, QuarantineHolders
from accounts.quarantine.view import MAX_OCTETS, see
from accounts.store.noted import clean
from gatepost.printable import escape
from gatepost.quarantine.held import HeldMail, HeldReach
from gatepost.quarantine.holder import HeldByOthersError, HolderError, NotHeldError
from gatepost.quarantine.wire import MAX_CONTENT

MAX_NOTED: Final = 20
"""Recipients in an entry of the audit log."""
_TEXTS: Final = ("sender", "reason", "queue_id", "message_id", "author", "subject", "note")


async def find(call: Call) -> dict[str, Any]:
    """Return the mail within the caller's reach. For `prepare`."""
    holders = call.context.quarantine
    try:
        found = await holders.latest(_reach(call), call.query.limit)
    except HolderError as error:
        raise _problem(error) from None
    return {
        "mails": [_shown(one.holder, one.mail) for one in found.mails],
        "missing": [
            {"address": one.address, "problem": escape(one.problem)} for one in found.missing
        ],
        "has_more": found.has_more,
        "is_configured": holders.are_there,
    }


async def show(call: Call) -> dict[str, Any]:
    """Return a mail as text, once the entry in the audit log is written. For `prepare`."""
    found = await _found(call, MAX_OCTETS)
    await _note(call, "show", found.content.mail)
    octets, is_whole = found.content.octets, found.content.is_whole
    seen = await asyncio.to_thread(partial(see, octets, is_whole=is_whole))
    return {
        "mail": _shown(call.params["holder"], found.content.mail),
        "fields": [{"name": name, "value": value} for name, value in seen.fields],
        "text": seen.text,
        "is_html": seen.is_html,
        "parts": seen.parts,
        "is_cut": seen.is_cut,
    }


async def fetch(call: Call) -> dict[str, Any]:
    """Return the octets of a mail, once the entry in the audit log is written. For `prepare`."""
    found = await _found(call, MAX_CONTENT)
    if not found.content.is_whole:
        raise ApiProblem(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"The mail is larger than {MAX_CONTENT} octets: read it on its server.",
        )
    await _note(call, "fetch", found.content.mail)
    content = await asyncio.to_thread(base64.b64encode, found.content.octets)
    return {"content": content.decode("ascii")}


async def release(call: Call) -> dict[str, Any]:
    """Have a mail delivered, after an entry in the audit log. For `prepare`."""
    found = await _found(call, 0)
    await _note(call, "release", found.content.mail)
    holders, params = call.context.quarantine, call.params
    try:
        done = await holders.release(
            params["holder"], params["id"], _reach(call), call.actor.name, found.address
        )
    except HolderError as error:
        raise _problem(error) from None
    return {
        "released": [escape(one) for one in done.released],
        "kept": [
            {"recipient": escape(one), "reply": escape(reply)} for one, reply in done.kept.items()
        ],
    }


async def delete(call: Call) -> None:
    """Have a mail removed for good, after an entry in the audit log. For `prepare`."""
    found = await _found(call, 0)
    mail = found.content.mail
    if mail.has_others:
        raise ApiProblem(
            HTTPStatus.FORBIDDEN,
            "The mail has recipients in other domains: only a global administrator deletes it.",
        )
    await _note(call, "delete", mail)
    holders, params = call.context.quarantine, call.params
    try:
        await holders.delete(
            params["holder"], params["id"], _reach(call), call.actor.name, found.address
        )
    except HolderError as error:
        raise _problem(error) from None


async def give(call: Call) -> ApiReply:
    """Return what was prepared."""
    return ApiReply(call.prepared)


async def _found(call: Call, most: int) -> HolderAnswer:
    holders: QuarantineHolders = call.context.quarantine
    try:
        return await holders.find(call.params["holder"], call.params["id"], _reach(call), most)
    except HolderError as error:
        raise _problem(error) from None


def _reach(call: Call) -> HeldReach:
    """Return the recipients whose mail the caller may see."""
    if call.principal.role is Role.GLOBAL:
        return HeldReach()
    return HeldReach(call.principal.domains)


async def _note(call: Call, action: str, mail: HeldMail) -> None:
    """Enter in the audit log what is about to be done, and to which mail."""
    named = mail.queue_id or mail.id
    details: dict[str, Any] = {
        "id": clean(mail.id),
        "message_id": clean(mail.message_id),
        "sender": clean(mail.sender),
        "recipients": [clean(one) for one in mail.recipients[:MAX_NOTED]],
        "reason": clean(mail.reason),
    }
    if len(mail.recipients) > MAX_NOTED:
        details["recipient_count"] = len(mail.recipients)
    await call.context.database.write(
        call.actor, lambda write: write.audit(f"quarantine.{action}", clean(named), **details)
    )


def _shown(holder: str, mail: HeldMail) -> dict[str, Any]:
    """Return the facts of a mail, which strangers have written, as text on one line each."""
    facts = asdict(FoundMail(holder, mail.shortened()).mail) | {"holder": holder}
    facts |= {name: escape(facts[name]) for name in _TEXTS}
    return facts | {"recipients": [escape(one) for one in mail.shortened().recipients]}


def _problem(error: HolderError) -> ApiProblem:
    match error:
        case NotHeldError():
            return ApiProblem(HTTPStatus.NOT_FOUND, str(error))
        case HeldByOthersError():
            return ApiProblem(HTTPStatus.FORBIDDEN, str(error))
    return unavailable(str(error))


_ONE: Final = "/quarantine/{holder}/{id}"

OPERATIONS = [
    Operation(
        "list-quarantine",
        "GET",
        "/quarantine",
        "quarantine",
        Reach.LISTED,
        "List the latest mail in quarantine",
        give,
        query=QuarantineQuery,
        gives=QuarantineOut,
        prepare=find,
    ),
    Operation(
        "show-quarantined-mail",
        "GET",
        _ONE,
        "quarantine",
        Reach.LISTED,
        "Show a mail in quarantine as text",
        give,
        gives=QuarantinedMailOut,
        prepare=show,
    ),
    Operation(
        "fetch-quarantined-mail",
        "GET",
        f"{_ONE}/message",
        "quarantine",
        Reach.GLOBAL,
        "Return the octets of a mail in quarantine",
        give,
        gives=QuarantinedMessageOut,
        prepare=fetch,
    ),
    Operation(
        "release-quarantined-mail",
        "POST",
        f"{_ONE}/release",
        "quarantine",
        Reach.LISTED,
        "Deliver a mail in quarantine to its recipients in the caller's domains",
        give,
        gives=QuarantineReleaseOut,
        prepare=release,
        acts_outside=True,
    ),
    Operation(
        "delete-quarantined-mail",
        "DELETE",
        _ONE,
        "quarantine",
        Reach.LISTED,
        "Delete a mail in quarantine for good",
        give,
        status=HTTPStatus.NO_CONTENT,
        prepare=delete,
        acts_outside=True,
    ),
]
