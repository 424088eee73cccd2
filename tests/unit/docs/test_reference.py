import re
from pathlib import Path

from gatepost.cli import configuration
from gatepost.cli.configuration import Configuration
from gatepost.config.reference import reference

DOCS = Path(__file__).parents[3] / "docs"


def test_the_reference_is_what_the_models_say() -> None:
    """`make docs` writes it anew."""
    written = (DOCS / "reference" / "configuration.md").read_text()
    assert written == reference(Configuration)


def test_every_key_is_described() -> None:
    undescribed: list[str] = []

    def visit(model: type, above: str) -> None:
        for name, info in model.model_fields.items():  # type: ignore[attr-defined]
            if not info.description:
                undescribed.append(f"{above}{name}")
            annotation = info.annotation
            if isinstance(annotation, type) and hasattr(annotation, "model_fields"):
                visit(annotation, f"{above}{name}.")

    visit(Configuration, "")
    assert undescribed == []


def test_the_configuration_in_the_readme_is_valid_and_small(tmp_path: Path) -> None:
    readme = (DOCS.parent / "README.md").read_text()
    (block,) = re.findall(r"```toml\n(.*?)```", readme, re.DOTALL)
    assert len(block.splitlines()) == 5
    path = tmp_path / "gatepost.toml"
    path.write_text(block)
    assert configuration.read(path).model.hostname == "mail.example.org"
