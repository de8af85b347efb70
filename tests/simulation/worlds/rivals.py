"""A second operator, which believes to be the only one and is late: what compare-and-set is for."""

import asyncio

from simulation.cluster import SimulatedCluster
from spine_core.planning.actions import Publish, Push


async def operate_beside(cluster: SimulatedCluster, *, late_s: float) -> None:
    """Act on documents and reports as they were a while ago, until cancelled.

    A document is persisted only on top of the one that it was made from; pushes, which nothing
    guards, may come late.
    """
    while True:
        seen = cluster.document
        action = cluster.next_action()
        await cluster.sleep(late_s)
        if isinstance(action, Publish) and cluster.document is seen:
            cluster.publish(action.document)
        elif isinstance(action, Push):
            await asyncio.gather(*(cluster.push(seat, action.document) for seat in action.stores))
        await cluster.sleep(0.1)
