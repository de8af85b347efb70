"""The coordinators of one node, wired."""

from collections.abc import Callable

from spine_core.records.ids import PartitionStrategy
from spine_node.engine.cluster.configuration import Configuration
from spine_node.engine.cluster.context import Context
from spine_node.engine.cluster.stable_time import StableTimes
from spine_node.engine.coordinator.leases import LeaseCoordinator
from spine_node.engine.coordinator.quorum_read import QuorumReads
from spine_node.engine.coordinator.read import ReadCoordinator
from spine_node.engine.coordinator.register_write import RegisterWrites
from spine_node.engine.coordinator.registers import RegisterCoordinator
from spine_node.engine.coordinator.rounds import Rounds
from spine_node.engine.coordinator.write import WriteCoordinator
from spine_node.ports import MergePatch


class Coordinators:
    """Reads, writes, registers and leases."""

    def __init__(
        self,
        context: Context,
        stable: StableTimes,
        configuration: Callable[[], Configuration],
        *,
        strategy: PartitionStrategy,
        merge_patch: MergePatch,
    ) -> None:
        """`strategy`: by what the ids that this node issues are partitioned."""
        self.rounds = Rounds(context)
        quorum = QuorumReads(context, self.rounds)
        self.reads = ReadCoordinator(context, stable, quorum, configuration)
        self.registers = RegisterCoordinator(context, self.rounds, quorum, merge_patch)
        self.leases = LeaseCoordinator(context, self.reads, self.registers)
        self.writes = WriteCoordinator(
            context,
            self.reads,
            RegisterWrites(self.registers, self.leases, context.clock),
            configuration,
            strategy,
        )
