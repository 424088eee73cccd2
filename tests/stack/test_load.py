"""Mail keeps flowing while things happen to the pod: nothing that got its 250 is ever lost."""

from __future__ import annotations

import contextlib
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable

import pytest

from tests.stack.conftest import StartStack
from tests.stack.stack import FRIEND, HOSTNAME, RECIPIENT, STRANGER, Stack
from tests.testbed.retries import QUICK_RETRIES_CF
from tests.testbed.sink import Delivery, Sink
from tests.testbed.smtp_load import Journey, Load, Told
from tests.testbed.waiting import WaitError, wait_until

SENDER = "alice@example.net"
SESSIONS = 8
ENDLESS = 100_000
"""Messages of a load that ends when it is told so."""
DELIVERED = 100.0
"""Seconds until Postfix has tried everything again that was under way when it was killed."""

BACKOFF = {"backoff.cf": QUICK_RETRIES_CF}
"""What is deferred is tried again within seconds."""

Arrived = dict[int, list[Delivery]]


def journey(stack: Stack, name: str, client: str = FRIEND) -> Journey:
    return Journey(stack.address, client, SENDER, RECIPIENT, name)


def arrived(deliveries: Iterable[Delivery], name: str) -> Arrived:
    """The deliveries of a load by the numbers of the messages."""
    found: Arrived = defaultdict(list)
    for one in deliveries:
        subject = str(one.message["Subject"])
        if subject.startswith(f"{name} "):
            found[int(subject.removeprefix(f"{name} "))].append(one)
    return found


def wait_for_all(sink: Sink, told: Told, name: str) -> Arrived:
    """Wait until every message that got 250 is at the sink."""

    def missing() -> list[int]:
        return sorted(told.accepted - arrived(sink.deliveries, name).keys())

    with contextlib.suppress(WaitError):
        wait_until(lambda: not missing(), "all to arrive", deadline=DELIVERED, pause=0.5)
    lost = missing()
    assert not lost, f"{len(lost)} messages that got 250 did not arrive: {lost[:20]}"
    return arrived(sink.deliveries, name)


def queue_id(one: Delivery) -> str:
    """The id under which our Postfix took it; it writes the uppermost Received."""
    received = one.fields("Received")[0]
    return received.partition(" id ")[2].split(";")[0].split()[0]


def results(one: Delivery) -> str:
    """Who says in Authentication-Results that it has checked this; nobody else may."""
    (value,) = one.fields("Authentication-Results")
    assert "spf=pass" in value
    return value.partition(";")[0]


