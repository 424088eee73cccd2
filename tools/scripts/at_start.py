"""Generator of k8s/chart/at-start.yaml, the keys that need a new process, from the settings."""

from __future__ import annotations

from pathlib import Path

from gatepost.cli.configuration import SECTIONS, whole
from gatepost.config import keys_at_start

PAGE = Path(__file__).parents[2] / "k8s" / "chart" / "at-start.yaml"
HEAD = """\
# Keys of gatepost.toml that the daemons read only at the start, written by `make manifest` from the
# code. A change of one gives the pod another annotation, and so replaces it.
"""


def page() -> str:
    """Return the file: for each section of the daemons, and for `log`, its keys."""
    model = whole()
    lines = []
    for section in ("log", *SECTIONS):
        settings = model.model_fields[section].annotation
        assert isinstance(settings, type)  # noqa: S101  # a section, as for each of these names
        lines.append(f"{section}:")
        lines += [
            f"  - {key.removeprefix(f'{section}.')}"
            for key in sorted(keys_at_start(settings, section))
        ]
    return HEAD + "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
