import base64

import pytest

from tests.testbed.logins import answer


def plain(name: str, password: str) -> str:
    response = base64.b64encode(f"\0{name}\0{password}".encode()).decode()
    return f"AUTH\t7\tPLAIN\tservice=smtp\tresp={response}"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (plain("alice", "right"), "OK\t7\tuser=alice"),
        (plain("alice", "wrong"), "FAIL\t7\tuser=alice"),
        (plain("bob", "right"), "FAIL\t7\tuser=bob"),
        ("AUTH\t8\tPLAIN\tservice=smtp", "CONT\t8\t"),
        ("CONT\t7\tAGFsaWNlAHJpZ2h0", "OK\t7\tuser=alice"),
        ("CONT\t8\t%%%", "FAIL\t8\treason=not a PLAIN response"),
        ("AUTH\t8\tPLAIN\tresp=%%%", "FAIL\t8\treason=not a PLAIN response"),
        ("AUTH\t8\tPLAIN\tresp=YQ==", "FAIL\t8\treason=not a PLAIN response"),
        ("VERSION\t1\t1", ""),
        ("CPID\t99", ""),
    ],
)
def test_a_line_has_its_answer(line: str, expected: str) -> None:
    assert answer({"alice": "right"}, line) == expected
