"""One look at Kubernetes and the nodes, frozen into `Observed`; what could not be seen is unknown.

It must not know what is done about it: nothing here decides, and nothing here writes.
"""
