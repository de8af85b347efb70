"""A fleet of agents that remembers under faults, and the audit of what it was promised.

The demo runs it as a Job in the cluster, `tests/cluster` against processes on this machine. It uses
the public client and the admin plane only.
"""
