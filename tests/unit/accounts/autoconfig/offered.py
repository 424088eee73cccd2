"""Settings of tests, and readers of the documents that are made from them."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from typing import Any

from accounts.autoconfig.settings import AutoconfigSettings

HOST = "mail.example.org"
ALL = {
    "imaps": f"{HOST}:993",
    "imap": f"{HOST}:143",
    "pop3s": f"{HOST}:995",
    "pop3": f"{HOST}:110",
    "submissions": f"{HOST}:465",
    "submission": f"{HOST}:587",
}

# the elements of config-v1.1: for each, its children as a regular expression over "name " texts
_FORM: Mapping[str, str] = {
    "clientConfig": r"emailProvider (?:(?:webMail|addressbook|calendar|clientConfigUpdate) )*",
    "emailProvider": r"(?:domain )+displayName displayShortName (?:incomingServer )+"
    r"(?:outgoingServer )+(?:(?:documentation|enable|instruction) )*",
    "webMail": r"loginPage (?:loginPageInfo )?",
}
_SERVER = {"hostname", "port", "socketType", "username", "authentication"}
_VALUES: Mapping[str, str] = {
    "domain": r"[a-z0-9.-]+",
    "displayName": r"[^\n]+",
    "displayShortName": r"[^\n]+",
    "hostname": r"[a-z0-9.-]+",
    "port": r"\d{1,5}",
    "socketType": r"SSL|STARTTLS",
    "username": r"%EMAILADDRESS%|%EMAILLOCALPART%",
    "authentication": r"password-cleartext|password-encrypted|OAuth2",
}
_TYPES = {"incomingServer": ("imap", "pop3"), "outgoingServer": ("smtp",)}


def settings(**keys: Any) -> AutoconfigSettings:
    """Return settings with all servers, or with those that are given."""
    return AutoconfigSettings(**(keys if "imaps" in keys or "pop3" in keys else ALL | keys))


def checked_config(octets: bytes) -> ET.Element:
    """Return config-v1.1.xml after a check that it has the form of the ISPDB's files."""
    assert b"<!DOCTYPE" not in octets
    root = ET.fromstring(octets)  # noqa: S314  # a document of ours
    assert (root.tag, root.get("version")) == ("clientConfig", "1.1")
    for found in root.iter():
        children = "".join(f"{child.tag} " for child in found)
        if form := _FORM.get(found.tag):
            assert re.fullmatch(form, children), (found.tag, children)
        elif found.tag in _TYPES:
            assert found.get("type") in _TYPES[found.tag]
            assert {child.tag for child in found} >= _SERVER
            assert 0 < int(found.findtext("port", "0")) < 65536
        elif value := _VALUES.get(found.tag):
            assert re.fullmatch(value, found.text or ""), (found.tag, found.text)
    (provider,) = root.iter("emailProvider")
    assert re.fullmatch(r"[a-z0-9.-]+", provider.get("id", ""))
    return root


def without_namespaces(octets: bytes) -> ET.Element:
    """Return a document whose elements have their local names."""
    root = ET.fromstring(octets)  # noqa: S314  # a document of ours
    for found in root.iter():
        found.tag = found.tag.rpartition("}")[2]
    return root


def question(address: str, *, schema: str | None = None, before: str = "") -> bytes:
    """Return a question of Outlook."""
    wanted = schema or (
        "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
    )
    name = "http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"
    return (
        f'<?xml version="1.0" encoding="utf-8"?>\n{before}'
        f'<Autodiscover xmlns="{name}"><Request><EMailAddress>{address}</EMailAddress>'
        f"<AcceptableResponseSchema>{wanted}</AcceptableResponseSchema></Request></Autodiscover>"
    ).encode()
