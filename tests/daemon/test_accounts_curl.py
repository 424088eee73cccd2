"""Every curl line of docs/api.md, run against a server."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

from tests.daemon.accounts_http import SECRET, HttpServing
from tests.unit.accounts import files

PAGE = Path(__file__).parents[2] / "docs/api.md"


def test_every_line_works(tmp_path: Path) -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.splitlines() if "curl " in line]
    assert len(lines) > 40
    serving = HttpServing(files.make(tmp_path / "accounts.db"))
    tag = ""
    try:
        for line in lines:
            known = f"API={serving.url} TOKEN={serving.token} PASSWORD='{SECRET}' TAG='{tag}'\n"
            tell = 'printf %s "$TAG"' if line.startswith("TAG=") else ""
            done = subprocess.run(
                ["bash", "-euc", f"{known}{line}\n{tell}"],
                capture_output=True,
                text=True,
                check=False,
                timeout=60,
            )
            assert done.returncode == 0, (line, done.stdout, done.stderr)
            if line.startswith("TAG="):
                tag = done.stdout
                assert tag.startswith('"')
            elif done.stdout:
                json.loads(done.stdout)
    finally:
        serving.close()
