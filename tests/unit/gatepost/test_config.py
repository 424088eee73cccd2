from pathlib import Path

import pytest
from click.testing import CliRunner
from pydantic import Field

from gatepost.cli.__main__ import gatepost
from gatepost.config import (
    ConfigError,
    Duration,
    ListenAddress,
    ListenAddresses,
    Network,
    SecretPath,
    Section,
    Size,
    WatchedPath,
    load,
)
from gatepost.config.lines import key_lines, line_of
from gatepost.config.types import parse_duration, parse_size, print_duration
from gatepost.listen import Inet, Unix


class Key(Section):
    domain: str = Field(description="d=")


class Door(Section):
    listen: ListenAddress = Field(default=Inet("127.0.0.1", 8891), description="where")
    also: ListenAddresses = Field(default=(Inet("", 1),), min_length=1, description="where else")
    delay: Duration = Field(default=300, description="how long")
    limit: Size = Field(default=0, description="how much")
    networks: tuple[Network, ...] = Field(default=(), description="who")
    folder: WatchedPath = Field(default=Path("keys"), description="keys")
    secret: SecretPath | None = Field(default=None, description="secret")
    key: tuple[Key, ...] = Field(default=(), description="keys")


class Root(Section):
    hostname: str = Field(default="localhost", description="name")
    door: Door = Field(default_factory=Door, description="door")


def write(directory: Path, text: str) -> Path:
    path = directory / "gatepost.toml"
    path.write_text(text)
    return path


