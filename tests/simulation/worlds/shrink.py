"""Makes a failing world smaller: leaves out clients, faults and steps without which it still fails."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TypeVar

from simulation.worlds.world import Step, World

TRIES_MAX = 120

T = TypeVar("T")


def shrunk(world: World, failure_of: Callable[[World], str | None]) -> World:
    """Return a world that fails in the same way, with as few faults and steps as were found."""
    left = TRIES_MAX

    def fails(other: World) -> bool:
        nonlocal left
        left -= 1
        return left > 0 and failure_of(other) is not None

    world = replace(world, faults=_fewer(world.faults, lambda f: fails(replace(world, faults=f))))
    for number in range(len(world.clients)):
        fails_with = partial(_fails_with_steps, world, number, fails)
        world = _with_steps(world, number, _fewer(world.clients[number], fails_with))
    return world


def _fails_with_steps(
    world: World, number: int, fails: Callable[[World], bool], steps: tuple[Step, ...]
) -> bool:
    return fails(_with_steps(world, number, steps))


def _with_steps(world: World, number: int, steps: tuple[Step, ...]) -> World:
    clients = [*world.clients]
    clients[number] = steps
    return replace(world, clients=tuple(clients))


def _fewer(items: tuple[T, ...], fails: Callable[[tuple[T, ...]], bool]) -> tuple[T, ...]:
    """Leave out halves, quarters and so on, as long as it still fails."""
    size = len(items)
    while size >= 1:
        begin = 0
        while begin < len(items):
            without = items[:begin] + items[begin + size :]
            if len(without) < len(items) and fails(without):
                items = without
            else:
                begin += size
        size //= 2
    return items
