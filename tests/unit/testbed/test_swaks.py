import pytest

from tests.testbed.smtp import Reply
from tests.testbed.swaks import Exchange, SwaksError, parse

ACCEPTED = """\
=== Trying 127.0.0.1:2525...
=== Connected to 127.0.0.1.
<-  220 mx.gatepost.test ESMTP Postfix
 -> EHLO client.example.net
<-  250-mx.gatepost.test
<-  250 SMTPUTF8
 -> MAIL FROM:<a@example.net>
<-  250 2.1.0 Ok
 -> RCPT TO:<b@gatepost.test>
<-  250 2.1.5 Ok
 -> DATA
<-  354 End data with <CR><LF>.<CR><LF>
 -> Subject: 250 is no reply here
 ->\x20
 -> .
<-  250 2.0.0 Ok: queued as 4DCxyz
 -> QUIT
<-  221 2.0.0 Bye
=== Connection closed with remote host.
"""

REFUSED = """\
<-  220 mx.gatepost.test ESMTP Postfix
 -> RCPT TO:<b@gatepost.test>
<** 450 4.2.0 <b@gatepost.test>: Recipient address rejected: Greylisted
 -> QUIT
<-  221 2.0.0 Bye
"""


def exchange(transcript: str) -> Exchange:
    return Exchange(("swaks", "--body", "a b"), parse(transcript), transcript)


def test_the_reply_that_decides_is_that_to_the_end_of_the_data() -> None:
    done = exchange(ACCEPTED)
    assert done.accepted
    assert done.reply == Reply(250, "2.0.0 Ok: queued as 4DCxyz")
    assert done.queue_id == "4DCxyz"
    assert done.reply_to("") == Reply(220, "mx.gatepost.test ESMTP Postfix")
    assert done.reply_to("EHLO") == Reply(250, "mx.gatepost.test\nSMTPUTF8")


def test_a_refusal_decides() -> None:
    done = exchange(REFUSED)
    assert not done.accepted
    assert done.reply.code == 450
    assert done.queue_id == ""


def test_a_command_that_was_never_sent_has_no_reply() -> None:
    with pytest.raises(SwaksError, match="never sent 'DATA'"):
        exchange(REFUSED).reply_to("DATA")


def test_the_command_line_can_be_typed_again() -> None:
    assert exchange(ACCEPTED).command_line == "swaks --body 'a b'"
