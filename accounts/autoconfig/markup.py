"""XML as text: elements whose content is always escaped."""

from __future__ import annotations

import html
from collections.abc import Iterable

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'


def element(name: str, content: str | Iterable[str] = "", **attributes: str) -> str:
    """Return an element; `content` is text, which is escaped, or elements made by this function.

    A name in `attributes` may end in ``_``, which is dropped.
    """
    fields = "".join(
        f' {key.rstrip("_")}="{html.escape(value)}"' for key, value in attributes.items()
    )
    if isinstance(content, str):
        inner = html.escape(content)
    else:
        lines = [f"  {line}" for child in content for line in child.split("\n")]
        inner = "".join(f"\n{line}" for line in lines) + "\n" if lines else ""
    return f"<{name}{fields}>{inner}</{name}>" if inner else f"<{name}{fields}/>"


def document(root: str) -> bytes:
    """Return the octets of the document with this root element."""
    return f"{DECLARATION}{root}\n".encode()
