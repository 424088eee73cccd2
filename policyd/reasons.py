"""The reason ids of the policy server's replies, and what each means for who reads them.

A reason id stands in brackets at the end of a reply, in the log line of the decision (`reason`) and
in `docs/reference/replies.md`, which is written from this table. ``limit-`` is followed by the name
that the configuration gives the limit.
"""

from __future__ import annotations

REASONS: dict[str, str] = {
    "greylist-new": "The first attempt of a client, sender and recipient that are not known "
    "together; it passes when it comes again after the delay.",
    "greylist-early": "It came again before the delay was over.",
    "dnslist": "The client, its host name, its HELO name or the domain of the sender is on DNS "
    "lists, whose weights reach the threshold. The reply names them; a delisting is up to them.",
    "denied-client": "The client is in `deny_clients`.",
    "denied-helo": "The HELO name is in `deny_helo`.",
    "denied-sender": "The sender is in `deny_senders`.",
    "denied-recipient": "The recipient is in `deny_recipients`.",
    "denied-user": "The login is in `deny_users`.",
    "no-name": "The client's address has no host name that leads back to it.",
    "generic-name": "The client's host name is made from its address, or is that of a customer's "
    "line.",
    "helo-forged": "The client calls itself by one of our own names or addresses.",
    "helo-malformed": "The HELO name is no domain name and no address literal of the client.",
    "helo-unqualified": "The HELO name has no dot.",
    "sender-unknown": "The domain of the sender has neither MX nor address.",
    "sender-null-mx": "The domain of the sender says that it takes no mail (RFC 7505).",
    "spf-fail": "SPF says that the client may not send for the domain of the sender.",
    "spf-softfail": "SPF says that the client should probably not send for that domain.",
    "limit-": "More was sent than a limit allows; deferred mail passes when some time has gone by.",
    "compromised": "A login shows signs that somebody else uses it.",
    "sender-not-owned": "A login may not use this sender.",
    "sender-needs-login": "This sender may only be used by somebody who has logged in.",
    "ownership-unavailable": "The check `ownership` failed, and its failure mode is not `open`.",
    "compromised-unavailable": "The check `compromised` failed, and its failure mode is not "
    "`open`.",
    "limits-unavailable": "The check `limits` failed (its store is down), and its failure mode is "
    "not `open`.",
    "tables-unavailable": "The check `tables` failed, and its failure mode is not `open`.",
    "client-unavailable": "The check `client` failed (DNS did not answer), and its failure mode is "
    "not `open`.",
    "dnslists-unavailable": "No DNS list answered, and the failure mode of `dnslists` is not "
    "`open`.",
    "greylist-unavailable": "The check `greylist` failed, and its failure mode is not `open`.",
}
