"""What every part of the engine stands on: the document in force, own and remote replicas, timestamps.

Knows nothing of coordinators, pulls or timers.
"""
