import pytest

from gatepost.reply import MAX_TEXT, Reply


def test_a_reply_names_its_reason_and_hides_its_cause() -> None:
    reply = Reply(554, "5.7.1", "Client host blocked", reason="dnslist", cause="zen: 127.0.0.2")
    assert str(reply) == "554 5.7.1 Client host blocked [dnslist]"


def test_the_class_of_the_codes_agrees() -> None:
    with pytest.raises(ValueError, match="does not match"):
        Reply(450, "5.7.1", "no")
    with pytest.raises(ValueError, match="4xx or 5xx"):
        Reply(250, "2.0.0", "yes")


def test_what_comes_out_of_mail_cannot_break_the_line() -> None:
    reply = Reply(550, "5.7.1", "no\r\n250 ok\x00 für " + "x" * 1000, reason="id")
    assert reply.public_text.isascii()
    assert reply.public_text.isprintable()
    assert len(reply.public_text) == MAX_TEXT
    assert reply.public_text.endswith(" [id]")
