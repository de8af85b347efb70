"""The first topology document of a cluster without an operator (operator.md §13).

A node alone founds its own; in a static cluster the first node of the file waits until every node
reports an empty store, makes epoch 1 and lets the links carry it. Both take the document from the
same `next_action` as the operator does.
"""

import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping

from spine_core.actions import Publish
from spine_core.next_action import next_action
from spine_core.reports import Report
from spine_core.wanted import Place, Wanted
from spine_node.engine.node import Node

logger = logging.getLogger("spine.node")

LOOK_S = 0.25
ALONE = Wanted(
    name="spine",
    seats={"local": Place(zone="default", url="127.0.0.1:8788")},
    factor=1,
    write_quorum=1,
    zone_policy="none",
)

Ask = Callable[[], Awaitable[Mapping[str, Report | None]]]


async def found(node: Node, wanted: Wanted, ask_others: Ask) -> None:
    """Make epoch 1 as soon as that is safe, unless this node has a document already."""
    while node.membership.view is None:
        reports = dict(await ask_others())
        reports[node.plan.seat] = Report.from_json(node.report(slots=False))
        action = next_action(
            None,
            reports,
            wanted,
            cluster_id=str(uuid.uuid4()),
            waited_s=0.0,
            now_ms=node.clock.physical_ms(),
        )
        if isinstance(action, Publish):
            await node.adopt(action.document.canonical())
            logger.info("cluster_founded", extra={"nodes": len(wanted.seats)})
            return
        logger.debug("founding_waits", extra={"for": getattr(action, "message", str(action))})
        await node.clock.sleep(LOOK_S)


async def nobody_else() -> Mapping[str, Report | None]:
    """Be the others of a node that is alone."""
    return {}
