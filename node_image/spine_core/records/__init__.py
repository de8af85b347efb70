"""One record and its address: versions, clock values, ids, encoding, sessions, filters.

Knows nothing of stores, replicas or topology.
"""