@pytest.fixture
def tell(capfd: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Print a line for who watches the tests."""

    def write(line: str) -> None:
        with capfd.disabled():
            sys.stdout.write(f"\n{line}\n")

    return write


def test_no_container_that_is_killed_takes_mail_with_it(
    start_stack: StartStack, tell: Callable[[str], None]
) -> None:
    """A message twice at the sink is allowed for two reasons, and no other: its sender heard no
    reply to the last dot and sent it again, or Postfix was killed between the sink's 250 and the
    end of the queue file (RFC 5321 section 6.1: better twice than never)."""
    stack = start_stack(postfix=BACKOFF)
    name = "kill"
    with Load(journey(stack, name), 2000, sessions=SESSIONS) as load:
        for at, short in ((300, "milters"), (700, "policyd"), (1100, "postfix")):
            load.wait_for(at)
            if short == "postfix":
                # so that there is something to lose: these wait in the queue
                stack.sink.refuse_with("451 4.3.0 not now")
                load.wait_for(at + 200)
            stack.container(short).kill_and_wait_ready()
            stack.sink.refuse_with("")
            assert load.done < 2000, "the load was over before it was disturbed"
        told = load.finish()
    assert told.refused == {}
    assert len(told.accepted) == 2000
    try:
        found = wait_for_all(stack.sink, told, name)
    except AssertionError as error:
        postfix = stack.container("postfix")
        error.add_note(postfix.attempt("postqueue", "-p").stdout + postfix.log()[-5000:])
        raise

    again, twice = 0, 0
    for number, copies in found.items():
        ids = Counter(map(queue_id, copies))
        assert len(ids) <= 1 + told.unanswered[number], f"message {number} was taken {ids}"
        again += len(ids) - 1
        twice += sum(ids.values()) - len(ids)
        for one in copies:
            # no milter, no mail: what came through meanwhile was checked like all other
            assert results(one) == HOSTNAME, number
    # default_destination_concurrency_limit: so many can be under way when Postfix is killed
    assert twice <= 20
    tell(
        f"{len(found)} messages, {again} sent again by a client that heard no reply, {twice} "
        f"delivered again by a killed Postfix; meanwhile {dict(told.deferrals)}"
    )


def test_a_new_configuration_under_load_loses_no_session(start_stack: StartStack) -> None:
    stack = start_stack()
    name = "reload"
    milters, postfix = stack.container("milters"), stack.container("postfix")
    size = "SIZE 12345678"
    with Load(journey(stack, name), ENDLESS, sessions=SESSIONS) as load:
        load.wait_for(50)
        stack.configure(
            "mail-gatepost",
            {"gatepost.toml": stack.gatepost_toml({"milters": {"authserv_id": "new.example.org"}})},
        )
        for short in ("milters", "policyd"):
            stack.container(short).wait_for_log("configuration reloaded")
        stack.configure("mail-postfix", {"size.cf": "message_size_limit = 12345678\n"})
        postfix.wait_for_log("run: configuration reloaded")
        load.wait_for(load.done + 50)
        told = load.enough()
    assert told.refused == {}
    assert told.deferrals == Counter()
    assert told.unanswered == Counter()
    found = wait_for_all(stack.sink, told, name)
    assert {len(copies) for copies in found.values()} == {1}
    assert {results(*copies) for copies in found.values()} == {HOSTNAME, "new.example.org"}
    with stack.client(FRIEND) as client:
        assert size in client.hello().text
    assert milters.restarts == postfix.restarts == 0


def test_a_bad_configuration_under_load_changes_nothing(start_stack: StartStack) -> None:
    stack = start_stack()
    name = "bad"
    good = stack.pod.data("mail-gatepost")["gatepost.toml"]
    postfix = stack.container("postfix")
    with Load(journey(stack, name), ENDLESS, sessions=SESSIONS) as load:
        load.wait_for(50)
        stack.configure("mail-gatepost", {"gatepost.toml": good + "\n[nonsense]\n"})
        for short in ("milters", "policyd"):
            log = stack.container(short).wait_for_log("configuration not reloaded")
            assert "nonsense" in log
        stack.configure(
            "mail-postfix", {"bad.cf": "smtpd_client_restrictions = reject_everybody\n"}
        )
        log = postfix.wait_for_log("the new configuration is not used")
        assert "check: there is no restriction reject_everybody" in log
        load.wait_for(load.done + 50)
        told = load.enough()
    assert told.deferrals == Counter()
    assert told.refused == {}
    found = wait_for_all(stack.sink, told, name)
    assert {results(one) for copies in found.values() for one in copies} == {HOSTNAME}
    for short in ("milters", "policyd"):
        assert stack.metric(short, "gatepost_config_last_reload_success") == 0
        assert stack.metric(short, "gatepost_config_generation") == 1


def test_the_volumes_outlive_the_pod(start_stack: StartStack) -> None:
    stack = start_stack(postfix=BACKOFF)

    def try_to_send(sender: str) -> bool:
        return stack.send("stranger", client=STRANGER, sender=sender).accepted

    assert not try_to_send(SENDER)
    wait_until(lambda: try_to_send(SENDER), "the greylist to let the stranger through", pause=1)
    stack.sink.refuse_with("451 4.3.0 not now")
    try:
        assert stack.send("waiting").accepted
        stack.container("postfix").wait_for_log("status=deferred")
        stack.stop()
        assert not stack.pod.containers
    finally:
        stack.sink.refuse_with("")
    assert not stack.sink.matching(lambda one: one.message["Subject"] == "waiting")

    stack.start()
    try:
        found = stack.sink.wait_for(lambda one: one.message["Subject"] == "waiting")
    except WaitError as error:
        postfix = stack.container("postfix")
        error.add_note(postfix.attempt("postqueue", "-p").stdout + postfix.log()[-5000:])
        raise
    assert len(found) == 1
    # greylisting is at work, and knows whom it knew
    assert not try_to_send("somebody@example.net")
    assert try_to_send(SENDER)
