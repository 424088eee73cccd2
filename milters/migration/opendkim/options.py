"""Table of the options of opendkim 2.11, and what the import does with each.

It contains the names that opendkim 2.11.0 accepts in its configuration file, and those in
opendkim.conf(5) that other builds accept. An option with a rule in `convert` is `MAPPED`; every
other option has a reason why it is left out.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass


class Fate(enum.Enum):
    """Treatment of an option by the import."""

    MAPPED = "mapped"
    """It has a counterpart, which a rule of `convert` sets."""
    UNNEEDED = "unneeded"
    """Gatepost always does what it asks for, or the case cannot occur."""
    UNSUPPORTED = "unsupported"
    """Gatepost does not do what it asks for."""
    UNDECIDED = "undecided"
    """It is not supported and affects whose mail is signed, so an administrator must decide."""


@dataclass(frozen=True, slots=True)
class KnownOption:
    """An option of opendkim: its documented name, its treatment, and the reason."""

    name: str
    fate: Fate
    why: str = ""
    is_boolean: bool = False


_MAPPED = """
    AuthservID BaseDirectory Canonicalization DNSTimeout Domain InternalHosts KeyFile KeyTable
    MaximumHeaders MaximumSignaturesToVerify Mode MTA MacroList MinimumKeyBits Nameservers
    On-BadSignature On-Default On-DNSError On-KeyNotFound On-NoSignature OmitHeaders
    OversignHeaders PeerList RemoveARFrom Selector SenderHeaders
    SignatureAlgorithm SignatureTTL SignHeaders SigningTable Socket UMask UserID
