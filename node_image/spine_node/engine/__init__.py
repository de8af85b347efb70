"""The engine of a node: what it does with requests, peers and its store, decided by spine_core."""
