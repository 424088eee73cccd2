"""Selection of keys of a domain by a command or caller."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from milters.keys.errors import KeysError
from milters.keys.folder import KeyFile, KeyFolder
from milters.keys.state import KeyState


def select(
    folder: KeyFolder, domain: str, selectors: Sequence[str], states: Iterable[KeyState]
) -> list[KeyFile]:
    """Return the keys of these selectors, or without selectors those in one of `states`.

    A selector in `keys.toml` whose file is gone is a key too: it can be revoked. Raises `KeysError`
    for a domain without keys and for an unknown selector.
    """
    keys = {
        selector: KeyFile(domain, selector, folder.path / domain / f"{selector}.pem", life)
        for selector, life in (folder.states(domain) or {}).items()
    }
    keys.update({key.selector: key for key in folder.of_domain(domain).keys})
    if not keys:
        raise KeysError(f"{domain} has no keys in {folder.path}; gatepost keys new {domain}")
    unknown = [selector for selector in selectors if selector not in keys]
    if unknown:
        raise KeysError(
            f"{domain} has no key {', '.join(unknown)}; it has {', '.join(sorted(keys))}"
        )
    if selectors:
        return [keys[selector] for selector in selectors]
    wanted = set(states)
    return [key for key in keys.values() if key.state in wanted]


def refuse_flat(folder: KeyFolder, keys: Iterable[KeyFile]) -> None:
    """Raise `KeysError` for a key of the flat layout, which has no states to change."""
    for key in keys:
        if key.path.parent == folder.path:
            raise KeysError(
                f"{key.path} is in the flat layout and has no state: it is active while it "
                "exists; remove it to retire it"
            )
