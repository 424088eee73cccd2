import re
from pathlib import Path

from gatepost.cli import configuration
from gatepost.config.reference import reference
from milters.envelope import Envelope
from milters.guard import Client, Origin
from msgauth.mail_address import MailAddress
from policyd.decisions import FIELDS

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.glob("**/*.md"))]


def test_the_reference_is_what_the_models_say() -> None:
    """`make docs` writes it anew."""
    written = (DOCS / "reference" / "configuration.md").read_text()
    assert written == reference(configuration.whole())


def test_every_key_is_described() -> None:
    undescribed: list[str] = []

    def visit(model: type, above: str) -> None:
        for name, info in model.model_fields.items():  # type: ignore[attr-defined]
            if not info.description:
                undescribed.append(f"{above}{name}")
            annotation = info.annotation
            if isinstance(annotation, type) and hasattr(annotation, "model_fields"):
                visit(annotation, f"{above}{name}.")

    visit(configuration.whole(), "")
    assert undescribed == []


def test_every_key_of_the_log_lines_is_described() -> None:
    """Both daemons use the same word for the same thing, and docs/logs.md has it."""
    envelope = Envelope(
        Client(None, ""), "mx", Origin.AUTHENTICATED, MailAddress.parse("a@example.org"), "alice"
    )
    logged = set(envelope.facts("example.org")) | {key for key, _ in FIELDS}
    text = (DOCS / "logs.md").read_text()
    described = set(re.findall(r"`([a-z_]+)`", "".join(re.findall(r"^\| (.*?) \|", text, re.M))))
    assert logged - described == set()


def test_every_gatepost_toml_in_the_documentation_is_valid(tmp_path: Path) -> None:
    read = 0
    for page in PAGES:
        for block in re.findall(r"^```toml\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE):
            path = tmp_path / "gatepost.toml"
            path.write_text(f"# {page.name}\n{block}")
            configuration.read_whole(path)
            read += 1
    assert read > 10


def test_every_link_in_the_documentation_leads_to_a_file() -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {link}"
        for page in PAGES
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text())
        if "://" not in link and not (page.parent / link.partition("#")[0]).exists()
    ]
    assert broken == []


def test_the_index_has_every_page() -> None:
    linked = set(re.findall(r"\]\(([^)\s#]+)\)", (DOCS / "index.md").read_text()))
    pages = {str(page.relative_to(DOCS)) for page in DOCS.glob("*.md")}
    pages |= {str(page.relative_to(DOCS)) for page in DOCS.glob("reference/*.md")}
    assert pages - linked == {"index.md"}


def test_the_configuration_in_the_readme_is_valid_and_small(tmp_path: Path) -> None:
    readme = (DOCS.parent / "README.md").read_text()
    (block,) = re.findall(r"```toml\n(.*?)```", readme, re.DOTALL)
    assert len(block.splitlines()) == 5
    path = tmp_path / "gatepost.toml"
    path.write_text(block)
    assert configuration.read_whole(path).model.hostname == "mail.example.org"
