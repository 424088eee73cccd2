from pathlib import Path

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
