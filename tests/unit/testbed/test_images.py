"""What counts as the content of an image: all that its Dockerfile copies."""

from __future__ import annotations

import pytest

from tests.testbed import images


@pytest.mark.parametrize("name", images.NAMES)
def test_the_dockerfile_and_its_own_folder_count(name: str) -> None:
    copied = {str(path.relative_to(images.ROOT)) for path in images.copied(name)}
    assert f"images/{name}/Dockerfile" in copied
    assert "images/sbom.sh" in copied


def test_the_code_is_content_of_gatepost_and_not_of_postfix() -> None:
    gatepost = {str(path.relative_to(images.ROOT)) for path in images.copied("gatepost")}
    assert {"constraints.txt", "msgauth/ask.py", "milters/session.py"} <= gatepost
    assert not any("__pycache__" in path for path in gatepost)
    postfix = {str(path.relative_to(images.ROOT)) for path in images.copied("postfix")}
    assert {"images/postfix/main.cf", "images/postfix/bin/run"} <= postfix
    assert not any(path.startswith("milters/") for path in postfix)
