"""What the API server does to a MemorySpineCluster before it stores it, and a table of cases.

The structural schema, its defaults and its CEL rules are run here in process; the same cases run
on a real API server, whose answers decide. Invariant: both say the same about every case.
"""
