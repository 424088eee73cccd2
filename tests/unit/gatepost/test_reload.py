import os
from pathlib import Path

from prometheus_client import REGISTRY

from gatepost.config import ConfigError
from gatepost.daemon import Current, Watch
from gatepost.logs import get_logger


def test_what_does_not_validate_leaves_the_last_good_one() -> None:
    values: list[str | Exception] = ["one", ConfigError.one("f", "bad"), OSError("gone"), "two"]

    def build() -> str:
        value = values.pop(0)
        if isinstance(value, Exception):
            raise value
        return value

    current = Current(build, get_logger("test"))
    assert (current.value, current.generation) == ("one", 1)
    for _ in range(2):
        assert not current.reload()
        assert (current.value, current.generation) == ("one", 1)
        assert REGISTRY.get_sample_value("gatepost_config_last_reload_success") == 0
    assert current.reload()
    assert (current.value, current.generation) == ("two", 2)
    assert REGISTRY.get_sample_value("gatepost_config_last_reload_success") == 1
    assert REGISTRY.get_sample_value("gatepost_config_generation") == 2


def test_a_change_of_a_file_or_folder_is_seen_once(tmp_path: Path) -> None:
    file, folder = tmp_path / "gatepost.toml", tmp_path / "keys"
    file.write_text("a")
    folder.mkdir()
    watch = Watch([file, folder, tmp_path / "missing"])
    assert not watch.changed()
    file.write_text("other")
    assert watch.changed()
    assert not watch.changed()
    (folder / "example.org").mkdir()
    (folder / "example.org" / "key.pem").write_text("k")
    assert watch.changed()
    (tmp_path / "missing").write_text("")
    assert watch.changed()


def test_a_configmap_that_kubernetes_swaps_is_seen(tmp_path: Path) -> None:
    """The file is a symlink to ..data/FILE, and ..data is swapped for another folder."""
    for name in ("..1", "..2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "gatepost.toml").write_text("same size")
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "gatepost.toml").symlink_to("..data/gatepost.toml")
    watch = Watch([tmp_path / "gatepost.toml"])
    (tmp_path / "..tmp").symlink_to("..2")
    os.replace(tmp_path / "..tmp", tmp_path / "..data")
    assert watch.changed()
    assert not watch.changed()
