"""What the tests of commands share."""

import pytest


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SPINE_URL", "SPINE_API_KEY", "SPINE_NAMESPACE", "SPINE_FENCE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "160")