def failure(path: Path, environ: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        load(Root, path, environ or {})
    return str(caught.value).replace(str(path), "gatepost.toml")


def test_addresses_are_one_or_a_list(tmp_path: Path) -> None:
    def also(text: str, **environ: str) -> Door:
        return load(Root, write(tmp_path, f"[door]\nalso = {text}\n"), environ).model.door

    one, other = Inet("127.0.0.1", 25), Unix(Path("/run/x"))
    assert also('"inet:25@127.0.0.1"').also == (one,)
    assert also('["inet:25@127.0.0.1", "unix:/run/x"]').also == (one, other)
    assert also("[]", GATEPOST_DOOR__ALSO="unix:/run/x").also == (other,)
    assert also('"inet:25@127.0.0.1"').model_dump(mode="json")["also"] == "inet:25@127.0.0.1"
    for text, wrong in (
        ("[]", "is empty: write at least one"),
        ('["unix:/run/x", "unix:/run/x"]', "an address is listed twice"),
        ('["nowhere"]', "'nowhere' is not an address"),
    ):
        assert wrong in failure(write(tmp_path, f"[door]\nalso = {text}\n"))


def test_values_are_read_in_the_forms_people_write(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
        hostname = "mx.example.org"
        [door]
        listen = "unix:/run/gatepost/milter"
        delay = "5m"
        limit = "10M"
        networks = ["192.0.2.0/24", "2001:db8::1"]
        folder = "k"
        """,
    )
    door = load(Root, path, {}).model.door
    assert door.listen == Unix(Path("/run/gatepost/milter"))
    assert (door.delay, door.limit) == (300, 10 << 20)
    assert [str(network) for network in door.networks] == ["192.0.2.0/24", "2001:db8::1/128"]
    assert door.folder == tmp_path / "k"


def test_an_unknown_key_is_named_with_line_and_what_is_allowed(tmp_path: Path) -> None:
    path = write(tmp_path, 'hostname = "a"\n\n[door]\nlisten = "inet:1"\nlisen = 3\n')
    assert failure(path) == (
        "gatepost.toml:5: door.lisen: unknown key; did you mean 'listen'? "
        "allowed here: also, delay, folder, key, limit, listen, networks, secret"
    )


def test_every_problem_is_told_not_the_first_alone(tmp_path: Path) -> None:
    path = write(tmp_path, '[door]\nlisten = "8891"\ndelay = "soon"\nnetworks = ["10.0.0.1/8"]\n')
    lines = failure(path).splitlines()
    assert [line.split(": ")[:2] for line in lines] == [
        ["gatepost.toml:2", "door.listen"],
        ["gatepost.toml:3", "door.delay"],
        ["gatepost.toml:4", "door.networks[0]"],
    ]
    assert "write inet:PORT, inet:PORT@HOST or unix:/PATH" in lines[0]
    assert 'write seconds, or "90s", "5m", "2d"' in lines[1]
    assert "host bits set" in lines[2]


def test_an_element_of_an_array_of_tables_has_its_own_line(tmp_path: Path) -> None:
    path = write(
        tmp_path, '[[door.key]]\ndomain = "a"\n# two\n[[door.key]]\nselector = "x"\ndomain = 5\n'
    )
    assert [line.partition(": ")[0] for line in failure(path).splitlines()] == [
        "gatepost.toml:5",
        "gatepost.toml:6",
    ]


def test_a_syntax_error_names_the_line(tmp_path: Path) -> None:
    assert failure(write(tmp_path, "a = 1\nb = = 2\n")).startswith("gatepost.toml:2: not TOML: ")
    assert failure(write(tmp_path, 'a = """x\n')).startswith("gatepost.toml:2: not TOML: ")


def test_a_file_that_is_missing_or_no_text_is_one_line(tmp_path: Path) -> None:
    assert failure(tmp_path / "gatepost.toml") == (
        "gatepost.toml: cannot be read: No such file or directory"
    )
    path = tmp_path / "gatepost.toml"
    path.write_bytes(b"a = 1\nb = '\xff'\n")
    assert failure(path) == "gatepost.toml:2: is not UTF-8 text"


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, '[door]\nlisten = "inet:1"\n')
    environ = {
        "GATEPOST_DOOR__LISTEN": "inet:8892@127.0.0.1",
        "GATEPOST_DOOR__NETWORKS": '["192.0.2.0/24"]',
        "GATEPOST_HOSTNAME": "10",
        "GATEPOST_DOOR_SERVICE_PORT": "8891",
        "PATH": "/bin",
    }
    loaded = load(Root, path, environ)
    assert loaded.model.door.listen == Inet("127.0.0.1", 8892)
    assert str(loaded.model.door.networks[0]) == "192.0.2.0/24"
    assert loaded.model.hostname == "10"
    assert loaded.overrides == (
        "GATEPOST_DOOR__LISTEN",
        "GATEPOST_DOOR__NETWORKS",
        "GATEPOST_HOSTNAME",
    )


def test_a_bad_variable_is_named_itself(tmp_path: Path) -> None:
    path = write(tmp_path, "# all of it is in the environment\n")
    assert failure(path, {"GATEPOST_DOOR__DELAY": "soon"}).startswith(
        "environment: GATEPOST_DOOR__DELAY: 'soon' is not a duration"
    )
    assert "unknown key" in failure(path, {"GATEPOST_DOOR__LISEN": "x"})
    assert "not TOML" in failure(path, {"GATEPOST_DOOR__NETWORKS": "[192.0.2.0/24]"})


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("DOOR__LISEN", "x", "unknown key; did you mean GATEPOST_DOOR__LISTEN? allowed here: GATE"),
        ("DOR__LISTEN", "inet:1", "unknown key; did you mean GATEPOST_DOOR__LISTEN? allowed here"),
        ("DOOR_LISTEN", "inet:1", "unknown key; did you mean GATEPOST_DOOR__LISTEN?"),
        ("HOSTNAM", "x", "unknown key; did you mean GATEPOST_HOSTNAME?"),
        ("DOOR__LISEN__MORE", "x", "unknown key; did you mean GATEPOST_DOOR__LISTEN__MORE? allow"),
        ("DOOR__KEY", "[{domain = 5}]", "[0].domain: input should be a valid"),
        ("DOOR__NETWORKS", '["10.0.0.1/8"]', "[0]: '10.0.0.1/8' is not a network"),
    ],
)
@pytest.mark.parametrize("text", ['hostname = "a"\n', '[door]\nlisten = "inet:1"\n'])
def test_the_file_is_not_blamed_for_a_variable(
    tmp_path: Path, text: str, variable: str, value: str, told: str
) -> None:
    found = failure(write(tmp_path, text), {f"GATEPOST_{variable}": value})
    assert found.startswith(f"environment: GATEPOST_{variable}: {told}")
    assert "gatepost.toml" not in found


def test_a_variable_is_not_blamed_for_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, '[dor]\nlisten = "inet:1"\n')
    found = failure(path, {"GATEPOST_DOR__DELAY": "5", "GATEPOST_HOSTNAME": "a"})
    assert found.startswith("gatepost.toml:1: dor: unknown key; did you mean 'door'?")


def test_what_a_file_of_a_variable_holds_is_not_blamed_on_the_configuration(
    tmp_path: Path,
) -> None:
    path = write(tmp_path, '[door]\nlisten = "inet:1"\nsecret = "a"\n')
    by_file = load(Root, path, {})
    assert str(by_file.problem("door.secret", "is bad")) == f"{path}:3: door.secret: is bad"
    by_variable = load(Root, path, {"GATEPOST_DOOR__SECRET": "b"})
    assert (
        str(by_variable.problem("door.secret", "is bad"))
        == "environment: GATEPOST_DOOR__SECRET: is bad"
    )


