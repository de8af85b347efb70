"""No false answer makes the operator do harm, and killing it anywhere changes nothing in the end.

Every scenario is run once without faults, the fake cluster copied before each pass. Then each call of each
pass is answered falsely (I5), each write is cut before and after (I6), and two operators work by turns
(I10). The watchdog of the fake checks every write against the truth (I3, I4, I11, I12).
"""

import copy
import random
from dataclasses import dataclass
from typing import Any, get_args

import pytest

from kubedouble.fake_cluster import ZONES, FakeKubeCluster, is_done
from kubedouble.faults import READ_FAULTS, WRITE_FAULTS, Crash, Fault, FaultPlan
from spine_core.errors import SpineError
from spine_operator.execute import apply, execute
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

    async def start(self) -> FakeKubeCluster:
        first = self.before or self.after
        assert first is not None
        fake = FakeKubeCluster(**{"topology": {"zones": ZONES}, "storage": SHORT, **first})
        if self.before is not None:
            await fake.settle()
            if self.after is None:
                fake.delete_cluster()
            else:
                fake.change_spec(**self.after)
        return fake


SCENARIOS = [
    Scenario("bootstrap", None, {"replicas": 3}),
    Scenario("join", {"replicas": 3}, {"replicas": 4}),
    Scenario("drain", {"replicas": 4}, {"replicas": 3}),
    Scenario("delete", {"replicas": 3, "storage": {"size": "1Gi", "whenDeleted": "Delete"}}, None),
]


@dataclass(frozen=True, slots=True)
class Moment:
    """The fake before one pass, some passes earlier, and the calls that the pass makes."""

    fake: FakeKubeCluster
    past: FakeKubeCluster
    reads: tuple[int, ...]
    writes: tuple[int, ...]


async def moments(scenario: Scenario) -> tuple[list[Moment], FakeKubeCluster]:
    """Run a scenario without faults; return every pass of it and the fake at its end."""
    fake = await scenario.start()
    found: list[Moment] = []
    quiet = 0
    while quiet < 2:  # volumes are cleaned up after the change is done
        before, faults = copy.deepcopy(fake), FaultPlan()
        result = await fake.reconcile_pass(fake.ports(faults))
        past = found[-2].fake if len(found) > 1 else before
        found.append(Moment(before, past, tuple(faults.reads), tuple(faults.writes)))
        quiet = quiet + 1 if result.gone or is_done(result) else 0
    return found, fake


async def pass_with(moment: Moment, plan_of_faults: dict[int, Fault]) -> FakeKubeCluster:
    """Return the fake after the pass of a moment under these faults."""
    fake = copy.deepcopy(moment.fake)
    try:
        await fake.reconcile_pass(fake.ports(FaultPlan(plan=plan_of_faults), moment.past))
    except Crash:
        fake.controllers()
    return fake


def has_acted(before: FakeKubeCluster, after: FakeKubeCluster) -> bool:
    written = after.kube.writes[len(before.kube.writes) :]
    told = any(kind not in (Kind.CLUSTER, Kind.EVENT) for _, kind, _ in written)
    return told or after.nodes.adoptions != before.nodes.adoptions


async def finished(fake: FakeKubeCluster) -> Any:
    """Let a fresh operator finish; return the end state."""
    quiet = 0
    while quiet < 2:
        result = await fake.settle()
        await fake.reconcile_pass()
        quiet = quiet + 1 if result.gone or is_done(result) else 0
    return fake.end_state()


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
        fake = await pass_with(moment, {call: fault})
        if has_acted(moment.fake, fake):  # else the next pass is that of the clean run
            await fake.reconcile_pass()
        if number % 23 == 0:  # every one is watched, some are followed to the end
            assert await finished(fake) == end.end_state(), f"call {call} {fault}"


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
async def test_killed_before_or_after_any_write_the_end_is_the_same(scenario: Scenario) -> None:
    clean, end = await moments(scenario)
    for moment in clean:
        for call in moment.writes:
            for fault in (Fault.CRASH, Fault.CRASH_AFTER):
                fake = await pass_with(moment, {call: fault})
                assert await finished(fake) == end.end_state(), f"call {call} {fault}"


@pytest.mark.parametrize("scenario", SCENARIOS[:3], ids=str)
async def test_two_operators_can_only_refuse_each_other(scenario: Scenario) -> None:
    """One plans on what it saw, the other acts meanwhile, then the first acts on its old plan."""
    _, end = await moments(scenario)
    for seed in range(5):
        chance, fake = random.Random(seed), await scenario.start()
        for _ in range(20):
            ports = fake.ports()
            observed = await observe(fake.resource, ports)
            old = plan(observed, wanted_by(observed.cluster, ports.address_of))
            for _ in range(chance.randrange(3)):
                await fake.reconcile_pass()
            try:
                for one in old.applies:
                    await apply(one, observed, ports)
                if isinstance(old.decision, get_args(ExclusiveAction)):
                    await execute(old.decision, observed, ports)
            except SpineError:
                fake.controllers()
        assert await finished(fake) == end.end_state(), f"seed {seed}"


@pytest.mark.parametrize("scenario", SCENARIOS[:3], ids=str)
async def test_deleting_the_status_changes_no_action(scenario: Scenario) -> None:
    clean, _ = await moments(scenario)
    for moment in clean:
        with_status, without = copy.deepcopy(moment.fake), copy.deepcopy(moment.fake)
        without.resource.pop("status", None)
        writes = []
        for fake in (with_status, without):
            first = len(fake.kube.writes)
            await fake.reconcile_pass()
            written = fake.kube.writes[first:]
            writes.append([w for w in written if w[1] not in (Kind.CLUSTER, Kind.EVENT)])
        assert writes[0] == writes[1]