"""
_MAPPED_BOOLEANS = "MultipleSignatures RequireSafeKeys SubDomains"

_LOG = "every decision is logged in one line, with its reason; see [log]"
_LIFE = "it runs in the foreground under systemd or Kubernetes, which restart it"
_ALWAYS_AR = "one Authentication-Results field is always added"
_DNSSEC = "use a validating resolver on this machine, and name it in `nameservers` of [dns]"
_DNS = "there is one resolver with a cache; see [dns]"
_REPORTS = "reports about single failures (RFC 6651) are not sent"
_LUA = "there are no scripts, and a script may decide what is signed: is there a setting for it?"
_LDAP = "tables are files; export the directory"
_VBR = "nobody uses Vouch By Reference (RFC 5518)"
_ATPS = "nobody uses authorized third-party signatures (RFC 6541)"
_ADSP = "ADSP (RFC 5617) is Historic; DMARC took its place"
_STATISTICS = "Prometheus metrics take its place; see metrics_listen"
_DEBUG = "an aid for debugging that has no counterpart"
_LENGTH = "l= lets anybody append text to a signed message; it is not offered"
_HEADERS = "malformed mail is checked like any other; DMARC fails without exactly one From field"
_RESIGN = "mail that leaves again gets an ARC seal instead; see [milters.seal]"
_RULES = "header fields are signed as they are; let Postfix rewrite them before the milter"

_UNNEEDED: Mapping[str, str] = {
    "AlwaysAddARHeader": _ALWAYS_AR,
    "Background": _LIFE,
    "AutoRestart": _LIFE,
    "AutoRestartCount": _LIFE,
    "AutoRestartRate": _LIFE,
    "PidFile": _LIFE,
    "DisableCryptoInit": "the libraries do this",
    "EnableCoredumps": _LIFE,
    "ExternalIgnoreList": "it only silences a line in opendkim's log; mail from outside that "
    "claims one of your domains is judged like any other",
    "FixCRLF": "Postfix passes lines that end in CRLF",
    "IgnoreMalformedMail": _HEADERS,
    "Include": "the lines of the file are read in its place",
    "LogResults": _LOG,
    "LogWhy": _LOG,
    "Syslog": _LOG,
    "SyslogFacility": "lines go to standard error, and from there to the journal",
    "SyslogName": "lines go to standard error, and from there to the journal",
    "SyslogSuccess": _LOG,
    "QueryCache": _DNS,
    "RemoveARAll": "fields with our own name are removed whole, in every form",
    "SoftStart": "there is no database to wait for",
    "StrictTestMode": _DEBUG,
    "TemporaryDirectory": "no temporary files are written: messages are hashed as they arrive",
    "WeakSyntaxChecks": _HEADERS,
    "NoHeaderB": "header.b is in the field where there are several signatures (RFC 6008)",
    "DNSConnect": _DNS,
    "CaptureUnknownErrors": "a message that meets an error of ours is deferred, never lost",
    "On-InternalError": "a message that meets an error of ours is deferred, never lost",
    "AllowSHA1Only": "SHA-1 neither signs nor verifies (RFC 8301)",
}

_UNSUPPORTED: Mapping[str, str] = {
    "ATPSDomains": _ATPS,
    "ATPSHashAlgorithm": _ATPS,
    "AuthservIDWithJobID": "the authserv-id names this server, or nobody could remove forged ones "
    "(RFC 8601 section 5)",
    "BodyLengthDB": _LENGTH,
    "MaximumSignedBytes": _LENGTH,
    "Minimum": "a signature with l= counts for nothing anyway",
    "BogusKey": _DNSSEC,
    "UnprotectedKey": _DNSSEC,
    "TrustAnchorFile": _DNSSEC,
    "ResolverConfiguration": _DNSSEC,
    "ResolverTracing": _DEBUG,
    "ChangeRootDirectory": "the systemd unit and the image keep it apart from the system",
    "ClockDrift": "signatures may be up to 5 minutes in the future, which is opendkim's default",
    "Diagnostics": "z= doubles the header and shows it to everybody",
    "DiagnosticDirectory": _DEBUG,
    "DomainKeysCompat": "DomainKeys (RFC 4870) is Historic",
    "StatisticsPolicyScript": _LUA,
    "IdentityHeader": "i= is not set; d= alone counts for DMARC",
    "IdentityHeaderRemove": "i= is not set; d= alone counts for DMARC",
    "KeepAuthResults": "fields with our own name are forged and always removed (RFC 8601 "
    "section 5)",
    "KeepTemporaryFiles": _DEBUG,
    "MilterDebug": _DEBUG,
    "MTACommand": _REPORTS,
    "SMTPURI": _REPORTS,
    "SendReports": _REPORTS,
    "ReportAddress": _REPORTS,
    "ReportBccAddress": _REPORTS,
    "RequestReports": _REPORTS,
    "MustBeSigned": "DMARC judges by From, which every signature has to cover",
    "On-Security": "suspicious mail is handled like any other; see [milters.policy]",
    "On-SignatureError": "see required in [milters.sign]: such mail is sent unsigned, or deferred",
    "Quarantine": "see quarantine in [milters.policy]",
    "RedirectFailuresTo": "mail is not redirected; see quarantine in [milters.policy]",
    "RemoveOldSignatures": "other signatures stay: they may be the only ones that pass at the "
    "receiver",
    "RequiredHeaders": _HEADERS,
    "StrictHeaders": _HEADERS,
    "ResignAll": _RESIGN,
    "SelectCanonicalizationHeader": "the configuration alone decides",
    "SoftwareHeader": "messages do not say what software they met",
    "X-Header": "messages do not say what software they met",
    "Statistics": _STATISTICS,
    "StatisticsName": _STATISTICS,
    "StatisticsPrefix": _STATISTICS,
    "TestDNSData": _DEBUG,
    "TestPublicKeys": "gatepost auth verify --dns ZONE does that for a single message",
    "TrustSignaturesFrom": "DMARC alignment decides which signatures count",
    "VBR-Certifiers": _VBR,
    "VBR-PurgeFields": _VBR,
    "VBR-TrustedCertifiers": _VBR,
    "VBR-TrustedCertifiersOnly": _VBR,
    "VBR-Type": _VBR,
    "ADSPAction": _ADSP,
    "ADSPNoSuchDomain": _ADSP,
    "DisableADSP": _ADSP,
    "LocalADSP": _ADSP,
    "SendADSPReports": _ADSP,
    "On-PolicyError": _ADSP,
    **dict.fromkeys(
        (
            "LDAPAuthMechanism",
            "LDAPAuthName",
            "LDAPAuthRealm",
            "LDAPAuthUser",
            "LDAPBindPassword",
            "LDAPBindUser",
            "LDAPDisableCache",
            "LDAPKeepaliveIdle",
            "LDAPKeepaliveInterval",
            "LDAPKeepaliveProbes",
            "LDAPTimeout",
            "LDAPUseTLS",
        ),
        _LDAP,
    ),
}

_UNDECIDED: Mapping[str, str] = {
    "DontSignMailTo": "mail to these recipients is signed as well: signing does not depend on the "
    "recipient",
    "ExemptDomains": "mail of these domains is checked, and signed if they have a key: From can "
    "be forged, so it exempts no mail; smtpd_milter_maps of Postfix can exempt "
    "clients",
    "FinalPolicyScript": _LUA,
    "ScreenPolicyScript": _LUA,
    "SetupPolicyScript": _LUA,
    "POPDBFile": "clients authenticated by POP before SMTP count as outside clients, and their "
    "mail is sent unsigned: use SASL",
    "ReplaceHeaders": _RULES,
    "ReplaceRules": _RULES,
    "ResignMailTo": _RESIGN,
    "SenderMacro": "only From decides which key signs",
}

_BOOLEANS = """
    AllowSHA1Only AlwaysAddARHeader AuthservIDWithJobID AutoRestart Background CaptureUnknownErrors
    DNSConnect Diagnostics DisableCryptoInit DomainKeysCompat EnableCoredumps FixCRLF
    IgnoreMalformedMail KeepAuthResults KeepTemporaryFiles LDAPDisableCache LDAPUseTLS LogResults
    LogWhy MultipleSignatures NoHeaderB Quarantine QueryCache RemoveARAll RemoveOldSignatures
    RequestReports RequireSafeKeys RequiredHeaders ResolverTracing SendReports SoftStart
    SoftwareHeader StrictHeaders StrictTestMode SubDomains Syslog SyslogSuccess VBR-PurgeFields
    VBR-TrustedCertifiersOnly WeakSyntaxChecks X-Header DisableADSP SendADSPReports
"""

_REASONS = {
    **dict.fromkeys((*_MAPPED.split(), *_MAPPED_BOOLEANS.split()), (Fate.MAPPED, "")),
    **{name: (Fate.UNNEEDED, why) for name, why in _UNNEEDED.items()},
    **{name: (Fate.UNSUPPORTED, why) for name, why in _UNSUPPORTED.items()},
    **{name: (Fate.UNDECIDED, why) for name, why in _UNDECIDED.items()},
}

KNOWN: Mapping[str, KnownOption] = {
    name.lower(): KnownOption(name, fate, why, name in _BOOLEANS.split())
    for name, (fate, why) in _REASONS.items()
}
"""The options by name in lower case, because opendkim ignores case."""
