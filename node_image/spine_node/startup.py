"""The start of a node without an operator: check whose store it is, make epoch 1 (operator.md §13).

A node alone makes its own; in a static cluster the first node of the file waits until every node
reports an empty store, makes epoch 1 and lets the links carry it. Both take the document from the
same `next_action` as the operator does.
"""

import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from spine_core import defaults
from spine_core.errors import InvalidInputError
from spine_core.planning.actions import Action, Blocked, Publish, Wait
from spine_core.planning.next_action import next_action
from spine_core.planning.reports import Report
from spine_core.planning.wanted import SeatAddress, Wanted
from spine_core.topology.document import Seat
from spine_node.engine.cluster.topology_view import TopologyView
from spine_node.engine.node import Node

logger = logging.getLogger("spine.node")

BOOTSTRAP_POLL_S = 0.25  # between two looks at whether the other nodes are there
ALONE = Wanted(
    name="spine",
    seats={"local": SeatAddress(zone=defaults.ZONE, url=f"127.0.0.1:{defaults.PORT}")},
    factor=1,
    write_quorum=1,
    zone_policy="none",
)

Ask = Callable[[], Awaitable[Mapping[str, Report | None]]]


def check_owner(view: TopologyView | None, seat: Seat, data: Path) -> None:
    """Refuse a store that another node has filled: it would serve that node's cluster, not ours.

    Raises:
        InvalidInputError: path `data`; its topology document gives the store another seat.
    """
    if view is None or view.number is None:
        return
    owner = view.document.stores[view.number].seat
    if owner == seat:
        return
    who = "a node that ran alone" if owner in ALONE.seats else f"node {owner} of a cluster"
    raise InvalidInputError(f"holds the store of {who}: give --data another", path=str(data))


async def bootstrap_cluster(
    node: Node, wanted: Wanted, ask_others: Ask, tell: Callable[[str], None]
) -> None:
    """Make epoch 1 as soon as that is safe, unless this node has a document already.

    `tell` hears what it waits for.
    """
    told = ""
    while node.membership.view is None:
        reports = dict(await ask_others())
        reports[node.options.seat] = Report.from_json(node.operations.report(slots=False))
        action = next_action(
            None,
            reports,
            wanted,
            cluster_id=str(uuid.uuid4()),
            waited_s=0.0,
            now_ms=node.clock.physical_ms(),
        )
        if isinstance(action, Publish):
            await node.operations.adopt(action.document.canonical())
            logger.info("cluster_bootstrapped", extra={"nodes": len(wanted.seats)})
            return
        told = _log_once(action, told)
        tell(told)
        await node.clock.sleep(BOOTSTRAP_POLL_S)


def _log_once(action: Action, told: str) -> str:
    """Log what the bootstrap waits for when that changes: loudly when only a person can help."""
    assert isinstance(action, Wait | Blocked), "without a document nothing else is left"
    if action.message != told:
        level = logging.WARNING if isinstance(action, Blocked) else logging.INFO
        logger.log(level, "bootstrap_waits", extra={"for": action.message})
    return action.message


async def nobody_else() -> Mapping[str, Report | None]:
    """Return the reports of the other nodes of a node that is alone: none."""
    return {}
