"""Senders that change with each message: one key for one, two for two."""

from __future__ import annotations

import time

import pytest

from policyd.bounces import stable_sender

ONE = {
    "SRS0-": (
        "SRS0-aBcD=X1=example.com=user@fwd.example",
        "SRS0-zZ9/=X2=example.com=user@fwd.example",
    ),
    "SRS0=": (
        "SRS0=aB+D=X1=example.com=user@fwd.example",
        "srs0=zZ9/=X2=example.com=user@fwd.example",
    ),
    "SRS0+": (
        "SRS0+aBcD=X1=example.com=user@fwd.example",
        "SRS0+zZ9y=X2=example.com=user@fwd.example",
    ),
    "SRS1=": (
        "SRS1=aBcD=fwd1.example==HhHh=X1=example.com=user@fwd2.example",
        "SRS1=zZ9y=fwd1.example==KkKk=X2=example.com=user@fwd2.example",
    ),
    "SRS1 of SRS0+": (
        "SRS1+aBcD=fwd1.example=+HhHh=X1=example.com=user@fwd2.example",
        "SRS1+zZ9y=fwd1.example=+KkKk=X2=example.com=user@fwd2.example",
    ),
    "SRS1 of SRS0-": (
        "SRS1-aBcD=fwd1.example=-HhHh=X1=example.com=user@fwd2.example",
        "SRS1-zZ9y=fwd1.example=-KkKk=X2=example.com=user@fwd2.example",
    ),
    "SRS of a bounce address": (
        "SRS0=aBcD=X1=list.example.com=bounce-1184-77@fwd.example",
        "SRS0=zZ9y=X2=list.example.com=bounce-1185-78@fwd.example",
    ),
    "Exchange Online, SRS": (
        "user+SRS=6BvEq=4W=sender.example=anna@contoso.onmicrosoft.com",
        "user+SRS=xQ0tZ=4X=sender.example=anna@contoso.onmicrosoft.com",
    ),
    "Exchange Online, SRS of a relay": (
        "bounces+SRS=44ldt=IX@contoso.example",
        "bounces+SRS=9xPqm=IY@contoso.example",
    ),
    "BATV": ("prvs=0123a4b5c6=alice@example.org", "prvs=01240f9e8d=alice@example.org"),
    "BATV, the other way round": (
        "prvs=christophe=0123a4b5c6@example.org",
        "prvs=christophe=01240f9e8d@example.org",
    ),
    "BATV with a slash": ("prvs=alice/0123a4b5c6@example.org", "prvs=alice/01240f9e8d@example.org"),
    "BATV of Cisco": ("prvs=57843c96f=alice@example.org", "prvs=5790aa01b=alice@example.org"),
    "BATV of a bounce address": (
        "prvs=0123a4b5c6=bounce-17-18@example.org",
        "prvs=01240f9e8d=bounce-19-20@example.org",
    ),
    "BATV of Barracuda": (
        "btv1==123aba5b6cd7e==alice@example.org",
        "btv1==124fbb9c0aa11==alice@example.org",
    ),
    "Amazon SES": (
        "0100018b2c3d4e5f-1a2b3c4d-1234-5678-9abc-def012345678-000000@amazonses.example",
        "0100018b2c3d4e60-9a8b7c6d-4321-8765-cba9-fed012345678-000000@amazonses.example",
    ),
    "Amazon SES, its own domain": (
        "010201890a1b2c3d-0f1e2d3c-1111-2222-3333-444455556666-000000@eu-west-1.amazonses.com",
        "010201890a1b2c99-9f8e7d6c-1111-2222-3333-444455556666-000000@eu-west-1.amazonses.com",
    ),
    "Amazon": (
        "2024011512345600c5f1ab4fd04cf8a2d0e1f2b3c0p0eu@bounces.amazon.example",
        "2024011612345611d6e2bc5fe15da9b3e1f2a3c4d0p0eu@bounces.amazon.example",
    ),
    "SendGrid": (
        "bounces+1234567-ab12-bob=example.org@em1234.shop.example",
        "bounces+1234567-9f0c-bob=example.org@em1234.shop.example",
    ),
    "Mailgun": (
        "bounce+a1b2c3.d4e5f6-bob=example.org@mg.shop.example",
        "bounce+0f9e8d.7c6b5a-bob=example.org@mg.shop.example",
    ),
    "Mailchimp": (
        "bounce-mc.us2_12345678.1234567-abcdef1234@mail12.suw11.mcsv.net",
        "bounce-mc.us2_12345678.7654321-0fedcba987@mail77.atl51.mcsv.net",
    ),
    "Mandrill": (
        "bounce-md_30505209.5f7c6c7d.v1-0a1b2c3d4e5f60718293a4b5c6d7e8f9@mandrillapp.com",
        "bounce-md_30505209.5f7c9999.v1-ffeeddccbbaa00112233445566778899@mandrillapp.com",
    ),
    "Salesforce": (
        "anna=shop.example__2wq9k3h8x3k1z5vk@r4.b-18pu2mae.eu16.bnc.salesforce.com",
        "anna=shop.example__0lp4m1zz7y2q8t3c@x9.b-18pu2mae.eu16.bnc.salesforce.com",
    ),
    "Salesforce Marketing Cloud": (
        "bounce-213_HTML-64210321-8811-7289141-0@bounce.e.shop.example",
        "bounce-214_HTML-64210399-8812-7289141-7@bounce.e.shop.example",
    ),
    "SparkPost": (
        "msprvs1=19687tAbCdEf=bounces-1-2@example.com",
        "msprvs1=19688tXyZaBc=bounces-1-2@example.com",
    ),
    "Postmark": ("pm_bounces@pm.mtasv.net", "pm_bounces@pm.mtasv.net"),
    "Mailjet": (
        "8b1d9a4c.AAAAAByfxuMAAAAAAAAAALq0ABlRKAA1AAAAAAS3pQBlc1eB@a.bnc.mailjet.com",
        "0fe1a2b3.AVUAAABXxx8AAAAAAAAAAMm1ACmSLBB2AAAAAAT4qRCmd2fC@a.bnc.mailjet.com",
    ),
    "Brevo": (
        "bounces-78902345-bob=example.org@bz.d.sender-sib.com",
        "bounces-78902399-bob=example.org@bz.d.sender-sib.com",
    ),
    "HubSpot": (
        "1axbq7o5l4wnfh9u1a4zsvc8iobrxa1ykq-bob=example.org@bf01.eu1.hubspotemail.net",
        "1axc00o9k3wmgh2u7a1ysvd4iocrxb2zlr-bob=example.org@bf01.eu1.hubspotemail.net",
    ),
    "LinkedIn": (
        "m-4Gn3uXk2Qa9ZtP0rLw7vBc@bounce.linkedin.com",
        "m-7Hp5vYl4Rb1AuQ2sMx9wCd@bounce.linkedin.com",
    ),
    "Google": (
        "3Lk1bZAgTBU4ijmj-mZkgtbjjbgZ.XjhWjWZi@scoutcamp.bounces.google.com",
        "3Qp7cXBhUCV5jknk-nAlhuckkchA.YkiXkXAj@scoutcamp.bounces.google.com",
    ),
    "Constant Contact": (
        "A8xKfT9GySTe_h7jvvGz8CQ==_1011274867190_xkmCa3HDEeOnuNSuUqNHPw==@in.constantcontact.com",
        "B9yLgU+HzTUf/i8kwwHa9DR==_1011274867190_ylnDb4IEFfPovOTvVrOIQx==@in.constantcontact.com",
    ),
    "Acoustic": (
        "v-dbcbkim_ljdhkcn_cokkhmh_cokkhmh_a@bounce.shop.example",
        "v-ecdclji_mkehlco_dpllini_dpllini_a@bounce.shop.example",
    ),
    "Marketo": (
        "123-ABC-456.0.12345.0.0.6789.9.1234567-bob=example.org@em-sj-77.mktomail.com",
        "123-ABC-456.0.12399.0.0.6799.9.7654321-bob=example.org@em-sj-77.mktomail.com",
    ),
    "Gmail, forwarding": (
        "anna+caf_=bob=example.org@gmail.com",
        "anna+caf_=bob=example.org@gmail.com",
    ),
    "Google Groups": (
        "group+bncBCQ7L3XU2EORBMUJ5WFQMGQEK5XZ3QA@googlegroups.com",
        "group+bncBDR8M4YV3FPSCNVK6XGRNHRFL6YA4RB@googlegroups.com",
    ),
    "ezmlm": (
        "list-return-123-bob=example.org@lists.example",
        "list-return-124-bob=example.org@lists.example",
    ),
    "ezmlm, to a qmail that writes the recipient": (
        "list-return-123-@lists.example-@[]",
        "list-return-124-@lists.example-@[]",
    ),
    "ezmlm, confirmation": (
        "list-sc.1700000000.abcdefghijklmnopabcd-bob=example.org@lists.example",
        "list-sc.1700000999.ponmlkjihgfedcbaponm-bob=example.org@lists.example",
    ),
    "Mailman": (
        "list-bounces+bob=example.org@lists.example",
        "list-bounces+bob=example.org@lists.example",
    ),
    "Mailman, confirmation": (
        "list-confirm+0a1b2c3d4e5f@lists.example",
        "list-confirm+9f8e7d6c5b4a@lists.example",
    ),
    "Sympa": (
        "bounce+bob==a==example.org==news@lists.example",
        "bounce+bob==a==example.org==news@lists.example",
    ),
    "numbers between underscores": ("bounce_1184_x@example.com", "bounce_1185_x@example.com"),
    "a number in the middle": ("shop_1184_x@example.com", "shop_1185_x@example.com"),
    "numbers at the end": ("bounce-12345-678@x.example", "bounce-12346-679@x.example"),
    "a bounce domain": ("shop-17@bounce.shop.example", "shop-18@bounce.shop.example"),
    "a hash at the end": ("msg-0a1b2c3d4e5f@bulk.example", "msg-5f4e3d2c1b0a@bulk.example"),
    "a short hash": ("bounce-0a1b2c@shop.example", "bounce-9f8e7d@shop.example"),
    "UUID": (
        "0f1e2d3c-1111-4222-8333-444455556666@shop.example",
        "9f8e7d6c-aaaa-4bbb-8ccc-ddddeeeeffff@shop.example",
    ),
    "a long hash alone": (
        "0a1b2c3d4e5f60718293a4b5c6d7e8f9@shop.example",
        "ffeeddccbbaa00112233445566778899@shop.example",
    ),
    "Campaign Monitor": (
        "shop-klyjhldlyhdkjdkhr@cmail19.com",
        "shop-trqwhldlyhdkjdkhy@cmail20.com",
    ),
    "Mailchimp, another pool": (
        "bounce-mc.us19_123456789.9876543-a1b2c3d4e5@mail198.atl61.mcsv.net",
        "bounce-mc.us19_123456789.9876544-b1b2c3d4e5@mail33.sea21.rsgsv.net",
    ),
    "Mailjet, few digits": (
        "12ab34cd.AAAAABCDEFGAAAAAAAAAAAAABCDEAAAABCDEAAAAAAAFGHIJABlMnOpQ@a2.bnc3.mailjet.com",
        "99ab34cd.AAAAZZCDEFGAAAAAAAAAAAAABCDEAAAABCDEAAAAAAAFGHIJABlMnOpR@a2.bnc3.mailjet.com",
    ),
    "HubSpot, a short hash": (
        "1ax8xyz3fzg-bob=example.org@bf10x.hubspotemail.net",
        "1ax9xyw4fzh-bob=example.org@bf10x.hubspotemail.net",
    ),
    "HubSpot, a hash with few digits": (
        "1axbzabcdefgh12345678901234567890abcdefgh-bob=example.org@1234m.shop.example",
        "1axczbbcdefgh99345678901234567890abcdefgh-bob=example.org@1234m.shop.example",
    ),
    "Twitter": (
        "n0123456789-1a2b3c4d5e6f7890-bob===example.org@bounce.twitter.com",
        "n9923456789-9a2b3c4d5e6f7890-bob===example.org@bounce.twitter.com",
    ),
    "LinkedIn, lower case": (
        "s-4gn3uxk2qa9ztp0rlw7vbcxyz_defghijklmnopqrstu@bounce.linkedin.com",
        "s-7hp5vyl4rb1auq2smx9wcdxyz_zzfghijklmnopqrstu@bounce.linkedin.com",
    ),
    "BlueHornet": (
        "bounce-use=M=63749012345=echo4=0a1b2c3d4e5f@returnpath.example.com",
        "bounce-use=M=63749099999=echo4=9f8e7d6c5b4a@returnpath.example.com",
    ),
    "ezmlm, warning": (
        "list-return-1700000000.abcdefghijklmnopabcd.1234-bob=example.org@lists.example",
        "list-return-1700000099.ponmlkjihgfedcbaponm.1235-bob=example.org@lists.example",
    ),
    "a number right behind the word": ("bounce1184@shop.example", "bounce1185@shop.example"),
    "the same beside another word": ("bounces1184-x@s.example", "bounces1185-x@s.example"),
    "numbers between = signs": ("bounce=1184=x@shop.example", "bounce=1185=x@shop.example"),
    "a number alone in a bounce domain": ("1184@bounce.s.example", "1185@bounce.s.example"),
    "a hash alone in a bounce domain": ("0b7f9d4e@bounce.s.example", "ab12cd3e@bounce.s.example"),
    "Base64 in a bounce domain": (
        "V2h5U29TZXJpb3Vz@bounce.s.example",
        "QWxsWW91ckJhc2U1@bounce.s.example",
    ),
    "an extension": ("alice+1@example.org", "alice+2@example.org"),
}
TWO = (
    ("+4930123456@fax.example", "+4930123457@fax.example"),
    ("news24@example.org", "news25@example.org"),
    ("shop-one@bounce.s.example", "shop-two@bounce.s.example"),
    ("12345@email.example.org", "12346@email.example.org"),
    ("shop-klyjhldlyhdkjdkhr@cmail19.com", "club-klyjhldlyhdkjdkhr@cmail19.com"),
    *(("user123@gmail.com", "user124@gmail.com"), ("john.1984@gmail.com", "john.1985@gmail.com")),
    *(("user123@example.org", "user124@example.org"), ("john.1@example.org", "john.2@example.org")),
    *(("12345678@qq.com", "87654321@qq.com"), ("4917100001@example.org", "4917100002@example.org")),
    *(
        ("info-2@example.org", "info-3@example.org"),
        ("a1b2c3d4@example.org", "a1b2c3d5@example.org"),
    ),
    *(("john_123456@web.de", "john_123457@web.de"), ("anna.b.1@gmx.de", "anna.b.2@gmx.de")),
    ("SRS0+aBcD=X1=example.com=anna@f.example", "SRS0+zZ9y=X1=example.net=bert@f.example"),
    ("SRS0=aBcD=X1=example.com=anna@f.example", "SRS0=aBcD=X1=example.com=bert@f.example"),
    ("SRS0=aBcD=X1=gmail.com=anna1@f.example", "SRS0=aBcD=X1=gmail.com=anna2@f.example"),
    ("SRS0=aBcD=X1=gmail.com=a.1984@f.example", "SRS0=aBcD=X1=gmail.com=a.1985@f.example"),
    (
        "SRS1=a=f1.example==b=X1=x.com=anna@f2.example",
        "SRS1=a=f1.example==b=X1=x.com=bert@f2.example",
    ),
    ("u+SRS=aBcD=X1=x.com=anna@c.onmicrosoft.com", "u+SRS=aBcD=X1=x.com=bert@c.onmicrosoft.com"),
    ("prvs=0123a4b5c6=alice@example.org", "prvs=0123a4b5c6=bob@example.org"),
    ("bounces+1234567-ab12-b=x.org@sendgrid.net", "bounces+7654321-ab12-b=x.org@sendgrid.net"),
    ("bounce-mc.us2_1.5-a@m.mcsv.net", "bounce-mc.us2_2.5-a@m.mcsv.net"),
    ("anna=a.example__0a@x.bnc.salesforce.com", "bert=a.example__0a@x.bnc.salesforce.com"),
    ("msprvs1=19687tAb=bounces-1-2@s.example", "msprvs1=19687tAb=bounces-1-3@s.example"),
    ("bounce+b==a==x.org==one@l.example", "bounce+b==a==x.org==two@l.example"),
    ("one-return-1-b=x.org@l.example", "two-return-1-b=x.org@l.example"),
    ("one-bounces+b=x.org@l.example", "two-bounces+b=x.org@l.example"),
    ("anna+caf_=b=x.org@gmail.com", "bert+caf_=b=x.org@gmail.com"),
    ("group1+bncA@googlegroups.com", "group2+bncA@googlegroups.com"),
    ("bounce-1@one.example", "bounce-1@two.example"),
)


