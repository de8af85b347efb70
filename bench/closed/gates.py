"""The gates: ratios of rows of one round, their bounds, and the verdict over all rounds. Pure.

A ratio is taken within each round, where both rows met the same machine; a gate's value is the
median of these.
"""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Literal

import msgspec

from bench.closed.samples import Sample
from bench.report.verdict import Verdict

Quantity = Literal["rate", "cpu_us"]


class Gate(msgspec.Struct, frozen=True, kw_only=True):
    """One ratio and what it must reach. Without a bound it is reported only."""

    number: str
    what: str
    ours: str  # key of a row
    theirs: str
    quantity: Quantity
    bound: float | None = None
    goal: float | None = None
    at_most: bool = False  # whether less is better


def _rate(number: str, what: str, ours: str, theirs: str, *limits: float) -> Gate:
    bound, goal = limits or (None, None)
    return Gate(
        number=number, what=what, ours=ours, theirs=theirs, quantity="rate", bound=bound, goal=goal
    )


def _cpu(number: str, what: str, ours: str, theirs: str, *limits: float) -> Gate:
    bound, goal = limits or (None, None)
    return Gate(
        number=number,
        what=what,
        ours=ours,
        theirs=theirs,
        quantity="cpu_us",
        bound=bound,
        goal=goal,
        at_most=True,
    )


GATES = (
    _rate("1", "PUT/s ÷ etcd put/s, HTTP", "put", "etcd-put", 0.7, 1.0),
    _rate("1", "PUT/s ÷ etcd put/s, link", "put-link", "etcd-put", 1.0, 2.0),
    _cpu("2", "CPU per PUT ÷ etcd put, HTTP", "put", "etcd-put", 1.5, 1.1),
    _cpu("2", "CPU per PUT ÷ etcd put, link", "put-link", "etcd-put", 0.9, 0.5),
    _rate("3", "PUT/s ÷ PostgreSQL insert/s, HTTP", "put", "postgres-insert", 0.5, 0.7),
    _rate("3", "PUT/s ÷ PostgreSQL insert/s, link", "put-link", "postgres-insert", 0.8, 1.5),
    _cpu("4", "CPU per eventual GET ÷ bare aiohttp, HTTP", "get", "bare-get", 2.4, 1.6),
    _cpu("4", "CPU per eventual GET ÷ bare aiohttp, link", "get-link", "bare-get", 0.8, 0.4),
    _cpu("4b", "CPU per GET: session ÷ eventual", "get-session", "get", 1.2, 1.05),
    _cpu("4b", "CPU per GET: quorum ÷ eventual", "get-quorum", "get", 2.2, 1.7),
    _rate("5", "memories/s in batches of 50 ÷ PUT/s", "batch", "put", 3.0, 5.0),
    _cpu("5", "CPU per memory in batches of 50 ÷ etcd put", "batch", "etcd-put", 0.7, 0.4),
    _rate("7", "GET/s ÷ Redis GET/s", "get", "redis-get"),
    _rate("-", "PUT/s ÷ Redis SET + WAIT 1/s", "put", "redis-set"),
)


def judge(
    gates: Sequence[Gate],
    rounds: Sequence[Mapping[str, Sample]],
    missing: Mapping[str, str],
) -> list[Verdict]:
    """Return a verdict for each gate; `missing` says of a row why it is not there."""
    return [_judge(gate, rounds, missing) for gate in gates]


def _judge(
    gate: Gate, rounds: Sequence[Mapping[str, Sample]], missing: Mapping[str, str]
) -> Verdict:
    ratios = [
        getattr(found[gate.ours], gate.quantity) / getattr(found[gate.theirs], gate.quantity)
        for found in rounds
        if gate.ours in found and gate.theirs in found
    ]
    reasons = [missing[key] for key in (gate.ours, gate.theirs) if key in missing]
    return Verdict(
        number=gate.number,
        what=gate.what,
        value=median(ratios) if ratios else None,
        bound=gate.bound,
        goal=gate.goal,
        at_most=gate.at_most,
        rounds=ratios,
        why="" if ratios else "; ".join(reasons or ["no round was complete"]),
    )
