"""Requests to a holder and their answers, as JSON over HTTP.

| request | answer |
|---|---|
| ``POST /list`` with `limit` | `mails`, `has_more` |
| ``POST /read`` with `id`, `most` | `mail`, `is_whole` in one line, then the octets |
| ``POST /release`` with `id`, `by` | `released`, `kept` |
| ``POST /delete`` with `id`, `by` | `mail` |

Each request also has `holder`, the name of the holder that is meant, or an empty text for any, and
`domains`, a list or null for all. Each answer has `holder`; errors have `error`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final

from gatepost.quarantine.held import HeldMail, HeldReach, read_held
from gatepost.quarantine.holder import HeldContent, HeldPage, HeldRelease

PATHS: Final = frozenset({"/list", "/read", "/release", "/delete"})
MAX_REQUEST: Final = 4 << 20
"""Octets of a request: an administrator may have many domains."""
MAX_ANSWER: Final = 8 << 20
"""Octets of an answer besides those of a mail."""
MAX_MAILS: Final = 1000
"""Mails of a list."""
MAX_CONTENT: Final = 32 << 20
"""Octets of a mail that are sent at once."""

_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,128}\Z")


class WireError(ValueError):
    """The octets are no request, or no answer."""


@dataclass(frozen=True, slots=True)
class HolderRequest:
    """A request. `holder` is empty where any is meant."""

    reach: HeldReach
    holder: str = ""
    id: str = ""
    by: str = ""
    limit: int = 100
    most: int = 0

    def __bytes__(self) -> bytes:
        domains = self.reach.domains
        body = {
            "holder": self.holder,
            "domains": None if domains is None else sorted(domains),
            "id": self.id,
            "by": self.by,
            "limit": self.limit,
            "most": self.most,
        }
        return json.dumps(body).encode()


def is_name(text: str) -> bool:
    """Return whether a text may be the id of a mail, or the name of a holder."""
    return _ID.match(text) is not None and not text.startswith(".")


def read_request(octets: bytes) -> HolderRequest:
    """Return the request of a body; raises `WireError`."""
    given = _object(octets)
    domains = given.get("domains", "")
    if domains is not None and not (
        isinstance(domains, list) and all(isinstance(one, str) for one in domains)
    ):
        # a list that is missing must not mean everything
        raise WireError("domains is a list, or null for all")
    texts = {name: given.get(name, "") for name in ("holder", "id", "by")}
    numbers = {name: given.get(name, least) for name, least in (("limit", 1), ("most", 0))}
    if not all(isinstance(one, str) and len(one) <= 1000 for one in texts.values()):
        raise WireError("holder, id and by are texts")
    if not all(type(one) is int and one >= 0 for one in numbers.values()):
        raise WireError("limit and most are numbers")
    if texts["id"] and not is_name(texts["id"]):
        raise WireError("id is not the id of a mail")
    return HolderRequest(
        HeldReach(None if domains is None else frozenset(domains)),
        **texts,
        limit=min(numbers["limit"], MAX_MAILS),
        most=min(numbers["most"], MAX_CONTENT),
    )


def page_answer(holder: str, page: HeldPage) -> bytes:
    """Return the answer to ``/list``; mails that would make it too large are left out."""
    mails, size = [], 0
    for mail in page.mails:
        text = json.dumps(mail.shortened().as_json())
        size += len(text)
        if size > MAX_ANSWER - 10_000:
            break
        mails.append(text)
    has_more = page.has_more or len(mails) < len(page.mails)
    head = json.dumps({"holder": holder, "has_more": has_more})
    return f'{head[:-1]}, "mails": [{",".join(mails)}]}}\n'.encode()


def content_answer(holder: str, content: HeldContent) -> bytes:
    """Return the answer to ``/read``."""
    head = {"holder": holder, "mail": content.mail.as_json(), "is_whole": content.is_whole}
    return json.dumps(head).encode() + b"\n" + content.octets


def release_answer(holder: str, release: HeldRelease) -> bytes:
    """Return the answer to ``/release``."""
    body = {"holder": holder, "released": list(release.released), "kept": release.kept}
    return json.dumps(body).encode() + b"\n"


def mail_answer(holder: str, mail: HeldMail) -> bytes:
    """Return the answer to ``/delete``."""
    return json.dumps({"holder": holder, "mail": mail.as_json()}).encode() + b"\n"


def read_page(octets: bytes) -> tuple[str, HeldPage]:
    """Return the holder and its mails; raises `WireError`."""
    given = _object(octets)
    mails = given.get("mails")
    if not isinstance(mails, list) or len(mails) > MAX_MAILS:
        raise WireError("the answer has no list of mails")
    return _holder(given), HeldPage(
        tuple(_mail(one) for one in mails), given.get("has_more") is True
    )


def read_content(octets: bytes) -> tuple[str, HeldContent]:
    """Return the holder and a mail; raises `WireError`."""
    head, _, rest = octets.partition(b"\n")
    given = _object(head)
    return _holder(given), HeldContent(
        _mail(given.get("mail")), rest, given.get("is_whole") is True
    )


def read_release(octets: bytes) -> HeldRelease:
    """Return the outcome of a release; raises `WireError`."""
    given = _object(octets)
    released, kept = given.get("released"), given.get("kept")
    if not isinstance(released, list) or not isinstance(kept, dict):
        raise WireError("the answer has no recipients")
    return HeldRelease(
        tuple(str(one) for one in released), {str(one): str(text) for one, text in kept.items()}
    )


def read_mail(octets: bytes) -> HeldMail:
    """Return the mail that was deleted; raises `WireError`."""
    return _mail(_object(octets).get("mail"))


def read_error(octets: bytes) -> str:
    """Return the sentence of an error; empty if there is none."""
    try:
        text = _object(octets).get("error")
    except WireError:
        return ""
    return text[:500] if isinstance(text, str) else ""


def _mail(given: object) -> HeldMail:
    try:
        mail = read_held(given)
    except ValueError as error:
        raise WireError(str(error)) from None
    if not is_name(mail.id):
        raise WireError("a mail has no id")
    return mail


def _holder(given: dict[str, Any]) -> str:
    name = given.get("holder")
    if not isinstance(name, str) or not is_name(name):
        raise WireError("the answer does not name its holder")
    return name


def _object(octets: bytes) -> dict[str, Any]:
    try:
        given = json.loads(octets)
    except (ValueError, RecursionError):
        raise WireError("it is not JSON") from None
    if not isinstance(given, dict):
        raise WireError("it is not an object")
    return given
