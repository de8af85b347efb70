"""The operator: turns a MemorySpineCluster into running nodes, and alone writes the topology document."""
