"""Open loops: requests leave on a schedule, whatever became of those before; latency in full."""
