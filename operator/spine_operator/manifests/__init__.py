"""One pure builder for each child object of a cluster, with a golden file each.

It must not know what exists: a manifest follows from the spec and its arguments alone.
"""
