"""Partition strategies: issued ids, and every list, are right under each, also while a node joins."""

import asyncio
import hashlib
import json

import pytest

from simulation.clients import FIELDS, NAMESPACE, TIMEOUT_S
from simulation.cluster import Machine, SimulatedCluster
from simulation.runs import founded
from simulation.test_changes import at, change_seats
from spine_core.records.consistency import Model
from spine_core.records.filters import Filter, canonical, parse_filter
from spine_core.records.ids import PartitionStrategy, partition_prefix, slot_of
from spine_core.topology.document import Phase
from spine_node.ports import ListRequest, WriteOutcome, WriteRequest

AGENTS = ("alpha", "beta", "gämma")  # the last one cannot stand in an id
TAGS = ("task", "note")
ROUNDS = 8
EVERYTHING = parse_filter({})


async def create(
    machine: Machine, agent: str, tag: str, partition_by: str | None = None
) -> WriteOutcome:
    memory = FIELDS | {"content": "x", "tags": [tag], "agent_id": agent}
    request = WriteRequest(
        namespace=NAMESPACE,
        memory_id=None,
        memory=json.dumps(memory).encode(),
        subject="tester",
        session=None,
        deadline=machine.cluster.now_s + TIMEOUT_S,
        tags=(tag,),
        agent_id=agent,
        partition_by=partition_by,
    )
    return await machine.up.ask(machine.node.engine.write(request))


async def listed(machine: Machine, where: Filter = EVERYTHING) -> list[str]:
    """Return the ids of all pages, in small pages."""
    found: list[str] = []
    token = None
    while True:
        request = ListRequest(
            namespace=NAMESPACE,
            scope="exact",
            filter=where,
            filter_hash=hashlib.sha256(canonical(where)).digest(),
            order="id",
            page_size=7,
            page_token=token,
            session=None,
            deadline=machine.cluster.now_s + TIMEOUT_S,
            model=Model.STRONG,
        )
        outcome = await machine.up.ask(machine.node.engine.list(request))
        found += [item.memory_id for item in outcome.items]
        token = outcome.next_page_token
        if token is None:
            return found


async def restarted(cluster: SimulatedCluster, strategy: PartitionStrategy) -> None:
    cluster.strategy = strategy
    for machine in cluster.machines.values():
        await machine.crash()
        cluster.restart(machine)
    await founded(cluster)


def prefix_of(strategy: PartitionStrategy, agent: str, tag: str) -> str:
    return partition_prefix({"hash": None, "agent": agent, "tag": tag}[strategy])


@pytest.mark.parametrize("strategy", ["hash", "agent", "tag"])
async def test_every_list_is_right_under_each_strategy_while_a_node_joins(
    cluster: SimulatedCluster, strategy: PartitionStrategy
) -> None:
    await restarted(cluster, strategy)
    machines = list(cluster.machines.values())
    made: dict[str, tuple[str, str]] = {}

    async def work(turn: int) -> None:
        for number in range(ROUNDS):
            agent, tag = AGENTS[(turn + number) % 3], TAGS[number % 2]
            outcome = await create(machines[(turn + number) % 3], agent, tag)
            made[outcome.memory_id] = agent, tag
            await cluster.sleep(0.5)

    working = asyncio.gather(*map(work, range(6)))
    await cluster.sleep(1)
    change_seats(cluster, "a b c d")
    await working
    await cluster.until(lambda: at(cluster, Phase.STABLE, "a b c d"), "d has joined")
    for memory_id, (agent, tag) in made.items():
        prefix = prefix_of(strategy, agent, tag)
        assert memory_id.startswith(prefix)
        assert ("~" in memory_id) == bool(prefix)
    slots = {slot_of(NAMESPACE, memory_id, 64) for memory_id in made}
    assert len(slots) <= {"hash": 64, "agent": 3, "tag": 2}[strategy]
    for machine in cluster.machines.values():
        assert await listed(machine) == sorted(made)
        for agent in AGENTS:
            own = sorted(key for key, (by, _) in made.items() if by == agent)
            assert await listed(machine, parse_filter({"agent_id": agent})) == own
        for tag in TAGS:
            tagged = sorted(key for key, (_, has) in made.items() if has == tag)
            assert await listed(machine, parse_filter({"tags": tag})) == tagged
        if strategy != "hash":
            prefix = prefix_of(strategy, AGENTS[0], TAGS[0])
            one = sorted(key for key in made if key.startswith(prefix))
            assert await listed(machine, parse_filter({"id": {"$prefix": prefix}})) == one


async def test_partition_by_replaces_the_first_tag(cluster: SimulatedCluster) -> None:
    await restarted(cluster, "tag")
    machine = next(iter(cluster.machines.values()))
    assert (await create(machine, "alpha", "task")).memory_id.startswith("task~")
    assert (await create(machine, "alpha", "task", "ticket-7")).memory_id.startswith("ticket-7~")
