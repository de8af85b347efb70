"""`python -m bench COMMAND`: each command is a module with `arguments` and `run`."""

import argparse
import sys
from importlib import import_module

COMMANDS = {
    "all": ("bench.everything", "what `make bench` runs: all gates into one report"),
    "closed": ("bench.closed.command", "the gates: ours and peers side by side, closed loops"),
    "openloop": ("bench.openloop.command", "latency at rising rates; the highest below 12 ms"),
    "rebalance": ("bench.growth.rebalance", "a fourth node joins under load"),
    "growth": ("bench.growth.sizes", "cost with more records and with more nodes"),
    "batches": ("bench.growth.batches", "cost by the size of a batch"),
    "restart": ("bench.growth.restart", "time and memory of a restart"),
    "index": ("bench.alone.index_cost", "CPU of the query index, alone"),
    "budget": ("bench.alone.budget", "CPU of each stage of a PUT and a GET"),
    "races": ("bench.races.command", "what is lost when agents act at once"),
    "publish": ("bench.report.publish", "make a report the baseline: its page and its picture"),
}


def main() -> int:
    """Run one command."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (path, what) in COMMANDS.items():
        module = import_module(path)
        one = commands.add_parser(name, help=what, description=module.__doc__)
        module.arguments(one)
        one.set_defaults(run=module.run)
    options = parser.parse_args()
    code: int = options.run(options)
    return code


if __name__ == "__main__":
    sys.exit(main())
