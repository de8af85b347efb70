"""The systems that are measured: each starts its servers on loopback, and counts what they hold."""
