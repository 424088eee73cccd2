from __future__ import annotations

import pytest

from milters.migration.opendkim.options import KNOWN, Fate
from milters.migration.opendkim.service import SERVICE_RULES
from milters.migration.opendkim.signing import SIGNING_RULES

OPENDKIM_2_11 = """
    ATPSDomains ATPSHashAlgorithm AllowSHA1Only AlwaysAddARHeader AuthservID
    AuthservIDWithJobID AutoRestart AutoRestartCount AutoRestartRate Background BaseDirectory
    BodyLengthDB BogusKey Canonicalization CaptureUnknownErrors ChangeRootDirectory ClockDrift
    DNSConnect DNSTimeout DiagnosticDirectory Diagnostics DisableCryptoInit Domain
    DomainKeysCompat DontSignMailTo EnableCoredumps ExemptDomains ExternalIgnoreList
    FinalPolicyScript FixCRLF IgnoreMalformedMail Include InternalHosts KeepAuthResults
    KeepTemporaryFiles KeyFile KeyTable LDAPAuthMechanism LDAPAuthName LDAPAuthRealm
    LDAPAuthUser LDAPBindPassword LDAPBindUser LDAPDisableCache LDAPKeepaliveIdle
    LDAPKeepaliveInterval LDAPKeepaliveProbes LDAPTimeout LDAPUseTLS LogResults LogWhy MTA
    MTACommand MacroList MaximumHeaders MaximumSignaturesToVerify MaximumSignedBytes
    MilterDebug Minimum MinimumKeyBits Mode MultipleSignatures MustBeSigned Nameservers
    NoHeaderB OmitHeaders On-BadSignature On-DNSError On-Default On-InternalError
    On-KeyNotFound On-NoSignature On-Security On-SignatureError OversignHeaders PeerList
    PidFile Quarantine QueryCache RedirectFailuresTo RemoveARAll RemoveARFrom
    RemoveOldSignatures ReplaceHeaders ReplaceRules ReportAddress ReportBccAddress
    RequestReports RequireSafeKeys RequiredHeaders ResolverConfiguration ResolverTracing
    ScreenPolicyScript SelectCanonicalizationHeader Selector SendReports SenderHeaders
    SenderMacro SetupPolicyScript SignHeaders SignatureAlgorithm SignatureTTL SigningTable
    Socket SoftStart SoftwareHeader Statistics StatisticsName StatisticsPrefix StrictHeaders
    StrictTestMode SubDomains Syslog SyslogFacility SyslogName SyslogSuccess
    TemporaryDirectory TestDNSData TestPublicKeys TrustAnchorFile TrustSignaturesFrom UMask
    UnprotectedKey UserID VBR-Certifiers VBR-PurgeFields VBR-TrustedCertifiers
    VBR-TrustedCertifiersOnly VBR-Type WeakSyntaxChecks X-Header
"""
"""Every option that `opendkim -n` of 2.11.0 does not call unrecognized (Debian 2.11.0~beta2)."""

MAN_PAGE_ONLY = """
    IdentityHeader IdentityHeaderRemove POPDBFile ResignAll ResignMailTo SMTPURI
    StatisticsPolicyScript
"""
"""Options of opendkim.conf(5) that are not compiled in there."""

READ_ELSEWHERE = {
    *("basedirectory", "domain", "keyfile", "keytable", "mode", "selector", "signingtable"),
    *("subdomains", "umask"),
}
"""Options that no rule of their own, but the conversion of keys, modes and sockets reads."""


@pytest.mark.parametrize("name", (OPENDKIM_2_11 + MAN_PAGE_ONLY).split())
def test_every_option_of_opendkim_is_known(name: str) -> None:
    assert KNOWN[name.lower()].name == name


def test_every_option_is_mapped_or_has_a_reason() -> None:
    ruled = {name.lower() for names in (*SERVICE_RULES, *SIGNING_RULES) for name in names.split()}
    for key, known in KNOWN.items():
        if known.fate is Fate.MAPPED:
            assert key in ruled | READ_ELSEWHERE, known.name
            assert not known.why
        else:
            assert key not in ruled, known.name
            assert known.why
            assert not known.why.endswith(".")
