import pytest

# their asserts are in no file that pytest collects itself
pytest.register_assert_rewrite(
    *(
        f"tests.unit.accounts.{name}"
        for name in (
            *("administration_suite", "belongings_suite", "circles_suite", "database_suite"),
            *("directory_base", "domains_suite", "hostile_suite", "mailboxes_suite"),
            "secrets_suite",
        )
    )
)
