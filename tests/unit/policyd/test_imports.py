"""What a running policy server loads, and so holds in memory."""

from __future__ import annotations

import subprocess
import sys


def test_who_has_no_valkey_does_not_load_its_client() -> None:
    code = (
        "import sys, policyd.service; from policyd.build import open_store;"
        "from policyd.settings import StoreSettings;"
        "open_store(StoreSettings(kind='memory'));"
        "print('valkey' in sys.modules, 'policyd.build' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"], done.stderr
