"""How cost changes with size: more records, more nodes, larger batches, a restart, a rebalance."""
