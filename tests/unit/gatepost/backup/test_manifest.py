"""Manifests: what is written is read back, and nothing else is believed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gatepost.backup.manifest import NAME, Manifest, read_manifest
from gatepost.errors import StartError

WHOLE = Manifest(
    "0.1.0",
    "mail.example.org",
    "2026-11-26T23:00:00Z",
    {"mail": {"message": 3}},
    ("secrets",),
    "0" * 64,
)


def test_it_is_read_back(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(WHOLE.text())
    assert read_manifest(tmp_path) == WHOLE


def test_a_folder_without_one_has_no_backup(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="has no complete backup"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"format": 2}, "written by a later version"),
        ({"parts": {"../mail": {}}}, "is not a part"),
        ({"parts": {"mail": []}}, "is not a part"),
        ({"parts": {"mail": {"message": "3"}}}, "are not numbers"),
        ({"list_sha256": "x"}, "not a manifest"),
        ({"time": 3}, "not a manifest"),
    ],
)
def test_what_it_cannot_be_is_refused(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    (tmp_path / NAME).write_text(json.dumps({**json.loads(WHOLE.text()), **change}))
    with pytest.raises(StartError, match=told):
        read_manifest(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000, "\0", "1" * 10_000])
def test_what_is_no_json_object_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / NAME).write_text(text)
    with pytest.raises(StartError, match=NAME):
        read_manifest(tmp_path)