@pytest.mark.parametrize(("one", "other"), ONE.values(), ids=ONE.keys())
def test_two_messages_of_one_sender_have_one_key(one: str, other: str) -> None:
    assert stable_sender(one) == stable_sender(other)


@pytest.mark.parametrize(("one", "other"), TWO)
def test_two_senders_have_two_keys(one: str, other: str) -> None:
    assert stable_sender(one) != stable_sender(other)


@pytest.mark.parametrize(
    ("sender", "stable"),
    [
        ("Alice@Example.ORG", "alice@example.org"),
        ("", ""),
        ("postmaster", "postmaster"),
        ("bounce-12345-678@lists.example.org", "bounce-#-#@lists.example.org"),
        ("alice+tag@example.org", "alice@example.org"),
        ("prvs=0123456789=alice@example.org", "alice@example.org"),
        ("prvs=alice=0123456789@example.org", "alice@example.org"),
        ("srs0=ab3d=xy=example.net=bob@example.org", "srs0=#=#=example.net=bob@example.org"),
        ("msg-0a1b2c3d4e5f@bulk.example.org", "msg-#@bulk.example.org"),
        ("user2@example.org", "user2@example.org"),
        ("+x@example.org", "+x@example.org"),
        ("MicrosoftExchange329e71ec88ae4615bbc36ab6ce41109e@example.org",) * 2,
        ("no-reply@example.org", "no-reply@example.org"),
        ("SRS0+aBcD=X1=example.com=anna@f.example", "srs0=#=#=example.com=anna@f.example"),
        ("user@" + "x" * 2000, "user@" + "x" * 2000),
    ],
)
def test_what_stays(sender: str, stable: str) -> None:
    assert stable_sender(sender) == stable.lower()


@pytest.mark.parametrize(
    "part", ["SRS0=a=b=c=", "prvs=0123456789=", "a=", "1_", "+", "=", "aB1", "-"]
)
def test_no_sender_takes_long(part: str) -> None:
    begin = time.process_time()
    stable_sender(part * (1000 // len(part)) + "@example.org")
    assert time.process_time() - begin < 0.1
