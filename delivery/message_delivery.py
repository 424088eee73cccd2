"""Delivery of one message: viruses, spam for each group of recipients, and the mail stores."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import NamedTuple

from delivery.answers import RecipientAnswers, RecipientOutcome
from delivery.arrived import ArrivedMessage
from delivery.counts import QUARANTINED, UNCHECKED
from delivery.decision import (
    SenderFacts,
    SpamDecision,
    SpamVerdict,
    decide_failed,
    decide_scanned,
    decide_unscanned,
)
from delivery.mailboxes import AccountsData, RecipientFacts, find_recipient
from delivery.marks import spam_fields, virus_field
from delivery.preferences import ScanWishes
from delivery.protocols.envelope import LmtpEnvelope
from delivery.protocols.rspamd import RspamdQuestion
from delivery.protocols.store_reply import StoreReply
from delivery.quarantine.adding import keep_message
from delivery.quarantine.folder import HeldFolder
from delivery.reasons import (
    ACCOUNTS_AWAY,
    QUARANTINE_FAILED,
    SCANNER_AWAY,
    SCANNER_WAITS,
    STORE_AWAY,
    STORE_UNKNOWN,
    VIRUS_SCANNER_AWAY,
)
from delivery.scanners import SPAM, VIRUS, ScanFailedError, SpamScanner, VirusScanner
from delivery.settings import DeliverySettings
from delivery.store_client import StoreDelivery
from delivery.store_pool import StorePool
from delivery.subject_tag import NO_TAG, SubjectAddition
from gatepost.listen import SocketAddress
from gatepost.peer.errors import PeerError


class DeliveryRules(NamedTuple):
    """Objects of one configuration; a message is delivered with those of its start."""

    settings: DeliverySettings
    hostname: str
    own_id: str
    """The name of our Authentication-Results."""
    data: AccountsData
    spam: SpamScanner | None
    virus: VirusScanner | None
    pool: StorePool
    quarantine: HeldFolder | None = None
    """The folder for messages with a virus; without it, they go to a mailbox."""


class _Transaction(NamedTuple):
    """Recipients who get the same octets from the same store, by their numbers."""

    store: SocketAddress
    head: bytes
    tag: SubjectAddition
    outcome: RecipientOutcome
    numbers: tuple[int, ...]


class _ScanKey(NamedTuple):
    """Everything about recipients that changes a scan: those with the same key share one."""

    user: str
    wishes: ScanWishes


class MessageDelivery:
    """Delivery of one message. `answers` gets a reply for each recipient as soon as it is known.

    `head` are fields on top of a message that is not scanned for viruses.
    """

    def __init__(
        self,
        rules: DeliveryRules,
        message: ArrivedMessage,
        envelope: LmtpEnvelope,
        answers: RecipientAnswers,
        head: bytes = b"",
    ) -> None:
        self._head = head
        self._rules = rules
        self._message = message
        self._envelope = envelope
        self._answers = answers
        self._connections = asyncio.Semaphore(rules.settings.max_deliveries)
        self._virus_head: dict[int, bytes] = {}
        self._recipients: list[RecipientFacts] = []
        self._sender = SenderFacts()

    async def run(self) -> None:
        """Deliver; recipients without an answer at the end are the caller's."""
        rules, everybody = self._rules, range(len(self._envelope.recipients))
        if self._message.problem:
            self._answers.refuse(everybody, self._message.problem, self._message.error)
            return
        if rules.settings.accounts.stores and (problem := rules.data.problem()):
            self._answers.refuse(everybody, ACCOUNTS_AWAY, problem)
            return
        self._sender = self._message.sender(self._envelope, rules.own_id)
        self._recipients = [
            find_recipient(path, rules.data, rules.settings) for path in self._envelope.recipients
        ]
        numbers = list(everybody)
        for number in numbers:
            if self._recipients[number].store is None:
                name = self._recipients[number].store_name
                self._answers.refuse((number,), STORE_UNKNOWN, f"store {name!a}")
        numbers = [number for number in numbers if self._recipients[number].store is not None]
        numbers = await self._without_virus(numbers)
        groups = self._scan_groups(numbers)
        await _all(self._scan_and_deliver(key, group) for key, group in groups.items())

    # Viruses

    async def _without_virus(self, numbers: Sequence[int]) -> list[int]:
        """Return the recipients that the message may go on to."""
        scanner = self._rules.virus
        checked = [one for one in numbers if self._recipients[one].preferences.virus_check]
        if scanner is None or not checked:
            return list(numbers)
        others = [one for one in numbers if one not in set(checked)]
        copy = self._message.for_virus_scanner(scanner.settings.scan_size)
        try:
            virus = await scanner.scan(copy, self._message.identity)
        except ScanFailedError as error:
            if not error.is_outage:
                self._answers.refuse(checked, VIRUS_SCANNER_AWAY, str(error))
                return others
            UNCHECKED.labels(VIRUS).inc(len(checked))
            status = "Unchecked"
        else:
            if virus:
                await self._quarantine(checked, virus)
                return others
            status = "Clean" if not copy.is_partial else f"Clean (first {copy.taken} octets)"
        self._virus_head = dict.fromkeys(checked, virus_field(status))
        return list(numbers)

    async def _quarantine(self, numbers: Sequence[int], virus: str) -> None:
        """Deliver the message to the quarantine once, and answer its recipients as that did."""
        folder = self._rules.quarantine
        if folder is not None:
            meant = tuple(self._envelope.recipients[number] for number in numbers)
            kept = self._envelope._replace(recipients=meant)
            problem = await keep_message(folder, self._message, kept, virus)
            self._answer_quarantined(numbers, virus, problem, "quarantine")
            return
        mailbox = self._rules.settings.virus.quarantine or ""
        facts = find_recipient(mailbox, self._rules.data, self._rules.settings)
        if not mailbox or facts.store is None:
            self._answers.refuse(numbers, QUARANTINE_FAILED, "no store for the quarantine")
            return
        recipients = [self._envelope.recipients[number] for number in numbers]
        head = virus_field(f"Infected ({virus})")
        head += b"".join(b"X-Envelope-To: <%b>\r\n" % one.encode() for one in recipients)
        envelope = self._envelope._replace(recipients=(mailbox,), size=0)
        replies: list[StoreReply] = []
        problem = ""
        try:
            await self._deliver(facts.store, envelope, head, lambda _, reply: replies.append(reply))
        except PeerError as error:
            problem = str(error)
        is_kept = bool(replies) and replies[0].is_success
        problem = "" if is_kept else problem or str(replies[0])
        self._answer_quarantined(numbers, virus, problem, str(facts.store))

    def _answer_quarantined(
        self, numbers: Sequence[int], virus: str, problem: str, store: str
    ) -> None:
        if problem:
            self._answers.refuse(numbers, QUARANTINE_FAILED, problem, virus=virus)
            return
        QUARANTINED.inc()
        reply = StoreReply(250, "2.0.0", "Kept in quarantine")
        outcome = RecipientOutcome("quarantined", virus=virus, store=store)
        for number in numbers:
            self._answers.give(number, reply, outcome)

    # Spam

    def _scan_groups(self, numbers: Iterable[int]) -> Mapping[_ScanKey | None, list[int]]:
        """Return the recipients by the scan that they share; None: by none."""
        groups: defaultdict[_ScanKey | None, list[int]] = defaultdict(list)
        for number in numbers:
            facts = self._recipients[number]
            needs = self._rules.spam is not None
            needs = needs and decide_unscanned(facts.preferences, self._sender) is None
            key = _ScanKey(facts.user, facts.preferences.wishes) if needs else None
            groups[key].append(number)
        return groups

    async def _scan_and_deliver(self, key: _ScanKey | None, numbers: Sequence[int]) -> None:
        scanned = 0
        decisions: dict[int, SpamDecision | None] = {}
        if key is None or self._rules.spam is None:
            for number in numbers:
                decisions[number] = self._unscanned(number)
        else:
            decisions, scanned = await self._scan(self._rules.spam, key, numbers)
        transactions: defaultdict[tuple[SocketAddress, bytes, str], list[int]] = defaultdict(list)
        for number in numbers:
            decision = decisions[number]
            store = self._recipients[number].store
            assert store is not None  # noqa: S101  # run() has answered those
            head, tag = self._virus_head.get(number, self._head), ""
            if decision is not None:
                if decision.verdict is SpamVerdict.DEFERRED:
                    continue
                head = spam_fields(decision, scanned=scanned) + head
                if decision.verdict is SpamVerdict.JUNK:
                    tag = self._recipients[number].preferences.subject_tag
            transactions[store, head, tag].append(number)
        await _all(
            self._deliver_transaction(
                _Transaction(
                    store,
                    head,
                    self._message.tagged(tag),
                    self._outcome(decisions[group[0]], store),
                    tuple(group),
                )
            )
            for (store, head, tag), group in transactions.items()
        )

    def _unscanned(self, number: int) -> SpamDecision | None:
        """Return the decision without a scan; None where nothing is scanned at all."""
        if self._rules.spam is None:
            return None
        return decide_unscanned(self._recipients[number].preferences, self._sender)

    async def _scan(
        self, scanner: SpamScanner, key: _ScanKey, numbers: Sequence[int]
    ) -> tuple[dict[int, SpamDecision | None], int]:
        """Return the decisions, and the octets scanned if these were not all."""
        settings = scanner.settings
        copy = self._message.for_spam_scanner(
            self._envelope, self._rules.own_id, settings.scan_size
        )
        question = RspamdQuestion(sender=self._envelope.sender, queue_id=self._message.queue_id)
        try:
            result = await scanner.scan(
                copy, self._message.identity, key.user, key.wishes, question
            )
        except ScanFailedError as error:
            cause = SCANNER_WAITS if error.must_wait else SCANNER_AWAY
            decision = decide_failed(cause, is_outage=error.is_outage)
            if error.is_outage:
                UNCHECKED.labels(SPAM).inc(len(numbers))
            else:
                self._answers.refuse(numbers, cause, str(error))
            return dict.fromkeys(numbers, decision), 0
        decisions: dict[int, SpamDecision | None] = {
            number: decide_scanned(
                self._recipients[number].preferences, self._sender, result, settings.junk_score
            )
            for number in numbers
        }
        return decisions, copy.taken if copy.is_partial else 0

    # Delivery

    async def _deliver_transaction(self, transaction: _Transaction) -> None:
        recipients = tuple(self._envelope.recipients[number] for number in transaction.numbers)
        size = self._message.size + len(transaction.head) + transaction.tag.size
        envelope = self._envelope._replace(recipients=recipients, size=size)
        open_numbers = set(transaction.numbers)

        def answer(place: int, reply: StoreReply) -> None:
            number = transaction.numbers[place]
            open_numbers.discard(number)
            self._answers.give(number, reply, transaction.outcome)

        try:
            head, tag = transaction.head, transaction.tag
            await self._deliver(transaction.store, envelope, head, answer, tag)
        except PeerError as error:
            self._answers.refuse(
                sorted(open_numbers),
                STORE_AWAY,
                f"{transaction.store}: {error}",
                transaction.outcome,
            )

    async def _deliver(
        self,
        store: SocketAddress,
        envelope: LmtpEnvelope,
        head: bytes,
        answer: Callable[[int, StoreReply], None],
        tag: SubjectAddition = NO_TAG,
    ) -> None:
        rules = self._rules
        async with self._connections:
            await StoreDelivery(
                rules.pool,
                store,
                rules.settings.stores.timeout,
                rules.hostname,
                envelope,
                lambda: self._message.parts(head, tag),
                answer,
            ).run()

    def _outcome(self, decision: SpamDecision | None, store: SocketAddress) -> RecipientOutcome:
        if decision is None:
            return RecipientOutcome("unscanned", store=str(store))
        result = decision.result
        return RecipientOutcome(
            decision.verdict.value,
            cause=decision.cause,
            score=None if result is None else result.score,
            threshold=decision.threshold,
            tests=() if result is None else result.symbols,
            store=str(store),
        )


async def _all(work: Iterable[Coroutine[object, object, None]]) -> None:
    """Run several pieces of work; all of them are over when this ends, however it ends."""
    pieces = list(work)
    if len(pieces) == 1:
        await pieces[0]  # most messages have one recipient, which needs no task of its own
        return
    async with asyncio.TaskGroup() as group:
        for one in pieces:
            group.create_task(one)
