"""The resolvers against a real DNS server that can misbehave."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from gatepost.config import DnsSettings
from gatepost.dns import AsyncResolver, Resolver, exchange, new_cache, resolver
from gatepost.dns.exchange import MAX_UNDER_WAY
from gatepost.dns.names import MAX_RECORDS
from gatepost.shortage import ShortageError
from msgauth.ask import TEMPFAIL, Answer, Question, Rcode, Share
from tests.daemon.shortage import no_more_files
from tests.testbed.dns import Behaviour, DnsServer

ZONE = """
["example.org"]
TXT = ["v=spf1 -all", "{long}"]
MX = ["10 mx.example.org"]
ttl = 60
["mx.example.org"]
A = "192.0.2.1"
["www.example.org"]
CNAME = "mx.example.org"
["1.2.0.192.in-addr.arpa"]
PTR = "mx.example.org"
["many.example.org"]
A = [{many}]
""".format(long="x" * 3000, many=", ".join(f'"10.0.{n // 250}.{n % 250 + 1}"' for n in range(300)))


@pytest.fixture
def server() -> Iterator[DnsServer]:
    with DnsServer(ZONE) as running:
        yield running


def settings(server: DnsServer, **changes: float) -> DnsSettings:
    # on a busy machine an answer may take seconds; a test of silence sets a time of its own
    return DnsSettings.model_validate({"nameservers": [server.address], "timeout": 20, **changes})


def ask_both(server: DnsServer, name: str, rdtype: str, **changes: float) -> Answer:
    """The one answer that thread and event loop both get."""
    question = Question(name, rdtype)  # type: ignore[arg-type]
    in_thread = Resolver(settings(server, **changes)).resolve(question)
    in_loop = asyncio.run(AsyncResolver(settings(server, **changes)).resolve(question))
    answer = Answer(in_thread.rcode, tuple(sorted(in_thread.records)), in_thread.ttl)
    assert answer == Answer(in_loop.rcode, tuple(sorted(in_loop.records)), in_loop.ttl)
    return answer


def test_records_come_as_text(server: DnsServer) -> None:
    assert ask_both(server, "EXAMPLE.org.", "TXT") == Answer(
        Rcode.OK, ("v=spf1 -all", "x" * 3000), 60
    )
    assert ask_both(server, "example.org", "MX").records == ("10 mx.example.org",)
    assert ask_both(server, "www.example.org", "A").records == ("192.0.2.1",)
    assert ask_both(server, "1.2.0.192.in-addr.arpa", "PTR").records == ("mx.example.org",)


def test_no_data_and_no_name_are_told_apart_and_may_be_kept(server: DnsServer) -> None:
    nothing = ask_both(server, "mx.example.org", "TXT")
    assert (nothing.rcode, nothing.records) == (Rcode.OK, ())
    assert nothing.ttl > 0
    nowhere = ask_both(server, "none.example.org", "TXT")
    assert nowhere.rcode is Rcode.NXDOMAIN
    assert nowhere.ttl > 0
    assert ask_both(server, "a..example.org", "A").rcode is Rcode.NXDOMAIN


@pytest.mark.parametrize(
    "behaviour",
    [
        Behaviour.TIMEOUT,
        Behaviour.SERVFAIL,
        Behaviour.REFUSE,
        Behaviour.WRONG_ID,
        Behaviour.WRONG_QUESTION,
        Behaviour.WRONG_OPCODE,
        Behaviour.GARBAGE,
        Behaviour.TRUNCATE_ALWAYS,
    ],
)
def test_whatever_a_server_does_wrong_is_a_temporary_failure(
    server: DnsServer, behaviour: Behaviour
) -> None:
    server.misbehave("mx.example.org", behaviour)
    assert ask_both(server, "mx.example.org", "A", timeout=0.5) == Answer(Rcode.TEMPFAIL)


def test_what_is_known_is_what_was_asked_by_either(server: DnsServer) -> None:
    cache = new_cache(settings(server))
    in_loop = AsyncResolver(settings(server), cache)
    question = Question("MX.example.org.", "A")
    assert in_loop.known(question) is None
    answer = Resolver(settings(server), cache).resolve(question)
    assert in_loop.known(question) == answer
    assert server.asked() == 1


def test_a_truncated_answer_is_fetched_over_tcp(server: DnsServer) -> None:
    server.misbehave("mx.example.org", Behaviour.TRUNCATE)
    assert ask_both(server, "mx.example.org", "A").records == ("192.0.2.1",)


def test_a_server_without_edns_is_asked_without(server: DnsServer) -> None:
    server.misbehave("mx.example.org", Behaviour.NO_EDNS)
    assert ask_both(server, "mx.example.org", "A").records == ("192.0.2.1",)
    assert server.asked("mx.example.org") == 4
    # what does not fit into 512 octets comes over TCP, and without EDNS there as well
    server.misbehave("example.org", Behaviour.NO_EDNS)
    assert ask_both(server, "example.org", "TXT").records == ("v=spf1 -all", "x" * 3000)


@pytest.mark.parametrize(
    "behaviour", [Behaviour.TIMEOUT, Behaviour.SERVFAIL, Behaviour.REFUSE, Behaviour.GARBAGE]
)
def test_a_second_server_answers_for_one_that_does_not(
    server: DnsServer, behaviour: Behaviour
) -> None:
    with DnsServer(ZONE) as broken:
        broken.misbehave("mx.example.org", behaviour)
        both = DnsSettings(nameservers=(broken.address, server.address), timeout=2)
        question = Question("mx.example.org", "A")
        assert Resolver(both).resolve(question).records == ("192.0.2.1",)
        assert asyncio.run(AsyncResolver(both).resolve(question)).records == ("192.0.2.1",)
        assert broken.asked("mx.example.org") == 2


def test_servers_that_all_fail_are_asked_once(server: DnsServer) -> None:
    with DnsServer(ZONE) as another:
        for failing in (server, another):
            failing.misbehave("mx.example.org", Behaviour.SERVFAIL)
        both = DnsSettings(nameservers=(another.address, server.address), timeout=30)
        resolver = AsyncResolver(both)
        answer = asyncio.run(resolver.resolve(Question("mx.example.org", "A")))
        assert answer == Answer(Rcode.TEMPFAIL)
        assert another.asked("mx.example.org") == server.asked("mx.example.org") == 1


@pytest.mark.parametrize("text", [None, "", "search example.org\n"])
def test_without_a_name_server_in_resolv_conf_the_machine_itself_is_asked(
    text: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "resolv.conf"
    if text is not None:
        path.write_text(text)
    monkeypatch.setattr(resolver, "RESOLV_CONF", str(path))
    with DnsServer(ZONE, port=53) if os.geteuid() == 0 else nullcontext() as local:
        rcode = Rcode.OK if local else Rcode.TEMPFAIL
        question = Question("mx.example.org", "A")
        unset = DnsSettings(timeout=0.5)
        assert Resolver(unset).resolve(question).rcode is rcode
        assert asyncio.run(AsyncResolver(unset).resolve(question)).rcode is rcode


def test_a_server_at_an_ipv6_address_is_asked() -> None:
    with DnsServer(ZONE, host="::1") as server:
        ipv6 = DnsSettings(nameservers=(f"[::1]:{server.port}",))
        question = Question("mx.example.org", "A")
        assert asyncio.run(AsyncResolver(ipv6).resolve(question)).records == ("192.0.2.1",)


def test_more_questions_than_may_be_in_the_network_are_all_answered(server: DnsServer) -> None:
    questions = [Question(f"n{n}.example.org", "A") for n in range(MAX_UNDER_WAY * 2)]

    async def ask() -> list[Answer]:
        resolver = AsyncResolver(settings(server, timeout=20))
        return await asyncio.gather(*map(resolver.resolve, questions))

    assert {answer.rcode for answer in asyncio.run(ask())} == {Rcode.NXDOMAIN}


def test_a_server_that_is_not_there_is_a_temporary_failure(server: DnsServer) -> None:
    server.close()
    assert ask_both(server, "mx.example.org", "A", timeout=0.5) == Answer(Rcode.TEMPFAIL)


def test_records_beyond_the_bound_are_left_out(server: DnsServer) -> None:
    assert len(ask_both(server, "many.example.org", "A").records) == MAX_RECORDS


def test_what_was_asked_is_not_asked_again(server: DnsServer) -> None:
    resolver = Resolver(settings(server))
    for name in ("mx.example.org", "MX.example.org.", "none.example.org", "NONE.example.org"):
        resolver.resolve(Question(name, "A"))
    assert server.asked("mx.example.org") == 1
    assert server.asked("none.example.org") == 1


def test_a_failure_is_remembered_for_a_short_while_only(server: DnsServer) -> None:
    server.misbehave("mx.example.org", Behaviour.SERVFAIL)
    clock = [time.monotonic()]
    resolver = Resolver(settings(server, failure_ttl=2))
    question = Question("mx.example.org", "A")
    assert resolver.resolve(question).rcode is Rcode.TEMPFAIL
    asked = server.asked("mx.example.org")
    assert resolver.resolve(question).rcode is Rcode.TEMPFAIL
    assert server.asked("mx.example.org") == asked
    server.misbehave("mx.example.org", None)
    impatient = Resolver(settings(server, failure_ttl=0), monotonic=lambda: clock[0])
    assert impatient.resolve(question).records == ("192.0.2.1",)


def test_a_spent_budget_answers_at_once_and_the_cache_still_answers(server: DnsServer) -> None:
    clock = [100.0]
    resolver = Resolver(settings(server), monotonic=lambda: clock[0])
    known, new = Question("mx.example.org", "A"), Question("example.org", "TXT")
    resolve = resolver.within(10)
    assert resolve(known).records
    clock[0] += 20
    assert resolve(known).records
    assert resolve(new).rcode is Rcode.TEMPFAIL
    assert server.asked("example.org") == 0
    assert resolver.within(10)(new).records  # it was not remembered as a failure


def test_one_question_under_way_serves_all_who_wait_for_it(server: DnsServer) -> None:
    async def ask() -> list[Answer]:
        resolver = AsyncResolver(settings(server))
        question = Question("mx.example.org", "A")
        return await asyncio.gather(*(resolver.resolve(question) for _ in range(50)))

    answers = asyncio.run(ask())
    assert {answer.records for answer in answers} == {("192.0.2.1",)}
    assert server.asked("mx.example.org") == 1


def test_a_deadline_does_not_cancel_what_others_wait_for(server: DnsServer) -> None:
    server.misbehave("mx.example.org", Behaviour.TIMEOUT)

    async def ask() -> tuple[Answer, Answer]:
        resolver = AsyncResolver(settings(server))
        question = Question("mx.example.org", "A")
        patient = asyncio.ensure_future(resolver.resolve(question))
        await asyncio.sleep(0)
        hasty = await resolver.within(0.01)(question)
        assert not patient.done()
        server.misbehave("mx.example.org", None)
        return hasty, await patient

    hasty, patient = asyncio.run(ask())
    assert hasty.rcode is Rcode.TEMPFAIL
    assert patient.records == ("192.0.2.1",)  # the retry of the same question


def test_a_question_that_could_not_be_asked_for_want_of_a_file_is_not_remembered(
    server: DnsServer,
) -> None:
    """Whoever judges mail learns of it, for it says nothing about the name."""
    kept = settings(server, failure_ttl=300)
    question = Question("mx.example.org", "A")

    async def ask() -> None:
        asking = AsyncResolver(kept)
        with no_more_files():
            both = await asyncio.gather(
                asking.resolve(question), asking.resolve(question), return_exceptions=True
            )
        assert all(isinstance(one, ShortageError) for one in both)
        assert "Too many open files" in str(both[0])
        assert (await asking.resolve(question)).records == ("192.0.2.1",)

    asyncio.run(ask())
    in_thread = Resolver(kept)
    with no_more_files():
        assert in_thread.resolve(question).rcode is Rcode.TEMPFAIL
    assert in_thread.resolve(question).records == ("192.0.2.1",)


def test_a_question_that_never_had_its_turn_is_not_taken_for_unanswered(
    server: DnsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "MAX_UNDER_WAY", 0)  # as if all turns were taken by others
    asking = AsyncResolver(settings(server, timeout=0.5))
    with pytest.raises(ShortageError, match="too many DNS queries"):
        asyncio.run(asking.resolve(Question("mx.example.org", "A")))
    assert not server.asked("mx.example.org")


@pytest.mark.parametrize("held", [10.0, 0.3])
def test_a_policy_that_others_keep_from_being_asked_for_is_not_taken_for_silent(
    server: DnsServer, monkeypatch: pytest.MonkeyPatch, held: float
) -> None:
    """Silent servers hold all turns, and the time of the question ends before its own turn, or
    soon behind it: it has to wait, or a sender could make DMARC a temperror with his other mail."""
    monkeypatch.setattr(exchange, "MAX_UNDER_WAY", 2)
    for name in ("s0.example.org", "s1.example.org", "_dmarc.example.org"):
        server.misbehave(name, Behaviour.TIMEOUT)

    async def ask() -> None:
        others = AsyncResolver(settings(server, timeout=held))
        asking = AsyncResolver(settings(server, timeout=10))
        asking._exchange = others._exchange
        silent = [
            asyncio.ensure_future(others.resolve(Question(f"s{n}.example.org", "A")))
            for n in range(2)
        ]
        await asyncio.sleep(0)
        policy = Question("_dmarc.example.org", "TXT", share=Share("dmarc", 0.4))
        with pytest.raises(ShortageError, match="too many DNS queries"):
            await asking.within(2.0, 0.4)(policy)  # it gets 0.4 s
        await others.close()
        await asking.close()
        await asyncio.gather(*silent, return_exceptions=True)

    asyncio.run(ask())


def test_a_moment_without_the_processor_is_no_wait_for_a_turn(server: DnsServer) -> None:
    server.misbehave("silent.example.org", Behaviour.TIMEOUT)

    async def ask() -> Answer:
        asking = AsyncResolver(settings(server, timeout=2.0))
        # what the budget has left is less than what another process takes
        asyncio.get_running_loop().call_soon(time.sleep, 0.04)
        deadline = time.monotonic() + 0.05
        try:
            return await asking.resolve(Question("silent.example.org", "A"), deadline)
        finally:
            await asking.close()

    assert asyncio.run(ask()) == TEMPFAIL


def test_no_type_of_record_is_imported_when_it_comes() -> None:
    """dnspython takes a type that it cannot import for an unknown one, for good."""
    loaded = (
        "import sys, gatepost.dns, dns.rdata, dns.rdataclass, dns.rdatatype\n"
        "before = set(sys.modules)\n"
        "for name in ('A AAAA CNAME MX NS PTR SOA SRV TLSA TXT').split():\n"
        "    dns.rdata.get_rdata_class(dns.rdataclass.IN, dns.rdatatype.from_text(name))\n"
        "assert set(sys.modules) == before, set(sys.modules) - before\n"
    )
    subprocess.run([sys.executable, "-c", loaded], check=True, timeout=60)


def test_a_resolv_conf_that_cannot_be_opened_now_is_not_taken_for_missing() -> None:
    """The machine itself would be asked until the next start."""
    system = DnsSettings()
    with no_more_files(), pytest.raises(OSError, match="Too many open files"):
        AsyncResolver(system)
