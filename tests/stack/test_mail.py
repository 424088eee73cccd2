"""Mail from outside through the pod: what is delayed, refused, judged, signed and delivered."""

from __future__ import annotations

from tests.stack.stack import Stack


def test_mail_of_somebody_known_arrives(stack: Stack) -> None:
    sent = stack.send("smoke")
    assert sent.accepted, sent.transcript
    arrived = stack.sink.wait_for_subject("smoke")
    (results,) = arrived.fields("Authentication-Results")
    assert results.startswith("mail.example.org;")
    assert "spf=pass" in results
    assert "dmarc=pass" in results
