from pathlib import Path

import pytest

from unit.http.harness import HttpHarness, Keyring


@pytest.fixture
def harness() -> HttpHarness:
    """An app without keys."""
    return HttpHarness()


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    return Keyring(tmp_path / "keys.yaml")
