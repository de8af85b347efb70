"""Agents on the nodes of a lab while something goes wrong, and the audit afterwards."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from agents.audit import Auditor
from agents.fleet import Fleet, Workload
from agents.messages import made_up_messages
from faultproxy import BackgroundLoop
from localkube.clock import until
from operatorlab.lab import Lab

AUDIT_S = 60.0
FEW = 20  # memories that show that the load runs


@contextmanager
def agents_at_work(lab: Lab, background: BackgroundLoop) -> Iterator[Fleet]:
    """Have light load during the block; then see that no request failed and nothing was lost.

    Raises:
        AssertionError: something failed, was older than its session, or is missing in a store.
    """
    ca_file = lab.root / "client-ca.crt"
    client = lab.secret("client")
    ca_file.write_bytes(client["ca.crt"])
    load = Workload(
        agents=4, writes_per_s=20, ca_file=str(ca_file), api_key=client["api-key"].decode()
    )
    seeds = lab.urls(list(lab.document()["current"])).values()
    fleet = Fleet(load, made_up_messages(1000).messages, list(seeds))
    working = background.start(fleet.run(lab.urls))
    try:
        _until_more(fleet)
        yield fleet
        _until_more(fleet)
    finally:
        background.loop.call_soon_threadsafe(fleet.stop)
    working.result(AUDIT_S)
    auditor = Auditor(
        fleet.urls,
        lab.secret("admin")["token"].decode(),
        ssl.create_default_context(cafile=ca_file),
    )
    findings = background.call(auditor.audit(fleet.tally.acknowledged, within_s=AUDIT_S))
    assert findings.lost == ()
    assert fleet.tally.failures == []
    assert fleet.tally.misses == 0


def _until_more(fleet: Fleet) -> None:
    enough = len(fleet.tally.acknowledged) + FEW
    until("more memories", lambda: len(fleet.tally.acknowledged) >= enough)
