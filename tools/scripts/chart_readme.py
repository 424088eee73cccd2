"""Generator of k8s/chart/README.md from the chart's values.yaml and its comments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "k8s" / "chart"
README = CHART / "README.md"

HEAD = """\
# Chart {name}

{description}. [docs/kubernetes.md](../../docs/kubernetes.md) is the guide.

Kubernetes {kubernetes}, chart {version}, Gatepost {app}. Written by `make docs` from
[values.yaml](values.yaml).

```
helm install mail k8s/chart -n mail --create-namespace -f my-values.yaml
helm test mail -n mail
```

[ci](ci) has values for many uses, and [micro-values.yaml](micro-values.yaml) those for a small
machine. A value that is misspelt, or that cannot work, is refused with a sentence.
"""


@dataclass(frozen=True, slots=True)
class ChartValue:
    """A key of values.yaml: its path with dots, its default in YAML, and the comment above it."""

    path: str
    default: str
    comment: str


@dataclass(frozen=True, slots=True)
class ChartSection:
    """A key at the top with the keys below it; or, with an empty name, keys without any below."""

    name: str
    comment: str
    values: tuple[ChartValue, ...]


def _comment(lines: list[str], line: int, indent: int) -> str:
    """Return the comment that ends above a line, without the marks."""
    found: list[str] = []
    mark = " " * indent + "#"
    while line > 0 and lines[line - 1].startswith(mark):
        line -= 1
        found.insert(0, lines[line].removeprefix(mark).strip())
    return " ".join(found)


def _paragraphs(lines: list[str], line: int) -> str:
    """Return the comments above a key that empty lines part from it and its own comment."""
    while line > 0 and lines[line - 1].startswith("#"):
        line -= 1
    found: list[str] = []
    while line > 1 and not lines[line - 1] and lines[line - 2].startswith("#"):
        line -= 1
        found.insert(0, _comment(lines, line, 0))
        while line > 0 and lines[line - 1].startswith("#"):
            line -= 1
    return "\n\n".join(found)


def _values(lines: list[str], node: yaml.MappingNode, path: str, text: str) -> Iterator[ChartValue]:
    for key, value in node.value:
        name = f"{path}.{key.value}"
        comment = _comment(lines, key.start_mark.line, key.start_mark.column)
        if isinstance(value, yaml.MappingNode) and not value.flow_style:
            inner = list(_values(lines, value, name, text))
            if comment:
                inner[0] = ChartValue(
                    inner[0].path, inner[0].default, f"{comment} {inner[0].comment}".strip()
                )
            yield from inner
        else:
            default = text[value.start_mark.index : value.end_mark.index].strip()
            yield ChartValue(name, default, comment)


def sections(text: str) -> list[ChartSection]:
    """Return the keys of a values.yaml in their order, those without keys below in one section."""
    lines = text.splitlines()
    root = yaml.compose(text)
    if not isinstance(root, yaml.MappingNode):
        raise TypeError("values.yaml is no mapping")
    found: list[ChartSection] = []
    for key, value in root.value:
        comment = _comment(lines, key.start_mark.line, 0)
        if isinstance(value, yaml.MappingNode) and not value.flow_style:
            inner = tuple(_values(lines, value, key.value, text))
            found.append(ChartSection(key.value, comment, inner))
            continue
        default = text[value.start_mark.index : value.end_mark.index].strip()
        one = ChartValue(key.value, default, comment)
        if paragraphs := _paragraphs(lines, key.start_mark.line):
            found.append(ChartSection("", paragraphs, (one,)))
        elif found and not found[-1].name:
            found[-1] = replace(found[-1], values=(*found[-1].values, one))
        else:
            found.append(ChartSection("", "", (one,)))
    return found


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def page(values: str, chart: dict[str, str]) -> str:
    """Return the README in Markdown, from the text of values.yaml and the keys of Chart.yaml."""
    parts = [
        HEAD.format(
            name=chart["name"],
            description=chart["description"],
            kubernetes=chart["kubeVersion"].removesuffix("-0").replace(">=", "≥ "),
            version=chart["version"],
            app=chart["appVersion"],
        )
    ]
    for section in sections(values):
        if section.name:
            parts.append(f"\n## `{section.name}`\n")
        else:
            names = ", ".join(f"`{value.path}`" for value in section.values[:3])
            parts.append(f"\n## {names}{' ...' if len(section.values) > 3 else ''}\n")
        if section.comment:
            parts.append(f"\n{section.comment}\n")
        parts.append("\n| key | default | meaning |\n|---|---|---|\n")
        parts += [
            f"| `{value.path}` | `{_cell(value.default)}` | {_cell(value.comment)} |\n"
            for value in section.values
        ]
    return "".join(parts)


def current() -> str:
    """Return the README of the chart as its files say now."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    return page((CHART / "values.yaml").read_text(encoding="utf-8"), chart)


if __name__ == "__main__":
    README.write_text(current(), encoding="utf-8")
