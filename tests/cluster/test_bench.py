"""The benchmark works: it runs every row that can run here, verifies what it wrote, and reports."""

import asyncio
import sys
from pathlib import Path

import msgspec

from bench.report.report import Report

ROOT = Path(__file__).parents[2]
OURS = {"put", "batch", "get", "get-session", "get-quorum", "bare-get"}


async def test_a_short_run_measures_verifies_and_reports_every_row(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench", "closed", "--mode", "smoke", "--out", str(file)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    report = msgspec.json.decode(file.read_bytes(), type=Report)
    assert "spine" not in report.wrong
    [found] = report.rounds
    assert found.keys() >= OURS - report.missing.keys()
    assert found.keys() | report.missing.keys() >= OURS | {"etcd-put", "postgres-insert"}
    assert [key for key, one in found.items() if one.errors or one.rate <= 0] == []
    assert {one.number for one in report.verdicts} >= {"1", "2", "3", "4", "4b", "5", "7"}
