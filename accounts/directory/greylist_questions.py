"""Questions about the greylist on their way to the policy servers, and their answers.

They are a way for messages between processes, not data: they are written by `Database.record`, and
gone after a minute.
"""

from __future__ import annotations

import secrets
from typing import Final

from sqlalchemy import Connection, delete, func, insert, select

from accounts.store import schema
from accounts.store.errors import Invalid
from accounts.store.noted import clean
from gatepost.greylist_exchange import (
    ExchangeError,
    GreylistAnswer,
    GreylistQuestion,
    decode_answer,
    decode_question,
    encode_answer,
    encode_question,
)

KEPT: Final = 60
"""Seconds for which a question and its answers are kept."""
OPEN: Final = 10
"""Seconds in which a policy server may take up a question."""
MAX_OPEN: Final = 20
"""Questions that may be open at the same time."""
MAX_ANSWERS: Final = 50
"""Answers to a question: one from each policy server."""

_QUESTION, _ANSWER = schema.greylist_question, schema.greylist_answer


def ask(
    connection: Connection, kind: str, text: str, domains: frozenset[str] | None, now: int
) -> str:
    """Ask a question and return its id; raises `Invalid` if too many are open.

    `domains` are those of the recipients that it is about; None for all. For `Database.record`.
    """
    connection.execute(delete(_QUESTION).where(_QUESTION.c.asked < now - KEPT))
    connection.execute(delete(_QUESTION).where(_QUESTION.c.asked > now + KEPT))
    recent = select(func.count()).where(_QUESTION.c.asked > now - OPEN)
    if connection.execute(recent).scalar_one() >= MAX_OPEN:
        raise Invalid("text", "Too many people search at the moment. Try again.")
    question = GreylistQuestion(
        secrets.token_hex(16), kind, text, None if domains is None else tuple(sorted(domains))
    )
    connection.execute(
        insert(_QUESTION).values(
            id=question.id, asked=now, question=encode_question(question).decode()
        )
    )
    return question.id


def find_open(connection: Connection, instance: str, now: int) -> list[GreylistQuestion]:
    """Return the oldest question that a policy server has not answered yet, if there is one."""
    answered = select(_ANSWER.c.question_id).where(_ANSWER.c.instance == clean(instance))
    statement = (
        select(_QUESTION.c.question)
        .where(_QUESTION.c.asked > now - OPEN, _QUESTION.c.id.not_in(answered))
        .order_by(_QUESTION.c.asked, _QUESTION.c.id)
        .limit(1)
    )
    return [decode_question(text.encode()) for (text,) in connection.execute(statement)]


def answer(connection: Connection, given: GreylistAnswer) -> None:
    """Keep an answer, the first of each policy server. For `Database.record`."""
    instance = clean(given.instance)
    asked = select(_QUESTION.c.id).where(_QUESTION.c.id == given.id)
    if connection.execute(asked).first() is None:
        return  # nobody waits for it any more
    there = select(func.count()).where(_ANSWER.c.question_id == given.id)
    same = there.where(_ANSWER.c.instance == instance)
    if (
        connection.execute(same).scalar_one()
        or connection.execute(there).scalar_one() >= MAX_ANSWERS
    ):
        return
    connection.execute(
        insert(_ANSWER).values(
            question_id=given.id, instance=instance, answer=encode_answer(given).decode()
        )
    )


def answers(connection: Connection, question: str) -> list[GreylistAnswer]:
    """Return the answers to a question that have arrived."""
    statement = select(_ANSWER.c.answer).where(_ANSWER.c.question_id == question)
    found = []
    for (text,) in connection.execute(statement.order_by(_ANSWER.c.instance)):
        try:
            found.append(decode_answer(text.encode()))
        except ExchangeError:
            continue
    return found
