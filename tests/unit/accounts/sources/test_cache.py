from hypothesis import given
from hypothesis import strategies as st

from accounts.lookup.ask import Ask, DomainRow, LoginRow, MailboxRow, RowAnswer
from accounts.sources.cache import CacheLimits, Recalled, StaleCache

ASK = Ask("domain", "example.org")
ROW = DomainRow("example.org")
LIMITS = CacheLimits(keep=1000, keep_changed=100, trust_missing=10)


def noted(*pairs: tuple[Ask, RowAnswer], limits: CacheLimits = LIMITS) -> StaleCache:
    cache = StaleCache(limits)
    cache.note([ask for ask, _ in pairs], [answer for _, answer in pairs], 1, 0.0)
    return cache


def test_a_row_is_served_for_its_time() -> None:
    cache = noted((ASK, ROW))
    assert cache.recall(ASK, 1, 0) == Recalled(ROW, is_doubtful=False)
    assert cache.recall(ASK, 1, 1000) == Recalled(ROW, is_doubtful=False)
    assert cache.recall(ASK, 1, 1001) is None
    assert cache.recall(Ask("domain", "other.example"), 1, 0) is None
    assert cache.recall(Ask("wildcards", "example.org"), 1, 0) is None


def test_a_row_from_before_a_change_is_served_for_a_shorter_time() -> None:
    cache = noted((ASK, ROW))
    assert cache.recall(ASK, 2, 100) == Recalled(ROW, is_doubtful=False)
    assert cache.recall(ASK, 2, 101) is None
    cache.note([ASK], [ROW], 2, 101)  # the database says it again
    assert cache.recall(ASK, 2, 1101) == Recalled(ROW, is_doubtful=False)


def test_a_missing_row_becomes_doubtful() -> None:
    rights = Ask("rights", "a@example.org")
    cache = noted((ASK, None), (rights, ()))
    for ask in (ASK, rights):
        fresh, old = cache.recall(ask, 1, 10), cache.recall(ask, 1, 11)
        assert fresh is not None
        assert not fresh.is_doubtful
        assert old is not None
        assert old.is_doubtful
        assert cache.recall(ask, 1, 1001) is None


def test_the_last_answer_holds() -> None:
    cache = noted((ASK, ROW))
    cache.note([ASK], [None], 1, 1)
    assert cache.recall(ASK, 1, 2) == Recalled(None, is_doubtful=False)
    cache.note([ASK], [ROW], 1, 3)
    assert cache.recall(ASK, 1, 500) == Recalled(ROW, is_doubtful=False)
    changed = ROW._replace(enabled=False)
    cache.note([ASK], [changed], 1, 4)
    assert cache.recall(ASK, 1, 5) == Recalled(changed, is_doubtful=False)
    assert len(cache) == 1


def test_logins_are_not_kept() -> None:
    ask = Ask("login", "anna@example.org")
    row = LoginRow(1, "anna@example.org", "", "{X}y", None, True, True, True, True, None)
    cache = noted((ask, row), (ask, None))
    assert cache.recall(ask, 1, 0) is None
    assert len(cache) == 0


def test_unknown_names_do_not_push_out_known_ones() -> None:
    cache = noted((ASK, ROW), limits=LIMITS._replace(entries=10))
    for number in range(100):
        cache.note([Ask("name", f"{number}@example.org")], [None], 1, 1)
    assert cache.recall(ASK, 1, 2) is not None
    assert len(cache) == 11
    assert cache.recall(Ask("name", "99@example.org"), 1, 2) is not None
    assert cache.recall(Ask("name", "0@example.org"), 1, 2) is None


def test_what_was_asked_for_lately_stays() -> None:
    cache = StaleCache(LIMITS._replace(entries=2))
    asks = [Ask("domain", f"{number}.example") for number in range(3)]
    rows = [DomainRow(ask.key) for ask in asks]
    cache.note(asks[:2], rows[:2], 1, 0)
    cache.note(asks[:1], rows[:1], 1, 1)
    cache.note(asks[2:], rows[2:], 1, 2)
    assert [cache.recall(ask, 1, 3) is not None for ask in asks] == [True, False, True]


steps = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 3), st.integers(0, 400)), max_size=60)


@given(steps)
def test_the_cache_stays_within_its_bounds(steps: list[tuple[int, int, int]]) -> None:
    limits = LIMITS._replace(entries=8, octets=8000)
    cache = StaleCache(limits)
    for now, (number, kind, length) in enumerate(steps):
        targets = ("x" * length,) * kind
        ask = Ask("name", f"{number}@example.org")
        cache.note([ask], [MailboxRow(ask.key, forwards=targets) if kind else None], 1, now)
        assert len(cache) <= 2 * limits.entries
        assert 0 <= cache.octets <= 2 * limits.octets
    for number in range(21):
        cache.note([Ask("name", f"{number}@example.org")], [None], 1, 100)
        cache.note([Ask("name", f"{number}@example.org")], [MailboxRow("x" * 9000)], 1, 100)
    assert (len(cache), cache.octets) == (0, 0)
