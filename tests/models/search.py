"""What the explorers of states share: the steps that led to a state, and tuples with one item replaced."""

from collections.abc import Mapping
from typing import TypeVar

S = TypeVar("S")
T = TypeVar("T")


def trace_of(state: S, parents: Mapping[S, tuple[S, str] | None]) -> tuple[str, ...]:
    labels: list[str] = []
    while (step := parents[state]) is not None:
        state, label = step
        labels.append(label)
    return tuple(reversed(labels))


def with_item(items: tuple[T, ...], place: int, item: T) -> tuple[T, ...]:
    return (*items[:place], item, *items[place + 1 :])
