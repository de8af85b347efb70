"""The rules of Memory Spine, as pure functions and values.

Standard library and sortedcontainers only: no I/O, clock, randomness or asyncio. Time, entropy and
checksums are arguments, so that every rule can be tested, searched and simulated as it runs.
"""
