"""All holders of mail in quarantine, asked together."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from accounts.quarantine.settings import QuarantineSettings
from gatepost.listen import Inet, SocketAddress
from gatepost.quarantine import wire
from gatepost.quarantine.client import HolderAwayError, ask_holder
from gatepost.quarantine.held import HeldMail, HeldReach
from gatepost.quarantine.holder import HeldContent, HeldRelease, HolderError, NotHeldError

_T = TypeVar("_T")

MAX_ENDPOINTS: Final = 256
"""Holders that are asked: as many pods as a Service may have here."""
MAX_PAGE: Final = 500
"""Mails of a list."""
GONE: Final = "This mail is no longer in quarantine, or somebody is releasing or deleting it now."


@dataclass(frozen=True, slots=True)
class FoundMail:
    """A mail with the name of its holder."""

    holder: str
    mail: HeldMail


@dataclass(frozen=True, slots=True)
class MissingHolder:
    """A holder that did not answer, with the reason as a sentence."""

    address: str
    problem: str


@dataclass(frozen=True, slots=True)
class FoundMails:
    """The latest mails of all holders, the latest one first."""

    mails: tuple[FoundMail, ...]
    missing: tuple[MissingHolder, ...]
    has_more: bool


@dataclass(frozen=True, slots=True)
class HolderAnswer:
    """A mail with its beginning, and the address of its holder."""

    address: SocketAddress
    content: HeldContent


class QuarantineHolders:
    """The holders that the settings in use name. Methods raise `HolderError`."""

    def __init__(self, settings: Callable[[], QuarantineSettings]) -> None:
        self._settings = settings

    @property
    def are_there(self) -> bool:
        """Return whether any holder is configured."""
        return bool(self._settings().holders)

    async def latest(self, reach: HeldReach, limit: int) -> FoundMails:
        """Return the latest mails within reach. A holder that is away is named; raises nothing."""
        token = self._token()
        request = wire.HolderRequest(reach, limit=min(limit, MAX_PAGE))
        addresses, missing = await self._endpoints()
        found: list[FoundMail] = []
        has_more = False
        names: set[str] = set()
        answers = await asyncio.gather(
            *(self._ask(one, token, "/list", request) for one in addresses)
        )
        for address, answer in zip(addresses, answers, strict=True):
            if isinstance(answer, HolderError):
                missing.append(MissingHolder(str(address), str(answer)))
                continue
            try:
                name, page = wire.read_page(answer)
            except wire.WireError as error:
                missing.append(MissingHolder(str(address), str(error)))
                continue
            if name in names:  # one holder under two addresses
                continue
            names.add(name)
            found += (FoundMail(name, mail) for mail in page.mails)
            has_more |= page.has_more
        found.sort(key=lambda one: one.mail.held_at, reverse=True)
        return FoundMails(tuple(found[:limit]), tuple(missing), has_more or len(found) > limit)

    async def find(self, holder: str, mail_id: str, reach: HeldReach, most: int) -> HolderAnswer:
        """Return a mail with its first `most` octets; raises `NotHeldError` without it."""
        if not (wire.is_name(holder) and wire.is_name(mail_id)):
            raise NotHeldError(GONE)
        request = wire.HolderRequest(reach, holder=holder, id=mail_id, most=most)
        addresses, missing = await self._endpoints()
        token = self._token()
        answers = await asyncio.gather(
            *(self._ask(one, token, "/read", request) for one in addresses)
        )
        problems = [f"{one.address}: {one.problem}" for one in missing]
        for address, answer in zip(addresses, answers, strict=True):
            if isinstance(answer, bytes):
                try:
                    return HolderAnswer(address, wire.read_content(answer)[1])
                except wire.WireError as error:
                    problems.append(f"{address}: {error}")
            elif not isinstance(answer, NotHeldError):
                problems.append(f"{address}: {answer}")
        if problems:
            raise HolderAwayError(f"A holder of mail does not answer: {problems[0]}.")
        raise NotHeldError(GONE)

    async def release(
        self, holder: str, mail_id: str, reach: HeldReach, by: str, address: SocketAddress
    ) -> HeldRelease:
        """Release a mail that `find` has found at `address`."""
        request = wire.HolderRequest(reach, holder=holder, id=mail_id, by=by)
        return _read(
            await self._do(address, "/release", request, self._settings().release_timeout),
            wire.read_release,
        )

    async def delete(
        self, holder: str, mail_id: str, reach: HeldReach, by: str, address: SocketAddress
    ) -> HeldMail:
        """Delete a mail that `find` has found at `address`."""
        request = wire.HolderRequest(reach, holder=holder, id=mail_id, by=by)
        answer = await self._do(address, "/delete", request, self._settings().timeout)
        return _read(answer, wire.read_mail)

    async def _do(
        self, address: SocketAddress, path: str, request: wire.HolderRequest, timeout: float
    ) -> bytes:
        try:
            return await ask_holder(address, self._token(), path, request, timeout)
        except NotHeldError:
            raise NotHeldError(GONE) from None

    async def _ask(
        self, address: SocketAddress, token: bytes, path: str, request: wire.HolderRequest
    ) -> bytes | HolderError:
        try:
            return await ask_holder(address, token, path, request, self._settings().timeout)
        except HolderError as error:
            return error

    def _token(self) -> bytes:
        file = self._settings().token_file
        if file is None:
            return b""
        try:
            token = file.read().strip()
        except (OSError, ValueError) as error:
            raise HolderError(f"The token for the quarantine cannot be read: {error}.") from None
        if not all(0x20 <= octet <= 0x7E for octet in token):
            # an error about the request would have it in its text
            raise HolderError(f"The token in {file} has characters that cannot be sent.")
        return token

    async def _endpoints(self) -> tuple[list[SocketAddress], list[MissingHolder]]:
        """Return the addresses of all holders, and the names that have none."""
        found: dict[SocketAddress, None] = {}
        missing = []
        for address in self._settings().holders:
            try:
                async with asyncio.timeout(self._settings().timeout):
                    found |= dict.fromkeys(await _resolve(address))
            except TimeoutError:
                missing.append(MissingHolder(str(address), "DNS does not answer"))
            except OSError as error:
                missing.append(MissingHolder(str(address), error.strerror or str(error)))
        return list(found)[:MAX_ENDPOINTS], missing


async def _resolve(address: SocketAddress) -> list[SocketAddress]:
    if not isinstance(address, Inet):
        return [address]
    try:
        ipaddress.ip_address(address.host)
    except ValueError:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
        return [Inet(str(one[4][0]), address.port) for one in found]
    return [address]


def _read(octets: bytes, read: Callable[[bytes], _T]) -> _T:
    try:
        return read(octets)
    except wire.WireError as error:
        raise HolderAwayError(f"The holder of the mail answers strangely: {error}.") from None
