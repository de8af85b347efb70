"""Cases about replication, consistency, partitioning, storage and retention."""

import yaml

from admission.cases.case import BASE, accepted, refused, spec

PROVISIONED_10 = {"storage": {"largestProvisioned": "10Gi"}}
PROVISIONED_20 = {"storage": {"largestProvisioned": "20Gi"}}
PROVISIONED_99 = {"storage": {"largestProvisioned": "99Gi"}}
YAML_OFF = yaml.safe_load("off")  # what kubectl makes of the word

CASES = (
    refused("W above factor", spec(replication={"writeQuorum": 4}), "at most factor"),
    refused("R above factor", spec(replication={"readQuorum": 4}), "at most factor"),
    refused(
        "W no majority",
        spec(replicas=4, replication={"factor": 4, "writeQuorum": 2}),
        "majority",
    ),
    refused("W 1 of 3", spec(replication={"writeQuorum": 1}), "majority"),
    refused(
        "factor changed",
        spec(replicas=5, replication={"factor": 5, "writeQuorum": 3}),
        "immutable",
        old=spec(replicas=5),
    ),
    refused("W changed", spec(replication={"writeQuorum": 3}), "immutable", old=BASE),
    refused("zone policy changed", spec(replication__zonePolicy="none"), "immutable", old=BASE),
    accepted("R changed", spec(replication={"readQuorum": 2}), old=BASE),
    refused("zone policy as a YAML boolean", spec(replication__zonePolicy=YAML_OFF), "type"),
    refused("strategy changed", spec(partitioning__strategy="agent"), "immutable", old=BASE),
    refused("virtual nodes changed", spec(partitioning__virtualNodes=64), "immutable", old=BASE),
    refused("model unknown", spec(consistency={"default": "quorum"}), "enum"),
    accepted(
        "override",
        spec(consistency={"overrides": [{"tags": ["conversation"], "model": "causal"}]}),
    ),
    refused(
        "override without model",
        spec(consistency={"overrides": [{"tags": ["x"]}]}),
        "required",
    ),
    refused(
        "override without tags",
        spec(consistency={"overrides": [{"tags": [], "model": "strong"}]}),
        "items",
    ),
    accepted("override list emptied", spec(consistency={"overrides": []})),
    accepted("volume grows", spec(storage__size="20Gi"), old=BASE),
    refused("volume shrinks", BASE, "cannot go below", old=spec(storage__size="20Gi")),
    accepted(
        "undo of a refused expansion",
        BASE,
        old=spec(storage__size="20Gi"),
        status=PROVISIONED_10,
    ),
    refused(
        "undo after one volume grew",
        BASE,
        "cannot go below",
        old=spec(storage__size="20Gi"),
        status=PROVISIONED_20,
    ),
    accepted(
        "status larger than spec does not block",
        spec(replicas=4),
        old=BASE,
        status=PROVISIONED_99,
    ),
    accepted("size as a number", spec(storage__size=10 * 2**30)),
    refused("size not a quantity", spec(storage__size="ten"), "pattern"),
    refused(
        "storage class changed",
        spec(storage__storageClassName="b"),
        "immutable",
        old=spec(storage__storageClassName="a"),
    ),
    refused(
        "storage class taken away",
        BASE,
        "immutable",
        old=spec(storage__storageClassName="a"),
    ),
    refused("keepFor not a duration", spec(storage__keepFor="1d"), "text"),
    refused("grace too short", spec(retention={"tombstoneGrace": "30s"}), "at least 1m"),
    accepted("grace", spec(retention={"tombstoneGrace": "1h30m"})),
    accepted("pruning", spec(retention={"pruning": {"mode": "DryRun"}})),
    refused("pruning score not a number", spec(retention__pruning__minScore="low"), "text"),
)
