"""`gatepost delivery` between a client and a store: marks, answers and what is passed on."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.daemon.delivery_site import HAM, HEAD, SPAM, DeliverySite, delivery_site
from tests.testbed.daemon import gatepost_command
from tests.testbed.waiting import wait_until


@pytest.fixture
def site(tmp_path: Path) -> Iterator[DeliverySite]:
    with delivery_site(tmp_path) as site:
        yield site


def test_ham_is_marked_and_delivered(site: DeliverySite) -> None:
    assert site.send(HAM, "ann@example.org") == ["250 2.0.0 <ann@example.org> Saved"]
    (message,) = site.store.messages
    assert message.sender == "sender@example.com"
    assert message.data == (
        b"X-Spam-Status: No, score=0.5 required=5.0\r\n\ttests=A,B\r\nX-Spam-Score: 0.5\r\n" + HAM
    )
    (line,) = site.daemon.log_entries(event="delivered")
    assert line["queue_id"] == "4XyzAb12"
    assert line["recipient"] == "ann@example.org"
    assert (line["verdict"], line["score"], line["tests"]) == ("ham", 0.5, "A,B")
    labels = {"verdict": "ham", "reply": "2xx"}
    assert site.daemon.metric("gatepost_delivery_recipients_total", **labels) == 1
    assert site.daemon.metric("gatepost_delivery_scans_total", outcome="done") == 1


def test_spam_is_marked_for_junk_and_not_refused(site: DeliverySite) -> None:
    assert site.send(SPAM, "ann@example.org") == ["250 2.0.0 <ann@example.org> Saved"]
    (message,) = site.store.messages
    assert message.fields("X-Spam-Flag") == ["YES"]
    assert message.fields("X-Spam-Level") == ["*" * 50]


def test_fields_of_others_in_our_name_are_gone(site: DeliverySite) -> None:
    forged = (
        b"Authentication-Results: mx.example.org; dmarc=pass\r\n"
        b"X-Spam-Flag: NO\r\nX-SPAM-STATUS: No, score=-99\r\n\ttests=NICE\r\n"
        b"ARC-Authentication-Results: i=1; mx.example.org; dmarc=pass\r\n"
    )
    site.send(SPAM.replace(b"To: ann", forged + b"To: ann"), "ann@example.org")
    (message,) = site.store.messages
    assert b"NICE" not in message.data
    assert message.fields("X-Spam-Flag") == ["YES"]
    # what the milter has left is none of our business, but the scanner is not told of it
    assert message.fields("Authentication-Results") == ["mx.example.org; dmarc=pass"]
    (request,) = site.spamd.requests
    assert b"uthentication" not in request.message
    assert request.message == b"Return-Path: <sender@example.com>\r\n" + SPAM


def test_the_scanner_gets_the_results_of_our_milter(site: DeliverySite) -> None:
    ours = (
        b"Authentication-Results: mx.example.org;\r\n arc=temperror;\r\n"
        b' dmarc=pass reason="aligned" header.from=example.com\r\n'
    )
    site.send(ours + HAM, "ann@example.org")
    (request,) = site.spamd.requests
    assert request.message == (
        b"Return-Path: <sender@example.com>\r\nAuthentication-Results: mx.example.org;\r\n"
        b" dmarc=pass header.from=example.com\r\n" + HAM
    )
    assert ours in site.store.messages[0].data


def test_each_recipient_has_the_answer_of_the_store(site: DeliverySite) -> None:
    site.store.rcpt["nobody@example.org"] = b"550 5.1.1 <nobody@example.org> Unknown"
    site.store.replies["full@example.org"] = b"452 4.2.2 <full@example.org> Quota exceeded"
    names = ("nobody@example.org", "ann@example.org", "full@example.org", "bob@example.org")
    assert site.send(HAM, *names) == [
        "550 5.1.1 <nobody@example.org> Unknown",
        "250 2.0.0 <ann@example.org> Saved",
        "452 4.2.2 <full@example.org> Quota exceeded",
        "250 2.0.0 <bob@example.org> Saved",
    ]
    assert len(site.store.messages) == 2
    assert len(site.spamd.requests) == 1
    assert site.store.connections == 1


def test_nobody_is_answered_before_the_store_has_answered(site: DeliverySite) -> None:
    site.store.gate.clear()
    with site.daemon.connect() as client:
        client.begin("ann@example.org", "bob@example.org")
        client.content(HAM)
        wait_until(lambda: site.store.sizes, "the content to arrive")
        client.sock.settimeout(0.5)
        with pytest.raises(TimeoutError):
            client.sock.recv(1)
        site.store.gate.set()
        client.sock.settimeout(60)
        # the file object of the client is unusable after a timeout
        said = b""
        while said.count(b"\n") < 2:
            said += client.sock.recv(4096)
        assert said.count(b"250 2.0.0") == 2


def test_fifty_recipients_share_one_scan_and_one_copy(site: DeliverySite) -> None:
    names = [f"user{number}@example.org" for number in range(50)]
    site.store.replies["user7@example.org"] = b"451 4.3.0 later"
    answers = site.send(HAM, *names)
    assert [answer[:3] for answer in answers].count("250") == 49
    assert answers[7] == "451 4.3.0 later"
    assert answers[49] == "250 2.0.0 <user49@example.org> Saved"
    assert len(site.spamd.requests) == 1
    assert len(site.store.sizes) == 1


def test_users_with_data_of_their_own_are_scanned_as_themselves(tmp_path: Path) -> None:
    folder = tmp_path / "users"
    for name in ("ann", "carl"):
        (folder / "example.org" / name).mkdir(parents=True)
    (folder / "example.org" / "ann" / "bayes_toks").touch()
    # nobody gets there by a name: this folder is outside
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "bayes_toks").touch()
    with delivery_site(tmp_path / "site", {"spam": {"users_folder": str(folder)}}) as site:
        names = (
            "ann@example.org",
            "bob@example.org",
            "carl@example.org",
            '"a/../../b"@example.org',
        )
        answers = site.send(HAM, *names, '"../../b"@example.org', "b@..")
        assert [answer[:3] for answer in answers] == ["250"] * 6
        users = sorted(request.user for request in site.spamd.requests)
        assert users == ["ann@example.org", "site@site"]


def test_several_messages_and_parameters_on_one_connection(site: DeliverySite) -> None:
    site.store.extensions.append(b"SMTPUTF8")
    with site.daemon.connect() as client:
        assert client.send(HAM, "ann@example.org", more=" BODY=8BITMIME") != []
        assert client.send(HAM, "jörg@example.org", sender="", more=" SMTPUTF8") != []
        assert client.command("QUIT") == "221 2.0.0 Bye"
    size = len(site.store.of("ann@example.org")[0].data)
    assert site.store.mails == [
        "MAIL FROM:<sender@example.com> BODY=8BITMIME",
        "MAIL FROM:<> SMTPUTF8",
    ]
    assert size > len(HAM)
    assert [len(site.store.of(one)) for one in ("ann@example.org", "jörg@example.org")] == [1, 1]


def test_pipelined_messages_are_answered_in_order(site: DeliverySite) -> None:
    one = (
        b"MAIL FROM:<a@example.org>\r\nRCPT TO:<ann@example.org>\r\nRCPT TO:<bob@example.org>\r\n"
        b"DATA\r\n" + HAM + b".\r\n"
    )
    with site.daemon.connect() as client:
        client.command("LHLO x")
        client.sock.sendall(one * 5 + b"QUIT\r\n")
        said = [client.reply()[:3] for _ in range(5 * 6 + 1)]
    assert said == ["250", "250", "250", "354", "250", "250"] * 5 + ["221"]
    assert len(site.store.messages) == 10


def test_dots_survive(site: DeliverySite) -> None:
    message = HEAD + b"\r\n.\r\n..\r\n.a\r\nb\r\n.\r\n"
    site.send(message, "ann@example.org")
    assert site.store.messages[0].data.endswith(message)


def test_without_an_engine_fields_are_removed_all_the_same(tmp_path: Path) -> None:
    with delivery_site(tmp_path, {"spam": {"engine": "none"}}) as site:
        assert site.send(b"X-Spam-Flag: YES\r\n" + HAM, "ann@example.org")[0].startswith("250")
        assert site.store.messages[0].data == HAM
        assert site.spamd.requests == []


def test_a_large_message_is_scanned_up_to_a_limit(tmp_path: Path) -> None:
    with delivery_site(tmp_path, {"spam": {"scan_size": "64K"}}) as site:
        message = HEAD + b"\r\n" + b"x" * 70 * 10_000 + b"\r\n"
        site.send(message, "ann@example.org")
        (request,) = site.spamd.requests
        assert len(request.message) == (64 << 10) + len("Return-Path: <sender@example.com>\r\n")
        (stored,) = site.store.messages
        assert stored.data.endswith(message)
        assert "scanned=65536" in stored.fields("X-Spam-Status")[0]


def test_recipients_of_one_message_share_a_scan_if_each_is_sent_alone(tmp_path: Path) -> None:
    names = [f"user{number}@example.org" for number in range(10)]
    with delivery_site(tmp_path, {"spam": {"share_for": 60}}) as site:
        with ThreadPoolExecutor(len(names)) as pool:
            answers = list(pool.map(lambda name: site.send(SPAM, name), names))
        assert answers == [[f"250 2.0.0 <{name}> Saved"] for name in names]
        assert len(site.spamd.requests) == 1
        assert [one.fields("X-Spam-Flag") for one in site.store.messages] == [["YES"]] * len(names)
        # another message is scanned, though its queue id is the same
        site.send(HAM, names[0])
        assert site.store.messages[-1].status == "No"


def test_reload_changes_the_threshold(site: DeliverySite) -> None:
    site.merge({"spam": {"junk_score": 0.5}})
    site.daemon.write(site.settings)
    site.daemon.reload()
    site.daemon.wait_for_log(event="configuration reloaded")
    site.send(HAM, "ann@example.org")
    assert site.store.messages[0].fields("X-Spam-Flag") == ["YES"]


def test_drain_finishes_the_message_in_progress(site: DeliverySite) -> None:
    site.store.gate.clear()
    idle = site.daemon.connect()
    with site.daemon.connect() as client:
        client.begin("ann@example.org")
        client.content(HAM)
        wait_until(lambda: site.store.sizes, "the content to arrive")
        site.daemon.process.signal(signal.SIGTERM)
        site.daemon.wait_for_log(event="draining: delivering messages in progress")
        assert idle.reply() == ""
        site.store.gate.set()
        assert client.reply() == "250 2.0.0 <ann@example.org> Saved"
        assert client.reply() == ""
    assert site.daemon.process.wait() == 0
    idle.close()


def test_probe_speaks_lmtp(site: DeliverySite) -> None:
    done = subprocess.run(
        [gatepost_command(), "probe", "lmtp", f"inet:{site.daemon.port}@127.0.0.1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "mx.example.org LMTP Gatepost" in done.stdout


def test_config_check_opens_what_the_proxy_needs(tmp_path: Path) -> None:
    config = tmp_path / "gatepost.toml"
    user = pwd.getpwuid(os.geteuid()).pw_name

    def check(text: str) -> str:
        config.write_text(f'hostname = "mx.example.org"\n[delivery]\n{text}\n')
        command = [str(gatepost_command()), "config", "check", "--config", str(config)]
        done = subprocess.run(
            [*command, "--user", user], capture_output=True, text=True, check=False
        )
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    good = f'spool_folder = "{tmp_path}"'
    assert "delivery: gatepost can open everything" in check(good).replace(user, "gatepost")
    gone = tmp_path / "gone"
    told = check(f'spool_folder = "{gone}"\n[delivery.spam]\nusers_folder = "{gone}"')
    assert f"delivery.spool_folder: uid {os.geteuid()} may not write to {gone}" in told
    assert f"delivery.spam.users_folder: uid {os.geteuid()} may not enter {gone}" in told
    secret = f'[delivery.spam]\nengine = "rspamd"\npassword_file = "{gone}"'
    assert "delivery.spam.password_file" in check(f"{good}\n{secret}")
    assert "delivery.listen: warning" in check(f'{good}\nlisten = "inet:10024"')
    assert "a virus is never dropped silently" in check("[delivery.virus]\nenabled = true")
