"""The load of the demo, as a program inside the cluster: works until SIGTERM, then audits.

It prints JSON lines: `progress` every second, `stopping`, and one `result` at the end. Nodes are
found by their seats: SEAT.CLUSTER-nodes.NAMESPACE.svc, as the certificates name them.
"""

import argparse
import asyncio
import json
import os
import signal
import ssl
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from agents.audit import Auditor
from agents.clock import pause, unix_second
from agents.fleet import Fleet, Workload
from agents.messages import real_messages

AUDIT_S = 120.0  # two anti-entropy rounds, and time to read three copies of everything


def say(event: str, **facts: Any) -> None:
    """Print one line."""
    sys.stdout.write(json.dumps({"event": event, "at": unix_second(), **facts}) + "\n")
    sys.stdout.flush()


def addresses(service: str, seats: Sequence[str]) -> Mapping[str, str]:
    """Return seat → base URL, behind the headless Service."""
    return {seat: f"https://{seat}.{service}:8788" for seat in seats}


async def work(arguments: argparse.Namespace) -> int:
    """Run the fleet, then the audit; 0 only when nothing was lost, failed or missed."""
    client, admin = Path(arguments.client), Path(arguments.admin)
    ca_file = str(client / "ca.crt")
    source = real_messages()
    fleet = Fleet(
        Workload(
            agents=arguments.agents,
            writes_per_s=arguments.rate,
            least=arguments.least,
            ca_file=ca_file,
            api_key=(client / "api-key").read_text().strip(),
        ),
        source.messages,
        [(client / "url").read_text().strip()],
    )
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, fleet.stop)
    reporting = asyncio.create_task(_report(fleet))
    await fleet.run(partial(addresses, arguments.service))
    reporting.cancel()
    tally = fleet.tally
    say("audit", acknowledged=len(tally.acknowledged))
    auditor = Auditor(
        fleet.urls,
        (admin / "token").read_text().strip(),
        ssl.create_default_context(cafile=ca_file),
    )
    findings = await auditor.audit(tally.acknowledged, within_s=AUDIT_S)
    say(
        "result",
        acknowledged=len(tally.acknowledged),
        blank=source.blank,
        copies=findings.copies,
        lost=len(findings.lost),
        lost_ids=findings.lost[:20],
        failed_requests=len(tally.failures),
        failures=tally.failures[:20],
        read_your_writes_reads=tally.reads_elsewhere,
        read_your_writes_misses=tally.misses,
        slowest_operation_s=round(tally.slowest_s, 3),
        per_second=dict(tally.per_second),
        epoch=findings.epoch,
        **{name: count for name, count in asdict(fleet.stats()).items() if name != "requests"},
    )
    return 1 if findings.lost or tally.failures or tally.misses else 0


async def _report(fleet: Fleet) -> None:
    while True:
        await pause(1.0)
        tally = fleet.tally
        say(
            "progress",
            acknowledged=len(tally.acknowledged),
            failed=len(tally.failures),
            misses=tally.misses,
            nodes=len(fleet.urls),
        )


def main() -> int:
    """Read the arguments and work."""
    parser = argparse.ArgumentParser(prog="agents", description=__doc__)
    parser.add_argument("--service", required=True, help="headless Service: CLUSTER-nodes.NS.svc")
    parser.add_argument("--client", default="/secrets/client", help="mounted Secret of clients")
    parser.add_argument("--admin", default="/secrets/admin", help="mounted admin Secret")
    parser.add_argument("--agents", type=int, default=32)
    parser.add_argument("--rate", type=float, default=100.0, help="memories a second, all agents")
    parser.add_argument("--least", type=int, default=10_000, help="memories before a stop counts")
    return asyncio.run(work(parser.parse_args()))


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    sys.exit(main())
