"""The base of every section of gatepost.toml.

A section is a frozen model: unknown keys are errors, every field has a description (the reference
in docs/reference/ is generated from it), and a loaded configuration is only replaced as a whole.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A table of gatepost.toml."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        arbitrary_types_allowed=True,
        validate_default=True,
        use_attribute_docstrings=False,
    )
