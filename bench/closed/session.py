"""One closed-loop session: start what is there, say loudly what is not, measure, verify, judge."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from bench import machine
from bench.closed.gates import GATES, judge
from bench.closed.rounds import Plan, Rounds, verify
from bench.closed.rows import (
    Row,
    bare_rows,
    etcd_rows,
    link_rows,
    postgres_rows,
    redis_rows,
    spine_rows,
)
from bench.closed.samples import Sample
from bench.load import wrk
from bench.load.spine_link import missing as link_missing
from bench.memory import VALUE_BYTES
from bench.report.report import Report, RowFacts
from bench.systems.bare import BareServers
from bench.systems.etcd import Etcd
from bench.systems.filling import fill, request_files
from bench.systems.postgres import Postgres
from bench.systems.redis import Redis
from bench.systems.spine import SpineCluster
from bench.systems.system import MissingError, System, Tally
from bench.waiting import today

PEERS = {
    "etcd": ("etcd-put",),
    "postgres": ("postgres-insert",),
    "redis": ("redis-set", "redis-get"),
}
LINK_KEYS = ("put-link", "batch-link", "get-link")


@contextmanager
def data_folder() -> Iterator[Path]:
    """Yield a fresh folder on the disk that any user may enter: PostgreSQL refuses to be root."""
    with tempfile.TemporaryDirectory(prefix="spine-bench-", dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@dataclass(slots=True)
class Session:
    """What runs, what it is measured with, and why the rest is missing."""

    console: Console
    folder: Path
    records: int
    rows: list[Row] = field(default_factory=list)
    systems: list[System] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    filled: Tally = field(default_factory=Tally)

    def start(self, ends: ExitStack, peers: Sequence[str]) -> None:
        """Start our nodes, the yardstick, and those of the peers that are installed.

        Raises:
            MissingError: without `wrk` nothing can be measured.
        """
        if why := wrk.missing():
            raise MissingError(why)
        self._start_ours(ends)
        for peer, keys in PEERS.items():
            if peer in peers:
                self._start_peer(ends, peer)
            else:
                self.missing |= dict.fromkeys(keys, f"{peer} was not asked for")

    def _start_ours(self, ends: ExitStack) -> None:
        spine = SpineCluster(self.folder)
        self._run(ends, spine)
        self.console.print(f"fill our nodes with {self.records:,} memories")
        fill(spine, self.filled, self.records)
        files = request_files(spine, self.filled, self.records, self.folder)
        self.rows += spine_rows(spine, files)
        if why := link_missing():
            self.missing |= dict.fromkeys(LINK_KEYS, why)
        else:
            self.rows += link_rows(spine, self.records)
        bare = BareServers(self.folder)
        self._run(ends, bare)
        method_path = files["eventual"].read_text().split("\n", 1)[0].split(" ")[1]
        url = f"{spine.urls[0]}{method_path}"
        answer = spine.request("GET", url, headers={"Spine-Consistency": "eventual"})
        bare.answer(answer.headers, answer.data)
        self.rows += bare_rows(bare, files["eventual"])

    def _start_peer(self, ends: ExitStack, peer: str) -> None:
        try:
            self.rows += self._peer_rows(ends, peer)
        except MissingError as error:
            self.missing |= dict.fromkeys(PEERS[peer], str(error))
            self.console.print(f"[bold yellow]NOT MEASURED: {error}[/]")

    def _peer_rows(self, ends: ExitStack, peer: str) -> list[Row]:
        match peer:
            case "etcd":
                etcd = Etcd(self.folder)
                self._run(ends, etcd)
                return etcd_rows(etcd)
            case "postgres":
                postgres = Postgres(self.folder)
                self._run(ends, postgres)
                return postgres_rows(postgres)
            case _:
                redis = Redis(self.folder)
                self._run(ends, redis)
                return redis_rows(redis)

    def _run(self, ends: ExitStack, system: System) -> None:
        self.console.print(f"start {system.name}")
        ends.callback(system.close)
        system.start()
        self.systems.append(system)

    def measure(self, plan: Plan, mode: str) -> Report:
        """Run all rounds, verify every replica, and judge."""
        rounds = Rounds(plan, self._say, tallies={"spine": self.filled})
        rounds.run(self.rows)
        self.console.print("verify counts and bodies on every replica")
        wrong = {name: found for name, found in verify(rounds, self.systems).items() if found}
        missing = dict(self.missing)
        for row in self.rows:
            if row.system.name in wrong:  # whoever loses writes has no rate
                missing[row.key] = f"{row.system.name} does not hold what it acknowledged"
        kept = [
            {key: sample for key, sample in found.items() if key not in missing}
            for found in rounds.found
        ]
        return Report(
            date=today(),
            mode=mode,
            machine=machine.describe(),
            versions={system.name: system.version() for system in self.systems},
            rows={row.key: _facts(row) for row in self.rows},
            rounds=kept,
            missing=missing,
            wrong=wrong,
            verdicts=judge(GATES, kept, missing),
        )

    def _say(self, number: int, row: Row, sample: Sample) -> None:
        self.console.print(
            f"round {number} {row.key:16} {sample.rate:10,.0f}/s {sample.cpu_us:8.1f} µs CPU"
            f"  p99 {sample.p99_ms:6.1f} ms  errors {sample.errors}"
            f"  load {sample.load_average:.1f}  steal {sample.steal:.0%}",
            highlight=False,
        )


def _facts(row: Row) -> RowFacts:
    return RowFacts(
        system=row.system.name,
        what=row.what,
        durability=row.system.durability,
        replicas=row.system.replicas,
        model=row.model,
        connections=row.connections,
        value_bytes=VALUE_BYTES,
    )
