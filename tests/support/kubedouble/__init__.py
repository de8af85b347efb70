"""The one fake of the operator's tests: an in-memory double of its ports, and a small cluster behind it."""
