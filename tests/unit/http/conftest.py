from pathlib import Path

import pytest

from unit.http.edges import Desk, Keyring


@pytest.fixture
def desk() -> Desk:
    """An edge without keys."""
    return Desk()


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    return Keyring(tmp_path / "keys.yaml")
