"""Webmail of the whole system in Chromium, on a desk and on a phone.

No page asks for anything at another host, and none has an error on its console: `desk` and `people`
look after each test.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.stack.browsing import Webmail
from tests.stack.everyday import CAROL
from tests.stack.stack import DOMAIN
from tests.stack.up import WholeSystem
from tests.testbed.chromium import DESKTOP, PHONE, Chromium, Device
from tests.testbed.oracles import dkimpy_verdicts
from tests.testbed.pod import Network
from tests.testbed.waiting import wait_until
from tests.testbed.webmail import PORT, start_webmail
from tools.up.place import HOST, HOSTNAME

WENDY, VERA, PIA, GRETA = (f"{name}@{DOMAIN}" for name in ("wendy", "vera", "pia", "greta"))
NAME = "Wendy Whistle"
ELSEWHERE = 2090
"""The port of this machine for a second webmail."""
NEW_PASSWORD = "a lantern, purple and walking"
BOTH = pytest.mark.parametrize("device", [DESKTOP, PHONE], ids=lambda device: device.name)
TRACKER = "tracker.example"
HOSTILE = f"""<html><head>
<script>top.pwned = 1</script>
<link rel="stylesheet" href="http://{TRACKER}/style.css">
<style>body {{ background: url(http://{TRACKER}/css.png) }} @import "http://{TRACKER}/more.css";
</style>
<base href="http://{TRACKER}/"><meta http-equiv="refresh" content="0;url=http://{TRACKER}/refresh">
</head><body onload="top.pwned = 2"><h1 onmouseover="top.pwned = 3">Offer</h1>
<img src="http://{TRACKER}/pixel.png" onerror="top.pwned = 4">
<img src="cid:x" onerror="top.pwned = 5">
<iframe src="http://{TRACKER}/frame"></iframe>
<iframe srcdoc="<script>top.pwned = 6</script>"></iframe>
<object data="http://{TRACKER}/object"></object><embed src="http://{TRACKER}/embed">
<video poster="http://{TRACKER}/poster.png" src="http://{TRACKER}/film.mp4" autoplay></video>
<svg onload="top.pwned = 7"><script>top.pwned = 8</script><image href="http://{TRACKER}/in.svg"/>
<animate onbegin="top.pwned = 9" attributeName="x" dur="1s"/></svg>
<details open ontoggle="top.pwned = 10">more</details><input autofocus onfocus="top.pwned = 11">
<math><mtext><table><mglyph><style><img src=x onerror="top.pwned = 12"></style></mglyph></table>
</mtext></math><form action="http://{TRACKER}/form"><button id="go">send it</button></form>
<a id="press" href="javascript:top.pwned = 13">press here</a>
<div style="background-image: url('http://{TRACKER}/div.png')">the end of the offer</div>
</body></html>
"""
BROKEN = (
    "Before all parts.\r\n--outer\r\n"
    "Content-Type: text/plain; charset=no-such-charset\r\n"
    "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
    "The text =ZZ can be read=\r\n--outer\r\n"
    'Content-Type: application/octet-stream; name="../../bad.exe"\r\n'
    "Content-Transfer-Encoding: base64\r\n\r\n!!! not base64 !!!\r\n"
    'Content-Type: multipart/mixed; boundary="never\r\n'
)

pytestmark = pytest.mark.timeout(600)
"""The first test waits for the whole system."""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    with Chromium() as running:
        yield running


Arrive = Callable[..., Webmail]


@pytest.fixture(scope="module")
def household(up: WholeSystem) -> WholeSystem:
    """The system with four users more."""
    for user, name in ((WENDY, NAME), (VERA, "Vera Vale"), (PIA, "Pia Pike"), (GRETA, "")):
        up.add_user(user, "--display-name", name)
    # what the tests send her looks like spam, and she reads it in her inbox
    up.command("user", "set", WENDY, "--spam-check", "no")
    return up


@pytest.fixture
def arrive(household: WholeSystem, chromium: Chromium) -> Iterator[Arrive]:
    """Opens webmail in a new browser: with a user, the mailbox. At the end, nothing may have been
    complained about and nothing asked for elsewhere."""
    here: list[Webmail] = []

    def start(user: str = "", device: Device = DESKTOP, *, language: str = "en-GB") -> Webmail:
        origin = f"http://{HOST}:{household.place.ports['webmail']}"
        arrived = Webmail(chromium.visit(origin, device, language=language), device)
        here.append(arrived)
        if user:
            arrived.log_in(user, household.password(user))
        return arrived

    try:
        yield start
        for one in here:
            assert one.visit.complaints() == []
            assert one.visit.foreign() == []
    finally:
        for one in here:
            one.visit.close()


def delivered(
    up: WholeSystem, subject: str, user: str, *, fields: str = "", body: str = ""
) -> None:
    sent = up.deliver(subject, user, fields=fields, body=body or "Dear all,\r\n\r\nhello.\r\n")
    assert sent.accepted, sent.transcript
    up.wait_for(subject, user)


@BOTH
def test_a_wrong_password_is_said_and_the_right_one_lets_in(arrive: Arrive, device: Device) -> None:
    webmail = arrive(device=device)
    webmail.open()
    webmail.page.get_by_text("Webmail", exact=True).wait_for()
    webmail.picture("login")
    webmail.enter(WENDY, "not this one, never")
    webmail.says("Login failed.")
    webmail.picture("wrong")
    # the answer is 401, and Chromium says so
    assert {one[:3] for one in webmail.visit.complaints()} == {"401", "err"}
    webmail.visit.forgive()


def test_the_browser_chooses_language_and_time(household: WholeSystem, arrive: Arrive) -> None:
    delivered(household, "at noon", GRETA)
    webmail = arrive(language="de-DE")
    webmail.open()
    assert webmail.page.inner_text("#rcmloginsubmit").lower() == "anmelden"
    webmail.enter(GRETA, household.password(GRETA))
    webmail.row("at noon").wait_for()
    folders = webmail.page.inner_text("#mailboxlist").split()
    assert [each for each in folders if not each.isdigit()] == [
        *("Posteingang", "Entwürfe", "Gesendet", "Spam", "Gelöscht", "Archiv")
    ]
    # 12:00 UTC in Berlin
    assert "13:00" in webmail.row("at noon").inner_text()


@BOTH
def test_mail_is_read(household: WholeSystem, arrive: Arrive, device: Device) -> None:
    delivered(household, f"read on {device.name}", WENDY, body="The kettle is on.\r\n")
    webmail = arrive(WENDY, device)
    webmail.picture("list")
    message = webmail.read(f"read on {device.name}")
    assert "The kettle is on." in message.locator("#messagebody").inner_text()
    webmail.picture("message")


@BOTH
def test_nothing_in_a_message_runs_or_is_fetched(
    household: WholeSystem, arrive: Arrive, device: Device
) -> None:
    subject = f"hostile on {device.name}"
    fields = "MIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n"
    delivered(household, subject, WENDY, fields=fields, body=HOSTILE.replace("\n", "\r\n"))
    webmail = arrive(WENDY, device)
    message = webmail.read(subject)
    message.get_by_text("the end of the offer").wait_for()
    message.get_by_text("Offer", exact=True).hover()
    webmail.picture("hostile")
    assert (
        "remote resources have been blocked"
        in message.locator("#messageheader, body").first.inner_text()
    )
    assert webmail.page.evaluate("window.pwned") is None
    assert webmail.page.frame(url=re.compile("_action=preview")) is not None
    assert webmail.visit.foreign() == []
    if device is DESKTOP:
        # it is fetched when the reader asks for it, and only then: so a request would be seen
        message.get_by_text("Allow", exact=True).click()
        wait_until(webmail.visit.foreign, "the pictures")
        message.get_by_text("the end of the offer").wait_for()
        assert webmail.page.evaluate("window.pwned") is None
        assert all(each.startswith(f"http://{TRACKER}/") for each in webmail.visit.foreign())
        assert not [each for each in webmail.visit.foreign() if "frame" in each or "object" in each]
        webmail.visit.forgive()


@BOTH
def test_broken_mime_is_shown_as_far_as_it_goes(
    household: WholeSystem, arrive: Arrive, device: Device
) -> None:
    subject = f"broken on {device.name}"
    fields = 'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="outer"\r\n'
    delivered(household, subject, WENDY, fields=fields, body=BROKEN)
    message = arrive(WENDY, device).read(subject)
    assert "can be read" in message.locator("#messagebody").inner_text()
    assert "bad.exe" in message.locator("#attachment-list").inner_text()


@BOTH
def test_mail_is_written_and_answered(
    household: WholeSystem, arrive: Arrive, device: Device
) -> None:
    subject = f"question on {device.name}"
    delivered(household, subject, WENDY, body="Is the kettle on?\r\n")
    webmail = arrive(WENDY, device)
    webmail.write(CAROL, f"new on {device.name}", "Hello Carol, grüß dich.")
    webmail.picture("compose")
    webmail.send()
    sent = household.world.remote.wait_for_subject(f"new on {device.name}")
    assert (sent.sender, sent.recipients) == (WENDY, (CAROL,))
    # the name is that of accounts, without a visit to the settings
    assert sent.fields("From") == [f"{NAME} <{WENDY}>"]
    assert "grüß dich" in sent.message.get_content()
    assert {each for _, each in dkimpy_verdicts(sent.octets, household.world.dns)} == {"pass"}
    webmail.inbox()
    webmail.read(subject)
    webmail.button("Reply").click()
    webmail.page.locator("#composebody").wait_for()
    quoted = webmail.page.input_value("#composebody")
    assert "> Is the kettle on?" in quoted
    webmail.page.fill("#composebody", f"It is.\n\n{quoted}")
    webmail.picture("reply")
    webmail.send()
    answer = household.world.remote.wait_for_subject(f"Re: {subject}")
    assert answer.recipients == (CAROL,)
    assert answer.fields("In-Reply-To") == [f"<{abs(hash(subject))}@remote.example>"]
    assert {each for _, each in dkimpy_verdicts(answer.octets, household.world.dns)} == {"pass"}
    webmail.inbox("Sent")
    webmail.row(f"new on {device.name}").wait_for()
    webmail.row(f"Re: {subject}").wait_for()


def test_spam_and_archive_have_their_buttons(household: WholeSystem, arrive: Arrive) -> None:
    for subject in ("to the spam", "to the archive"):
        delivered(household, subject, WENDY)
    webmail = arrive(WENDY)
    for subject, label, folder in (
        ("to the spam", "Spam", "Junk"),
        ("to the archive", "Archive", "Archive"),
    ):
        webmail.inbox()
        webmail.read(subject)
        webmail.button(label).last.click()
        webmail.row(subject).wait_for(state="hidden")
        household.wait_for(subject, WENDY, folder)
    webmail.inbox("Junk")
    webmail.read("to the spam")
    webmail.button("Not spam").click()
    webmail.row("to the spam").wait_for(state="hidden")
    household.wait_for("to the spam", WENDY)


def test_a_filter_works_on_the_next_mail(household: WholeSystem, arrive: Arrive) -> None:
    webmail = arrive(WENDY)
    webmail.settings("plugin.managesieve")
    webmail.button("Create").click()
    form = webmail.page.frame_locator("#filter-box")
    form.locator("[name=_name]").fill("Sorted")
    form.locator("[name='_rule_target[0][]']").fill("sort me")
    form.locator("#action_mailbox0").select_option("Archive")
    webmail.picture("filter")
    form.get_by_role("button", name="Save").click()
    webmail.page.locator("#filterslist tr", has_text="Sorted").wait_for()
    sent = household.deliver("please sort me", WENDY)
    assert sent.accepted, sent.transcript
    household.wait_for("please sort me", WENDY, "Archive")


def test_somebody_is_away(household: WholeSystem, arrive: Arrive) -> None:
    webmail = arrive(VERA)
    webmail.settings("plugin.managesieve-vacation")
    webmail.page.fill("[name=vacation_reason]", "I am on a boat.")
    webmail.page.select_option("[name=vacation_status]", "on")
    webmail.picture("vacation")
    webmail.save()
    webmail.says("saved successfully")
    delivered(household, "are you there", VERA)
    (answer,) = household.world.remote.wait_for(
        lambda one: "I am on a boat." in one.body.decode(), "the answer"
    )
    assert (answer.sender, answer.recipients) == ("<>", (CAROL,))
    assert answer.fields("Auto-Submitted")[0].startswith("auto-replied")


@BOTH
def test_a_password_is_changed(household: WholeSystem, arrive: Arrive, device: Device) -> None:
    webmail = arrive(PIA, device)
    old, new = household.password(PIA), f"{NEW_PASSWORD} {device.name}"

    def change(current: str, wanted: str) -> None:
        webmail.settings("plugin.password")
        for field, value in (("curpasswd", current), ("newpasswd", wanted), ("confpasswd", wanted)):
            webmail.page.fill(f"[name=_{field}]", value)
        webmail.save()

    change("not my password", new)
    webmail.says("Current password is incorrect")
    change(old, "password1234")
    webmail.says("common")
    webmail.picture("password")
    change(old, new)
    webmail.says("Successfully saved")
    again = arrive(device=device)
    again.open()
    again.enter(PIA, old)
    again.says("Login failed.")
    again.visit.forgive()
    again.log_in(PIA, new)
    household.command("user", "password", PIA, stdin=old)


@BOTH
def test_whoever_logs_out_is_out(arrive: Arrive, device: Device) -> None:
    webmail = arrive(WENDY, device)
    inside = webmail.page.url
    cookies = webmail.page.context.cookies()
    webmail.log_out()
    webmail.says("terminated the session")
    webmail.page.context.add_cookies(
        [{"name": one["name"], "value": one["value"], "url": inside} for one in cookies]
    )
    webmail.page.goto(inside)
    webmail.page.locator("[name=_user]").wait_for()
    assert webmail.page.locator("#messagelist").count() == 0
    webmail.visit.forgive()


def test_the_policy_allows_no_more_than_the_pages_need(arrive: Arrive) -> None:
    """Roundcube evaluates the answers of its server. When a later one does not, tighten it."""
    webmail = arrive(WENDY)
    for word in ("'unsafe-eval'", "'unsafe-inline'"):
        webmail.visit.forbid(word)
        webmail.open("?_task=mail")
        first, *_ = wait_until(webmail.visit.complaints, f"an error: {word}")
        assert "Content Security Policy" in first
        assert webmail.page.locator("#messagelist tbody tr").count() == 0
        webmail.visit.forgive()


def test_it_works_below_a_prefix(
    network: Network, household: WholeSystem, chromium: Chromium
) -> None:
    delivered(household, "below a prefix", WENDY)
    name = network.new_name()
    ports = {"IMAP": "ssl://{}:10993", "SUBMISSION": "tls://{}:587", "SIEVE": "tls://{}:14190"}
    with tempfile.TemporaryDirectory(prefix="gatepost-test-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        authority = Path(folder) / "ca.pem"
        authority.write_text((household.place.state / "tls" / "ca.crt").read_text())
        authority.chmod(0o644)
        settings = {
            **{f"WEBMAIL_{key}": at.format(household.address) for key, at in ports.items()},
            "WEBMAIL_CA_FILE": "/secrets/ca.pem",
            "WEBMAIL_TLS_NAME": HOSTNAME,
            "WEBMAIL_PREFIX": "/mail/web/",
        }
        options = (
            f"--network={network.name}",
            # a browser trusts its own machine without TLS, and no other
            f"--publish={HOST}:{ELSEWHERE}:{PORT}",
            f"--volume={folder}:/secrets:ro",
        )
        try:
            container = start_webmail(name, *options, settings=settings)
            container.wait_ready()
            visit = chromium.visit(f"http://{HOST}:{ELSEWHERE}")
            webmail = Webmail(visit, DESKTOP, "/mail/web/")
            webmail.log_in(WENDY, household.password(WENDY))
            message = webmail.read("below a prefix")
            assert "hello." in message.locator("#messagebody").inner_text()
            webmail.settings("plugin.managesieve")
            webmail.page.locator("#filterslist tr", has_text="Sorted").wait_for()
            webmail.log_out()
            assert webmail.page.url.startswith(f"{visit.origin}/mail/web/")
            assert (visit.complaints(), visit.foreign()) == ([], [])
            visit.close()
        finally:
            network.remove(name)
