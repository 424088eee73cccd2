"""Findings in main.cf and master.cf, one change at a time."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from gatepost.listen import Inet, Unix
from tests.unit.gatepost.postfix.installed import (
    REINJECTION,
    REST,
    SMTP,
    SUBMISSION,
    brief,
    found,
    installation,
)

MAIN = "main.cf"
POLICY = "check_policy_service inet:127.0.0.1:10023"
BOTH = (SMTP, SUBMISSION, *REST)
SUBMITTING = {
    "smtpd_relay_restrictions": "permit_sasl_authenticated, reject",
    "smtpd_recipient_restrictions": "",
    "milter_macro_daemon_name": "ORIGINATING",
}
Findings = list[tuple[str, str, str]]


def test_nothing_is_wrong_with_what_the_readme_says() -> None:
    assert found(installation()) == []
    assert found(installation(services=BOTH, overrides={"submission": SUBMITTING})) == []


def test_each_finding_is_one_line_with_the_line_to_set() -> None:
    (finding,) = found(installation({"milter_default_action": "accept"}))
    assert str(finding) == (
        "error: main.cf: milter_default_action: it is accept: while the milter is down, mail "
        'is sent unsigned and accepted unchecked; write "milter_default_action = tempfail"'
    )


# one change to main.cf, and what is found
CHANGES: list[tuple[Mapping[str, str], Findings]] = [
    ({"smtpd_forbid_bare_newline": "no"}, [("error", MAIN, "smtpd_forbid_bare_newline")]),
    ({"smtpd_forbid_bare_newline": "note"}, [("error", MAIN, "smtpd_forbid_bare_newline")]),
    ({"smtpd_forbid_bare_newline": "reject"}, []),
    ({"smtpd_data_restrictions": ""}, [("warning", MAIN, "smtpd_data_restrictions")]),
    ({"smtpd_data_restrictions": "", "smtpd_forbid_unauth_pipelining": "yes"}, []),
    ({"smtpd_data_restrictions": "permit_mynetworks reject_unauth_pipelining"}, []),
    (
        {"smtpd_data_restrictions": "permit, reject_unauth_pipelining"},
        [("warning", MAIN, "smtpd_data_restrictions")],
    ),
    (
        {"smtpd_data_restrictions": "warn_if_reject reject_unauth_pipelining"},
        [("warning", MAIN, "smtpd_data_restrictions")],
    ),
    ({"milter_default_action": "accept"}, [("error", MAIN, "milter_default_action")]),
    ({"milter_default_action": "reject"}, [("error", MAIN, "milter_default_action")]),
    ({"milter_default_action": "quarantine"}, [("warning", MAIN, "milter_default_action")]),
    ({"milter_default_action": "shutdown"}, []),
    (
        {"smtpd_milters": "{ inet:127.0.0.1:8891, default_action=accept }"},
        [("error", MAIN, "smtpd_milters")],
    ),
    (
        {
            "smtpd_milters": "{ inet:localhost:8891, {default_action = tempfail} }",
            "non_smtpd_milters": "{ inet:127.0.0.1:8891 default_action=tempfail }",
            "milter_default_action": "accept",
        },
        [],
    ),
    ({"smtpd_milters": ""}, [("error", MAIN, "smtpd_milters")]),
    ({"non_smtpd_milters": ""}, [("warning", MAIN, "non_smtpd_milters")]),
    (
        {"smtpd_milters": "", "non_smtpd_milters": ""},
        [("error", MAIN, "smtpd_milters")],
    ),
    (
        {"smtpd_milters": "inet:127.0.0.1:8892", "non_smtpd_milters": "inet:127.0.0.1:8892"},
        [("error", MAIN, "smtpd_milters")],
    ),
    (
        {"smtpd_milters": "inet:192.0.2.1:8891", "non_smtpd_milters": ""},
        [("error", MAIN, "smtpd_milters")],
    ),
    ({"smtpd_milters": "inet:localhost:11332, inet:127.0.0.1:8891"}, []),
    (
        {"receive_override_options": "no_address_mappings no_milters"},
        [("error", MAIN, "receive_override_options")],
    ),
    (
        {"smtpd_milter_maps": "cidr:/etc/postfix/milter_maps"},
        [("warning", MAIN, "smtpd_milter_maps")],
    ),
    ({"milter_content_timeout": "20s"}, [("warning", MAIN, "milter_content_timeout")]),
    ({"milter_content_timeout": "1m"}, []),
    ({"milter_content_timeout": "${broken"}, []),
    (
        {"smtpd_milters": "{ inet:127.0.0.1:8891, content_timeout=10 }"},
        [("warning", MAIN, "smtpd_milters")],
    ),
    ({"milter_protocol": "2"}, [("warning", MAIN, "milter_protocol")]),
    (
        {"smtpd_milters": "{ inet:127.0.0.1:8891, protocol=4 }"},
        [("warning", MAIN, "smtpd_milters")],
    ),
    (
        {"milter_macro_defaults": "j=x, {auth_authen}=nobody"},
        [("error", MAIN, "milter_macro_defaults")],
    ),
    ({"milter_macro_defaults": "{{auth_author} = x}"}, []),
    (
        {"milter_macro_defaults": "{ {auth_authen} = x }"},
        [("error", MAIN, "milter_macro_defaults")],
    ),
    (
        {"disable_mime_output_conversion": "no"},
        [("warning", MAIN, "disable_mime_output_conversion")],
    ),
    ({"smtp_line_length_limit": "990"}, [("warning", MAIN, "smtp_line_length_limit")]),
    ({"smtp_line_length_limit": "0"}, [("warning", MAIN, "smtp_line_length_limit")]),
    ({"smtp_line_length_limit": "2048"}, [("warning", MAIN, "smtp_line_length_limit")]),
    (
        {"smtpd_recipient_restrictions": "permit_mynetworks, reject_unauth_destination"},
        [("warning", MAIN, "smtpd_recipient_restrictions")],
    ),
    (
        {"smtpd_recipient_restrictions": f"reject_unauth_destination, permit, {POLICY}"},
        [("error", MAIN, "smtpd_recipient_restrictions")],
    ),
    (
        {"smtpd_relay_restrictions": f"permit_mynetworks, {POLICY}, reject_unauth_destination"},
        [("error", MAIN, "smtpd_relay_restrictions")],
    ),
    (
        {"smtpd_sender_restrictions": POLICY},
        [("error", MAIN, "smtpd_sender_restrictions")],
    ),
    # who may relay is looked at first, since Postfix 3.6
    ({"smtpd_recipient_restrictions": f"permit_mynetworks, {POLICY}"}, []),
    (
        {
            "smtpd_recipient_restrictions": f"{POLICY}, reject_unauth_destination",
            "smtpd_relay_before_recipient_restrictions": "no",
        },
        [("error", MAIN, "smtpd_recipient_restrictions")],
    ),
    (
        {
            "smtpd_restriction_classes": "greylist, unused",
            "greylist": f"permit_dnswl_client list.example, {POLICY}",
            "smtpd_recipient_restrictions": "reject_unauth_destination greylist",
        },
        [],
    ),
    (
        {
            "smtpd_recipient_restrictions": "reject_unauth_destination, check_policy_service "
            "{ inet:localhost:10023, timeout=5s, default_action=DUNNO }"
        },
        [("warning", MAIN, "smtpd_recipient_restrictions")],
    ),
    (
        {
            "smtpd_recipient_restrictions": "reject_unauth_destination, CHECK_POLICY_SERVICE "
            "{ inet:localhost:10023, timeout=10s, default_action = OK }"
        },
        [],
    ),
    (
        {
            "smtpd_recipient_restrictions": "reject_unauth_destination, check_policy_service "
            "{ inet:localhost:10023, { default_action = OK } }"
        },
        [("error", MAIN, "smtpd_recipient_restrictions")],
    ),
    (
        {"smtpd_policy_service_default_action": "554 5.7.1 no"},
        [("error", MAIN, "smtpd_policy_service_default_action")],
    ),
    ({"smtpd_policy_service_default_action": "DUNNO"}, []),
    ({"smtpd_policy_service_timeout": "8s"}, [("warning", MAIN, "smtpd_policy_service_timeout")]),
    # broken lists are no reason to break
    (
        {"smtpd_recipient_restrictions": "check_policy_service"},
        [("warning", MAIN, "smtpd_recipient_restrictions")],
    ),
    (
        {"smtpd_milters": "{ inet:127.0.0.1:8891, default_action=accept"},
        [("error", MAIN, "smtpd_milters")],
    ),
    (
        {
            "smtpd_restriction_classes": "a b",
            "a": "b b b b b b b b b b b b",
            "b": "a a a a a a a a a a a a",
            "smtpd_recipient_restrictions": "a reject_unauth_destination " + POLICY,
        },
        [],
    ),
]


@pytest.mark.parametrize(("change", "expected"), CHANGES, ids=[str(one[0]) for one in CHANGES])
def test_one_change_to_main_cf(change: Mapping[str, str], expected: Findings) -> None:
    assert brief(installation(change)) == expected


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ({"smtpd_milters": ""}, ["smtpd_milters"]),
        ({"smtpd_milters": "inet:127.0.0.1:11332"}, ["smtpd_milters"]),
        ({"receive_override_options": "no_milters"}, ["receive_override_options"]),
        ({"milter_default_action": "accept"}, ["milter_default_action"]),
        ({"smtpd_forbid_bare_newline": "no"}, ["smtpd_forbid_bare_newline"]),
    ],
    ids=str,
)
def test_one_of_two_services_is_named(overrides: Mapping[str, str], expected: list[str]) -> None:
    postfix = installation(services=BOTH, overrides={"submission": {**SUBMITTING, **overrides}})
    assert brief(postfix) == [("error", "master.cf submission/inet", name) for name in expected]


def test_a_service_for_machines_of_our_own_may_have_its_reason() -> None:
    own = {"smtpd_milters": "", "smtpd_client_restrictions": "permit_mynetworks, reject"}
    postfix = installation(services=BOTH, overrides={"submission": own})
    assert brief(postfix) == [("warning", "master.cf submission/inet", "smtpd_milters")]


def test_main_cf_is_named_when_only_the_other_service_has_the_milter() -> None:
    own = {**SUBMITTING, "smtpd_milters": "inet:127.0.0.1:8891"}
    postfix = installation({"smtpd_milters": ""}, services=BOTH, overrides={"submission": own})
    (finding,) = found(postfix)
    assert (finding.level, finding.where, finding.parameter) == ("error", MAIN, "smtpd_milters")
    assert "it is empty for smtp:" in finding.why


@pytest.mark.parametrize(
    "own", [{"smtpd_milters": ""}, {"receive_override_options": "no_milters,no_address_mappings"}]
)
def test_mail_that_a_content_filter_hands_back_needs_no_milter(own: Mapping[str, str]) -> None:
    postfix = installation(
        services=(SMTP, REINJECTION, *REST),
        overrides={"127.0.0.1:10025": {**own, "smtpd_forbid_bare_newline": "no"}},
    )
    assert brief(postfix) == []


def test_what_is_handed_in_locally_may_pass_by() -> None:
    own = {"receive_override_options": "no_milters"}
    (finding,) = found(installation(overrides={"pickup": own}))
    assert (finding.where, finding.level) == ("master.cf pickup/unix", "warning")


def test_behind_postscreen_the_service_smtpd_counts() -> None:
    postfix = installation(
        {"smtpd_recipient_restrictions": "reject_unauth_destination"},
        services=(("smtp", "inet", "postscreen"), ("smtpd", "pass", "smtpd"), *REST),
    )
    assert "through smtpd" in str(found(postfix)[0])
    assert brief(postfix) == [("warning", MAIN, "smtpd_recipient_restrictions")]


@pytest.mark.parametrize(
    ("without", "line"),
    [
        (
            ["smtpd_forbid_bare_newline", "smtpd_forbid_bare_newline_reject_code"],
            "smtpd_discard_ehlo_keywords = chunking",
        ),
        (["smtpd_forbid_bare_newline_reject_code"], '"smtpd_forbid_bare_newline = yes"'),
    ],
    ids=["a Postfix without the parameter", "one that knows yes and no alone"],
)
def test_an_older_postfix(without: list[str], line: str) -> None:
    postfix = installation({"smtpd_forbid_bare_newline": "no"}, without=without)
    (finding,) = found(postfix)
    assert (finding.level, finding.where) == ("error", MAIN)
    assert line in finding.fix


def test_yes_is_enough_for_one_that_knows_no_normalize() -> None:
    without = ["smtpd_forbid_bare_newline_reject_code"]
    assert found(installation({"smtpd_forbid_bare_newline": "yes"}, without=without)) == []


UNIX = (Unix(Path("/var/spool/postfix/gatepost/milter")),)


@pytest.mark.parametrize(
    ("address", "chroot", "is_ours"),
    [
        ("unix:gatepost/milter", True, True),
        ("unix:gatepost/milter", False, True),
        ("local:gatepost//milter", True, True),
        ("unix:/gatepost/milter", True, True),
        ("unix:/gatepost/milter", False, False),
        ("unix:/var/spool/postfix/gatepost/milter", False, True),
        ("unix:/var/spool/postfix/gatepost/milter", True, False),
        ("unix:", True, False),
        ("inet:127.0.0.1:8891", True, False),
    ],
)
def test_a_unix_socket_in_and_out_of_a_chroot(address: str, chroot: bool, is_ours: bool) -> None:
    change = {"smtpd_milters": address, "non_smtpd_milters": address}
    postfix = installation(change, chroot=chroot)
    assert (brief(postfix, milters=UNIX) == []) == is_ours
    if not is_ours:
        assert '"smtpd_milters = unix:gatepost/milter"' in found(postfix, milters=UNIX)[0].fix


@pytest.mark.parametrize(
    ("listen", "address", "is_ours"),
    [
        (Inet("", 8891), "inet:192.0.2.1:8891", True),
        (Inet("127.0.0.1", 8891), "inet:localhost:8891", True),
        (Inet("::1", 8891), "inet:[::1]:8891", True),
        (Inet("::1", 8891), "inet:127.0.0.1:8891", False),
        (Inet("localhost", 8891), "inet:127.0.0.1:8891", True),
        (Inet("10.0.0.5", 8891), "inet:milters:8891", True),
        (Inet("10.0.0.5", 8891), "inet:localhost:8891", False),
        (Inet("127.0.0.1", 8891), "inet:127.0.0.1:milter", False),
        (Inet("127.0.0.1", 8891), "milters:8891", False),
        (Unix(Path("/var/run/gatepost/milter")), "unix:/run/gatepost/milter", True),
    ],
    ids=str,
)
def test_addresses(listen: Inet | Unix, address: str, is_ours: bool) -> None:
    change = {"smtpd_milters": address, "non_smtpd_milters": address}
    postfix = installation(change, chroot=False)
    assert (brief(postfix, milters=(listen,)) == []) == is_ours


def test_what_has_strangers_mail_signed() -> None:
    own = {"smtp": {"milter_macro_daemon_name": "ORIGINATING"}}
    postfix = installation(services=BOTH, overrides={"submission": SUBMITTING})
    assert brief(postfix, daemon_names=("ORIGINATING",)) == []
    assert brief(installation(overrides=own), daemon_names=("ORIGINATING",)) == [
        ("error", "master.cf smtp/inet", "milter_macro_daemon_name")
    ]
    assert brief(installation(), daemon_names=("ORIGINATING",)) == [
        ("warning", "master.cf", "milter_macro_daemon_name")
    ]
    always = (Inet("127.0.0.1", 8891),)
    assert brief(installation(), milters=(Inet("127.0.0.1", 8890),), submission=always) == [
        ("error", MAIN, "smtpd_milters")
    ]


@pytest.mark.parametrize(
    ("gatepost", "missing"),
    [
        ({}, ["smtpd_milters", "smtpd_recipient_restrictions"]),
        ({"has_milters": False}, ["smtpd_recipient_restrictions"]),
        ({"has_policyd": False}, ["smtpd_milters"]),
        ({"has_policyd": False, "has_milters": False}, []),
    ],
    ids=str,
)
def test_only_what_is_configured_is_missed(
    gatepost: Mapping[str, bool], missing: Sequence[str]
) -> None:
    postfix = installation(
        {"smtpd_milters": "", "non_smtpd_milters": "", "smtpd_recipient_restrictions": ""}
    )
    assert [parameter for _, _, parameter in brief(postfix, **gatepost)] == missing


def test_a_postfix_without_smtpd_or_without_anything() -> None:
    assert brief(installation(services=REST)) == []
    assert brief(installation(services=())) == []


def test_postfix_takes_no_more_than_is_scanned_for_viruses() -> None:
    size = {"message_size_limit": "52428800"}
    expected = [("warning", MAIN, "message_size_limit")]
    assert brief(installation(size)) == []
    assert brief(installation(size), scan_size=52428800) == []
    assert brief(installation(size), scan_size=25 << 20) == expected
    (finding,) = found(installation({"message_size_limit": "0"}), scan_size=25 << 20)
    assert finding.fix == 'write "message_size_limit = 26214400"'
