"""Coordinators of single reads and writes: ask replicas, feed a tally, obey its verdict.

Knows nothing of pulls, lists or periodic tasks.
"""
