"""The benchmark: measures the product beside etcd, PostgreSQL, Redis and a bare server, as ratios.

A program, not a test: `python -m bench --help`. It speaks to nodes as clients do and imports no
engine; what a part costs alone, `micro_*` measures, each by itself.
"""
