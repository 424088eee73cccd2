import pytest

# their asserts are in no file that pytest collects itself
pytest.register_assert_rewrite(
    "tests.unit.accounts.directory_base", "tests.unit.accounts.exchange.import_suite"
)
