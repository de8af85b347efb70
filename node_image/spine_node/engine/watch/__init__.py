"""Watches: the serving half of feeds, and one watch over the fewest of them.

Knows nothing of HTTP: events leave as outcomes of `spine_node.ports`.
"""
