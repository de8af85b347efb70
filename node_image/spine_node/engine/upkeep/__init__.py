"""Periodic work of a node: gossip, health, reports, garbage collection of unowned slots.

Looks at everything else in the engine; only `node` looks at it.
"""
