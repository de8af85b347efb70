"""The `spine` command: run a node, use its memories, change a cluster."""
