"""The operator as a process on a real API server, with real node processes behind its pods."""
