"""Entry of a message into the quarantine folder."""

from __future__ import annotations

import asyncio
import time

from delivery.arrived import ArrivedMessage
from delivery.protocols.envelope import LmtpEnvelope
from delivery.quarantine.folder import FolderFullError, HeldEnvelope, HeldFolder
from gatepost.quarantine.facts import MAX_HEAD, first_value, header_of
from gatepost.quarantine.held import HeldKind, HeldMail


async def keep_message(
    folder: HeldFolder, message: ArrivedMessage, envelope: LmtpEnvelope, virus: str
) -> str:
    """Keep a message for its recipients; returns why that failed, or an empty text."""
    try:
        await asyncio.to_thread(_keep, folder, message, envelope, virus)
    except FolderFullError as error:
        return str(error)
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _keep(folder: HeldFolder, message: ArrivedMessage, envelope: LmtpEnvelope, virus: str) -> None:
    head = bytearray()
    for part in message.parts(b""):
        head += part
        if len(head) >= MAX_HEAD:
            break
    fields = header_of(bytes(head))
    mail = HeldMail(
        id="",
        kind=HeldKind.VIRUS,
        held_at=time.time(),
        sender=envelope.sender,
        recipients=envelope.recipients,
        size=message.size,
        reason=virus,
        queue_id=message.queue_id,
        message_id=first_value(fields, b"message-id"),
        author=first_value(fields, b"from"),
        subject=first_value(fields, b"subject"),
    )
    folder.add(mail, HeldEnvelope(envelope.body, envelope.smtputf8), message.parts(b""))
