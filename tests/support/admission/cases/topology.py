"""Cases about the object's shape, its nodes and its zones."""

from admission.cases.case import BASE, accepted, refused, spec, zones

ONE = {"factor": 1, "writeQuorum": 1, "readQuorum": 1}
FIVE = {"factor": 5, "writeQuorum": 3}
LONG_ZONE = "northamerica-northeast1-a"  # the longest zone name of a large cloud
DRAINING = {"name": "d", "drain": True}

CASES = (
    accepted("smallest", BASE),
    accepted("one node", spec(replicas=1, replication=ONE)),
    refused("version missing", {"storage": {"size": "1Gi"}}, "required"),
    refused("storage missing", {"version": "1.0.0"}, "required"),
    refused("unknown field", spec(replicaz=3), "unknown field"),
    refused("too many nodes", spec(replicas=65), "range"),
    refused("fewer nodes than factor", spec(replicas=2), "at least replication.factor"),
    accepted("three zones", spec(replicas=6, topology__zones=zones("a", "b", "c"))),
    accepted("two zones, factor 3, strict", spec(replicas=4, topology__zones=zones("a", "b"))),
    accepted("four zones, three nodes", spec(topology__zones=zones("a", "b", "c", "d"))),
    refused("duplicate zone", spec(topology__zones=zones("a", "a")), "duplicate"),
    refused("nine zones", spec(replicas=9, topology__zones=zones(*"abcdefghi")), "items"),
    refused("zone name not a label", spec(topology__zones=zones("A_")), "text"),
    accepted(
        "zone draining",
        spec(replicas=6, topology__zones=[*zones("a", "b", "c"), DRAINING]),
    ),
    refused("all zones draining", spec(topology__zones=[DRAINING]), "at least one zone must stay"),
    accepted("counts per zone", spec(replicas=7, topology__zones=zones(a=3, b=2, c=2))),
    refused(
        "counts per zone, wrong sum, as kubectl scale would make it",
        spec(replicas=9, topology__zones=zones(a=3, b=2, c=2)),
        "sum of topology.zones",
    ),
    refused(
        "counts for some zones",
        spec(replicas=5, topology__zones=zones("b", a=3)),
        "every zone or for none",
    ),
    refused(
        "draining zone with a count",
        spec(replicas=6, topology__zones=[*zones(a=3, b=2), {**DRAINING, "replicas": 1}]),
        "replicas 0",
    ),
    accepted(
        "draining zone with count 0",
        spec(replicas=6, topology__zones=[*zones(a=3, b=3), {**DRAINING, "replicas": 0}]),
    ),
    refused(
        "strict cannot hold the copies",
        spec(replicas=5, replication=FIVE, topology__zones=zones(a=4, b=1)),
        "cannot hold all copies",
    ),
    accepted(
        "balanced can hold the copies",
        spec(
            replicas=5,
            replication={**FIVE, "zonePolicy": "balanced"},
            topology__zones=zones(a=4, b=1),
        ),
    ),
    accepted("strict, 2+1", spec(topology__zones=zones(a=2, b=1))),
    refused(
        "name and zone too long together",
        spec(topology__zones=zones(LONG_ZONE)),
        "at most 51",
        object_name="a" * 30,
    ),
    accepted(
        "name and long zone just fit",
        spec(topology__zones=zones(LONG_ZONE)),
        object_name="a" * 26,
    ),
    refused("name too long", BASE, "at most 40", object_name="a" * 41),
    refused("name with a dot", BASE, "begin with a letter", object_name="my.spine"),
    refused("name that begins with a digit", BASE, "begin with a letter", object_name="3spine"),
    accepted(
        "production",
        spec(
            replicas=9,
            topology__zones=zones("us-east-1a", "us-east-1b", "us-east-1c"),
            storage={"size": "200Gi", "storageClassName": "gp3"},
            resources={"requests": {"cpu": "2", "memory": "8Gi"}, "limits": {"memory": "8Gi"}},
            rebalance={"bandwidthPerNode": "64Mi"},
            repair={"schedule": "0 2 * * 0"},
            backup={"schedule": "30 3 * * *", "claimName": "agents-backup"},
        ),
        object_name="agents",
    ),
)
