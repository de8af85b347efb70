"""What a watch misses: nothing. Every interleaving of small cases, the product's own rules.

The mutants in tests/mutants/watch.py take one rule away at a time: a model that does not notice would
prove nothing.
"""

import pytest

from models.watch_model import Model

CASES = [
    pytest.param(Model([0], ticks=2), 20_000, id="one write"),
    pytest.param(Model([0, 0], ticks=1), 90_000, id="two writes of one record"),
    pytest.param(Model([0, 1], ticks=1), 180_000, id="two records"),
]


@pytest.mark.parametrize(("model", "states"), CASES)
def test_every_write_is_delivered_and_no_version_goes_back(model: Model, states: int) -> None:
    outcome = model.explore()
    assert outcome.broken is None, (outcome.broken, *outcome.trace)
    assert outcome.states > states
