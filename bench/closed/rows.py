"""The rows: which load runs against which system, and what a reader must know of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.load.closed_loop import ClosedLoop
from bench.load.pgbench import Pgbench
from bench.load.redis_benchmark import RedisBenchmark
from bench.load.result import LoadResult
from bench.load.spine_link import SpineLink
from bench.load.wrk import Wrk
from bench.memory import AFTER_ID, BEFORE_ID
from bench.systems.bare import BareServers
from bench.systems.etcd import Etcd
from bench.systems.postgres import Postgres
from bench.systems.redis import Redis
from bench.systems.spine import PATH, SpineCluster
from bench.systems.system import System

CONNECTIONS = 48
BATCH, BATCH_CONNECTIONS = 50, 12


class Load(Protocol):
    """A generator, ready to run."""

    def run(self, seconds: float, prefix: str) -> LoadResult:
        """Run it."""
        ...


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `writers` are what its generator appends to the prefix, () for reads."""

    key: str
    what: str
    model: str
    system: System
    load: Load
    connections: int = CONNECTIONS
    writers: Sequence[str] = ()


THREADS = ("1", "2", "3")
PUT = {"PATH": PATH, "BEFORE_ID": BEFORE_ID, "AFTER_ID": AFTER_ID}


def spine_rows(spine: SpineCluster, requests: dict[str, Path]) -> list[Row]:
    """Return our rows over HTTP; `requests` has the file of requests of each kind of GET."""
    nodes = spine.addresses

    def get(kind: str) -> Wrk:
        return Wrk("get.lua", nodes, CONNECTIONS, {"REQUESTS": str(requests[kind])})

    batch = Wrk("batch.lua", nodes, BATCH_CONNECTIONS, {**PUT, "ITEMS": str(BATCH)}, BATCH)
    put = Wrk("put.lua", nodes, CONNECTIONS, PUT)
    return [
        Row("put", "PUT, HTTP", "W=2 of 3", spine, put, writers=THREADS),
        Row(
            *("batch", "batch of 50 PUTs, HTTP", "W=2 of 3", spine, batch),
            connections=BATCH_CONNECTIONS,
            writers=THREADS,
        ),
        Row("get", "GET, HTTP", "eventual", spine, get("eventual")),
        Row("get-session", "GET with its token, HTTP", "read-your-writes", spine, get("session")),
        Row("get-quorum", "GET without a token, HTTP", "quorum", spine, get("quorum")),
    ]


def link_rows(spine: SpineCluster, keys: int) -> list[Row]:
    """Return our rows by our own client over links; `keys` memories are there to be read."""
    workers = [f"{number:02d}" for number in range(CONNECTIONS)]
    few = workers[:BATCH_CONNECTIONS]
    put = SpineLink("put", spine.urls, CONNECTIONS, keys)
    batch = SpineLink("batch", spine.urls, BATCH_CONNECTIONS, keys, BATCH)
    get = SpineLink("get", spine.urls, CONNECTIONS, keys)
    return [
        Row("put-link", "PUT, link", "W=2 of 3", spine, put, writers=workers),
        Row(
            *("batch-link", "batch of 50 PUTs, link", "W=2 of 3", spine, batch),
            connections=BATCH_CONNECTIONS,
            writers=few,
        ),
        Row("get-link", "GET, link", "eventual", spine, get),
    ]


def bare_rows(bare: BareServers, requests: Path) -> list[Row]:
    """Return the yardstick of a GET."""
    load = Wrk("get.lua", bare.addresses, CONNECTIONS, {"REQUESTS": str(requests)})
    return [Row("bare-get", "GET, HTTP", "none", bare, load)]


def etcd_rows(etcd: Etcd) -> list[Row]:
    """Return etcd's row."""
    leader = etcd.leader()
    assert leader is not None, "etcd was started"
    writers = [f"{number:02d}" for number in range(CONNECTIONS)]
    return [
        Row(
            *("etcd-put", "put to the leader, gRPC", "linearizable", etcd),
            ClosedLoop("etcd-put", leader, CONNECTIONS),
            writers=writers,
        ),
    ]


def postgres_rows(postgres: Postgres) -> list[Row]:
    """Return PostgreSQL's row."""
    load = Pgbench(postgres.port, CONNECTIONS)
    return [Row("postgres-insert", "insert, prepared", "primary", postgres, load, writers=("",))]


def redis_rows(redis: Redis) -> list[Row]:
    """Return Redis' rows."""
    writers = [f"{number:02d}" for number in range(CONNECTIONS)]
    set_wait = ClosedLoop("redis-set", redis.ports[0], CONNECTIONS)
    get = RedisBenchmark(redis.ports[0], CONNECTIONS)
    return [
        Row("redis-set", "SET + WAIT 1", "primary", redis, set_wait, writers=writers),
        Row("redis-get", "GET", "primary", redis, get),
    ]
