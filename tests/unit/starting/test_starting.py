"""How a node starts without an operator: whose store it takes, what it speaks, what it waits for."""

import asyncio
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from localkube.pki import Pki
from models.clusters import document, member
from spine_core.errors import InvalidInputError
from spine_core.planning.reports import Report
from spine_core.planning.wanted import SeatAddress
from spine_core.records.hlc import HybridClock
from spine_node.clock import Clock
from spine_node.engine.node import Node, NodeEnvironment
from spine_node.http.bodies import merge_patch
from spine_node.modes import set_up
from spine_node.settings import Settings
from spine_node.startup import ALONE, bootstrap_cluster, check_owner, nobody_else
from spine_node.store import open_store

CLUSTER = """
cluster:
  name: demo
  nodes: [{id: spine-1, host: 127.0.0.1, port: %d}]
  replication: {factor: 1}
"""


def _settings(data: Path, **flags: str) -> Settings:
    return Settings.load({"data": str(data), **flags}, {})


async def _run_alone(data: Path) -> None:
    """Leave behind what `spine serve` leaves in its directory."""
    setup = set_up(_settings(data))
    clock, hlc = Clock(), HybridClock()
    store = open_store(data, clock=hlc, physical_ms=clock.physical_ms, quota_bytes=1 << 30)
    node = Node(
        setup.options, NodeEnvironment(store=store, hlc=hlc, clock=clock, merge_patch=merge_patch)
    )
    await bootstrap_cluster(node, ALONE, nobody_else, lambda _: None)
    check_owner(node.membership.view, "local", data)
    with pytest.raises(InvalidInputError, match="a node that ran alone") as refused:
        check_owner(node.membership.view, "spine-1", data)
    assert refused.value.path == str(data)
    await node.close()


def _start(**environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "spine_node"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_a_store_that_served_alone_never_serves_for_a_cluster(tmp_path: Path) -> None:
    data, cluster = tmp_path / "data", tmp_path / "cluster.yaml"
    asyncio.run(_run_alone(data))
    with socket.create_server(("127.0.0.1", 0)) as taken:  # it would end, even if it began to serve
        cluster.write_text(CLUSTER % taken.getsockname()[1])
        ended = _start(SPINE_DATA=str(data), SPINE_CLUSTER=str(cluster), SPINE_NODE="spine-1")
    assert ended.returncode == 2
    assert ended.stderr == (
        f"spine: {data}: holds the store of a node that ran alone: give --data another\n"
    )


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("SPINE_DATA", "{tmp}/file/below", "{tmp}/file/below: Not a directory"),
        ("SPINE_HOST", "0.0.0.0", "host: 0.0.0.0 is reachable from outside"),
        ("SPINE_PORT", "{taken}", "127.0.0.1:{taken} is taken: stop what listens there"),
        (
            "SPINE_REGION_NUMBER",
            "3",
            "SPINE_REGION_NUMBER: regions are not built yet: leave it out",
        ),
        ("SPINE_TLS", "{tmp}", "{tmp}: needs tls.crt, tls.key and ca.crt that fit"),
    ],
)
def test_what_hinders_a_start_is_told_in_one_line(
    variable: str, value: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        names = {"tmp": tmp_path, "taken": taken.getsockname()[1]}
        given = {"SPINE_DATA": str(tmp_path / "data"), "SPINE_PORT": "0"}
        ended = _start(**given | {variable: value.format(**names)})
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"spine: {said.format(**names)}")
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        ("cut", "{data}/data.mdb is damaged: it is cut off before page"),
        ("overwritten", "{data}/data.mdb is damaged: page"),
        ("replaced", "{data}/data.mdb is damaged: it does not begin as a store does"),
        ("lost", "{data}/data.mdb: is missing or empty, and index.sqlite beside it"),
    ],
)
def test_files_that_do_not_fit_together_are_refused_in_one_line(
    harm: str, said: str, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    asyncio.run(_run_alone(data))
    (data / "index.sqlite").write_bytes(b"SQLite format 3")
    (data / "index.sqlite").chmod(0o600)  # or the log would say that it was closed
    file = data / "data.mdb"
    size = file.stat().st_size
    if harm == "cut":
        os.truncate(file, size // 2)
    elif harm == "lost":
        file.unlink()
    else:
        whole = file.read_bytes()
        kept = 8192 if harm == "overwritten" else 0
        file.write_bytes(whole[:kept] + b"\x55" * (size - kept))
    ended = _start(SPINE_DATA=str(data), SPINE_PORT="0")
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"spine: {said.format(data=data)}")
    assert len(ended.stderr.splitlines()) == 1


def test_a_node_alone_with_certificates_speaks_tls(tmp_path: Path) -> None:
    pki = Pki(tmp_path / "tls")
    pki.create()
    pki.issue("tls", "node", addresses=["127.0.0.1"])
    assert set_up(_settings(tmp_path / "data", tls=str(pki.directory))).options.tls is not None
    assert set_up(_settings(tmp_path / "data")).options.tls is None


class HastyClock(Clock):
    """A clock whose sleeps take no time."""

    async def sleep(self, seconds: float) -> None:
        """Go on at once."""


async def test_what_only_a_person_can_mend_is_told_once_and_as_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    seats = {seat: SeatAddress(zone=seat, url=f"{seat}:8788") for seat in ("local", "b")}
    wanted = replace(ALONE, seats=seats)
    used = member(document("a0 b0 c0"), 2, seat="b")
    said: Iterator[Report | None] = iter([None, None, used, used])

    async def ask_b() -> dict[str, Report | None]:
        if (report := next(said, "nothing more")) == "nothing more":
            raise asyncio.CancelledError
        assert not isinstance(report, str)
        return {"b": report}

    setup, clock, hlc = set_up(_settings(tmp_path)), HastyClock(), HybridClock()
    store = open_store(tmp_path, clock=hlc, physical_ms=clock.physical_ms, quota_bytes=1 << 30)
    node = Node(
        setup.options, NodeEnvironment(store=store, hlc=hlc, clock=clock, merge_patch=merge_patch)
    )
    with caplog.at_level(logging.INFO, "spine.node"), pytest.raises(asyncio.CancelledError):
        await bootstrap_cluster(node, wanted, ask_b, lambda _: None)
    await node.close()
    told = [(r.levelname, vars(r)["for"]) for r in caplog.records if r.message == "bootstrap_waits"]
    (waits, blocked) = told
    assert waits == ("INFO", "waiting for an empty store on b")
    assert blocked[0] == "WARNING"
    assert blocked[1].startswith("b belonged to a cluster before")