@pytest.mark.parametrize(
    ("variable", "toml"),
    [
        ("GATEPOST_POLICYD__STORE__PASSWORD_FILE", '[policyd.store]\nkind = "valkey"\n'),
        ("GATEPOST_POLICYD__GREYLIST__PRIVACY_KEY_FILE", 'hostname = "mx.example.org"\n'),
    ],
)
@pytest.mark.parametrize(
    ("data", "mode", "told"),
    [
        (None, 0, "No such file or directory"),
        (b"", 0o600, "is empty"),
        (b"x", 0o644, "is accessible to everybody"),
        (b"\xff\xfe", 0o600, "is not UTF-8 text"),
    ],
)
def test_config_check_names_the_variable_of_a_secret_and_the_file_that_it_is_in(
    tmp_path: Path, variable: str, toml: str, data: bytes | None, mode: int, told: str
) -> None:
    secret = tmp_path / "secret"
    if data is not None:
        secret.write_bytes(data)
        secret.chmod(mode)
    path = write(tmp_path, toml)
    words = ["config", "check", "--config", str(path)]
    run = CliRunner(env={variable: str(secret)}).invoke(gatepost, words)
    if data == b"\xff\xfe" and "PRIVACY" in variable:
        assert run.exit_code == 0  # a key may be any octets
        return
    assert isinstance(run.exception, ConfigError)
    assert str(run.exception).startswith(f"environment: {variable}: ")
    assert str(secret) in str(run.exception)
    assert told in str(run.exception)


def test_the_service_variables_of_kubernetes_are_not_ours(tmp_path: Path) -> None:
    environ = {
        "GATEPOST_DOOR": "tcp://10.0.0.1:8891",
        "GATEPOST_PORT": "tcp://10.0.0.1:8891",
        "GATEPOST_DOOR_PORT": "tcp://10.0.0.1:8891",
        "GATEPOST_DOOR_SERVICE_HOST": "10.0.0.1",
        "GATEPOST_DOOR_PORT_8891_TCP_ADDR": "10.0.0.1",
    }
    assert (
        load(Root, write(tmp_path, "# all of it is in the environment\n"), environ).overrides == ()
    )


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *(("90", 90), ("90s", 90), ("5m", 300), ("1h30m", 5400), ("2d", 172800), ("100ms", 0.1)),
        *((7, 7), ("10min", 600), ("10 min", 600), ("1 h 30 min", 5400), ("2 d", 172800)),
    ],
)
def test_durations(text: object, seconds: float) -> None:
    assert parse_duration(text) == seconds
    assert parse_duration(print_duration(seconds)) == seconds


@pytest.mark.parametrize("text", ["", "5 minutes", "m5", "-1", -1, True, None, "nan", "1h30", []])
def test_what_is_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(text)


def test_sizes() -> None:
    assert [parse_size(text) for text in (5, "64K", "10M", "1GiB")] == [5, 65536, 10 << 20, 1 << 30]
    with pytest.raises(ValueError, match="is not a size"):
        parse_size("10 megabytes")


def test_a_secret_is_read_from_its_file_when_others_cannot(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(b"hidden\n")
    file.chmod(0o640)
    path = write(tmp_path, '[door]\nsecret = "secret"\n')
    secret = load(Root, path, {}).model.door.secret
    assert secret is not None
    assert secret.read() == b"hidden"
    assert "hidden" not in repr(secret)
    file.chmod(0o644)
    with pytest.raises(ValueError, match="accessible to everybody"):
        secret.read()


def test_lines_of_keys_in_every_form_of_toml() -> None:
    text = (
        "# comment = 1\n"
        'a = """\n'
        "b = 2\n"
        '"""\n'
        "list = [\n"
        "  1, # ]\n"
        "]\n"
        '"odd.key" = 1\n'
        "[ t . 'u' ]\n"
        "x.y = {z = 1}\n"
        "[[arr]]\n"
        "k = 1\n"
        "[arr.sub]\n"
        "k = 2\n"
        "[[arr]]\n"
        "k = 3\n"
    )
    lines = key_lines(text)
    assert lines[("a",)] == 2
    assert ("b",) not in lines
    assert lines[("list",)] == 5
    assert lines[("odd.key",)] == 8
    assert lines[("t", "u", "x", "y")] == 10
    assert line_of(lines, ("t", "u", "x", "y", "z")) == 10
    assert lines[("arr", 0, "k")] == 12
    assert lines[("arr", 0, "sub", "k")] == 14
    assert lines[("arr", 1, "k")] == 16
