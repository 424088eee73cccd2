"""The document for Thunderbird, checked against the form of the ISPDB's files."""

from __future__ import annotations

from accounts.autoconfig.thunderbird import client_config
from tests.unit.accounts.autoconfig.offered import HOST, checked_config, settings


def test_all_servers_with_tls_first() -> None:
    root = checked_config(client_config(settings(), "example.org"))
    incoming = [
        (one.get("type"), one.findtext("port"), one.findtext("socketType"))
        for one in root.iter("incomingServer")
    ]
    assert incoming == [
        ("imap", "993", "SSL"),
        ("imap", "143", "STARTTLS"),
        ("pop3", "995", "SSL"),
        ("pop3", "110", "STARTTLS"),
    ]
    outgoing = [
        (one.findtext("port"), one.findtext("socketType")) for one in root.iter("outgoingServer")
    ]
    assert outgoing == [("465", "SSL"), ("587", "STARTTLS")]
    for one in (*root.iter("incomingServer"), *root.iter("outgoingServer")):
        assert one.findtext("hostname") == HOST
        assert one.findtext("username") == "%EMAILADDRESS%"
        assert one.findtext("authentication") == "password-cleartext"
    assert root.findtext("emailProvider/domain") == "example.org"
    assert root.findtext("emailProvider/displayName") == "example.org"
    assert root.find("webMail") is None


def test_a_name_is_text_and_never_markup() -> None:
    name = "Mail & <b>more</b> \"'"
    some = settings(
        name=name,
        webmail="https://mail.example.org/?a=1&b=2",
        imaps="a.example:1",
        pop3="b.example:2",
        submission="c.example:3",
    )
    root = checked_config(client_config(some, "xn--bcher-kva.example"))
    assert root.findtext("emailProvider/displayShortName") == name
    page = root.find("webMail/loginPage")
    assert page is not None
    assert page.get("url") == "https://mail.example.org/?a=1&b=2"
    assert [one.findtext("hostname") for one in root.iter("incomingServer")] == [
        "a.example",
        "b.example",
    ]
