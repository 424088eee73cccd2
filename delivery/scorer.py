"""Scorer: the verdict about a message file for one user, without a delivery."""

from __future__ import annotations

from typing import NamedTuple

from delivery.arrived import ArrivedMessage, ScannerCopy
from delivery.counts import SPOOLED
from delivery.decision import SpamDecision, SpamVerdict, decide_scanned, decide_unscanned
from delivery.lesson import MARGIN, read_top
from delivery.mailboxes import RecipientFacts, find_recipient
from delivery.message_delivery import DeliveryRules
from delivery.protocols import rspamd, spamc
from delivery.protocols.envelope import LmtpEnvelope
from delivery.protocols.rspamd import RspamdQuestion
from delivery.scan import ScanResult
from delivery.trainer import TrainingError
from gatepost.peer.connection import ask
from gatepost.peer.errors import PeerError
from gatepost.spool import Spool


class ScoreFacts(NamedTuple):
    """The verdict, and the user whose data the scanner had; empty without a scan."""

    decision: SpamDecision
    scanned_as: str

    @property
    def is_junk(self) -> bool:
        """Return whether the message would go to Junk."""
        return self.decision.verdict is SpamVerdict.JUNK


async def score(rules: DeliveryRules, address: str, message: bytes) -> ScoreFacts:
    """Return the verdict for a mailbox, as a delivery now would have it.

    `address` may be empty: then there are no preferences, and the data are those of the site. A
    message that this proxy has delivered is scanned as it was sent to the proxy. Raises
    `TrainingError` if there is no result.
    """
    if rules.spam is None:
        raise TrainingError("no spam scanner is configured")
    settings = rules.spam.settings
    top = read_top(message)
    arrived = ArrivedMessage(
        Spool(rules.settings.spool_folder, settings.scan_size + MARGIN, SPOOLED.add),
        rules.settings.max_size,
    )
    try:
        arrived.write(top.rest)
        arrived.finish()
        envelope = LmtpEnvelope(top.sender)
        sender = arrived.sender(envelope, rules.own_id)
        facts = find_recipient(address, rules.data, rules.settings)
        if (decision := decide_unscanned(facts.preferences, sender)) is not None:
            return ScoreFacts(decision, "")
        copy = arrived.for_spam_scanner(envelope, rules.own_id, settings.scan_size)
        try:
            result = await _scan(rules, copy, facts, envelope)
        except PeerError as error:
            raise TrainingError(f"the spam scanner: {error}", is_away=True) from None
        decision = decide_scanned(facts.preferences, sender, result, settings.junk_score)
        return ScoreFacts(decision, facts.user)
    finally:
        arrived.close()


async def _scan(
    rules: DeliveryRules, copy: ScannerCopy, facts: RecipientFacts, envelope: LmtpEnvelope
) -> ScanResult:
    assert rules.spam is not None  # noqa: S101  # its caller has looked
    settings = rules.spam.settings
    octets = b"".join(copy.parts())
    if settings.engine == "rspamd":
        question = RspamdQuestion(
            recipient=facts.user,
            sender=envelope.sender,
            password=rules.spam.password,
            scores=facts.preferences.wishes.rule_scores,
        )
        head = rspamd.check_request(question, len(octets))
        reader = rspamd.RspamdReader(with_hits=True)
        return await ask(settings.address, (head, octets), reader, settings.timeout)
    user = rules.spam.prepare(facts.user, facts.preferences.wishes)
    head = spamc.report_request(user, len(octets))
    answer = await ask(settings.address, (head, octets), spamc.SpamdReader(), settings.timeout)
    return answer.report()
