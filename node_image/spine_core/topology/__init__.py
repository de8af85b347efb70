"""Ownership: the topology document, the ring, and the placement of slots on stores.

Knows nothing of records, of reports or of what should change next.
"""
