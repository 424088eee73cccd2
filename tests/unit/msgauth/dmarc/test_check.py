"""DMARC of whole messages: the golden cases of tests/vectors/dmarc, and hostile input."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.dns import Zone
from msgauth.ask import Answer, Question, Rcode
from msgauth.dmarc import Author, DmarcResult, Policy, check_dmarc, find_author
from msgauth.dmarc.walk import MAX_QUERIES, Walker, targets
from msgauth.drive import solve
from msgauth.results import DkimStatus, DmarcStatus, SpfStatus
from msgauth.spf import SpfResult

VECTORS = Path(__file__).parents[3] / "vectors" / "dmarc"


@dataclass(frozen=True)
class Signed:
    status: DkimStatus
    domain: str


def golden() -> list[Any]:
    cases = []
    for path in sorted(VECTORS.glob("*.toml")):
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        zone = Zone.of(data["zone"])
        cases += [pytest.param(zone, c, id=f"{path.stem}: {c['what']}") for c in data["case"]]
    return cases


def signatures(case: dict[str, Any]) -> list[Signed]:
    split = (text.split() for text in case.get("dkim", []))
    return [Signed(DkimStatus(status), domain) for status, domain in split]


def spf_result(case: dict[str, Any]) -> SpfResult | None:
    for key in ("spf", "helo"):
        if key in case:
            status, domain = case[key].split()
            identity = "helo" if key == "helo" else "mailfrom"
            return SpfResult("spf", SpfStatus(status), identity=identity, domain=domain)  # type: ignore[arg-type]
    return None


@pytest.mark.parametrize(("zone", "case"), golden())
def test_golden_case(zone: Zone, case: dict[str, Any]) -> None:
    asked: list[str] = []

    def resolve(question: Question) -> Answer:
        if question.name.startswith("_dmarc."):
            assert question.rdtype == "TXT"
            name = question.name.removeprefix("_dmarc.")
            answer = zone.resolve(question)
            # of several authors, what had no answer is asked for once more
            if answer.rcode is not Rcode.TEMPFAIL or len(author.domains) == 1 or name not in asked:
                asked.append(name)
            return answer
        return zone.resolve(question)

    domains = [case["from"]] if isinstance(case["from"], str) else case["from"]
    value = ", ".join(f"<someone@{domain}>" for domain in domains)
    author = find_author([value.encode()])
    result = solve(check_dmarc(author, signatures(case), spf_result(case)), resolve)
    assert result.status == case["status"], result.reason
    assert len(asked) == len(set(asked))
    found = {
        "author": result.author_domain,
        "reason": result.reason,
        "policy_domain": result.policy_domain,
        "policy": f"{result.policy_tag}={result.published}",
        "disposition": result.disposition,
        "aligned": [f"{a.method} {a.domain}" for a in result.alignments if a.aligned],
        "properties": [f"{p.ptype}.{p.name}={p.value}" for p in result.properties],
        "asked": asked,
    }
    assert found == found | {key: case[key] for key in found if key in case}
    if result.status not in (DmarcStatus.FAIL, DmarcStatus.TEMPERROR):
        assert result.disposition is Policy.NONE


def check(zone: Zone, domain: str, *passed: str) -> tuple[DmarcResult, list[Question]]:
    asked: list[Question] = []

    def resolve(question: Question) -> Answer:
        asked.append(question)
        return zone.resolve(question)

    signed = [Signed(DkimStatus.PASS, name) for name in passed]
    return solve(check_dmarc(Author((domain,)), signed, None), resolve), asked


def test_a_message_without_a_readable_author_is_a_permanent_error_and_asks_nothing() -> None:
    for fields in ([], [b"a@b.example", b"c@d.example"], [b"<a@b.example> c@d.example"]):
        with pytest.raises(StopIteration) as done:
            next(check_dmarc(find_author(fields), [], None))
        assert done.value.value.status is DmarcStatus.PERMERROR
        assert done.value.value.reason


def test_a_record_below_a_hundred_texts_is_found() -> None:
    texts = [f"text {n}" for n in range(99)] + ["v=DMARC1; p=reject"]
    result, _ = check(Zone.of({"_dmarc.a.example": {"TXT": texts}}), "a.example")
    assert result.disposition is Policy.REJECT
    texts = ["v=DMARC1; p=reject"] * 100
    result, _ = check(Zone.of({"_dmarc.a.example": {"TXT": texts}}), "a.example")
    assert result.status is DmarcStatus.NONE


def test_many_signatures_of_one_organization_ask_a_bounded_number_of_questions() -> None:
    zone = Zone.of({"_dmarc.a.example": {"TXT": "v=DMARC1; p=reject; psd=n"}})
    labels = ".".join("abcdefgh")
    names = [f"{n}.{labels}.b.example" for n in range(1000)]
    result, asked = check(zone, "a.example", *names)
    assert result.status is DmarcStatus.FAIL
    assert len(asked) == 1  # none of them is at or below the organization
    zone = Zone.of({"_dmarc.example": {"TXT": "v=DMARC1; p=reject"}})
    result, asked = check(zone, "a.example", *names)
    assert result.status is DmarcStatus.PASS
    assert len(asked) < 40


def test_a_name_of_the_greatest_length_is_walked() -> None:
    name = ".".join(["a"] * 126)
    assert len(targets(name)) == MAX_QUERIES
    _, asked = check(Zone.of({}), name)
    assert len(asked) == MAX_QUERIES


@pytest.mark.parametrize("labels", range(1, 12))
def test_a_walk_asks_for_the_name_and_at_most_the_seven_above(labels: int) -> None:
    name = ".".join(f"l{n}" for n in range(labels))
    names = targets(name)
    assert names[0] == name
    assert len(names) == min(labels, MAX_QUERIES)
    assert names[-1] == f"l{labels - 1}"
    assert [n.count(".") for n in names[1:]] == list(range(len(names) - 2, -1, -1))


DOMAINS = ["x.a.example", "a.example", "y.a.example", "b.example", "example", "z.example"]
RECORDS = st.sampled_from(
    [
        "v=DMARC1; p=reject; np=none",
        "v=DMARC1; p=none; sp=reject; t=y",
        "v=DMARC1; p=quarantine; psd=y",
        "v=DMARC1; p=reject; psd=n; adkim=s",
        "v=DMARC1",
        "x",
    ]
)
TABLES = st.one_of(
    st.just({"rcode": "tempfail"}),
    st.lists(RECORDS, max_size=2).map(lambda texts: {"TXT": texts}),
)


@given(
    st.dictionaries(st.sampled_from([f"_dmarc.{name}" for name in DOMAINS] + DOMAINS), TABLES),
    st.lists(st.sampled_from(DOMAINS), min_size=1, max_size=6, unique=True),
    st.lists(st.tuples(st.sampled_from(DkimStatus), st.sampled_from([*DOMAINS, "", "?"]))),
    st.none() | st.tuples(st.sampled_from(SpfStatus), st.sampled_from(DOMAINS)),
)
def test_a_pass_has_an_aligned_identifier_and_a_fail_has_a_policy(
    tables: dict[str, Any],
    domains: list[str],
    signed: list[tuple[DkimStatus, str]],
    sender: tuple[SpfStatus, str] | None,
) -> None:
    zone = Zone.of(tables)
    spf = SpfResult("spf", sender[0], domain=sender[1]) if sender else None
    lookup = check_dmarc(Author(tuple(domains)), [Signed(*s) for s in signed], spf)
    result = solve(lookup, zone.resolve)
    if result.status is DmarcStatus.PASS:
        assert any(a.aligned for a in result.alignments)
        for alignment in (a for a in result.alignments if a.aligned):
            # relaxed alignment is having one organization: found by walks of its own
            if alignment.domain != result.author_domain:
                walker = Walker()
                ours = solve(walker.organizational_domain(result.author_domain), zone.resolve)
                assert ours == solve(walker.organizational_domain(alignment.domain), zone.resolve)
    if result.status is DmarcStatus.FAIL:
        assert result.record is not None
        assert result.policy_tag in ("p", "sp", "np")
        assert result.disposition.severity <= result.published.severity
        assert not any(a.aligned for a in result.alignments)


FAILING = st.lists(
    st.sampled_from([f"_dmarc.{name}" for name in DOMAINS] + DOMAINS), max_size=6, unique=True
)


@given(
    st.dictionaries(
        st.sampled_from([f"_dmarc.{name}" for name in DOMAINS] + DOMAINS),
        st.lists(RECORDS, max_size=2).map(lambda texts: {"TXT": texts}),
    ),
    FAILING,
    st.sampled_from(DOMAINS),
    st.lists(st.tuples(st.sampled_from(DkimStatus), st.sampled_from([*DOMAINS, "e.test"]))),
    st.none() | st.tuples(st.sampled_from(SpfStatus), st.sampled_from(DOMAINS)),
)
def test_answers_that_do_not_come_never_undo_a_policy_that_is_known(
    tables: dict[str, Any],
    failing: list[str],
    domain: str,
    signed: list[tuple[DkimStatus, str]],
    sender: tuple[SpfStatus, str] | None,
) -> None:
    """Names that the sender chose fail; the records of the author domain and above are there."""
    own = {f"_dmarc.{name}" for name in targets(domain)}
    broken = {name: {"rcode": "tempfail"} for name in failing if name not in own}

    def result_of(zone: dict[str, Any], *, temporary: bool) -> DmarcResult:
        results = [
            Signed(DkimStatus.FAIL if status == "temperror" and not temporary else status, name)
            for status, name in signed
        ]
        spf = None
        if sender:
            status = sender[0]
            if status == "temperror" and not temporary:
                status = SpfStatus.FAIL
            spf = SpfResult("spf", status, domain=sender[1])
        return solve(check_dmarc(Author((domain,)), results, spf), Zone.of(zone).resolve)

    answered = result_of(tables, temporary=False)
    silent = result_of({**tables, **broken}, temporary=True)
    if answered.status is DmarcStatus.FAIL and answered.disposition is not Policy.NONE:
        assert silent.status in (DmarcStatus.FAIL, DmarcStatus.TEMPERROR)
        assert silent.disposition.severity >= answered.disposition.severity
    if silent.status is DmarcStatus.PASS:
        assert answered.status is DmarcStatus.PASS
