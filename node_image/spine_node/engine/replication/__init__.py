"""Pulls: how records move between stores, for repair and for changes of the topology.

Knows nothing of client requests.
"""
