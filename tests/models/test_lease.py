"""A fenced record takes no write of an old holder after one of a new: every interleaving, any clocks."""

from models.lease_model import LeaseModel


def test_no_write_follows_one_of_a_higher_fence() -> None:
    outcome = LeaseModel().explore()
    assert outcome.broken is None, (outcome.broken, *outcome.trace)
    assert outcome.states > 1_000


def test_a_record_stamped_at_acquire_takes_no_late_write_of_the_old_holder() -> None:
    outcome = LeaseModel(stamps=True).explore()
    assert outcome.broken is None, (outcome.broken, *outcome.trace)
    assert outcome.states > 1_000
