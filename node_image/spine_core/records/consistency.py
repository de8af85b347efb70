"""Choose the consistency model of a request.

A tag's override is a floor: a request may strengthen what an override asks, never weaken it.
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property


class Model(StrEnum):
    """The four consistency models."""

    STRONG = "strong"
    CAUSAL = "causal"
    READ_YOUR_WRITES = "read-your-writes"
    EVENTUAL = "eventual"


ORDER = (Model.EVENTUAL, Model.READ_YOUR_WRITES, Model.CAUSAL, Model.STRONG)  # weakest first


def stronger(a: Model, b: Model) -> Model:
    """Return the stronger of two models."""
    return max(a, b, key=ORDER.index)


@dataclass(frozen=True, slots=True)
class Override:
    """Records with any of the tags get at least this model."""

    tags: frozenset[str]
    model: Model


_SEED_OVERRIDES = (
    Override(frozenset({"critical", "lock"}), Model.STRONG),
    Override(frozenset({"analytics", "metric"}), Model.EVENTUAL),
)


@dataclass(frozen=True)
class Consistency:
    """The policy of a cluster or namespace."""

    default: Model = Model.READ_YOUR_WRITES
    overrides: tuple[Override, ...] = _SEED_OVERRIDES

    def for_tags(self, tags: Collection[str]) -> Model | None:
        """Return the strongest override that matches a tag, None without a match."""
        floors = self._floors
        matching = [floors[tag] for tag in tags if tag in floors]
        return max(matching, key=ORDER.index) if matching else None

    def may_ask_more(self, model: Model) -> bool:
        """Whether the tags of some record ask for a stronger model than this one."""
        return model in self._outdone

    @cached_property
    def _floors(self) -> dict[str, Model]:
        """Tag → the strongest model of an override that names it."""
        floors: dict[str, Model] = {}
        for over in self.overrides:
            for tag in over.tags:
                floors[tag] = stronger(floors.get(tag, over.model), over.model)
        return floors

    @cached_property
    def _outdone(self) -> tuple[Model, ...]:
        """The models that some override is stronger than."""
        return tuple(ORDER[: max(map(ORDER.index, self._floors.values()), default=0)])

    def resolve(self, header: Model | None, tags: Collection[str]) -> Model:
        """Return the model of a request: `header` is what it asks for, None when silent."""
        override = self.for_tags(tags) if tags else None
        if header is None:
            return override or self.default
        return stronger(header, override) if override else header


SEED = Consistency()
