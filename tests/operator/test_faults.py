"""No false answer makes the operator do harm, and killing it anywhere changes nothing in the end.

Every scenario is run once without faults, the world copied before each turn. Then each call of each
turn is answered falsely (I5), each write is cut before and after (I6), and two operators take turns
(I10). The watchdog of the world checks every write against the truth (I3, I4, I11, I12).
"""

import copy
import random
from dataclasses import dataclass
from typing import Any, get_args

import pytest

from kubedouble.faults import READ_FAULTS, WRITE_FAULTS, Crash, Fault, Faults
from kubedouble.world import ZONES, World, is_done
from spine_core.errors import SpineError
from spine_operator.execute import apply, perform
from spine_operator.observe.observer import observe
from spine_operator.plan.actions import ExclusiveAction
from spine_operator.plan.planner import plan
from spine_operator.ports import Kind
from spine_operator.resource.seats import wanted_by

SHORT = {"size": "1Gi", "keepFor": "1s"}


@dataclass(frozen=True, slots=True)
class Scenario:
    """A cluster at rest with `before`, and the spec that is applied then; None deletes it."""

    name: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    pulling: bool = True

    def __str__(self) -> str:
        return self.name

    async def start(self) -> World:
        first = self.before or self.after
        assert first is not None
        world = World(**{"topology": {"zones": ZONES}, "storage": SHORT, **first})
        if self.before is not None:
            await world.settle()
            if self.after is None:
                world.delete_cluster()
            else:
                world.change_spec(**self.after)
        return world


SCENARIOS = [
    Scenario("bootstrap", None, {"replicas": 3}),
    Scenario("join", {"replicas": 3}, {"replicas": 4}),
    Scenario("drain", {"replicas": 4}, {"replicas": 3}),
    Scenario("delete", {"replicas": 3, "storage": {"size": "1Gi", "whenDeleted": "Delete"}}, None),
]


@dataclass(frozen=True, slots=True)
class Moment:
    """The world before one turn, some turns earlier, and the calls that the turn makes."""

    world: World
    past: World
    reads: tuple[int, ...]
    writes: tuple[int, ...]


async def moments(scenario: Scenario) -> tuple[list[Moment], World]:
    """Run a scenario without faults; return every turn of it and the world at its end."""
    world = await scenario.start()
    found: list[Moment] = []
    quiet = 0
    while quiet < 2:  # volumes are cleaned up after the change is done
        before, faults = copy.deepcopy(world), Faults()
        outcome = await world.turn(world.ports(faults))
        past = found[-2].world if len(found) > 1 else before
        found.append(Moment(before, past, tuple(faults.reads), tuple(faults.writes)))
        quiet = quiet + 1 if outcome.gone or is_done(outcome) else 0
    return found, world


async def turn_with(moment: Moment, plan_of_faults: dict[int, Fault]) -> World:
    """Return the world after the turn of a moment under these faults."""
    world = copy.deepcopy(moment.world)
    try:
        await world.turn(world.ports(Faults(plan=plan_of_faults), moment.past))
    except Crash:
        world.controllers()
    return world


def has_acted(before: World, after: World) -> bool:
    written = after.kube.writes[len(before.kube.writes) :]
    told = any(kind not in (Kind.CLUSTER, Kind.EVENT) for _, kind, _ in written)
    return told or after.nodes.adoptions != before.nodes.adoptions


async def finished(world: World) -> Any:
    """Let a fresh operator finish; return the end state."""
    quiet = 0
    while quiet < 2:
        outcome = await world.settle()
        await world.turn()
        quiet = quiet + 1 if outcome.gone or is_done(outcome) else 0
    return world.end_state()


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
async def test_no_removal_under_any_bad_answer(scenario: Scenario) -> None:
    clean, end = await moments(scenario)
    cases = [
        (moment, call, fault)
        for moment in clean
        for calls, kinds in ((moment.reads, READ_FAULTS), (moment.writes, WRITE_FAULTS))
        for call in calls
        for fault in kinds
    ]
    assert len(cases) > 100
    for number, (moment, call, fault) in enumerate(cases):
        world = await turn_with(moment, {call: fault})
        if has_acted(moment.world, world):  # else the next turn is that of the clean run
            await world.turn()
        if number % 23 == 0:  # every one is watched, some are followed to the end
            assert await finished(world) == end.end_state(), f"call {call} {fault}"


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
async def test_killed_before_or_after_any_write_the_end_is_the_same(scenario: Scenario) -> None:
    clean, end = await moments(scenario)
    for moment in clean:
        for call in moment.writes:
            for fault in (Fault.CRASH, Fault.CRASH_AFTER):
                world = await turn_with(moment, {call: fault})
                assert await finished(world) == end.end_state(), f"call {call} {fault}"


@pytest.mark.parametrize("scenario", SCENARIOS[:3], ids=str)
async def test_two_operators_can_only_refuse_each_other(scenario: Scenario) -> None:
    """One plans on what it saw, the other acts meanwhile, then the first acts on its old plan."""
    _, end = await moments(scenario)
    for seed in range(5):
        chance, world = random.Random(seed), await scenario.start()
        for _ in range(20):
            ports = world.ports()
            observed = await observe(world.resource, ports)
            old = plan(observed, wanted_by(observed.cluster, ports.address_of))
            for _ in range(chance.randrange(3)):
                await world.turn()
            try:
                for one in old.applies:
                    await apply(one, observed, ports)
                if isinstance(old.decision, get_args(ExclusiveAction)):
                    await perform(old.decision, observed, ports)
            except SpineError:
                world.controllers()
        assert await finished(world) == end.end_state(), f"seed {seed}"


@pytest.mark.parametrize("scenario", SCENARIOS[:3], ids=str)
async def test_deleting_the_status_changes_no_act(scenario: Scenario) -> None:
    clean, _ = await moments(scenario)
    for moment in clean:
        with_status, without = copy.deepcopy(moment.world), copy.deepcopy(moment.world)
        without.resource.pop("status", None)
        acts = []
        for world in (with_status, without):
            first = len(world.kube.writes)
            await world.turn()
            written = world.kube.writes[first:]
            acts.append([w for w in written if w[1] not in (Kind.CLUSTER, Kind.EVENT)])
        assert acts[0] == acts[1]
