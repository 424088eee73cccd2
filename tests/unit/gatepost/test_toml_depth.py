from pathlib import Path

import pytest
from pydantic import BaseModel

from gatepost.config import ConfigError, load
from gatepost.config.toml import MAX_KEY_PARTS, TomlError, deep_key, parse_toml
from gatepost.dns.zone import Zone, ZoneError

DEEP = MAX_KEY_PARTS + 1
MANY = 100_000


@pytest.mark.parametrize("parts", [DEEP, MANY], ids=["just", "far"])
@pytest.mark.parametrize(
    ("part", "form"),
    [
        ("a", "{} = 1"),
        ("a", "[{}]"),
        ("a", "[[ {} ]]"),
        ("a", "x = {{ {} = 1 }}"),
        ("a", "x = [\n'a.b', {{ {} = 1 }}]"),
        ('"a.b"', "{} = 1"),
        ('"\\""', "{} = 1"),
        ("'a'", "[{}]"),
        (" a ", "{} = 1"),
        ("\ta", "{} = 1"),
    ],
)
def test_a_deep_key_is_found(part: str, form: str, parts: int) -> None:
    text = "# comment\ny = '''\n\n'''\n" + form.format(".".join([part] * parts))
    assert deep_key(text) == 5 + form.count("\n")


@pytest.mark.parametrize(
    "text",
    [
        ".".join(["a"] * MAX_KEY_PARTS) + " = 1",
        f"a = '{'a.' * MANY}'",
        f'a = "{"a." * MANY}"',
        f'a = """\n{"a." * MANY}\n"""',
        f"a = '''\n{'a.' * MANY}\n'''",
        f"# {'a.' * MANY}",
        "a = [" + "'1.2.3.4', " * MANY + "]",
        "a = [" + "1.5," * MANY + "]",
        'a = "' + '\\"' * MANY,  # never ends
        '"' * MANY,
        "'" * MANY,
        'a = """' + '"' * MANY,
        "a" * MANY * 10,
        "a " * MANY,
    ],
    ids=range(14),
)
def test_what_is_no_deep_key(text: str) -> None:
    assert deep_key(text) is None


class Model(BaseModel):
    a: object = None


def test_a_configuration_with_a_deep_key_is_refused_before_it_is_parsed(tmp_path: Path) -> None:
    path = tmp_path / "gatepost.toml"
    path.write_text("\na" + ".a" * MANY + " = 1\n")
    with pytest.raises(ConfigError, match=r"gatepost\.toml:2: a key has more than 64 parts"):
        load(Model, path, {})
    with pytest.raises(ConfigError, match="more than 64 parts"):
        load(Model, None, {"GATEPOST_A": "{a" + ".a" * MANY + " = 1}"})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("\na = [", "line 2: not TOML: "),
        ("\na = = 1", "line 2: not TOML: "),
        ("a = " + "[" * MANY, "not TOML: nested too deep"),
        ("a = " + "9" * MANY, "not TOML: a number is too long"),
        ("\na" + ".a" * MANY + " = 1", "line 2: a key has more than 64 parts"),
    ],
    ids=range(5),
)
def test_what_cannot_be_read_has_one_kind_of_error(text: str, told: str) -> None:
    with pytest.raises(TomlError) as caught:
        parse_toml(text)
    assert str(caught.value).startswith(told)
    with pytest.raises(ZoneError) as refused:
        Zone.parse(text)
    assert str(refused.value).startswith(told)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a.b = 1\n[a]\nc = 1", "[a] already has keys above: write all of them below one [a]"),
        ("[a]\n[b]\n[a]", "[a] already has keys above: write all of them below one [a]"),
        ("a.b.c = 1\n[a.b]", "[a.b] already has keys above: write all of them below one [a.b]"),
        ('["\\n"]\n["\\n"]', r"cannot declare ('\n',) twice"),
    ],
)
def test_a_table_that_is_declared_twice(text: str, told: str) -> None:
    with pytest.raises(TomlError) as caught:
        parse_toml(text)
    assert caught.value.message == f"not TOML: {told}"
