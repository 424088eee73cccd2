"""docs/library.md: its examples do what it says, and it knows every public name of msgauth."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import subprocess
import sys

import pytest

import msgauth
from tests.unit.docs.library import PAGE, examples, run
from tests.unit.docs.test_generated import script


def needs_network(code: str) -> bool:
    return "import dns." in code


def test_every_example_prints_what_the_page_shows() -> None:
    # the one with dnspython is run in tests/daemon/test_library.py
    assert [needs_network(code) for code, _ in examples()].count(True) == 1
    printed = run(lambda code: not needs_network(code))["printed"]
    assert len(printed) >= 8
    for got, shown in printed:
        assert got == (shown or "")


def test_the_table_of_names_is_that_of_the_code() -> None:
    library = script("library")
    assert PAGE.read_text() == library.page()
    for name in msgauth.__all__:
        assert f"| `{name}` | " in library.table()


@pytest.mark.parametrize("name", msgauth.__all__)
def test_every_public_name_is_documented(name: str) -> None:
    text = script("library").docstring(name)
    assert text.endswith((".", "?")) or "\n" in text
    # a dataclass without a docstring gets one that is its signature
    assert not text.startswith(f"{name}(")
    value = getattr(msgauth, name)
    for member, method in vars(value).items() if inspect.isclass(value) else ():
        if inspect.isfunction(method) and not member.startswith("_"):
            assert method.__doc__, f"{name}.{member}"


def test_functions_explain_their_arguments() -> None:
    """In their docstring, or in that of a function that it refers to."""
    functions = {
        name: inspect.getdoc(value) or ""
        for name in msgauth.__all__
        if inspect.isfunction(value := getattr(msgauth, name))
    }
    for name, text in functions.items():
        others = [functions.get(other, "") for other in re.findall(r"`(\w+)`", text)]
        for argument in inspect.signature(getattr(msgauth, name)).parameters:
            assert f"`{argument}`" in text + "".join(others), (name, argument)


def test_every_error_is_of_one_family() -> None:
    """Those of the package that are not are private to a module that catches them."""
    for found in pkgutil.walk_packages(msgauth.__path__, "msgauth."):
        importlib.import_module(found.name)
    for name in msgauth.__all__:
        value = getattr(msgauth, name)
        if inspect.isclass(value) and issubclass(value, Exception):
            assert issubclass(value, msgauth.MsgauthError)


def test_no_module_hides_a_public_name() -> None:
    """`import msgauth.x` makes ``msgauth.x`` the module, whatever was there."""
    assert {found.name for found in pkgutil.iter_modules(msgauth.__path__)}.isdisjoint(
        msgauth.__all__
    )


def loaded_by(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\nprint(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_the_package_itself_imports_nothing() -> None:
    """A daemon that needs SPF alone must not pay for the rest."""
    assert {name for name in loaded_by("import msgauth") if name.startswith("msgauth.")} == set()
    spf = loaded_by("from msgauth import check_spf, solve")
    assert "msgauth.spf" in spf
    assert "cryptography" not in spf
    assert "msgauth.dkim" not in spf


def test_it_needs_the_standard_library_cryptography_and_idna_alone() -> None:
    before = loaded_by("")
    brought = loaded_by("import cryptography.hazmat.primitives.serialization, idna")
    ours = loaded_by("import msgauth\nfor name in msgauth.__all__: getattr(msgauth, name)")
    packages = {name.partition(".")[0] for name in ours - before - brought}
    assert packages - set(sys.stdlib_module_names) <= {"msgauth", "cryptography", "idna"}


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="verfy"):
        _ = msgauth.verfy  # type: ignore[attr-defined]
    assert set(msgauth.__all__) <= set(dir(msgauth))
